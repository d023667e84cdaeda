/* SPDX-License-Identifier: MIT */
/* What the tests of baton's own upgrade share. */
#ifndef BATON_TESTS_UPGRADE_H
#define BATON_TESTS_UPGRADE_H

#include "tests/e2e/supervisor_stage.h"

#define upgrade(s)                                                                              \
	assert_true(stage_matches(proc_text(proc_finish(stage_cli(s, "upgrade"), 0), PROC_OUT), \
	    "^upgraded from [0-9.]+ to [0-9.]+, pid [0-9]+, [0-9]+ instances? kept$"))

#endif
