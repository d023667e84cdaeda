/* SPDX-License-Identifier: MIT */
/*
 * One process: its pidfd, its output, what it says by sd_notify, and how it ends. What that
 * means for the instance is decided elsewhere (life.c); here only facts are gathered.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"

/* Read at most so much of a pipe after the process has ended: its group is dead by then, but
 * a process that left the group could write for ever. */
#define LAST_OUTPUT_MAX_BYTES (1024UL * 1024)

/* When it is looked again whether all that a dead predecessor left has been read. */
#define FORGET_GIVER_MS 1000

static void
out_line(const char *line, size_t len, bool cut, void *data)
{
	struct generation *g = data;

	(void)cut;
	if (g->instance->service->out != NULL)
		logfile_line(g->instance->service->out, line, len);
	else
		output_line(g->instance->sup->out, OUTPUT_OUT, g->instance->prefix, line, len);
}

static void
err_line(const char *line, size_t len, bool cut, void *data)
{
	struct generation *g = data;

	(void)cut;
	tail_add(g->tail, line, len);
	if (g->instance->service->err != NULL)
		logfile_line(g->instance->service->err, line, len);
	else
		output_line(g->instance->sup->out, OUTPUT_ERR, g->instance->prefix, line, len);
}

/* Reads once. Returns the number of bytes; 0 at the end, negative when there is nothing now. */
static ssize_t
take_output(int fd, struct lines *lines)
{
	char buf[16384];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		lines_feed(lines, buf, (size_t)n);
	return n;
}

static void
output_readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	bool out = fde == g->out_event;
	int fd = (int)tevent_fd_get_tag(fde);

	(void)ev;
	(void)flags;
	if (take_output(fd, out ? g->out_lines : g->err_lines) != 0)
		return;
	/* It closed its end, or every process that had it is gone. */
	if (out)
		TALLOC_FREE(g->out_event);
	else
		TALLOC_FREE(g->err_event);
}

static void
last_output(struct tevent_fd **fde, struct lines *lines)
{
	ssize_t n = 1;

	for (size_t total = 0; *fde != NULL && n > 0 && total < LAST_OUTPUT_MAX_BYTES;
	     total += (size_t)n)
		n = take_output((int)tevent_fd_get_tag(*fde), lines);
	TALLOC_FREE(*fde);
	lines_flush(lines);
}

/* A recall that comes before it has begun to drain would mean nothing to it. */
static void
stopping(struct generation *g)
{
	if (g->recalled && !g->stopping)
		channel_called_off(g->gives);
	g->stopping = true;
}

static void
notified(const struct notify_message *m, void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	if (m->status != NULL) {
		struct tail *clean = tail_new(g, 1, TAIL_LINE_MAX_BYTES);

		/* Borrowed for what it does to characters that would hurt a terminal. */
		tail_add(clean, m->status, strlen(m->status));
		talloc_free(g->status);
		g->status = talloc_strdup(g, tail_line(clean, 0));
		talloc_free(clean);
	}
	if (m->watchdog)
		watchdog_heard(g);
	if (m->drained) {
		g->drained = true;
		g->counts = m->counts;
	}
	if (m->stopping)
		stopping(g);
	if (m->ready && g->recalled && !g->doomed) {
		g->recalled = g->told = g->stopping = false;
		instance_generation_back(g);
		return;
	}
	/* One that was told to end, or given up, cannot become the one that serves. */
	if (m->ready && g->ready_ms < 0 && !g->stopping && !g->told && !g->doomed) {
		g->ready_ms = timer_now_ms();
		watchdog_heard(g);
		instance_generation_ready(g);
	}
}

struct notify *
generation_listen(struct generation *g, uid_t uid)
{
	return notify_new(g, g->instance->sup->ev, uid, notified, g);
}

static char *
exit_in_words(TALLOC_CTX *mem, const siginfo_t *si)
{
	const char *name;

	if (si->si_code == CLD_EXITED)
		return talloc_asprintf(mem, "exited with status %d", si->si_status);
	name = sigabbrev_np(si->si_status);
	return talloc_asprintf(mem, "was ended by signal %d (SIG%s)%s", si->si_status,
	    name == NULL ? "?" : name, si->si_code == CLD_DUMPED ? ", core dumped" : "");
}

