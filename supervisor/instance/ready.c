/* SPDX-License-Identifier: MIT */
/*
 * How a process shows that it is ready, for those that cannot say READY=1: by a newline on a
 * descriptor, as s6 and dinit have it, by an answer over HTTP, or by living for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/instance/instances.h"
#include "supervisor/process/spawn.h"

/* One request waits so long for its answer before another is made. As baton holds the socket,
 * the first one waits in its queue until the process accepts: there is no polling for that. */
#define ANSWER_MS      5000
/* After an answer that was not well, or one that could not be had. */
#define AGAIN_MS       100
#define AGAIN_BLIND_MS 1000
/* … when another process took the connection. */
#define AGAIN_OTHER_MS 20
/* A program that is to be ready by living for a while must have been executed, at least. */
#define AGAIN_EXEC_MS  5
/* So long after its start it is said what a process is waited for; earlier, if it is given less
 * than twice that. */
#define TELL_MS        2000

static bool
waits(const struct generation *g)
{
	return g->ready_ms < 0 && !g->stopping && !g->told && !g->doomed;
}

bool
ready_is_notified(const struct generation *g)
{
	return g->ready.kind == READY_NOTIFY;
}

int
ready_open(struct generation *g)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	g->ready_fd = fds[0];
	return fds[1];
}

void
ready_shown(struct generation *g)
{
	if (g->ready_ms >= 0 || g->stopping || g->told || g->doomed)
		return;
	g->ready_ms = timer_now_ms();
	ready_end(g);
	watchdog_heard(g);
	g->events->ready(g);
	health_begin(g);
}

/* What comes before the newline is not looked at, nor what comes after it. */
static void
look(struct generation *g)
{
	char text[512];
	ssize_t n;

	do {
		n = read(g->ready_fd, text, sizeof(text));
	} while (n < 0 && errno == EINTR);
	if (n < 0 || (n > 0 && memchr(text, '\n', (size_t)n) == NULL))
		return;
	TALLOC_FREE(g->ready_event);
	close(g->ready_fd);
	g->ready_fd = -1;
	if (n > 0)
		ready_shown(g);
	else if (waits(g))
		output_warn(g->instance->all->base->out,
		    "%s: generation %u (pid %d) has closed descriptor %d without a newline: it "
		    "will not become ready",
		    g->instance->name, g->number, (int)g->pid, g->ready_number);
}

static void
readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	look(talloc_get_type_abort(data, struct generation));
}

static void
delay_over(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	g->ready_timer = NULL;
	if (!generation_lives(g))
		return;
	if (generation_looked_up(g) && spawn_is_executed(g->exec_fd))
		ready_shown(g);
	else
		g->ready_timer =
		    timer_after(g, g->instance->all->base->timers, AGAIN_EXEC_MS, delay_over, g);
}

static bool
some_are_ready(const struct service *s)
{
	bool ready = false;

	for (unsigned i = 0; i < s->ninstances; i++)
		ready = ready || s->instances[i]->life.ready_ms >= 0;
	return ready;
}

/* Where nobody has ever said READY=1, the program may not know how to. */
static const char *
remedy(TALLOC_CTX *mem, const struct service *s)
{
	bool by_hand = s->all->by_hand;

	if (s->config->ready.kind != READY_NOTIFY || some_are_ready(s))
		return "";
	return talloc_asprintf(mem,
	    "; if it never says that, %shttp:/PATH%s, %sdelay:2s%s or "
	    "%snone%s, see `%s help config`",
	    by_hand ? "start it with --ready=" : "say `ready = ", by_hand ? "" : "`",
	    by_hand ? "--ready=" : "`ready = ", by_hand ? "" : "`",
	    by_hand ? "--ready=" : "`ready = ", by_hand ? "" : "`", s->all->argv0);
}

