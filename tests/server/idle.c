/* SPDX-License-Identifier: MIT */
/*
 * A server with nothing to do does nothing: none of its threads wakes up, and a thread that
 * does not run makes no context switch.
 */
#include <dirent.h>
#include <stdio.h>

#include "tests/server/holding.h"

/* The switches of all threads but this one that are named as the server names its own. */
static long
switches(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *d;
	long sum = 0;

	assert_non_null(tasks);
	while ((d = readdir(tasks)) != NULL) {
		char line[256], *path;
		bool ours = false;
		long n;
		FILE *f;

		path = talloc_asprintf(harness_mem(), "/proc/self/task/%s/status", d->d_name);
		f = fopen(path, "re");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			ours = ours || strncmp(line, "Name:\tbaton/", 12) == 0;
			if (ours && (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
					sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1))
				sum += n + 1000; /* a thread that comes or goes shows as well */
		}
		if (f != NULL)
			fclose(f);
	}
	closedir(tasks);
	return sum;
}

static void
expect_rest(void)
{
	enum { REST_MS = 1000 };
	long before, after;

	/* It may take a moment to come to rest. */
	wait_until("it rests",
	    (before = switches()) > 0 && poll(NULL, 0, 200) == 0 && before == switches());
	before = switches();
	assert_int_equal(poll(NULL, 0, REST_MS), 0);
	after = switches();
	assert_int_equal(after, before);
}

static void
an_idle_server_makes_no_wake_ups(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = brief_server();
	struct client *c[5];
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/hold", hold_block, h);
	port = serving_start(s);
	expect_rest(); /* nobody has come yet */
	for (size_t i = 0; i < COUNT(c); i++)
		c[i] = ask(port, "/hold");
	wait_until("all are held", atomic_load(&h->now) == COUNT(c));
	hold_open(h);
	for (size_t i = 0; i < COUNT(c); i++) {
		expect_answer(c[i], 200, "held\n");
		assert_int_equal(client_get(c[i], "/")->status, 200);
	}
	expect_rest(); /* they are still connected */
	for (size_t i = 0; i < COUNT(c); i++)
		client_close(c[i]);
	wait_until("they are gone", client_fetch(port, "/") != NULL);
	expect_rest();
	serving_stop(s);
}

/* They are looked at often, for the beginning of a request, as long as anything comes at all. */
static void
idle_connections_make_no_wake_ups(void **state)
{
	struct http_server *s = brief_server();
	struct client *c[5], *half;
	uint16_t port;

	(void)state;
	http_server_handle(s, "/", name_thread, NULL);
	http_server_set(s, "header_timeout_ms", "200");
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(port);
		assert_int_equal(client_get(c[i], "/")->status, 200);
	}
	expect_rest();
	/* One that begins and does not go on is still found, and the others outlive it. */
	half = client_open(port);
	client_send(half, "GET / HT");
	assert_int_equal(client_read(half, "GET")->status, 408);
	expect_rest();
	for (size_t i = 0; i < COUNT(c); i++)
		assert_int_equal(client_get(c[i], "/")->status, 200);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(idle_connections_make_no_wake_ups),
	    e2e_test(an_idle_server_makes_no_wake_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
