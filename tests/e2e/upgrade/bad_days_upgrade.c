/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails while baton replaces itself: in the old one, in the new one that is asked,
 * in the new one that goes on. Whoever asked is told, baton is there and whole, its instances
 * are the same processes, and their clients have noticed nothing.
 *
 * BAD_DAYS_STRIDE (61): of the calls that take memory every so many-th is made to fail.
 */
#include "tests/e2e/daemon/bad_days_preload.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#define NO_MEMORY "no memory|Cannot allocate memory"
#define NOT_ANSWERED \
	"upgrade failed: there is no memory|supervisor (does not answer|went away without an answer)"
#define REFUSED "upgrade failed: nothing has changed: "

static int
stride(void)
{
	const char *given = getenv("BAD_DAYS_STRIDE");

	return given == NULL ? 61 : atoi(given);
}

/* An upgrade that is tried again and again, until it succeeds. */
struct attempts {
	struct day d;
	const char *program;
	const char *watched; /* the environment for a new baton that the test can make fail */
	int pid;             /* of an instance */
	int refused;
};

static struct attempts
attempts_begin(void)
{
	struct stage *s;
	struct attempts a = {.pid = 0};

	harness_setup(NULL);
	s = stage_new("");
	a.program = tempdir_copy(s->dir, "baton", harness_built("baton"));
	a.watched = talloc_asprintf(s, "LD_PRELOAD=%s " FAULTS_FILE "=%s/faults",
	    harness_built("tests/fixtures/faults.so"), s->dir);
	preload_begin_with(s, a.program);
	a.d = day_begin(s);
	a.pid = stage_ask(s->port).pid;
	return a;
}

/* At the path at which baton was called there is a script now, which starts the real one with
 * that environment, as the program that is asked or as the one that goes on. */
static void
put_script(const struct attempts *a, const char *asked, const char *goes_on)
{
	const char *path = tempdir_write(a->d.s->dir, "script",
	    "#!/bin/sh\nif test \"$1\" = upgrade-check; then export %s; else export %s; fi\n"
	    "exec %s \"$@\"\n",
	    asked, goes_on, harness_built("baton"));

	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(rename(path, a->program), 0);
}

/* Whether it succeeds. If not, REFUSED matches what whoever asked is told. *HIT: whether what was
 * to fail has failed. In any case baton is what it was before. */
static bool
attempt(struct attempts *a, int after, const char *refused, bool *hit)
{
	struct proc *p = stage_cli(a->d.s, "upgrade");
	const bool done = proc_wait(p) == 0;
	const char *err = proc_text(p, PROC_ERR);

	*hit = preload_was_hit(FAULT_MEMORY);
	preload_still_there(&a->d, "upgrade", after);
	if (!done && !stage_matches(err, refused))
		harness_fail("%d allocations later: %s", after, err);
	a->refused += !done && stage_matches(err, REFUSED);
	assert_int_equal(stage_ask(a->d.s->port).pid, a->pid);
	stage_wait_status(a->d.s, "^w +w\\.0 +1 +[0-9]+ +ready ");
	stage_wait_status(a->d.s, "^w +w\\.1 +1 +[0-9]+ +ready ");
	talloc_free(p);
	return done;
}

/* With memory all is as ever: nothing was lost of what one baton hands to the next. */
static void
attempts_end(struct attempts *a)
{
	bool hit;

	put_script(a, "NOTHING=1", "NOTHING=1");
	assert_true(a->refused > 1);
	assert_true(attempt(a, INT_MAX, "", &hit));
	proc_finish(stage_cli(a->d.s, "restart"), 0);
	assert_int_equal(stage_ask(a->d.s->port).generation, 2);
	day_end(&a->d, NO_MEMORY);
}

static void
the_old_baton_has_no_memory(void **state)
{
	struct attempts a;
	bool hit = true;

	(void)state;
	preload_or_skip();
	a = attempts_begin();
	put_script(&a, "NOTHING=1", a.watched);
	for (int after = 0; hit; after += stride()) {
		bool done;

		preload_arm(FAULT_MEMORY, after, 1, ENOMEM);
		done = attempt(&a, after, REFUSED ".*(" NO_MEMORY ")|" NOT_ANSWERED, &hit);
		assert_true(hit || done);
	}
	attempts_end(&a);
}

/* From some allocation on there is none any more; at last there are enough. */
static void
the_one_that_is_asked_has_no_memory(void **state)
{
	struct attempts a;
	bool done = false, hit;

	(void)state;
	preload_or_skip();
	a = attempts_begin();
	for (int after = 0; !done; after += stride()) {
		put_script(&a,
		    talloc_asprintf(a.d.s, "%s " FAULTS_FILE "= " FAULTS_MEMORY "=%d:%d", a.watched,
			after, INT_MAX),
		    a.watched);
		done = attempt(&a, after, REFUSED ".*/baton refuses: ", &hit);
	}
	attempts_end(&a);
}

/* It was asked, and had memory then. */
static void
the_one_that_goes_on_has_no_memory(void **state)
{
	struct attempts a;
	bool hit = true;

	(void)state;
	preload_or_skip();
	a = attempts_begin();
	for (int after = 0; hit; after += stride()) {
		bool done;

		put_script(&a, "NOTHING=1",
		    talloc_asprintf(a.d.s, "%s " FAULTS_MEMORY "=%d:1", a.watched, after));
		done = attempt(&a, after,
		    REFUSED "baton [0-9.]+ was asked .*(" NO_MEMORY ")|" NOT_ANSWERED, &hit);
		assert_true(hit || done);
	}
	attempts_end(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(the_old_baton_has_no_memory, harness_teardown),
	    cmocka_unit_test_teardown(the_one_that_is_asked_has_no_memory, harness_teardown),
	    cmocka_unit_test_teardown(the_one_that_goes_on_has_no_memory, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