void
generation_check(struct generation *g)
{
	siginfo_t si = {.si_pid = 0};

	/* Looked at first, reaped afterwards: while the zombie is there its pid, which is also
	 * the number of its process group, cannot belong to anybody else. */
	if (waitid(P_PIDFD, (id_t)g->pidfd, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
		return;
	kill(-g->pid, SIGKILL);  /* helpers it left behind would go on accepting connections */
	notify_drain(g->notify); /* READY=1 may have come just before the end */
	last_output(&g->out_event, g->out_lines);
	last_output(&g->err_event, g->err_lines);
	waitid(P_PIDFD, (id_t)g->pidfd, &si, WEXITED | WNOHANG);
	g->ended = exit_in_words(g, &si);
	g->succeeded = si.si_code == CLD_EXITED && si.si_status == 0;
	if (g->failure == NULL)
		g->failure = spawn_failure(g, g->exec_fd, g->instance->service->config->command[0]);
	instance_generation_ended(g);
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
	if (g->prev != NULL)
		g->prev->next = g->next;
	else if (g->instance->sup->generations == g)
		g->instance->sup->generations = g->next;
	if (g->next != NULL)
		g->next->prev = g->prev;
	channel_drop(&g->gives);
	channel_drop(&g->takes);
	TALLOC_FREE(g->pid_event); /* before the descriptor that it watches */
	if (g->pidfd >= 0)
		close(g->pidfd);
	if (g->exec_fd >= 0)
		close(g->exec_fd);
	return 0;
}

/* A pipe whose reading end belongs to the event; returns the writing end, or -errno. */
int
generation_open_output(struct generation *g, bool err)
{
	struct tevent_fd **fde = err ? &g->err_event : &g->out_event;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[0], F_SETFL, O_NONBLOCK); /* this end only: the child's writes may wait */
	*fde = tevent_add_fd(g->instance->sup->ev, g, fds[0], TEVENT_FD_READ, output_readable, g);
	if (*fde == NULL) {
		close(fds[0]);
		close(fds[1]);
		return -ENOMEM;
	}
	tevent_fd_set_auto_close(*fde);
	tevent_fd_set_tag(*fde, (uint64_t)fds[0]);
	return fds[1];
}

static void
forget_giver(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	if (g->takes != NULL && channel_has_unread(g->takes))
		generation_giver_gone(g);
	else
		channel_drop(&g->takes);
}

void
generation_giver_gone(struct generation *g)
{
	timer_after(g, g->instance->sup->timers, FORGET_GIVER_MS, forget_giver, g);
}

struct generation *
generation_start(struct instance *inst)
{
	struct generation *g = talloc_zero(inst, struct generation);
	const char *why = NULL;
	TALLOC_CTX *tmp;
	int error;

	if (g == NULL)
		return NULL;
	*g = (struct generation){.instance = inst,
	    .number = ++inst->last_number,
	    .pidfd = -1,
	    .exec_fd = -1,
	    .started_ms = timer_now_ms(),
	    .ready_ms = -1};
	g->next = inst->sup->generations;
	if (g->next != NULL)
		g->next->prev = g;
	inst->sup->generations = g;
	talloc_set_destructor(g, generation_close);
	g->out_lines = lines_new(g, OUTPUT_LINE_MAX_BYTES, out_line, g);
	g->err_lines = lines_new(g, OUTPUT_LINE_MAX_BYTES, err_line, g);
	g->tail = tail_new(g, TAIL_LINES, TAIL_LINE_MAX_BYTES);
	tmp = talloc_new(g);
	if (g->out_lines == NULL || g->err_lines == NULL || g->tail == NULL || tmp == NULL) {
		talloc_free(g);
		return NULL;
	}
	error = start_process(g, tmp, &why);
	if (error == 0)
		g->pid_event =
		    tevent_add_fd(inst->sup->ev, g, g->pidfd, TEVENT_FD_READ, process_ended, g);
	else
		g->failure = talloc_asprintf(g, "cannot start %s: %s",
		    inst->service->config->command[0], why != NULL ? why : strerror(-error));
	talloc_free(tmp);
	return g;
}

void
generation_term(struct generation *g)
{
	g->told = true;
	g->recalled = false;
	if (g->pid > 0)
		pidfd_send_signal(g->pidfd, SIGTERM, NULL, 0);
}

void
generation_recall(struct generation *g)
{
	g->recalled = true;
	if (g->stopping)
		channel_called_off(g->gives);
}

bool
generation_lives(const struct generation *g)
{
	struct pollfd p = {.fd = g->pidfd, .events = POLLIN};

	return g->pid > 0 && poll(&p, 1, 0) == 0;
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
}

int64_t
generation_age_ms(const struct generation *g)
{
	return (g->ready_ms >= 0 ? g->ready_ms : timer_now_ms()) - g->started_ms;
}
