/* SPDX-License-Identifier: MIT */
/*
 * Configuration files, line by line: a section, or "key = value", where a ':' is as good; blank
 * lines and those that begin with ';' or '#' say nothing. Every error has file and line.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/config/config.h"

#define LINE_MAX_BYTES 8192
#define FILE_MAX_BYTES (1024UL * 1024)
#define SPACE          " \t\r\n\v\f"

struct reader {
	struct config *config;
	FILE *file;
	size_t bytes;
	int line;
	enum { NO_SECTION, UNKNOWN, SUPERVISOR, SERVICE } in;
	struct service_config *service; /* when in == SERVICE */
	int supervisor_line;            /* where [supervisor] stood; 0: nowhere */
};

static void
cut_end(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
}

/* TEXT is what stands between the brackets. */
static void
begin_section(struct reader *r, const char *text)
{
	struct config *c = r->config;
	const char *name = text + strspn(text, " \t");
	size_t had = c->nservices;

	r->in = UNKNOWN;
	if (strcmp(name, "supervisor") == 0) {
		if (r->supervisor_line != 0)
			config_error(c,
			    "%s:%d: [supervisor]: stands twice; the first is on line %d", c->file,
			    r->line, r->supervisor_line);
		r->supervisor_line = r->line;
		r->in = SUPERVISOR;
		return;
	}
	if (strncmp(name, "service", 7) != 0 || (name[7] != ' ' && name[7] != '\t')) {
		config_error(c,
		    "%s:%d: [%s]: unknown section; expected [supervisor] or "
		    "[service NAME]",
		    c->file, r->line, text);
		return;
	}
	name += 7 + strspn(name + 7, " \t");
	r->service = config_service(c, name, r->line, true);
	if (r->service == NULL && config_good_name(name)) {
		config_error(c, "%s:%d: no memory to read it", c->file, r->line);
		return;
	}
	if (r->service == NULL) {
		config_error(c,
		    "%s:%d: [%s]: expected a service name of 1 to 32 letters, digits, "
		    "'-' and '_', found \"%s\"",
		    c->file, r->line, text, name);
		return;
	}
	if (c->nservices == had)
		config_error(c, "%s:%d: [service %s]: stands twice; the first is on line %d",
		    c->file, r->line, name, r->service->line);
	r->in = SERVICE;
}

/* Cuts a comment: a ';' after white space (or at the start), outside of quotes. */
static void
cut_comment(char *value)
{
	char quote = '\0';

	for (char *p = value; *p != '\0'; p++) {
		if (*p == '\\' && quote != '\'' && p[1] != '\0') {
			p++;
		} else if (quote != '\0') {
			quote = *p == quote ? '\0' : quote;
		} else if (*p == '\'' || *p == '"') {
			quote = *p;
		} else if (*p == ';' && (p == value || isspace((unsigned char)p[-1]))) {
			*p = '\0';
			break;
		}
	}
	cut_end(value);
}

static void
take_key(struct reader *r, const char *name, const char *value)
{
	struct config *c = r->config;
	char *where = talloc_asprintf(c, "%s:%d", c->file, r->line);

	if (where == NULL)
		config_error(c, "%s:%d: no memory to read it", c->file, r->line);
	else if (r->in == NO_SECTION)
		config_error(
		    c, "%s: %s: expected a section before the first key, found none", where, name);
	else if (r->in != UNKNOWN)
		config_set(c, r->in == SERVICE ? r->service : NULL, where, r->line, name, value);
	talloc_free(where);
}

static void
take_line(struct reader *r, char *line)
{
	char *end, *value;

	if (r->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	line += strspn(line, SPACE);
	cut_end(line);
	if (*line == '\0' || *line == ';' || *line == '#')
		return;
	if (*line == '[')
		r->in = UNKNOWN;
	end = strpbrk(line, *line == '[' ? "]" : "=:");
	if (end == NULL) {
		config_error(r->config,
		    "%s:%d: expected \"key = value\" or [section], found \"%.63s\"",
		    r->config->file, r->line, line);
		return;
	}
	*end = '\0';
	cut_end(line);
	if (*line == '[') {
		begin_section(r, line + 1);
		return;
	}
	value = end + 1 + strspn(end + 1, SPACE);
	cut_comment(value);
	take_key(r, line, value);
}

/* The next line; one that does not fit is an error, and reads as an empty one. False: there is none. */
static bool
next_line(struct reader *r, char *buf, size_t size)
{
	size_t len = 0;
	bool long_line = false, nul = false;
	int c;

	while ((c = getc(r->file)) != EOF) {
		if (++r->bytes > FILE_MAX_BYTES)
			break;
		nul = nul || c == '\0';
		if (len + 2 < size)
			buf[len++] = (char)c;
		else
			long_line = true;
		if (c == '\n')
			break;
	}
	if (r->bytes > FILE_MAX_BYTES) {
		config_error(r->config,
		    "%s:%d: expected a file of at most %lu bytes, found a longer "
		    "one",
		    r->config->file, r->line + 1, FILE_MAX_BYTES);
		return false;
	}
	if (c == EOF && len == 0)
		return false;
	r->line++;
	if (long_line || nul) {
		config_error(r->config,
		    nul ? "%s:%d: expected text, found a NUL byte"
			: "%s:%d: expected a line of at most 8189 bytes, found a longer one",
		    r->config->file, r->line);
		len = 0;
	}
	buf[len] = '\0';
	return true;
}

static void
parse(struct reader *r)
{
	char line[LINE_MAX_BYTES];

	while (next_line(r, line, sizeof(line)))
		take_line(r, line);
	if (ferror(r->file))
		config_error(r->config, "%s: cannot be read: %s", r->config->file, strerror(errno));
}

struct config *
config_read(TALLOC_CTX *mem, const char *file)
{
	bool standard_input = strcmp(file, "-") == 0;
	struct reader r = {.config = config_new(mem, standard_input ? "standard input" : file)};

	if (r.config == NULL)
		return NULL;
	r.file = standard_input ? fdopen(dup(0), "re") : fopen(file, "re");
	if (r.file == NULL) {
		config_error(r.config, "%s: cannot be opened: %s", file, strerror(errno));
		return r.config;
	}
	parse(&r);
	fclose(r.file);
	config_finish(r.config);
	return r.config;
}

const char *
config_default_file(void)
{
	if (access(CONFIG_DEFAULT_HERE, F_OK) == 0)
		return CONFIG_DEFAULT_HERE;
	if (access(CONFIG_DEFAULT_SYSTEM, F_OK) == 0)
		return CONFIG_DEFAULT_SYSTEM;
	return NULL;
}
