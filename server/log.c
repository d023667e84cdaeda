/* SPDX-License-Identifier: MIT */
/*
 * The log: one line an event to stderr, key=value, in one write so that lines of several
 * threads do not mix. What comes from outside is escaped here and nowhere else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "server/internal.h"

#define LINE_MAX_BYTES 2048

static const char *const levels[] = {"error", "warning", "info", "debug"};
static atomic_int threshold = 2;

/* syslog's priorities in four steps. */
static int
level_of(int priority)
{
	if (priority <= LOG_ERR)
		return 0;
	return priority == LOG_WARNING ? 1 : priority == LOG_DEBUG ? 3 : 2;
}

void
log_set_level(int64_t level)
{
	atomic_store(&threshold, (int)level);
}

/* Control characters as \xHH, quotes and backslashes behind a backslash: so nobody outside
 * forges a line or leaves the quotes, and ours stay readable. */
static size_t
append_escaped(char *line, size_t at, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (at + 6 > LINE_MAX_BYTES)
			break;
		if (*p < 0x20 || *p == 0x7f) {
			at += (size_t)sprintf(line + at, "\\x%02x", *p);
			continue;
		}
		if (*p == '"' || *p == '\\')
			line[at++] = '\\';
		line[at++] = (char)*p;
	}
	return at;
}

static void
write_line(int priority, const char *id, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES];
	int saved = errno;
	size_t n;

	if (level_of(priority) > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = (size_t)snprintf(line, sizeof(line), "level=%s ", levels[level_of(priority)]);
	if (id != NULL)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "request=%s ", id);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "msg=\"");
	n = append_escaped(line, n, text);
	line[n++] = '"';
	line[n++] = '\n';
	/* A log that cannot be written is nobody's failure but its own. */
	if (write(STDERR_FILENO, line, n) < 0)
		errno = saved;
	errno = saved;
}

void
log_line(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(priority, NULL, fmt, ap);
	va_end(ap);
}

void
log_request(int priority, const struct http_request *req, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(priority, req->id, fmt, ap);
	va_end(ap);
}

/* Work that goes on after its request logs under the request's id: it takes a copy along. */
static void *
copy_id(TALLOC_CTX *mem, const void *id)
{
	return talloc_strdup(mem, id);
}

CTX_KEY_DEFINE_COPY(request_id_key, const char, copy_id);

void
http_log(const struct ctx *ctx, int priority, const char *fmt, ...)
{
	const char *id = ctx == NULL ? NULL : ctx_value(ctx, &request_id_key);
	va_list ap;

	va_start(ap, fmt);
	write_line(priority, id, fmt, ap);
	va_end(ap);
}
