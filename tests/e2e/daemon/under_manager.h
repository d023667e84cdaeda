/* SPDX-License-Identifier: MIT */
/* What the tests of baton as somebody's service share: how it is configured and called. */
#ifndef BATON_TESTS_UNDER_MANAGER_H
#define BATON_TESTS_UNDER_MANAGER_H

#include "tests/e2e/supervisor_stage.h"
#include "tests/harness/load.h"
#include "tests/harness/manager.h"

#define RUN(s) ((const char *const[]){"baton", "run", "-c", (s)->conf, NULL})

static inline void
write_conf(struct stage *s, const char *sections)
{
	tempdir_write(s->dir, "conf", "[supervisor]\ncontrol = %s\n%s", s->control, sections);
}

/* A service of that worker, with those lines. */
static inline const char *
service(const struct stage *s, const char *name, const char *lines)
{
	return talloc_asprintf(harness_mem(), "[service %s]\ncommand = %s %s\n%s\n", name,
	    harness_built("tests/fixtures/worker"), s->mode, lines);
}

#endif
