/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd's daemon: how it is started, driven and stopped, and how connections come to it
 * and go. Accepting, waiting and timing are ours.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "server/parser.h"

/* Of libmicrohttpd 1.0, in the words of its header. The header of 0.9.75 has neither, and its
 * library, which has the same soname, ignores the flag and refuses the option. */
#define MHD_1_USE_NO_THREAD_SAFETY         (1U << 19)
#define MHD_1_OPTION_CLIENT_DISCIPLINE_LVL ((enum MHD_OPTION)38)

size_t
parser_head_size(const struct http_conn *c)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info == NULL ? 0 : info->header_size;
}

void
parser_hold(struct http_conn *c)
{
	MHD_suspend_connection(c->mhd);
}

/* What is resumed is looked at in the next run, of which MHD_get_timeout says nothing. */
void
parser_release(struct http_conn *c)
{
	MHD_resume_connection(c->mhd);
	c->server->resumed = true;
}

void
parser_resume(struct http_request *req)
{
	if (req->suspended && req->conn != NULL)
		parser_release(req->conn);
	req->suspended = false;
}

static void
on_connection(
    void *cls, struct MHD_Connection *mhd, void **slot, enum MHD_ConnectionNotificationCode what)
{
	struct http_server *s = cls;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		s->accepting->mhd = mhd;
		*slot = s->accepting;
		s->accepting = NULL;
		conn_open(*slot);
	} else if (*slot != NULL) {
		struct http_conn *c = *slot;
		bool ours = !c->cut && !conn_ended(c);

		/* Without a request: the parser has refused what it did not take for one. */
		if (c->completed_run != s->parser_runs && ours)
			c->linger = true;
		conn_closed(c, ours);
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
		guard_answer_bad_length(cls);
	else if (strstr(text, "Transfer-Encoding") != NULL)
		guard_answer_bad_coding(cls);
	/* Options that Unix sockets do not have, twice for each answer: no news. */
	if ((strstr(text, "etting") != NULL && strstr(text, "option") != NULL) ||
	    strstr(text, "push the data") != NULL)
		return;
	if (((struct http_server *)cls)->quiet)
		return;
	n = strcspn(text, "\r\n");
	text[n] = '\0';
	/* What it says of clients is their doing, not ours. */
	log_line(LOG_DEBUG, "parser: %s", text);
}

int
parser_start(struct http_server *s)
{
	/* Without safety between threads, 1.0 takes a connection in while MHD_add_connection
	 * runs, as 0.9.75 always does, and not in the next run. */
	unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_1_USE_NO_THREAD_SAFETY;
	/* The same old option at -1 would make 1.0 as lenient as it can be. */
	bool old = MHD_get_version()[0] == '0';
	/* A net below our own timers, in whole seconds. */
	unsigned net_s = (unsigned)((s->set.idle_timeout_ms + s->set.header_timeout_ms +
					s->set.send_timeout_ms) /
				    1000) +
			 60;

	s->mhd = MHD_start_daemon(flags, 0, NULL, NULL, parser_on_request, s,
	    MHD_OPTION_EXTERNAL_LOGGER, on_message, s,         /* first: later options may log */
	    MHD_OPTION_URI_LOG_CALLBACK, parser_on_target, s,  /* */
	    MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, /* */
	    MHD_OPTION_NOTIFY_COMPLETED, parser_on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, s, MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->set.connections_max + 64,
	    MHD_OPTION_CONNECTION_TIMEOUT, net_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)s->set.header_max_bytes,
	    old ? MHD_OPTION_STRICT_FOR_CLIENT : MHD_1_OPTION_CLIENT_DISCIPLINE_LVL, old ? -1 : 1,
	    MHD_OPTION_END);
	return s->mhd == NULL ? -ENOMEM : 0;
}

/* Daemons that hold connections given away: to stop one would shut those down. */
static struct MHD_Daemon *kept[16];
static atomic_uint kept_n;

void
parser_stop(struct http_server *s)
{
	if (s->mhd != NULL && !(TAILQ_EMPTY(&s->given) && TAILQ_EMPTY(&s->offered)))
		kept[atomic_fetch_add(&kept_n, 1) % 16] = s->mhd;
	else if (s->mhd != NULL)
		MHD_stop_daemon(s->mhd);
	s->mhd = NULL;
}

int
parser_add(struct http_conn *c)
{
	struct http_server *s = c->server;
	enum MHD_Result ok;

	s->accepting = c;
	ok = MHD_add_connection(s->mhd, c->fd, (const struct sockaddr *)&c->peer, c->peer_len);
	/* The fd is closed if it failed; the record is ours as long as nobody was told of it. */
	if (ok != MHD_YES && s->accepting != NULL) {
		address_uncount(s->addresses, c);
		talloc_free(c);
	}
	s->accepting = NULL;
	return ok == MHD_YES ? 0 : -errno;
}

const char *
parser_version(void)
{
	return MHD_get_version();
}

void
parser_run(struct http_server *s)
{
	s->parser_runs++;
	s->resumed = false;
	MHD_run(s->mhd);
}

int
parser_fd(const struct http_server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);

	return info == NULL ? -EINVAL : info->epoll_fd;
}

int64_t
parser_timeout_ms(const struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (s->resumed)
		return 0;
	return MHD_get_timeout(s->mhd, &ms) == MHD_YES ? (int64_t)ms : -1;
}
