/* SPDX-License-Identifier: MIT */
/* What the tests of spares share: a service of hello with spares, and how its processes end. */
#ifndef BATON_TESTS_SPARES_H
#define BATON_TESTS_SPARES_H

#include "tests/harness/baton.h"
#include "tests/harness/load.h"

#include "tests/e2e/supervisor_stage.h"

#include <errno.h>

struct scene {
	struct baton baton;
	struct stage stage; /* for its commands */
	const char *dir;
	uint16_t port;
};

#define scene_status(s)     stage_status(&(s)->stage)
#define scene_wait(s, what) stage_wait_status(&(s)->stage, what)
#define WARM                "^s +s\\.spare\\.0 +[0-9]+ +[0-9]+ +warm "

/* What the next start of a spare does (tests/fixtures/spare); one may be reading it now. */
static inline void
next_spare(struct scene *s, const char *mode)
{
	const char *made = tempdir_write(s->dir, "new", "%s\n", mode);

	assert_int_equal(rename(made, tempdir_path(s->dir, "mode")), 0);
}

/* hello, which is all that a good spare needs, in that many instances. */
static inline struct scene
scene_new(int instances, const char *mode, const char *lines)
{
	struct scene s = {.dir = tempdir_new(), .port = port_free(4)};

	next_spare(&s, mode);
	s.baton = baton_serve(s.port, instances,
	    talloc_asprintf(harness_mem(), "%s %s/mode %s", harness_built("tests/fixtures/spare"),
		s.dir, harness_built("hello")),
	    lines);
	s.stage.conf = s.baton.config;
	return s;
}

/* The process of the first (or only) line that matches. */
static inline int
pid_of(struct scene *s, const char *name)
{
	const char *line = strstr(scene_status(s), name);
	int pid;

	if (line == NULL || sscanf(line, "%*s %*d %d", &pid) != 1)
		harness_fail("%s has no process", name);
	return pid;
}

/* Until it is gone altogether it may still accept connections, which die with it. */
static inline void
kill_hard(int pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	stage_wait_gone(pid);
}

static inline struct baton_who
kill_instance(uint16_t port)
{
	const struct baton_who victim = baton_who(port);

	kill_hard(victim.pid);
	return victim;
}

#endif
