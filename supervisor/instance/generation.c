/* SPDX-License-Identifier: MIT */
/*
 * One process: its pidfd, what it says by sd_notify, and how it ends. What that means for the
 * instance is decided elsewhere (life.c); here only facts are gathered.
 */
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/instance/instances.h"
#include "supervisor/process/spawn.h"

/* When it is looked again whether all that a dead predecessor left has been read. */
#define FORGET_GIVER_MS 1000

/* A recall that comes before it has begun to drain would mean nothing to it. */
static void
stopping(struct generation *g)
{
	if (g->recalled && !g->stopping && g->gives != NULL)
		channel_called_off(g->gives);
	g->stopping = true;
	g->events->stopping(g);
}

/* Without memory the one before stays. */
static void
note_status(struct generation *g, const char *status)
{
	struct tail *clean = tail_new(g, 1, TAIL_LINE_MAX_BYTES);

	if (clean == NULL)
		return;
	/* Borrowed for what it does to characters that would hurt a terminal. */
	tail_add(clean, status, strlen(status));
	talloc_free(g->status);
	g->status = talloc_strdup(g, tail_line(clean, 0));
	talloc_free(clean);
}

void
generation_notified(const struct notify_message *m, void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	if (m->status != NULL)
		note_status(g, m->status);
	if (m->watchdog_usec >= 0)
		watchdog_change(g, m->watchdog_usec);
	if (m->watchdog)
		watchdog_heard(g);
	if (m->trigger)
		watchdog_triggered(g);
	if (m->drained) {
		g->drained = true;
		g->counts = m->counts;
	}
	if (m->stopping)
		stopping(g);
	if (m->ready && !g->events->said_ready(g, m->spare))
		return;
	if (m->ready && g->recalled && !g->doomed) {
		g->recalled = g->told = g->stopping = false;
		watchdog_heard(g);
		g->events->back(g);
		health_begin(g);
		return;
	}
	if (m->ready && ready_is_notified(g))
		ready_shown(g);
}

/* The process itself has looked that up. */
static uid_t
uid_of(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	generation_looked_up(g);
	return g->uid;
}

void
generation_ask_uid(struct generation *g)
{
	notify_ask_uid(g->notify, uid_of);
}

struct notify *
generation_listen(struct generation *g, uid_t uid)
{
	return notify_new(g, g->instance->all->base->ev, uid, generation_notified, g);
}

static char *
exit_in_words(TALLOC_CTX *mem, const siginfo_t *si)
{
	const char *name;

	if (si->si_pid == 0)
		return talloc_strdup(mem, "has ended, and somebody else was told how");
	if (si->si_code == CLD_EXITED)
		return talloc_asprintf(mem, "exited with status %d", si->si_status);
	name = sigabbrev_np(si->si_status);
	return talloc_asprintf(mem, "was ended by signal %d (SIG%s)%s", si->si_status,
	    name == NULL ? "?" : name, si->si_code == CLD_DUMPED ? ", core dumped" : "");
}

/*
 * A shell script that starts its server without exec knows nothing of signals: told to end, it dies
 * at once, and the server has not even heard of it. So what is left of its group is told, and gets
 * the time that there is for draining. Whoever ends otherwise has seen to its helpers, or is broken.
 */
static bool
left_a_server(struct generation *g, const siginfo_t *si)
{
	const int sig = (int)g->instance->service->config->stop_signal;
	siginfo_t reaped = {.si_pid = 0};

	if (!g->told || g->doomed || si->si_code != CLD_KILLED || si->si_status != sig)
		return false;
	g->ended = exit_in_words(g, si);
	waitid(P_PIDFD, (id_t)g->pidfd, &reaped, WEXITED | WNOHANG);
	/* Its number stays that of the group as long as anybody is in there. */
	g->lingers = kill(-g->pid, sig) == 0;
	if (g->lingers)
		TALLOC_FREE(g->pid_event);
	return g->lingers;
}

