/* SPDX-License-Identifier: MIT */
/* What the tests of probation share: a service whose first version has proved good. */
#ifndef BATON_TESTS_PROBATION_H
#define BATON_TESTS_PROBATION_H

#include "tests/e2e/upgrade/versions.h"

#include "tests/harness/load.h"

#include <signal.h>

#define BACK "the executable of generation 1 of w\\.[01], which proved good [0-9-]+ [0-9:]+"

/* The service's section, with more lines. */
static inline void
configure(struct stage *s, const char *command, const char *more)
{
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\n%s",
	    s->control, command, s->port, more);
}

static inline const char *
usual_command(struct stage *s)
{
	return talloc_asprintf(harness_mem(), "%s %s", version_path(s), s->mode);
}

/* What runs has proved good; whatever is started from now on never will. */
static inline void
settle(struct stage *s, const char *command, const char *more, unsigned kept)
{
	configure(s, command, talloc_asprintf(harness_mem(), "probation_time_ms = 0\n%s", more));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	version_wait_kept(s, kept);
	configure(
	    s, command, talloc_asprintf(harness_mem(), "probation_time_ms = 3600000\n%s", more));
	proc_finish(stage_cli(s, "reload"), 0);
}

static inline struct stage *
begin(const char *more)
{
	struct stage *s = stage_new("");

	settle(s, usual_command(s), more, 1);
	return s;
}

/* The old ones (WHICH: "only N ", or all) end only when they may, so that a crash of a new one
 * is always noticed before the restart is over. */
static inline void
let_linger(struct stage *s, const char *which)
{
	stage_mode(
	    s, talloc_asprintf(harness_mem(), "%slinger %s", which, tempdir_path(s->dir, "end")));
}

static inline void
let_end(struct stage *s)
{
	tempdir_write(s->dir, "end", "\n");
}

static inline struct stage *
begin_lingering(const char *which)
{
	struct stage *s = stage_new("");

	let_linger(s, which);
	settle(s, usual_command(s), "", 1);
	return s;
}

static inline void
fails(struct proc *p, const char *regex)
{
	proc_finish(p, 1);
	if (!stage_matches(proc_text(p, PROC_ERR), regex))
		harness_fail("%s\ndoes not match %s", proc_text(p, PROC_ERR), regex);
}

static inline int
pid_of(struct stage *s, int instance)
{
	return stage_ask((uint16_t)(s->port + instance)).pid;
}

static inline void
expect_version(struct stage *s, int instance, const char *version)
{
	assert_string_equal(version_of(pid_of(s, instance)), version);
}

/* Until neither instance runs the file as it is now. */
static inline void
wait_all_back(struct stage *s)
{
	proc_expect(s->baton, PROC_OUT, "^w: rolled back to " BACK "$");
	for (int i = 0; i < 2; i++)
		assert_string_not_equal(version_of(pid_of(s, i)), "file");
}

/* W.0 gets one version, w.1, in the same restart, another, which dies. */
static inline struct proc *
replace_in_the_middle(struct stage *s)
{
	const char *go = tempdir_path(s->dir, "go");
	const char *line;
	struct proc *p;
	int pid = 0;

	version_install(s, talloc_asprintf(harness_mem(), "hold %s", go));
	p = stage_cli(s, "restart");
	line = proc_expect(p, PROC_OUT, "^w\\.0: generation 2 started, pid [0-9]+$");
	pid = atoi(strstr(line, "pid ") + 4);
	wait_until("the program is executed", strstr(version_link(pid), "/worker") != NULL);
	version_install(s, "ready-then-die");
	tempdir_write(s->dir, "go", "\n");
	return p;
}

#endif
