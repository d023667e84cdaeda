/* SPDX-License-Identifier: MIT */
/*
 * What every end-to-end test starts from. A test is registered with
 *
 *	cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
 *
 * and whatever it makes through these headers (processes, clients, loads, temporary
 * directories) is gone after it, whether it passed, failed or crashed. Every wait has a
 * deadline; when it passes, the test fails and says what was waited for, and where.
 */
#ifndef BATON_TESTS_HARNESS_H
#define BATON_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <talloc.h>

/* How long any single wait may take: far more than a loaded machine needs. */
enum { PATIENCE_MS = 30000 };

int harness_setup(void **state);
int harness_teardown(void **state);

/* The usual entry of a test table. */
#define e2e_test(function) \
	cmocka_unit_test_setup_teardown(function, harness_setup, harness_teardown)

/* Everything allocated under this is freed, with its destructors, at the test's end. */
TALLOC_CTX *harness_mem(void);

/* The path of a thing that was built: harness_built("hello"). Belongs to harness_mem(). */
const char *harness_built(const char *name);

/* Ends the test with a message; never returns. Only for the test's own thread. */
void harness_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Ends the test as one that cannot run here, and says why, on one line; never returns. */
void harness_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Skips the test unless that program (its path) is installed. */
void harness_need(const char *program);

/* Monotonic milliseconds, and what is left until such a moment (never negative). */
int64_t harness_now_ms(void);
int harness_left_ms(int64_t deadline_ms);

/* Remembers where the test called in, for harness_fail's message. */
void harness_here(const char *file, int line);
#define HARNESS_HERE(call) (harness_here(__FILE__, __LINE__), call)

/*
 * Waits until a condition holds that no file descriptor tells of:
 *	wait_until("the child is gone", kill(pid, 0) != 0);
 */
#define wait_until(what, condition)                                          \
	for (int64_t until_ = harness_now_ms() + PATIENCE_MS; !(condition);) \
	HARNESS_HERE(harness_pause(until_, what))
void harness_pause(int64_t deadline_ms, const char *what);

/*
 * Kills every child of this process and waits for each (orphans of a killed supervisor
 * become children of the test, which is a subreaper). Async-signal-safe.
 */
void harness_kill_children(void);

/* How many living children this process has beside `known` of them. */
int harness_count_children(void);

#endif
