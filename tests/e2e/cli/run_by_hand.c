/* SPDX-License-Identifier: MIT */
/*
 * `baton run` as a person uses it: without a configuration, with Ctrl-C, with output to read;
 * as the user who runs the tests and, if that is root, as an ordinary user as well.
 */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY = 65534 };

struct place {
	uid_t uid;
	const char *dir, *baton, *hello; /* copies that this user may execute */
	const char *runtime;             /* XDG_RUNTIME_DIR=… */
};

/* The build may lie where an ordinary user cannot look. */
static struct place
place_for(uid_t uid)
{
	struct place p = {.uid = uid, .dir = tempdir_new()};
	const char *runtime = tempdir_path(p.dir, "run");

	p.baton = tempdir_copy(p.dir, "baton", harness_built("baton"));
	p.hello = tempdir_copy(p.dir, "hello", harness_built("hello"));
	p.runtime = talloc_asprintf(harness_mem(), "XDG_RUNTIME_DIR=%s", runtime);
	assert_int_equal(mkdir(runtime, 0700), 0);
	if (uid != 0) {
		tempdir_own(runtime, uid);
		tempdir_own(p.dir, uid);
	}
	return p;
}

static struct proc *
run(const struct place *p, const char *const *argv)
{
	return proc_start(&(struct proc_spec){
	    .argv = argv,
	    .env = (const char *const[]){p->runtime, NULL},
	    .cwd = p->dir,
	    .uid = p->uid,
	});
}

#define RUN(place, ...) run(place, (const char *const[]){__VA_ARGS__, NULL})

/* The user who runs the tests, and an ordinary one. */
static int
users(uid_t uids[2])
{
	uids[0] = 0; /* means: as we are */
	uids[1] = NOBODY;
	return geteuid() == 0 ? 2 : 1;
}

static void
a_program_runs_without_a_configuration(void **state)
{
	uid_t uids[2];
	const int n = users(uids);

	(void)state;
	for (int i = 0; i < n; i++) {
		struct place place = place_for(uids[i]);
		uint16_t port = port_free(2);
		const char *socket = tempdir_path(place.dir, "c.sock");
		struct proc *p = RUN(&place, place.baton, "run", "--control", socket, "--instances",
		    "2", "--listen", port_address(port), "--", place.hello);

		for (int j = 0; j < 2; j++) {
			const char *line = talloc_asprintf(harness_mem(),
			    "^hello\\.%d +http://127\\.0\\.0\\.1:%d +pid [0-9]+ +ready in [0-9]+ ms",
			    j, port + j);

			proc_expect(p, PROC_OUT, line);
			assert_int_equal(baton_who((uint16_t)(port + j)).instance, j);
		}
		proc_expect(p, PROC_OUT, "curl http://127\\.0\\.0\\.1:");
		proc_expect(p, PROC_OUT, "baton restart");
		proc_finish(RUN(&place, place.baton, "restart", "--control", socket), 0);
		assert_int_equal(baton_who(port).generation, 2);
		proc_signal(p, SIGINT); /* Ctrl-C */
		proc_finish(p, 0);
		assert_int_equal(harness_count_children(), 0);
	}
}

/* A program that never says READY=1 runs as well. */
static void
the_command_line_says_how_it_is_ready(void **state)
{
	static const char *const how[] = {"none", "delay:10ms", "http:/"};
	struct place place = place_for(0);

	(void)state;
	for (int i = 0; i < 3; i++) {
		uint16_t port = port_free(1);
		struct proc *p = RUN(&place, place.baton, "run", "--control",
		    tempdir_path(place.dir, "c.sock"), "--ready", how[i], "--listen",
		    port_address(port), "--", "/usr/bin/env", "-u", "NOTIFY_SOCKET", place.hello);

		proc_expect(p, PROC_OUT, "^env\\.0 .* ready in ");
		assert_int_equal(baton_who(port).instance, 0);
		proc_signal(p, SIGINT);
		proc_finish(p, 0);
	}
	/* It can be asked only on a socket. */
	proc_expect(proc_finish(RUN(&place, place.baton, "run", "--ready=http:/", "/bin/true"), 2),
	    PROC_ERR, "^baton: baton run: ready: expected a `listen` on which http:/ can be asked");
	proc_expect(proc_finish(RUN(&place, place.baton, "run", "--ready=soon", "/bin/true"), 2),
	    PROC_ERR,
	    "^baton: --ready: ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or "
	    "none, found \"soon\"$");
	proc_expect(proc_finish(RUN(&place, place.baton, "run", "--ready=none"), 2), PROC_ERR,
	    "and --ready are for a program named on the command line");
}

