/* SPDX-License-Identifier: MIT */
/*
 * The log: one line an event to stderr, key=value, in one write so that lines of several
 * threads do not mix. What comes from outside is escaped here and nowhere else. A line for which
 * there is no room is lost, and counted; how many were is said when there is room again.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "server/base/base.h"

#define LINE_MAX_BYTES 2048
/* So often it is tried to tell what was lost, if nothing else is logged. */
#define TELL_MS        1000

static const char *const levels[] = {"error", "warning", "info", "debug"};
static atomic_int threshold = 2;

/* Lines that could not be written, and of how many of them the log has told. */
static _Atomic uint64_t lost, told;
/* The last line was cut short: the next one begins anew. */
static atomic_bool torn;

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

/* The line begins with a line end, which is only written where it is needed. */
static bool
put(const char *line, size_t n)
{
	bool again = atomic_exchange_explicit(&torn, false, memory_order_relaxed);
	size_t skip = again ? 0 : 1;
	ssize_t put = log_write(STDERR_FILENO, line + skip, n - skip);

	/* A terminal may take a part. */
	if (put >= 0 ? put < (ssize_t)(n - skip) : again)
		atomic_store_explicit(&torn, true, memory_order_relaxed);
	return put == (ssize_t)(n - skip);
}

/* One thread tells; if it cannot, another one may at the next line. */
static void
tell_lost(void)
{
	uint64_t before = atomic_load(&told), now = atomic_load(&lost);
	char line[128];
	int n;

	if (before >= now || !atomic_compare_exchange_strong(&told, &before, now))
		return;
	n = snprintf(line, sizeof(line),
	    "\nlevel=warning msg=\"%llu lines of the log were lost: there was no room for them\"\n",
	    (unsigned long long)(now - before));
	if (!put(line, (size_t)n))
		atomic_fetch_sub(&told, now - before);
}

static bool
untold(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed) !=
	       atomic_load_explicit(&told, memory_order_relaxed);
}

uint64_t
log_lost(void)
{
	return atomic_load(&lost);
}

int64_t
log_expire(int64_t now_ms)
{
	static _Atomic int64_t next_ms;

	if (!untold())
		return INT64_MAX;
	if (now_ms >= atomic_load_explicit(&next_ms, memory_order_relaxed)) {
		tell_lost();
		atomic_store_explicit(&next_ms, now_ms + TELL_MS, memory_order_relaxed);
	}
	return atomic_load_explicit(&next_ms, memory_order_relaxed);
}

void
log_of(int priority, const char *id, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES];
	int saved = errno;
	size_t n;

	if (level_of(priority) > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = (size_t)snprintf(line, sizeof(line), "\nlevel=%s ", levels[level_of(priority)]);
	if (id != NULL)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "request=%s ", id);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "msg=\"");
	n = append_escaped(line, n, text);
	line[n++] = '"';
	line[n++] = '\n';
	/* A log that cannot be written is nobody's failure but its own. */
	if (untold())
		tell_lost();
	if (!put(line, n))
		atomic_fetch_add(&lost, 1);
	errno = saved;
}

void
log_line(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_of(priority, NULL, fmt, ap);
	va_end(ap);
}
