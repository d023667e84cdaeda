/* SPDX-License-Identifier: MIT */
/* Signals to baton itself, read from a signalfd like everything else. */
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/control/control.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/deploy.h"

/* make(1), timeout(1) and their like signal the process group and the child as well: so soon
 * after the first, another SIGTERM is the same request, not an impatient second one. */
#define SAME_REQUEST_MS 500

static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};

struct signals {
	struct supervisor *sup;
	int fd;
	struct tevent_fd *fde;
	int64_t told_ms; /* when a signal first told it to end */
};

/*
 * As a subreaper (or PID 1) baton inherits orphans; SIGCHLD is how it learns that one has
 * ended. Its own children are watched by pidfd: they are dealt with here only because a
 * zombie of ours would hide the orphans behind it.
 */
static void
reap_all(struct supervisor *sup)
{
	for (;;) {
		siginfo_t si = {.si_pid = 0};
		struct generation *g;

		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		if (sup->upgrade.calls != NULL && sup->upgrade.calls->child_ended(sup, si.si_pid))
			continue;
		g = instances_generation(&sup->all, si.si_pid);
		if (g != NULL)
			generation_check(g);
		else
			waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
		g = instances_generation(&sup->all, si.si_pid);
		if (g != NULL && !g->lingers)
			return; /* it could not be reaped yet: its pidfd will say when */
	}
}

void
signals_reap(struct supervisor *sup)
{
	reap_all(sup);
	generation_check_lingering(&sup->all);
}

static void
told_to_end(struct signals *s, int sig)
{
	struct supervisor *sup = s->sup;
	const char *name = sigabbrev_np(sig);

	if (sup->all.phase != SUP_STOPPING) {
		s->told_ms = timer_now_ms();
		output_say(
		    sup->base.out, "SIG%s: ending in good order; once more ends it at once", name);
		sequence_stop(sup->deploy);
	} else if (sig == SIGTERM && timer_now_ms() - s->told_ms < SAME_REQUEST_MS) {
		output_say(sup->base.out, "SIGTERM: ending already");
	} else if (!sup->all.killing) {
		output_warn(sup->base.out, "SIG%s while ending: killing what still runs", name);
		sequence_kill(sup->deploy);
	}
}

static void
take_signal(struct signals *s, int sig)
{
	struct supervisor *sup = s->sup;

	switch (sig) {
	case SIGTERM:
	case SIGINT:
		told_to_end(s, sig);
		break;
	case SIGCHLD:
		signals_reap(sup);
		break;
	case SIGHUP:
		supervisor_reload(sup, NULL);
		break;
	case SIGUSR1:
		control_renew(sup->control);
		renew_sockets(sup->deploy);
		logfiles_reopen(sup->base.logfiles);
		break;
	case SIGUSR2:
		sup->upgrade.calls->ask(sup, NULL);
		break;
	}
}

static void
readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct signals *s = talloc_get_type_abort(data, struct signals);
	struct signalfd_siginfo si;

	(void)ev;
	(void)fde;
	(void)flags;
	while (read(s->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		take_signal(s, (int)si.ssi_signo);
}

/* A signal that came after the last instance had ended must not make a good end a death by that
 * signal: whoever asked twice, and the manager, would read a failure from the status. */
static void
forget_pending(void)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		signal(taken[i], SIG_IGN);
}

static int
signals_end(struct signals *s)
{
	TALLOC_FREE(s->fde);
	close(s->fd);
	if (s->sup->all.phase == SUP_DONE)
		forget_pending();
	sigprocmask(SIG_SETMASK, &s->sup->signals_given, NULL);
	return 0;
}

void
signals_state(struct state *s, struct supervisor *sup)
{
	int64_t blocked[STATE_SIGNALS];

	for (int sig = 1; sig <= STATE_SIGNALS; sig++)
		blocked[sig - 1] = sigismember(&sup->signals_given, sig) == 1;
	state_numbers(s, "signals_given", blocked, STATE_SIGNALS);
	sigemptyset(&sup->signals_given);
	for (int sig = 1; sig <= STATE_SIGNALS; sig++) {
		if (blocked[sig - 1] != 0)
			sigaddset(&sup->signals_given, sig);
	}
}

int
signals_start(struct supervisor *sup)
{
	struct signals *s = talloc_zero(sup, struct signals);
	sigset_t set, all;

	if (s == NULL)
		return -ENOMEM;
	s->sup = sup;
	s->told_ms = -SAME_REQUEST_MS;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&set, taken[i]);
	s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	if (!sup->upgrade.resumed)
		sigprocmask(SIG_BLOCK, NULL, &sup->signals_given);
	sigorset(&all, &set, &sup->signals_given);
	/* Ignored signals (nohup, a shell's background job) would never be queued. */
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		signal(taken[i], SIG_DFL);
	/* A write may earn these: by a reader that is gone, a file as large as it may be, a terminal
	 * that wants nothing from the background. Each is an errno as well. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	/* After an upgrade this is what unblocks the others. */
	sigprocmask(SIG_SETMASK, &all, NULL);
	talloc_set_destructor(s, signals_end);
	s->fde = tevent_add_fd(sup->base.ev, s, s->fd, TEVENT_FD_READ, readable, s);
	return s->fde == NULL ? -ENOMEM : 0;
}
