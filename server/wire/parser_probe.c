/* SPDX-License-Identifier: MIT */
/*
 * What this libmicrohttpd is like. The server relies on more of it than its documentation
 * promises, and its versions differ, while one soname stands for them all. So all of that is tried
 * before serving, on socket pairs, and what does not hold is done without: an update of the
 * library may cost a feature, and a line of log says which, but not the service.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "server/wire/guard.h"
#include "server/wire/probe.h"

#define PLAIN       "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define PARTS       "GET /?a&b=c&d HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\n\r\n"
/* An exchange is over after so many. */
#define TURNS       4
/* One without a name, of the field that hides the others, is none of the request's. */
#define OWN_COOKIES 1

/* Sends, and reads what came: its status, 0 for nothing. */
static int
exchange(struct probe *p, int fd, const char *bytes)
{
	char text[1024];
	ssize_t n;

	(void)send(fd, bytes, strlen(bytes), MSG_NOSIGNAL);
	for (int i = 0; i < TURNS; i++)
		probe_turn(p);
	n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

/* True if the only connection is still open. */
static bool
lives(const struct probe *p)
{
	return p->open_n == 1;
}

/*
 * A connection that is held is not read from, and after its release it is. One that is not released
 * must not be closed: the library aborts when it is stopped with a connection that is held.
 */
static bool
can_be_held(struct probe *p, struct wire_conn *c, int fd)
{
	bool unread, released;

	parser_hold(c);
	if (exchange(p, fd, PLAIN) != 0 || !lives(p))
		return false;
	unread = account_unread(c) == (int)strlen(PLAIN);
	parser_release(c);
	released = exchange(p, fd, "") == 200;
	if (!released)
		parser_abandon(&p->wire);
	return unread && released;
}

/* Learns what one connection can show. The rest is skipped when it gets no answer. */
static int
try_connection(struct wire *w, bool *answered)
{
	struct parser_traits *t = &w->traits;
	struct probe p;
	int fd = -1;
	struct wire_conn *c = probe_open(&p, w) == 0 ? probe_connect(&p, &fd) : NULL;

	*answered = c != NULL && exchange(&p, fd, PLAIN) == 200;
	if (*answered) {
		t->counts_heads = p.head_size == strlen(PLAIN);
		(void)exchange(&p, fd, PARTS);
		t->hides_queries = p.extracted.arguments == 0;
		t->hides_cookies = p.extracted.cookies <= OWN_COOKIES;
		t->holds = lives(&p) && can_be_held(&p, c, fd);
	}
	if (fd >= 0)
		close(fd);
	probe_close(&p);
	return c == NULL ? -ENOMEM : 0;
}

/* ---- What is said of it ----------------------------------------------------------------------- */

static const struct {
	size_t offset; /* of a bool in struct parser_traits */
	const char *without;
} lacks[] = {
    {offsetof(struct parser_traits, asks_again),
	"asks for no answer twice: every request is suspended until it has one"},
    {offsetof(struct parser_traits, counts_heads),
	"tells no head's size: connections are not handed over, and header_max_bytes and "
	"header_timeout_ms are not kept"},
    {offsetof(struct parser_traits, holds),
	"leaves no idle connection alone: connections are not handed over"},
    {offsetof(struct parser_traits, hides_queries),
	"takes queries apart: those with hundreds of arguments are refused"},
    {offsetof(struct parser_traits, hides_cookies),
	"takes cookies apart: requests with more than some 300, or 9 KB of them, may be refused"},
};

static void
report(const struct wire *w, const char *unsure)
{
	const struct parser_traits *t = &w->traits;
	/* A warning is for what many requests feel. */
	bool grave = !(t->asks_again && t->counts_heads && t->holds && t->sure);
	char *text = talloc_strdup(NULL, "");

	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]) && text != NULL; i++)
		if (!*(const bool *)((const char *)t + lacks[i].offset))
			text = talloc_asprintf_append(text, "; it %s", lacks[i].without);
	if (text != NULL && t->readahead_at == 0)
		text = talloc_asprintf_append(text,
		    "; it hides what it has read ahead: connections that have sent chunks or empty "
		    "lines are not handed over");
	if (text != NULL && t->lenient && t->readahead_begins_at == 0)
		text = talloc_asprintf_append(text,
		    "; it hides where a trailer ends: connections end with the answer to chunked "
		    "content");
	if (text != NULL && unsure != NULL)
		text =
		    talloc_asprintf_append(text, "; it %s '%s'%s", t->sure ? "refuses" : "lets in",
			unsure, t->sure ? "" : ": each connection ends with its first answer");
	if (text != NULL && text[0] != '\0')
		log_line(grave ? LOG_WARNING : LOG_INFO,
		    "libmicrohttpd %s is not as expected; serving all the same%s", parser_version(),
		    text);
	talloc_free(text);
}

int
parser_probe(struct wire *w, TALLOC_CTX *mem, char **why)
{
	const char *unsure = NULL;
	bool answered;
	int err = try_connection(w, &answered);

	if (err == 0 && !answered) {
		w->traits.asks_again = false;
		err = try_connection(w, &answered);
	}
	if (err != 0)
		return err;
	if (!answered) {
		*why = talloc_asprintf(mem,
		    "libmicrohttpd %s does not come to an answer to a plain request",
		    parser_version());
		return -ENOTSUP;
	}
	err = guard_selftest(w, &unsure);
	if (err != 0)
		return err;
	readahead_learn(w);
	if (w->traits.lenient)
		readahead_learn_where(w);
	report(w, unsure);
	return 0;
}
