/* SPDX-License-Identifier: MIT */
/* What the end-to-end tests of the supervisor share: a configuration, a baton, a program. */
#ifndef BATON_TESTS_SUPERVISOR_STAGE_H
#define BATON_TESTS_SUPERVISOR_STAGE_H

#include "tests/harness/client.h"
#include "tests/harness/port.h"
#include "tests/harness/proc.h"
#include "tests/harness/tempdir.h"

#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stage {
	const char *dir, *conf, *control;
	const char *mode; /* the file that tells tests/fixtures/worker what to do */
	uint16_t port;    /* of instance 0; instance 1 has the next one */
	struct proc *baton;
};

/* What the next start of the worker does; instances that run are not touched. */
static inline void
stage_mode(struct stage *s, const char *mode)
{
	s->mode = tempdir_write(s->dir, "mode", "%s\n", mode);
}

/* A service "w" of two instances, with more lines for it. Its program is a copy, for the build
 * may lie where other users cannot look. */
static inline struct stage *
stage_new(const char *more)
{
	struct stage *s = talloc_zero(harness_mem(), struct stage);

	s->dir = tempdir_new();
	s->port = port_free(2);
	s->control = tempdir_path(s->dir, "control");
	stage_mode(s, "good");
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\n%s\n",
	    s->control, tempdir_copy(s->dir, "worker", harness_built("tests/fixtures/worker")),
	    s->mode, s->port, more);
	return s;
}

static inline void
stage_run(struct stage *s)
{
	s->baton = proc_run("baton", "run", "-c", s->conf);
}

/* Both instances are ready, and baton says what to try next. */
static inline void
stage_start(struct stage *s)
{
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^w\\.0  http://127.0.0.1:[0-9]+  pid [0-9]+  ready in ");
	proc_expect(s->baton, PROC_OUT, "^w\\.1  http://127.0.0.1:[0-9]+  pid [0-9]+  ready in ");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
}

/* Another baton as a client of it. */
#define stage_cli(s, ...) proc_run("baton", __VA_ARGS__, "-c", (s)->conf)

static inline const char *
stage_status(struct stage *s)
{
	struct proc *p = stage_cli(s, "status");

	proc_finish(p, 0);
	return proc_text(p, PROC_OUT);
}

static inline bool
stage_matches(const char *text, const char *regex)
{
	regex_t re;
	bool found;

	assert_int_equal(regcomp(&re, regex, REG_EXTENDED | REG_NOSUB | REG_NEWLINE), 0);
	found = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return found;
}

/* A line of the status table; columns are separated by " +". */
#define stage_wait_status(s, regex) \
	wait_until("status: " regex, stage_matches(stage_status(s), regex))

/* What the instance on that port says about itself. */
struct who {
	char service[40], names[200];
	int instance, generation, pid;
};

static inline struct who
stage_ask(uint16_t port)
{
	struct who w;
	const char *body = client_fetch(port, "/");

	if (sscanf(body, "%39s %d %d %d %199s", w.service, &w.instance, &w.generation, &w.pid,
		w.names) != 5)
		harness_fail("odd answer: %s", body);
	return w;
}

/* Ends it by SIGTERM; it must end with 0. */
static inline void
stage_stop(struct stage *s)
{
	proc_signal(s->baton, SIGTERM);
	proc_finish(s->baton, 0);
}

/* The process is gone altogether: not even a zombie is left. */
#define stage_wait_gone(pid) wait_until("process is gone", kill(pid, 0) != 0)

#endif
