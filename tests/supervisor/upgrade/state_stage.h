/* SPDX-License-Identifier: MIT */
/* A whole supervisor in the middle of things, and its state. */
#ifndef BATON_TESTS_STATE_STAGE_H
#define BATON_TESTS_STATE_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/control/control.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/deploy.h"
#include "supervisor/upgrade/state_tree.h"
#include "supervisor/upgrade/upgrade.h"

struct stage {
	TALLOC_CTX *mem;
	struct supervisor *sup;
	char dir[64];
	char *text; /* its state */
	size_t len;
};

static inline struct config *
configuration(struct stage *st)
{
	struct config *c = config_new(st->mem, "/etc/some.conf");
	struct service_config *s = config_service(c, "w", 3, true);
	static const char *const lines[][2] = {
	    {"command", "/bin/sleep \"a b\" c"},
	    {"instances", "2"},
	    {"listen", "127.0.0.1:0"},
	    {"listen.admin", "[::1]:0"},
	    {"backlog", "17"},
	    {"lifetime", "transient"},
	    {"umask", "027"},
	    {"env.A", "x=y \xff"},
	    {"http.threads_max", "30"},
	    {"limit.nofile", "100:unlimited"},
	    {"no_new_privs", "yes"},
	    {"directory", "/"},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		config_set(c, s, "f:1", 1, lines[i][0], lines[i][1]);
	s = config_service(c, "v", 9, true);
	config_set(c, s, "f:1", 1, "command", "true");
	config_finish(c);
	for (unsigned i = 0; i < c->nerrors; i++)
		print_error("%s\n", c->errors[i]);
	assert_int_equal(c->nerrors, 0);
	return c;
}

/* A process that waits for its end; nothing of it is true but what the state tells. */
static inline struct generation *
process(struct instance *inst)
{
	struct generation *g = generation_new(inst, ++inst->last_number);
	int fds[2];

	assert_non_null(g);
	g->pid = fork();
	if (g->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	g->pidfd = pidfd_open(g->pid, 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	close(fds[1]);
	g->exec_fd = fds[0];
	close(generation_open_output(g, false));
	close(generation_open_output(g, true));
	g->notify = generation_listen(g, 12);
	g->gives = channel_new();
	lines_feed(g->out_lines, "half a line \xfe", 13);
	tail_add(g->tail, "one", 3);
	tail_add(g->tail, "two", 3);
	g->status = talloc_strdup(g, "well");
	generation_watch(g);
	return g;
}

/* In the middle of things: one that drains, one that waits for its start, one that failed. */
static inline void
populate(struct supervisor *sup)
{
	struct instance *a = sup->all.services[0]->instances[0],
			*b = sup->all.services[0]->instances[1];
	struct instance *c = sup->all.services[1]->instances[0];

	a->old = process(a);
	a->current = process(a);
	a->current->takes = channel_ref(a->old->gives);
	a->current->ready_ms = timer_now_ms();
	a->old->told = a->old->stopping = true;
	a->life = (struct life){.state = LIFE_READY, .alive = LIFE_CURRENT | LIFE_OLD, .total = 70};
	for (unsigned i = 0; i < LIFE_CRASHES_KEPT; i++)
		a->life.crashed_ms[i] = 1000 + i;
	watchdog_rearm(a->current, timer_now_ms() + 3600000);
	b->life = (struct life){.state = LIFE_BACKOFF, .crashes = 3, .total = 3, .ready_ms = -1};
	instance_rearm(b, timer_now_ms() + 3600000, -1);
	refuse_rearm(b, timer_now_ms() + 7200000);
	b->restarts = 2;
	b->last_exit = talloc_strdup(b, "exited with status 1");
	b->left = channel_new();
	recent_add(b, true, "the last line", 13);
	c->life = (struct life){.state = LIFE_FAILED, .crashes = 20, .total = 20, .ready_ms = -1};
	sup->deploy->last_restart = json_pack("{s:b s:s}", "ok", 0, "error", "it did not");
	sup->all.phase = SUP_RUNNING;
	event_emit(&sup->all, b, NULL, "backoff", NULL, "started again in %s", "1 h");
}

static inline void
save(struct stage *st)
{
	struct state_doc *doc = state_doc_new(st->mem);

	state_save(doc, st->sup);
	st->text = state_doc_text(st->mem, doc);
	if (st->text == NULL)
		fail_msg("%s", state_error(doc));
	st->len = strlen(st->text);
	talloc_free(doc);
}

static inline int
setup(void **state)
{
	struct stage *st = calloc(1, sizeof(*st));
	char *why = NULL, log[128];
	struct config *c;

	st->mem = talloc_new(NULL);
	strcpy(st->dir, "/tmp/baton-state-XXXXXX");
	assert_non_null(mkdtemp(st->dir));
	c = configuration(st);
	snprintf(log, sizeof(log), "%s/log", st->dir);
	c->services[0]->out = talloc_strdup(c, log);
	st->sup = supervisor_new(st->mem, c, "./baton");
	st->sup->upgrade.program = "./baton";
	assert_int_equal(control_start(st->sup->control,
			     talloc_asprintf(st->mem, "%s/control", st->dir), st->mem, &why),
	    0);
	assert_int_equal(sockets_open(st->sup->all.sockets, st->mem, &why), 0);
	for (size_t i = 0; i < st->sup->all.nservices; i++)
		assert_int_equal(logs_open_service(st->sup->all.services[i], st->mem, &why), 0);
	populate(st->sup);
	save(st);
	*state = st;
	return 0;
}

static inline int
teardown(void **state)
{
	struct stage *st = *state;
	struct generation *g;
	char path[128];

	LIST_FOREACH(g, &st->sup->all.generations, entry) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	talloc_free(st->mem);
	snprintf(path, sizeof(path), "%s/log", st->dir);
	unlink(path);
	rmdir(st->dir);
	free(st);
	return 0;
}

#endif