/* Whether the process has ended, with all that it is waited for. */
static bool
has_ended(struct generation *g)
{
	siginfo_t si = {.si_pid = 0};
	int error;

	if (g->lingers)
		return g->doomed || kill(-g->pid, 0) != 0;
	/* Looked at first, reaped afterwards: while the zombie is there its pid, which is also
	 * the number of its process group, cannot belong to anybody else. */
	error = waitid(P_PIDFD, (id_t)g->pidfd, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ? errno : 0;
	/* A script that became baton by `baton upgrade` may have reaped what was not its own. */
	if (error != ECHILD && (error != 0 || si.si_pid == 0))
		return false;
	if (error == 0 && left_a_server(g, &si))
		return false;
	if (error == 0 && g->ended == NULL)
		kill(-g->pid, SIGKILL); /* helpers it left behind would go on accepting */
	return true;
}

void
generation_check(struct generation *g)
{
	siginfo_t si = {.si_pid = 0};

	if (!has_ended(g))
		return;
	notify_drain(g->notify); /* READY=1 may have come just before the end */
	ready_last(g);
	generation_last_output(g);
	if (g->ended == NULL) {
		waitid(P_PIDFD, (id_t)g->pidfd, &si, WEXITED | WNOHANG);
		g->ended = exit_in_words(g, &si);
		g->succeeded = si.si_code == CLD_EXITED && si.si_status == 0;
	}
	if (g->failure == NULL)
		g->failure = spawn_failure(
		    g, g->exec_fd, g->instance->service->config->command[0], &g->starved);
	g->events->ended(g);
}

void
generation_check_lingering(struct instances *all)
{
	struct generation *g = LIST_FIRST(&all->generations);

	while (g != NULL) {
		if (g->lingers && has_ended(g)) {
			generation_check(g);
			g = LIST_FIRST(&all->generations); /* others may have gone with it */
		} else {
			g = LIST_NEXT(g, entry);
		}
	}
}

static void
process_ended(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	generation_check(talloc_get_type_abort(data, struct generation));
}

static int
generation_close(struct generation *g)
{
	LIST_REMOVE(g, entry);
	channel_unref(&g->gives);
	channel_unref(&g->takes);
	channel_unref(&g->becomes);
	ready_end(g);
	TALLOC_FREE(g->pid_event); /* before the descriptor that it watches */
	if (g->pidfd >= 0)
		close(g->pidfd);
	if (g->exec_fd >= 0)
		close(g->exec_fd);
	return 0;
}

static void
forget_giver(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	if (g->takes != NULL && channel_has_unread(g->takes))
		generation_giver_gone(g);
	else
		channel_unref(&g->takes);
}

void
generation_giver_gone(struct generation *g)
{
	timer_after(g, g->instance->all->base->timers, FORGET_GIVER_MS, forget_giver, g);
}

struct generation *
generation_new(struct instance *inst, unsigned number)
{
	struct generation *g = talloc_zero(inst, struct generation);

	if (g == NULL)
		return NULL;
	*g = (struct generation){.instance = inst,
	    .events = inst->all->generation_events,
	    .number = number,
	    .epoch = inst->service->spares.epoch,
	    .uid = NOTIFY_UID_UNKNOWN,
	    .pidfd = -1,
	    .exec_fd = -1,
	    .ready = inst->service->config->ready,
	    .ready_fd = -1,
	    .check_width = 1,
	    .give_number = -1,
	    .take_number = -1,
	    .ready_number = -1,
	    .started_ms = timer_now_ms(),
	    .ready_ms = -1,
	    .watchdog_ms = inst->service->config->watchdog_ms};
	LIST_INSERT_HEAD(&inst->all->generations, g, entry);
	talloc_set_destructor(g, generation_close);
	g->ready.path = g->ready.path == NULL ? NULL : talloc_strdup(g, g->ready.path);
	if (!generation_new_output(g) || (g->ready.kind == READY_HTTP && g->ready.path == NULL))
		TALLOC_FREE(g);
	return g;
}

void
generation_watch(struct generation *g)
{
	g->pid_event = tevent_add_fd(
	    g->instance->all->base->ev, g, g->pidfd, TEVENT_FD_READ, process_ended, g);
}

char *
generation_end(struct generation *g, const char *how)
{
	if (g->sick_why == NULL)
		return talloc_strdup(g, how);
	return talloc_asprintf(g, "%s and %s", g->sick_why, how);
}

static void
stillborn_ended(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	g->events->ended(g);
}

void
generation_stillborn(struct generation *g)
{
	timer_after(g, g->instance->all->base->timers, 0, stillborn_ended, g);
}

/* Its process sends there from its first moment on. */
static int
listen_to(struct generation *g)
{
	bool user = g->instance->service->config->user != NULL;

	g->notify = generation_listen(g, user ? NOTIFY_UID_UNKNOWN : geteuid());
	if (g->notify == NULL)
		return -errno;
	generation_ask_uid(g);
	return 0;
}

struct generation *
generation_start(struct instance *inst)
{
	struct generation *g = generation_new(inst, ++inst->last_number);
	TALLOC_CTX *tmp = g == NULL ? NULL : talloc_new(g);
	struct spawn s = {0};
	const char *why = NULL;
	int error;

	if (tmp == NULL) {
		talloc_free(g);
		return NULL;
	}
	error = start_choose(g, &s, tmp, &why);
	if (error == 0)
		error = listen_to(g);
	if (error == 0)
		error = start_process(g, &s, tmp, &why);
	if (error == 0)
		generation_watch(g);
	else
		g->failure = talloc_asprintf(g, "cannot start %s: %s",
		    inst->service->config->command[0], why != NULL ? why : strerror(-error));
	g->starved = spawn_is_starved(-error);
	if (error == 0)
		ready_begin(g);
	talloc_free(tmp);
	return g;
}

void
generation_term(struct generation *g)
{
	g->told = g->told_once = true;
	g->recalled = false;
	if (g->lingers)
		kill(-g->pid, (int)g->instance->service->config->stop_signal);
	else if (g->pid > 0)
		pidfd_send_signal(
		    g->pidfd, (int)g->instance->service->config->stop_signal, NULL, 0);
}

void
generation_recall(struct generation *g)
{
	if (g->ready_ms < 0)
		return; /* a spare that stands in: it is on its way to serving anyway */
	g->recalled = true;
	if (g->stopping && g->gives != NULL)
		channel_called_off(g->gives);
}

static void
check_killed(void *data)
{
	generation_check(talloc_get_type_abort(data, struct generation));
}

void
generation_kill(struct generation *g, const char *why)
{
	g->doomed = true;
	if (g->failure == NULL && why != NULL)
		g->failure = talloc_strdup(g, why);
	if (g->pid <= 0)
		return;
	/* The pidfd for the case that it has not reached setsid yet and has no group. */
	pidfd_send_signal(g->pidfd, SIGKILL, NULL, 0);
	kill(-g->pid, SIGKILL);
	if (g->lingers) /* nobody tells when the last one of a group has gone, if at all */
		timer_after(g, g->instance->all->base->timers, 0, check_killed, g);
}
