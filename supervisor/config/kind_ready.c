/* SPDX-License-Identifier: MIT */
/* How an instance shows that it is ready, and that it is well: `ready` and `health`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/kinds.h"

/* Any descriptor would do; a larger number is a typing error. */
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
ready_parse(void *object, const struct key *k, struct key_line *line)
{
	struct ready_config r = {.kind = READY_NOTIFY};
	const char *value = line->value, *path = http_path(value);
	bool good = strcmp(value, "notify") == 0;

	(void)k;
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
		r.path = talloc_strdup(object, path);
		if (r.path == NULL)
			return -ENOMEM;
	}
	((struct service_config *)object)->ready = r;
	return 0;
}

bool
ready_same(const struct key *k, const void *one, const void *other)
{
	const struct ready_config *x = &((const struct service_config *)one)->ready;
	const struct ready_config *y = &((const struct service_config *)other)->ready;

	(void)k;
	return x->kind == y->kind && x->fd == y->fd && x->delay_ms == y->delay_ms &&
	       (x->path == y->path ||
		   (x->path != NULL && y->path != NULL && strcmp(x->path, y->path) == 0));
}

enum ready_kind
ready_kind_state(struct state *s, const char *name, enum ready_kind kind)
{
	static const struct state_word words[] = {
	    {"notify", READY_NOTIFY, 0},
	    {"fd", READY_FD, 1},
	    {"http", READY_HTTP, 2},
	    {"delay", READY_DELAY, 3},
	};

	return STATE_WORD(s, name, kind, words);
}

void
ready_state(struct state *s, const struct key *k, void *object)
{
	static const struct state_field fields[] = {
	    STATE_NUMBER(struct ready_config, fd),
	    STATE_NUMBER(struct ready_config, delay_ms),
	};
	struct ready_config *r = &((struct service_config *)object)->ready;
	struct state sub = state_object(s, k->name);

	r->kind = ready_kind_state(&sub, "kind", r->kind);
	STATE_FIELDS(&sub, r, fields);
	state_text(&sub, "path", object, &r->path);
	if (state_ok(s) && r->kind == READY_HTTP && r->path == NULL)
		state_fail(&sub, "path", "is missing");
}

int
health_parse(void *object, const struct key *k, struct key_line *line)
{
	const char *path = http_path(line->value);
	char **to = (char **)((char *)object + k->offset);

	if (path == NULL)
		return -EINVAL;
	*to = talloc_strdup(object, path);
	return *to == NULL ? -ENOMEM : 0;
}
