/* SPDX-License-Identifier: MIT */
/* How an instance shows that it is ready, and that it is well: `ready` and `health`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/config.h"

/* 0 to 2 are what every process has; the limit only keeps typing errors out. */
#define READY_FD_MIN 3
#define READY_FD_MAX 255

#define HOUR_MS 3600000L

/* The path of a request, as it goes on the wire (RFC 9112, section 3.2.1). */
static bool
is_path(const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' || len > HTTP_PATH_MAX_BYTES || strchr(path, '#') != NULL)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (path[i] <= ' ' || path[i] >= 0x7f)
			return false;
	}
	return true;
}

static const char *
http_path(const char *value)
{
	return strncmp(value, "http:", 5) == 0 && is_path(value + 5) ? value + 5 : NULL;
}

/* Decimal digits, then UNIT; -1 if it is anything else. */
static long
number_with(const char *text, const char *unit)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 7 || strcmp(text + digits, unit) != 0)
		return -1;
	return strtol(text, NULL, 10);
}

static bool
read_delay(struct ready_config *r, const char *text)
{
	long ms = number_with(text, "ms"), seconds = number_with(text, "s");

	r->kind = READY_DELAY;
	r->delay_ms = ms >= 0 ? ms : seconds * 1000;
	return r->delay_ms >= 0 && r->delay_ms <= HOUR_MS;
}

static bool
read_fd(struct ready_config *r, const char *text)
{
	long n = text[0] == ':' ? number_with(text + 1, "") : 0;

	r->kind = READY_FD;
	r->fd = n;
	return text[0] == '\0' || (text[0] == ':' && n >= READY_FD_MIN && n <= READY_FD_MAX);
}

int
config_ready_set(struct service_config *s, const char *value)
{
	struct ready_config r = {.kind = READY_NOTIFY};
	const char *path = http_path(value);
	bool good = strcmp(value, "notify") == 0;

	if (strcmp(value, "none") == 0) {
		r.kind = READY_DELAY; /* of no time at all */
		good = true;
	} else if (strncmp(value, "delay:", 6) == 0)
		good = read_delay(&r, value + 6);
	else if (strncmp(value, "fd", 2) == 0)
		good = read_fd(&r, value + 2);
	else if (path != NULL)
		good = true;
	if (!good)
		return -EINVAL;
	if (path != NULL) {
		r.kind = READY_HTTP;
		r.path = talloc_strdup(s, path);
		if (r.path == NULL)
			return -ENOMEM;
	}
	s->ready = r;
	return 0;
}

int
config_health_set(struct service_config *s, const char *value)
{
	const char *path = http_path(value);

	if (path == NULL)
		return -EINVAL;
	s->health = talloc_strdup(s, path);
	return s->health == NULL ? -ENOMEM : 0;
}

bool
config_ready_same(const struct service_config *a, const struct service_config *b)
{
	const struct ready_config *x = &a->ready, *y = &b->ready;

	return x->kind == y->kind && x->fd == y->fd && x->delay_ms == y->delay_ms &&
	       (x->path == y->path ||
		   (x->path != NULL && y->path != NULL && strcmp(x->path, y->path) == 0));
}

void
config_ready_finish(struct config *c, const struct service_config *s, const char *in)
{
	const struct ready_config *r = &s->ready;
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *where = config_place(tmp, c, config_line(s, "ready"));
	long sockets = (long)s->nlistens;

	if (r->kind == READY_FD && r->fd != 0 && r->fd < READY_FD_MIN + sockets)
		config_error(c,
		    "%s: %sready: expected fd:N with N from %ld on, as its sockets are 3 to %ld, "
		    "found fd:%ld",
		    where, in, READY_FD_MIN + sockets, READY_FD_MIN + sockets - 1, r->fd);
	if (r->kind == READY_DELAY && r->delay_ms >= s->start_timeout_ms)
		config_error(c,
		    "%s: %sready: expected a delay below start_timeout_ms (%ld), found %ld ms",
		    where, in, s->start_timeout_ms, r->delay_ms);
	if (r->kind == READY_HTTP && sockets == 0)
		config_error(c,
		    "%s: %sready: expected a `listen` on which http:%s can be asked, found none",
		    where, in, r->path);
	if (r->kind != READY_NOTIFY && s->spares > 0)
		config_error(c,
		    "%s: %sready: expected notify in a service with spares, for only that says "
		    "when one of them has become an instance",
		    where, in);
	if (s->health != NULL && sockets == 0)
		config_error(c,
		    "%s: %shealth: expected a `listen` on which http:%s can be asked, found none",
		    config_place(tmp, c, config_line(s, "health")), in, s->health);
	talloc_free(tmp);
}
