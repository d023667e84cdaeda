/* SPDX-License-Identifier: MIT */
/*
 * Many restarts through the supervisor, under load: no request is lost, and neither the
 * supervisor nor its instances take more descriptors or memory at the end than at the beginning.
 * BAD_DAYS_RESTARTS (30) says how many, for the soak test.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/baton.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"
#include "tests/harness/watch.h"

/* What a sanitizer keeps of freed memory is not the program's. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct use {
	int fds;
	long kb; /* of its own: Private_Clean and Private_Dirty */
};

static int
count_fds(pid_t pid)
{
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static struct use
use_of(pid_t pid)
{
	struct use u = {.fds = count_fds(pid)};
	char path[64], line[256];
	long kb;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "Private_Clean: %ld", &kb) == 1 ||
		    sscanf(line, "Private_Dirty: %ld", &kb) == 1)
			u.kb += kb;
	}
	fclose(f);
	return u;
}

/* Allocators keep some of what was used once, so a little more is no growth: over a thousand
 * restarts 1 MB is less than a kilobyte for each. */
static void
assert_flat(const char *what, struct use before, pid_t pid, int spare_fds)
{
	const struct use after = use_of(pid);

	print_message("%s: %d descriptors and %ld kB, then %d and %ld kB\n", what, before.fds,
	    before.kb, after.fds, after.kb);
	wait_until("no descriptor is left over", count_fds(pid) <= before.fds + spare_fds);
	if (__sanitizer_set_death_callback == NULL)
		assert_true(after.kb <= before.kb + 1024);
}

static void
a_thousand_restarts_leave_nothing_behind(void **state)
{
	enum { INSTANCES = 2, WARM_UP = 10, CLIENTS = 6 };
	const char *many = getenv("BAD_DAYS_RESTARTS");
	const int restarts = many == NULL ? 30 : atoi(many);
	const uint16_t port = port_free(INSTANCES);
	struct baton b = baton_hello(port, INSTANCES);
	struct watch *w = watch_start(proc_pid(b.proc));
	struct load *l = load_start(&(struct load_spec){.port = port,
	    .ports = INSTANCES,
	    .keepalive = CLIENTS / 2,
	    .oneshot = CLIENTS / 2,
	    .gap_ms = 5,
	    .post_bytes = 100});
	struct use baton, instance;
	struct load_result r;
	int64_t begin;

	(void)state;
	for (int i = 0; i < WARM_UP; i++)
		baton_restart(&b);
	load_wait_ok(l, 100);
	baton = use_of(proc_pid(b.proc));
	instance = use_of(baton_who(port).pid);
	begin = harness_now_ms();
	for (int i = 0; i < restarts; i++)
		baton_restart(&b);
	print_message("%d restarts of %d instances in %.1f s\n", restarts, INSTANCES,
	    (double)(harness_now_ms() - begin) / 1000);
	load_wait_ok(l, 100);
	r = load_stop(l);
	load_assert_clean(&r);
	assert_int_equal(baton_who(port).generation, 1 + WARM_UP + restarts);
	assert_flat("baton", baton, proc_pid(b.proc), 0);
	/* A connection of a client that has just gone may still be open there. */
	assert_flat("the instance", instance, baton_who(port).pid, CLIENTS);
	wait_until("no zombie is left", watch_zombies(proc_pid(b.proc)) == 0);
	assert_in_range(watch_stop(w), 1, 2);
	baton_stop(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {e2e_test(a_thousand_restarts_leave_nothing_behind)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