static void
output_is_prefixed_with_the_name(void **state)
{
	uint16_t port = port_free(1);
	struct baton b;

	(void)state;
	b = baton_serve(port, 1,
	    talloc_asprintf(harness_mem(), "%s --lines 500 --say 'two words'",
		harness_built("tests/fixtures/peer")),
	    "");
	proc_expect(b.proc, PROC_ERR, "^s\\.0 .*two words$");
	proc_expect(b.proc, PROC_ERR, "^s\\.0 .*error line 499 ");
	baton_stop(&b);
	/* before, after and beside its own lines, and none is lost */
	for (int i = 0; i < 500; i++) {
		const char *line = talloc_asprintf(harness_mem(), "s.0 | output line %d of", i);

		if (strstr(proc_text(b.proc, PROC_OUT), line) == NULL)
			harness_fail("expected \"%s\" on its output", line);
	}
}

/* Without --control the commands find the supervisor where it puts its socket. */
static void
an_ordinary_user_needs_no_option(void **state)
{
	struct place place;
	uint16_t port = port_free(1);
	struct stat st;
	struct proc *p, *status;

	(void)state;
	place = place_for(geteuid() == 0 ? NOBODY : 0);
	p = RUN(&place, place.baton, "run", "--listen", port_address(port), place.hello);
	proc_expect(p, PROC_OUT, "ready in");
	assert_int_equal(stat(tempdir_path(place.dir, "run/baton/control.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(tempdir_path(place.dir, "run/baton"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	status = proc_finish(RUN(&place, place.baton, "status"), 0);
	proc_expect(status, PROC_OUT, "hello\\.0 .*ready");
	proc_finish(RUN(&place, place.baton, "restart", "hello"), 0);
	proc_finish(RUN(&place, place.baton, "stop"), 0);
	proc_finish(p, 0);
}

static void
an_ordinary_user_restarts_without_a_loss(void **state)
{
	struct place place = place_for(geteuid() == 0 ? NOBODY : 0);
	uint16_t port = port_free(2);
	struct proc *p = RUN(&place, place.baton, "run", "--instances", "2", "--listen",
	    port_address(port), "--", place.hello);
	struct load_result r;
	struct load *l;

	(void)state;
	proc_expect(p, PROC_OUT, "hello\\.1 .*ready in");
	l = load_start(&(struct load_spec){.port = port,
	    .ports = 2,
	    .keepalive = 8,
	    .oneshot = 4,
	    .gap_ms = 2,
	    .post_bytes = 1000});
	load_wait_ok(l, 100);
	proc_finish(RUN(&place, place.baton, "restart"), 0);
	load_wait_ok(l, 100);
	r = load_stop(l);
	load_assert_clean(&r);
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

/* Requests in flight when it is told to stop are still answered. */
static void
stopping_answers_what_is_in_flight(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT};

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint16_t port = port_free(1);
		struct baton b = baton_hello(port, 1);
		struct client *c = client_open(port);
		const struct answer *a;

		assert_int_equal(client_get(c, "/")->status, 200);
		client_send(c, "GET /sleep/?duration=200ms HTTP/1.1\r\nHost: x\r\n\r\n");
		proc_signal(b.proc, signals[i]);
		a = client_read(c, "GET");
		assert_int_equal(a->status, 200);
		proc_finish(b.proc, 0);
	}
}

/* Whoever ignores SIGTERM is killed when its time is over: baton itself always ends. */
static void
stopping_ends_programs_that_do_not_want_to(void **state)
{
	uint16_t port = port_free(2);
	struct baton b = baton_serve(port, 2,
	    talloc_asprintf(
		harness_mem(), "%s --ignore-term", harness_built("tests/fixtures/peer")),
	    "drain_timeout_ms = 200");

	(void)state;
	proc_signal(b.proc, SIGTERM);
	proc_wait(b.proc);
	assert_int_equal(harness_count_children(), 0);
}

static void
a_second_signal_stops_at_once(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_serve(port, 1,
	    talloc_asprintf(
		harness_mem(), "%s --ignore-term", harness_built("tests/fixtures/peer")),
	    "drain_timeout_ms = 3600000");

	(void)state;
	proc_signal(b.proc, SIGINT);
	proc_expect(b.proc, PROC_OUT, "ending");
	proc_signal(b.proc, SIGINT);
	proc_wait(b.proc);
	assert_int_equal(harness_count_children(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_program_runs_without_a_configuration),
	    e2e_test(the_command_line_says_how_it_is_ready),
	    e2e_test(output_is_prefixed_with_the_name),
	    e2e_test(an_ordinary_user_needs_no_option),
	    e2e_test(an_ordinary_user_restarts_without_a_loss),
	    e2e_test(stopping_answers_what_is_in_flight),
	    e2e_test(stopping_ends_programs_that_do_not_want_to),
	    e2e_test(a_second_signal_stops_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
