/* SPDX-License-Identifier: MIT */
/*
 * The leader's loop, whose table of contents is turn(), at the end: what goes by the clock, a
 * wait, what has happened, what has come back from other threads, what the parser reads, what can
 * be run. Waiting is in an epoll of our own over the listeners, the parser's epoll, a wake-up and
 * the ends of connections.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "server/internal.h"

#define EVENTS_AT_ONCE 128
/* Under load the parser has new requests each time; so often they go before newcomers. */
#define ROUNDS         8

int
loop_open(struct http_server *s)
{
	int err;

	s->source_wake = SOURCE_WAKE;
	s->source_parser = SOURCE_PARSER;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0 || s->wake_fd < 0)
		return -errno;
	s->net.epoll_fd = s->epoll_fd;
	err = source_watch(s->epoll_fd, s->wake_fd, &s->source_wake);
	if (err == 0)
		err = source_watch(s->epoll_fd, parser_fd(&s->wire), &s->source_parser);
	if (err == 0)
		err = spare_waits(&s->handover) ? spare_watch(&s->handover)
						: handover_watch(&s->handover);
	s->now_ms = clock_now_ms();
	accept_begin(&s->net);
	return err;
}

void
loop_close(struct http_server *s)
{
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	s->epoll_fd = s->net.epoll_fd = -1;
}

void
loop_wake(struct http_server *s)
{
	uint64_t one = 1;

	/* Also from signal handlers: errno is put back. */
	int saved = errno;

	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		errno = saved; /* EAGAIN: it is awake already */
}

void
loop_drain(struct http_server *s)
{
	atomic_store(&s->drain_wanted, true);
	loop_wake(s);
}

void
loop_dump(struct http_server *s)
{
	atomic_store(&s->dump_wanted, true);
	loop_wake(s);
}

/* A line for the server, and one for each request that runs. */
static void
dump(const struct http_server *s)
{
	log_line(LOG_INFO, "running=%u waiting=%u connections=%zu", s->sched.away_n,
	    s->sched.waiting_n, s->net.conns_n);
	watch_dump(&s->sched);
}

/* The restart that it was to end for was called off. */
static void
forget_stops(struct http_server *s)
{
	atomic_store(&s->drain_wanted, false);
	atomic_store(&s->stop_signals, 0);
}

static void
on_spare(struct http_server *s)
{
	enum spare_word word = spare_read(&s->handover, &s->failed);

	if (word == SPARE_ALONE && s->handover.drain == DRAIN_NO)
		drain_begin(
		    &s->handover); /* while it is a spare: there is nobody who must be told first */
	if (word != SPARE_WAITS)
		spare_close(&s->handover);
	if (word == SPARE_SERVES)
		spare_announce(&s->handover);
}

static void
on_event(struct http_server *s, const struct epoll_event *ev)
{
	uint64_t n;

	switch (*(enum source *)ev->data.ptr) {
	case SOURCE_WAKE:
		/* Read before what it announces is looked at: nothing is missed. */
		while (read(s->wake_fd, &n, sizeof(n)) > 0)
			;
		s->collect = true;
		if (atomic_exchange(&s->dump_wanted, false))
			dump(s);
		break;
	case SOURCE_LISTENER:
		accept_ready(&s->net, ev->data.ptr);
		break;
	case SOURCE_CONN:
		conn_hup(ev->data.ptr);
		break;
	case SOURCE_GIVE:
		give_read(&s->handover);
		if (drain_hear(&s->handover))
			forget_stops(s);
		break;
	case SOURCE_TAKE:
		take_read(&s->handover);
		break;
	case SOURCE_SPARE:
		on_spare(s);
		break;
	case SOURCE_LINGER:
		linger_read(&s->net, ev->data.ptr);
		break;
	case SOURCE_PARSER: /* it runs in every turn */
		break;
	}
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Everything that goes by the clock; returns how long to wait, in ms, -1 for ever. */
static int
run_timers(struct http_server *s)
{
	int64_t now = s->now_ms, next, parser;

	if (s->handover.drain == DRAIN_NO && atomic_load(&s->drain_wanted))
		drain_begin(&s->handover);
	next = earlier(accept_expire(&s->net), conn_expire(&s->net));
	next = earlier(next, earlier(linger_expire(&s->net), timeouts_expire(&s->net)));
	next = earlier(next, watch_expire(&s->sched));
	next = earlier(next, earlier(give_flush(&s->handover), take_flush(&s->handover)));
	next = earlier(next, drain_step(&s->handover));
	next = earlier(next, notify_watchdog(s->handover.notify, now));
	next = earlier(next, log_expire(now));
	parser = parser_timeout_ms(&s->wire);
	if (parser >= 0)
		next = earlier(next, now + parser);
	if (s->collect)
		return 0;
	if (next == INT64_MAX)
		return -1;
	return next <= now ? 0 : (int)earlier(next - now, 3600000);
}

/* Returns how many events there are; the clock is read then, for the whole turn. */
static int
wait_for_events(struct http_server *s, struct epoll_event events[EVENTS_AT_ONCE])
{
	int wait_ms = run_timers(s);
	int n = epoll_pwait(s->epoll_fd, events, EVENTS_AT_ONCE, wait_ms, &s->threads.waiting);

	if (n < 0 && errno != EINTR) {
		log_line(LOG_ERR, "epoll_wait: %s; stopping", strerror(errno));
		s->failed = -errno;
	}
	s->now_ms = clock_now_ms();
	return n;
}

/* The parser reads what has arrived. After a wait for nothing but a timer of ours, or one that a
 * signal or a tracer broke off, it has nothing to read. */
static void
read_requests(struct http_server *s, bool heard)
{
	if (!heard && parser_timeout_ms(&s->wire) != 0)
		return;
	s->net.heard_ms = s->now_ms;
	parser_run(&s->wire);
}

/* Runs what is ready, and has the parser write the answers, and read on. False if another thread
 * leads meanwhile: then nothing of the server's is touched any more. */
static bool
run_requests(struct http_server *s)
{
	enum work_result did = WORK_SOME;

	for (int i = 0; i < ROUNDS && did == WORK_SOME; i++) {
		did = work_run(&s->sched);
		if (did == WORK_SOME)
			parser_run(&s->wire);
	}
	return did != WORK_LOST;
}

/* One turn, from wait to wait. True while the caller leads. */
static bool
turn(struct http_server *s)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = wait_for_events(s, events);

	files_fit(&s->net);
	for (int i = 0; i < n; i++)
		on_event(s, &events[i]);
	if (s->collect)
		s->collect = work_collect(&s->sched);
	read_requests(s, n > 0);
	if (!run_requests(s))
		return false;
	conn_settle_hups(&s->net);
	return true;
}

bool
loop_run(struct http_server *s)
{
	while (s->handover.drain != DRAIN_OVER && s->failed == 0)
		if (!turn(s))
			return false;
	return true;
}
