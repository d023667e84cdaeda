/* SPDX-License-Identifier: MIT */
/*
 * Refusals without the parser: where it would answer a malformed request by itself and badly,
 * or can answer only at the end of content, and nobody knows where that is. Plain connections only.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "server/wire/parser.h"

/* RFC 9110 section 5.6.7; strftime(3) would speak the locale's language. */
static void
format_date(char text[40])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	snprintf(text, 40, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
	    (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
	    (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
	    (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/*
 * No answer may have begun. Whatever the parser sends after it meets a closed door, and it ends
 * the connection; what the client still sends is read and thrown away (linger.c).
 */
bool
guard_answer(struct wire_conn *c, int status, const char *why)
{
	char date[40], body[256], text[512];
	int len;

	c->linger = true;
	if (c->cut)
		return false;
	c->cut = true;
	format_date(date);
	len = snprintf(body, sizeof(body), "%d %s: %s\n", status, http_status_text(status), why);
	len = snprintf(text, sizeof(text),
	    "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s",
	    status, http_status_text(status), date, len, body);
	len = (int)send(c->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(c->fd, SHUT_WR);
	return len > 0;
}

/*
 * What the parser refuses by itself it first logs, and then there is one connection of which it
 * knows the head's size, although the request has not come to us.
 */
static struct wire_conn *
refused_by_parser(const struct wire *w)
{
	struct wire_conn *c;

	TAILQ_FOREACH(c, &w->begun, entry)
		if (c->current->state == REQUEST_HEAD && parser_head_size(c) > 0)
			break;
	return c;
}

/* Of a Content-Length that it does not like 0.9.75 says so twice, one head in the other. */
void
guard_answer_bad_length(struct wire *w)
{
	struct wire_conn *c = refused_by_parser(w);

	if (c == NULL)
		return;
	counter_add(w->counters, COUNTER_MALFORMED);
	guard_answer(c, 400, "malformed Content-Length");
}

/* 1.0 has one status for every Transfer-Encoding that it does not know, and not always the same. */
void
guard_answer_bad_coding(struct wire *w)
{
	struct wire_conn *c = refused_by_parser(w);
	struct guard_codings codings = {0};
	const char *why;
	int status;

	if (c == NULL)
		return;
	parser_codings(c, &codings);
	status = codings.fields == 0 ? 0 : guard_codings_check(&codings, &why);
	if (status == 0)
		return;
	counter_add(w->counters, COUNTER_MALFORMED);
	guard_answer(c, status, why);
}
