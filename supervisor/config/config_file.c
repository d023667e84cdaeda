/* SPDX-License-Identifier: MIT */
/*
 * Configuration files, read by inih. Debian's build of inih tells a handler neither line
 * numbers nor sections without keys; but it takes its lines from a function of ours, and that
 * function knows both. A line that was neither blank, comment nor section, and for which the
 * handler was not called, is one that inih could not make sense of.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/config/config.h"

#define LINE_MAX_BYTES 8192
#define FILE_MAX_BYTES (1024UL * 1024)

struct reader {
	struct config *config;
	FILE *file;
	size_t bytes;
	int line;
	bool unexplained; /* the current line has not reached the handler yet */
	enum { NO_SECTION, UNKNOWN, SUPERVISOR, SERVICE } in;
	struct service_config *service; /* when in == SERVICE */
	int supervisor_line;            /* where [supervisor] stood; 0: nowhere */
	char unexplained_text[64];
};

static void
blame_line(struct reader *r)
{
	if (r->unexplained)
		config_error(r->config,
		    "%s:%d: expected \"key = value\" or [section], found \"%s\"", r->config->file,
		    r->line, r->unexplained_text);
	r->unexplained = false;
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

/* Looks at a line before inih does. */
static void
note_line(struct reader *r, const char *line)
{
	const char *start = line;
	char text[128];
	size_t len;

	if (r->line == 1 && strncmp(start, "\xef\xbb\xbf", 3) == 0)
		start += 3;
	start += strspn(start, " \t\r\n\v\f");
	len = strcspn(start, "\r\n");
	r->unexplained = *start != '\0' && *start != ';' && *start != '#';
	snprintf(r->unexplained_text, sizeof(r->unexplained_text), "%.*s", (int)len, start);
	if (*start != '[')
		return;
	r->in = UNKNOWN;
	len = strcspn(start, "]");
	if (start[len] == '\0')
		return; /* not closed: inih will not take it either */
	r->unexplained = false;
	if (len > sizeof(text))
		len = sizeof(text);
	while (len > 1 && isspace((unsigned char)start[len - 1]))
		len--;
	snprintf(text, sizeof(text), "%.*s", (int)(len - 1), start + 1);
	begin_section(r, text);
}

/* fgets(3) for inih. A line that does not fit is an error, and reads as an empty one. */
static char *
next_line(char *buf, int size, void *stream)
{
	struct reader *r = stream;
	size_t len = 0;
	bool long_line = false, nul = false;
	int c;

	blame_line(r);
	while ((c = getc(r->file)) != EOF) {
		if (++r->bytes > FILE_MAX_BYTES)
			break;
		nul = nul || c == '\0';
		if (len + 2 < (size_t)size)
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
		return NULL;
	}
	if (c == EOF && len == 0)
		return NULL;
	r->line++;
	if (long_line || nul) {
		config_error(r->config,
		    nul ? "%s:%d: expected text, found a NUL byte"
			: "%s:%d: expected a line of at most 8189 bytes, found a longer one",
		    r->config->file, r->line);
		len = 0;
	}
	buf[len] = '\0';
	note_line(r, buf);
	return buf;
}

/* Cuts a comment: a ';' after white space (or at the start), outside of quotes. */
static void
cut_comment(char *value)
{
	char quote = '\0';
	char *end;

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
	end = value + strlen(value);
	while (end > value && isspace((unsigned char)end[-1]))
		*--end = '\0';
}

/* inih's own idea of the section is cut at 50 bytes; the reader's is used. */
static int
take(void *data, const char *section, const char *name, const char *value)
{
	struct reader *r = data;
	struct config *c = r->config;
	char *copy, *where;

	(void)section;
	r->unexplained = false;
	copy = talloc_strdup(c, value);
	where = talloc_asprintf(c, "%s:%d", c->file, r->line);
	if (copy != NULL)
		cut_comment(copy);
	if (copy == NULL || where == NULL)
		config_error(c, "%s:%d: no memory to read it", c->file, r->line);
	else if (r->in == NO_SECTION)
		config_error(
		    c, "%s: %s: expected a section before the first key, found none", where, name);
	else if (r->in != UNKNOWN)
		config_set(c, r->in == SERVICE ? r->service : NULL, where, r->line, name, copy);
	talloc_free(copy);
	talloc_free(where);
	return 1;
}

static void
parse(struct reader *r)
{
	ini_allow_multiline = false;
	ini_allow_inline_comments = false; /* cut_comment knows quotes, inih does not */
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_stop_on_first_error = false;
	ini_max_line = LINE_MAX_BYTES;
	ini_initial_alloc = LINE_MAX_BYTES;
	if (ini_parse_stream(next_line, r, take, r) == -2)
		config_error(r->config, "%s: no memory to read it", r->config->file);
	blame_line(r);
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
