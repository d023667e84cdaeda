/* SPDX-License-Identifier: MIT */
/* The configuration and its sections, and where errors and notes about them are kept. */
#include "supervisor/config/config.h"

#include <stdarg.h>
#include <string.h>

#define SERVICE_NAME_MAX 32

static char no_memory[] = "there is no memory to say what is wrong";

struct config *
config_new(TALLOC_CTX *mem, const char *file)
{
	struct config *c = talloc_zero(mem, struct config);

	if (c != NULL && file != NULL) {
		c->file = talloc_strdup(c, file);
		if (c->file == NULL)
			TALLOC_FREE(c);
	}
	return c;
}

void
config_error(struct config *c, const char *format, ...)
{
	va_list ap;

	if (c->nerrors++ >= CONFIG_ERRORS_MAX)
		return;
	va_start(ap, format);
	c->errors[c->nerrors - 1] = talloc_vasprintf(c, format, ap);
	va_end(ap);
	if (c->errors[c->nerrors - 1] == NULL)
		c->errors[c->nerrors - 1] = no_memory;
}

void
config_note(struct config *c, const char *format, ...)
{
	size_t n = talloc_array_length(c->notes);
	char **grown = talloc_realloc(c, c->notes, char *, (unsigned)n + 1);
	va_list ap;

	if (grown == NULL)
		return;
	c->notes = grown;
	va_start(ap, format);
	grown[n] = talloc_vasprintf(grown, format, ap);
	va_end(ap);
	if (grown[n] == NULL)
		c->notes = talloc_realloc(c, grown, char *, (unsigned)n);
}

/* Names go into LISTEN_FDNAMES (no colon), "hello.0" (no dot), and file names. */
bool
config_good_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= SERVICE_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		   len;
}

struct service_config *
config_service(struct config *c, const char *name, int line, bool create)
{
	struct service_config *s, **grown;

	for (size_t i = 0; i < c->nservices; i++) {
		if (strcmp(c->services[i]->name, name) == 0)
			return c->services[i];
	}
	if (!create || !config_good_name(name))
		return NULL;
	grown = talloc_realloc(c, c->services, struct service_config *, c->nservices + 1);
	if (grown == NULL)
		return NULL;
	c->services = grown;
	s = talloc_zero(c->services, struct service_config);
	if (s == NULL)
		return NULL;
	s->name = talloc_strdup(s, name);
	if (s->name == NULL) {
		talloc_free(s);
		return NULL;
	}
	s->line = line;
	c->services[c->nservices++] = s;
	return s;
}

const char *
config_section_text(TALLOC_CTX *mem, const struct config *c, const struct service_config *s)
{
	if (c->file == NULL)
		return "";
	if (s == NULL)
		return "[supervisor] ";
	return talloc_asprintf(mem, "[service %s] ", s->name);
}

const char *
config_place(TALLOC_CTX *mem, const struct config *c, int line)
{
	return c->file == NULL ? "baton run" : talloc_asprintf(mem, "%s:%d", c->file, line);
}
