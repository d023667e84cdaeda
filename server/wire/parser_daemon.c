/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd's daemon: how it is started, driven and stopped, and how connections come to it
 * and go. Accepting, waiting and timing are ours.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "server/wire/parser.h"

/*
 * All that depends on libmicrohttpd's version stands here; parser_probe.c asks for the rest. 0.9.75
 * and 1.0 have the same soname, and a program may meet another one than it was built with, so
 * nothing is decided by the header: these are of 1.0's, which that of 0.9.75 does not know. The
 * library of 0.9.75 ignores the flag, and does not start with the option.
 */
#define MHD_1_USE_NO_THREAD_SAFETY         (1U << 19)
#define MHD_1_OPTION_CLIENT_DISCIPLINE_LVL ((enum MHD_OPTION)38)

/* What counts when its memory is sized: its record of a field (56 bytes and alignment in 1.0, less
 * in 0.9.75), the fields that we add to those of a request, the shortest field ("a:" and its line's
 * end), what it wants free before it reads, and what it puts into an answer's head by itself. */
#define FIELD_RECORD    64
#define OWN_FIELDS      3
#define SHORTEST_FIELD  4
#define READ_AT_LEAST   1024
#define ANSWER_HEAD_OWN 512

void
wire_init(struct wire *w, const struct http_settings *set, struct counters *counters,
    const struct wire_events *events)
{
	*w = (struct wire){.set = set, .counters = counters, .events = events};
	/* Until parser_probe has found otherwise. */
	w->traits = (struct parser_traits){.asks_again = true,
	    .counts_heads = true,
	    .holds = true,
	    .hides_queries = true,
	    .hides_cookies = true,
	    .sure = true};
	TAILQ_INIT(&w->arriving);
	TAILQ_INIT(&w->begun);
}

void
parser_hold(struct wire_conn *c)
{
	MHD_suspend_connection(c->mhd);
}

/* What is resumed is looked at in the next run, of which MHD_get_timeout says nothing. */
void
parser_release(struct wire_conn *c)
{
	MHD_resume_connection(c->mhd);
	c->wire->resumed = true;
}

void
parser_resume(struct http_request *req)
{
	parser_release(req->conn);
}

/* The one that was added, by its descriptor: the parser may take it in at once or later. */
static struct wire_conn *
arrived(struct wire *w, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct wire_conn *c;

	TAILQ_FOREACH(c, &w->arriving, entry)
		if (info != NULL && c->fd == info->connect_fd)
			break;
	if (c != NULL)
		TAILQ_REMOVE(&w->arriving, c, entry);
	return c;
}

static void
on_connection(
    void *cls, struct MHD_Connection *mhd, void **slot, enum MHD_ConnectionNotificationCode what)
{
	struct wire *w = cls;
	struct wire_conn *c = *slot;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*slot = c = arrived(w, mhd);
		if (c == NULL)
			return;
		c->mhd = mhd;
		w->events->opened(c);
	} else if (c != NULL) {
		bool ours = !c->cut && !wire_conn_ended(c);

		/* No request ended in this run: the parser has refused what it did not take for one. */
		if (ours && c->completed_run != w->runs && w->mhd != NULL)
			parser_unrecognized(c);
		w->events->closed(c, ours);
		*slot = NULL;
	}
}

/* Targets are decoded by us, in parts: the parser's text of one is of no use. */
static size_t
leave_encoded(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls, (void)mhd;
	return strlen(text);
}

static void
on_message(void *cls, const char *fmt, va_list ap)
{
	char text[512];
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	if (strstr(text, "Content-Length") != NULL)
		parser_answer_bad_length(cls);
	else if (strstr(text, "Transfer-Encoding") != NULL)
		parser_answer_bad_coding(cls);
	/* It says twice for each answer that Unix sockets lack some options: nobody needs to know. */
	if ((strstr(text, "etting") != NULL && strstr(text, "option") != NULL) ||
	    strstr(text, "push the data") != NULL)
		return;
	if (((struct wire *)cls)->quiet)
		return;
	n = strcspn(text, "\r\n");
	text[n] = '\0';
	/* What it says of clients is their fault, so it is no warning. */
	log_line(LOG_DEBUG, "parser: %s", text);
}

/*
 * The memory of each connection: room for a head of header_max_bytes, for the parser's record of
 * each of its fields, and for an answer's head, whatever the client has sent behind the request.
 * The parser reads into the first half, and beyond it in steps of an eighth of what is left
 * when a head does not fit: each of the two must leave enough.
 */
static size_t
pool_bytes(const struct http_settings *set)
{
	size_t head = (size_t)set->header_max_bytes, fields = (size_t)set->header_fields_max, rest;

	if (fields > head / SHORTEST_FIELD)
		fields = head / SHORTEST_FIELD;
	rest = (fields + OWN_FIELDS) * FIELD_RECORD + (size_t)set->answer_head_max_bytes +
	       ANSWER_HEAD_OWN;
	head += READ_AT_LEAST + rest + rest / 7;
	return head > 2 * rest ? head : 2 * rest;
}