/* Half a minute without a word would look as if baton hung. */
static void
tell(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	const struct service *s = g->instance->service;
	TALLOC_CTX *tmp = talloc_new(g);
	char *waits_for;

	g->ready_tell = NULL;
	if (!waits(g) || g->ready.kind == READY_DELAY)
		goto out;
	waits_for = ready_missing(tmp, g);
	output_warn(s->all->base->out,
	    "%s: generation %u (pid %d) is not ready yet after %s: %s; it is given %s%s",
	    g->instance->name, g->number, (int)g->pid, report_duration(tmp, generation_age_ms(g)),
	    waits_for, report_duration(tmp, s->config->start_timeout_ms), remedy(tmp, s));
	event_emit(s->all, g->instance, g, "waiting", NULL, "not ready yet: %s", waits_for);
out:
	talloc_free(tmp);
}

static void
begin_to_tell(struct generation *g)
{
	int64_t half = g->instance->service->config->start_timeout_ms / 2;
	int64_t due = g->started_ms + (half < TELL_MS ? half : TELL_MS);

	/* After baton's own upgrade it may have been said before. */
	if (due >= timer_now_ms())
		g->ready_tell = timer_at(g, g->instance->all->base->timers, due, tell, g);
}

static void ask(void *data);

static void
answered(enum probe_verdict verdict, const char *why, void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	int64_t wait_ms = AGAIN_MS;

	g->ready_check = NULL;
	if (verdict == PROBE_WELL) {
		ready_shown(g);
		return;
	}
	talloc_free(g->ready_why);
	if (verdict == PROBE_BLIND) {
		wait_ms = AGAIN_BLIND_MS;
		g->ready_why =
		    talloc_asprintf(g, "it cannot be found out which process answers: %s", why);
	} else {
		if (verdict == PROBE_OTHER)
			wait_ms = AGAIN_OTHER_MS;
		g->ready_why = talloc_strdup(g, why);
	}
	g->check_width = check_next_width(g->check_width, verdict);
	g->ready_timer = timer_after(g, g->instance->all->base->timers, wait_ms, ask, g);
}

static void
ask(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	const struct ready_config *r = &g->ready;

	g->ready_timer = NULL;
	if (!waits(g) || r->kind != READY_HTTP)
		return;
	g->ready_check = check_begin(g, r->path, ANSWER_MS, g->check_width, answered, g);
	if (g->ready_check == NULL)
		g->ready_timer = timer_after(g, g->instance->all->base->timers, AGAIN_MS, ask, g);
}

bool
ready_begin(struct generation *g)
{
	const struct ready_config *r = &g->ready;
	const struct base *base = g->instance->all->base;
	int64_t left_ms = g->started_ms + r->delay_ms - timer_now_ms();

	begin_to_tell(g);
	if (r->kind == READY_FD && g->ready_fd >= 0)
		g->ready_event =
		    tevent_add_fd(base->ev, g, g->ready_fd, TEVENT_FD_READ, readable, g);
	if (r->kind == READY_DELAY)
		g->ready_timer =
		    timer_after(g, base->timers, left_ms > 0 ? left_ms : 0, delay_over, g);
	/* Not before it has had time to be alone: its predecessor may end at this moment. */
	if (r->kind == READY_HTTP)
		g->ready_timer = timer_after(g, base->timers, 0, ask, g);
	return r->kind == READY_NOTIFY || g->ready_event != NULL || g->ready_timer != NULL ||
	       (r->kind == READY_FD && g->ready_fd < 0);
}

void
ready_last(struct generation *g)
{
	if (g->ready_event != NULL)
		look(g);
}

void
ready_end(struct generation *g)
{
	TALLOC_FREE(g->ready_event);
	TALLOC_FREE(g->ready_timer);
	TALLOC_FREE(g->ready_tell);
	TALLOC_FREE(g->ready_check);
	if (g->ready_fd >= 0)
		close(g->ready_fd);
	g->ready_fd = -1;
}

char *
ready_missing(TALLOC_CTX *mem, struct generation *g)
{
	if (!generation_looked_up(g))
		return talloc_strdup(mem, "its user and environment are still being looked up");
	if (g->ready.kind == READY_FD)
		return talloc_asprintf(mem, "no newline on descriptor %d", g->ready_number);
	if (g->ready.kind == READY_HTTP)
		return talloc_asprintf(mem, "GET %s: %s", g->ready.path,
		    g->ready_why == NULL ? "no answer" : g->ready_why);
	return talloc_strdup(mem, "no READY=1 on NOTIFY_SOCKET");
}
