/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails while services are changed: one allocation after the other in each order.
 * Its client gets an end, nothing of what runs is lost, and with memory the same order succeeds.
 *
 * BAD_DAYS_STRIDE (101): of the calls that take memory every so many-th is made to fail.
 */
#include "tests/e2e/daemon/bad_days_preload.h"
#include "tests/e2e/upgrade/versions.h"

#include <errno.h>

#define LINES "probation_time_ms = 0\ncrashes_max = 0\nbackoff_first_ms = 1\nbackoff_max_ms = 5\n"

#define NO_MEMORY "no memory|Cannot allocate memory"

struct order {
	const char *name, *command, *arg;
	void (*before)(struct day *d, int turn); /* NULL: nothing */
	void (*after)(struct day *d, int turn);  /* … it has succeeded */
	const char *told;                        /* the reason, if it has one to tell */
	const char *again; /* what succeeds then; NULL: the same (it may have been done) */
};

static int
stride(void)
{
	const char *given = getenv("BAD_DAYS_STRIDE");

	return given == NULL ? 101 : atoi(given);
}

static int
ask(struct day *d, const char *command, const char *arg)
{
	struct proc *p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"baton", command, "-c", d->s->conf, arg, NULL}});
	int status = proc_wait(p);

	talloc_free(p);
	return status;
}

/* Whether there was such an allocation. */
static bool
one_fails_in(struct day *d, const struct order *o, int after, int turn)
{
	int status;
	bool hit;

	if (o->before != NULL)
		o->before(d, turn);
	preload_arm(FAULT_MEMORY, after, 1, ENOMEM);
	status = ask(d, o->command, o->arg);
	hit = preload_was_hit(FAULT_MEMORY);
	preload_still_there(d, o->command, after);
	if (status != 0)
		wait_until(
		    o->command, ask(d, o->again == NULL ? o->command : o->again, o->arg) == 0);
	o->after(d, turn);
	return hit;
}

static void
memory_fails_in(struct day *d, const struct order *o)
{
	const int step = 1 + stride() / 10;
	int turn = 0;

	for (int after = 0; one_fails_in(d, o, after, turn++); after += stride())
		;
	/* Those few may all have been without consequence, or have cost the client its answer:
	 * more of them, until one has a reason to tell. */
	for (int after = step; !day_told(d, o->told); after += step)
		if (!one_fails_in(d, o, after, turn++))
			harness_fail("the reason is never told");
}

static void
is_well(struct day *d, int turn)
{
	(void)turn;
	stage_wait_status(d->s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready[ ,]");
	stage_wait_status(d->s, "^w +w\\.1 +[0-9]+ +[0-9]+ +ready[ ,]");
}

/* Besides "w", so many instances of "v" are there. */
static bool
has(struct day *d, int instances)
{
	const char *status = stage_status(d->s);
	const char *last =
	    talloc_asprintf(harness_mem(), "^v +v\\.%d +[0-9]+ +[0-9]+ +ready[ ,]", instances - 1);
	const char *more = talloc_asprintf(harness_mem(), "^v +v\\.%d ", instances);

	return (instances == 0 || stage_matches(status, last)) && !stage_matches(status, more);
}

/* "v" is new, grows, and goes; "w" is replaced each time. */
static void
configure(struct day *d, int turn)
{
	struct stage *s = d->s;
	const char *w = talloc_asprintf(harness_mem(),
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\nenv.TURN = %d\n" LINES,
	    s->control, version_path(s), s->mode, s->port, turn);
	const char *v = talloc_asprintf(harness_mem(),
	    "[service v]\ncommand = %s %s\ninstances = %d\nlisten = 127.0.0.1:0\n"
	    "env.TURN = %d\nlimit.core = 0\nkeep_good = 0\nhttp.worker_nice = 1\nstdout = %s/log\n" LINES,
	    version_path(s), s->mode, 1 + turn % 3, turn / 2, s->dir);

	s->conf = tempdir_write(s->dir, "conf", "%s%s", w, turn % 3 == 0 ? "" : v);
}

static void
is_configured(struct day *d, int turn)
{
	is_well(d, turn);
	wait_until("services are as configured", has(d, turn % 3 == 0 ? 0 : 1 + turn % 3));
}

static void
has_one(struct day *d, int turn)
{
	is_well(d, turn);
	wait_until("one instance of v", has(d, 1));
}

static void
has_three(struct day *d, int turn)
{
	is_well(d, turn);
	wait_until("three instances of v", has(d, 3));
}

static void
make_one(struct day *d, int turn)
{
	(void)turn;
	wait_until("scaled to 1", ask(d, "scale", "v=1") == 0);
}

static void
make_three(struct day *d, int turn)
{
	(void)turn;
	wait_until("scaled to 3", ask(d, "scale", "v=3") == 0);
}

/* Two versions are kept, and the file is run. */
static void
deploy(struct day *d, int turn)
{
	(void)turn;
	version_install(d->s, "good");
	wait_until("restarted", ask(d, "restart", "w") == 0);
	version_wait_kept(d->s, 2);
}

static const struct order orders[] = {
    {"reload", "reload", NULL, configure, is_configured, NO_MEMORY, NULL},
    {"scale up", "scale", "v=3", make_one, has_three, NO_MEMORY, NULL},
    {"scale down", "scale", "v=1", make_three, has_one, "from 3 to 1 instances", NULL},
    {"rollback", "rollback", "w", deploy, is_well, NO_MEMORY, "restart"},
};

static void
services_change(void **state)
{
	const struct order *o = *state;
	struct stage *s;
	struct day d;

	preload_or_skip();
	harness_setup(NULL);
	s = stage_new(LINES);
	version_install(s, "good");
	preload_begin_with(s, "baton");
	d = day_begin(s);
	configure(&d, 1);
	wait_until("configured", ask(&d, "reload", NULL) == 0);
	memory_fails_in(&d, o);
	if (o->again != NULL)
		wait_until(o->again, ask(&d, o->again, o->arg) == 0);
	day_end(&d, o->told);
}

int
main(void)
{
	enum { N = sizeof(orders) / sizeof(orders[0]) };
	struct CMUnitTest tests[N];

	for (size_t i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){.name = day_name(orders[i].name),
		    .test_func = services_change,
		    .teardown_func = harness_teardown,
		    .initial_state = (void *)&orders[i]};
	return _cmocka_run_group_tests("bad_days_memory", tests, N, NULL, NULL);
}