static struct MHD_Daemon *
start(struct wire *w, enum parser_strictness as)
{
	bool own = as == STRICTNESS_1_0;
	/* Without safety between threads, 1.0 takes a connection in while MHD_add_connection
	 * runs, as 0.9.75 always does, and not in the next run. */
	unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_1_USE_NO_THREAD_SAFETY;
	/* Should our own timers fail, the parser's ends the connection, after so many seconds. */
	unsigned net_s = (unsigned)((w->set->idle_timeout_ms + w->set->header_timeout_ms +
					w->set->send_timeout_ms) /
				    1000) +
			 60;

	return MHD_start_daemon(flags, 0, NULL, NULL, parser_on_request, w,
	    MHD_OPTION_EXTERNAL_LOGGER, on_message, w,         /* first: later options may log */
	    MHD_OPTION_URI_LOG_CALLBACK, parser_on_target, w,  /* */
	    MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, /* */
	    MHD_OPTION_NOTIFY_COMPLETED, parser_on_completed, w, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, w, MHD_OPTION_CONNECTION_LIMIT, (unsigned)w->set->connections_max + 64,
	    MHD_OPTION_CONNECTION_TIMEOUT, net_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    pool_bytes(w->set),
	    own ? MHD_1_OPTION_CLIENT_DISCIPLINE_LVL : MHD_OPTION_STRICT_FOR_CLIENT, own ? 1 : -1,
	    MHD_OPTION_END);
}

int
parser_start(struct wire *w)
{
	bool quiet = w->quiet;

	/* 1.0 takes the older option, too, and with another meaning: the same level would make it
	 * as lenient as it can be. So the newer one comes first. */
	if (w->traits.strictness == STRICTNESS_UNKNOWN) {
		w->quiet = true;
		w->mhd = start(w, STRICTNESS_1_0);
		w->quiet = quiet;
		w->traits.strictness = w->mhd != NULL ? STRICTNESS_1_0 : STRICTNESS_0_9;
	}
	if (w->mhd == NULL)
		w->mhd = start(w, w->traits.strictness);
	return w->mhd == NULL ? -ENOMEM : 0;
}

/* Daemons that hold connections given away, or for ever: to stop one would shut those down. */
static struct MHD_Daemon *kept[16];
static atomic_uint kept_n;

void
parser_abandon(struct wire *w)
{
	kept[atomic_fetch_add(&kept_n, 1) % 16] = w->mhd;
	w->mhd = NULL;
}

void
parser_stop(struct wire *w)
{
	struct MHD_Daemon *daemon = w->mhd;

	w->mhd = NULL; /* what is closed from now on is closed by us */
	if (daemon != NULL)
		MHD_stop_daemon(daemon);
}

static void
forget(struct wire_conn *c)
{
	TAILQ_REMOVE(&c->wire->arriving, c, entry);
	c->wire->events->lost(c);
}

int
parser_add(struct wire_conn *c)
{
	struct wire *w = c->wire;
	struct wire_conn *other, *next;
	int fd = c->fd;

	/* If another one waits under this number, the parser has closed it instead of taking it in. */
	for (other = TAILQ_FIRST(&w->arriving); other != NULL; other = next) {
		next = TAILQ_NEXT(other, entry);
		if (other->fd == fd)
			forget(other);
	}
	TAILQ_INSERT_TAIL(&w->arriving, c, entry);
	/* The fd is closed if it fails; the record is ours as long as nobody was told of it. */
	if (MHD_add_connection(w->mhd, fd, (const struct sockaddr *)&c->peer, c->peer_len) !=
	    MHD_YES) {
		int err = errno;

		TAILQ_FOREACH(other, &w->arriving, entry)
			if (other == c)
				break;
		if (other != NULL)
			forget(c);
		return -err;
	}
	/* The parser may take it in when it runs next. */
	w->resumed = w->resumed || !TAILQ_EMPTY(&w->arriving);
	return 0;
}

const char *
parser_version(void)
{
	return MHD_get_version();
}

void
parser_run(struct wire *w)
{
	w->runs++;
	w->resumed = false;
	w->answered = NULL;
	MHD_run(w->mhd);
}

int
parser_fd(const struct wire *w)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(w->mhd, MHD_DAEMON_INFO_EPOLL_FD);

	return info == NULL ? -EINVAL : info->epoll_fd;
}

int64_t
parser_timeout_ms(const struct wire *w)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (w->resumed)
		return 0;
	return MHD_get_timeout(w->mhd, &ms) == MHD_YES ? (int64_t)ms : -1;
}
