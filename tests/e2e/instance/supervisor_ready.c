/* SPDX-License-Identifier: MIT */
/* Readiness in other ways than READY=1, which the worker says as well: there it means nothing. */
#include "tests/e2e/supervisor_stage.h"
#include "tests/harness/baton.h"
#include "tests/harness/load.h"

#include <sys/stat.h>
#include <unistd.h>

static void
hold(struct stage *s, const char *gate)
{
	stage_mode(s, talloc_asprintf(harness_mem(), "hold %s", gate));
}

/* What the worker answers on other targets than "/"; 200 if there is no such file. */
static void
status_file(struct stage *s, const char *text)
{
	tempdir_write(s->dir, "mode.status", "%s\n", text);
}

static void
an_answer_makes_ready(void **state)
{
	struct stage *s = stage_new("ready = http:/up\n");
	const char *gate = tempdir_path(s->dir, "gate");

	(void)state;
	hold(s, gate);
	stage_run(s);
	wait_until("it can be asked", proc_wait(stage_cli(s, "status")) == 0);
	stage_wait_status(s, "^w +w\\.0 +1 +[0-9]+ +starting ");
	tempdir_write(s->dir, "gate", "\n");
	proc_expect(s->baton, PROC_OUT, "^w\\.1 .* ready in ");
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

static void
an_error_makes_nobody_ready(void **state)
{
	struct stage *s =
	    stage_new("ready = http:/up\nstart_timeout_ms = 500\nbackoff_first_ms = 600000\n"
		      "backoff_max_ms = 600000\n");

	(void)state;
	status_file(s, "503");
	stage_run(s);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 1 was not ready within 500 ms \\(GET /up: status 503\\)");
	status_file(s, "204");
	proc_finish(stage_cli(s, "reset"), 0);
	assert_int_equal(stage_ask(s->port).instance, 0);
	stage_stop(s);
}

/* Long before the time is over; and where nothing serves, there is nothing to try. */
static void
what_is_waited_for_is_said_soon(void **state)
{
	static const struct {
		const char *lines, *says;
	} cases[] = {
	    {"",
		"no READY=1 on NOTIFY_SOCKET; it is given 900 ms; if it never says that, say "
		"`ready = http:/PATH`, `ready = delay:2s` or `ready = none`, see `[^`]+ help config`$"},
	    {"ready = http:/up\n", "GET /up: no answer; it is given 900 ms$"},
	    {"ready = fd:9\n", "no newline on descriptor 9; it is given 900 ms$"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage *s = stage_new(talloc_asprintf(harness_mem(),
		    "start_timeout_ms = 900\nbackoff_first_ms = 600000\nbackoff_max_ms = "
		    "600000\ncrashes_max = 1\n%s",
		    cases[i].lines));

		stage_mode(s, "hang");
		stage_run(s);
		proc_expect(s->baton, PROC_ERR,
		    talloc_asprintf(harness_mem(),
			"^baton: w\\.0: generation 1 \\(pid [0-9]+\\) is not ready yet after [0-9.]+ "
			"m?s: %s",
			cases[i].says));
		proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 1 was not ready within");
		proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
		assert_null(strstr(proc_text(s->baton, PROC_OUT), "try"));
		stage_stop(s);
	}
}

/* What is said to try is something that serves. */
static void
what_is_to_be_tried_works(void **state)
{
	struct stage *s = stage_new("crashes_max = 1\n");

	(void)state;
	stage_mode(s, "only 0 exit 1");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_true(stage_matches(proc_text(s->baton, PROC_OUT), "^try, from a second terminal:$"));
	assert_true(stage_matches(proc_text(s->baton, PROC_OUT),
	    talloc_asprintf(harness_mem(), "^  curl http://127\\.0\\.0\\.1:%d/$", s->port + 1)));
	stage_stop(s);
}

static void
a_program_can_be_ready_by_running(void **state)
{
	struct stage *s = stage_new("ready = none\nstart_timeout_ms = 600000\n");

	(void)state;
	stage_mode(s, "hang");
	stage_start(s);
	stage_stop(s);
	s = stage_new("ready = none\n[service gone]\ncommand = ./gone\nready = none\n"
		      "crashes_max = 1\n");
	tempdir_write(s->dir, "gone", "#!/no/such/interpreter\n");
	/* What cannot be executed has never been ready. */
	assert_int_equal(chmod(tempdir_path(s->dir, "gone"), 0755), 0);
	s->baton = proc_start(&(struct proc_spec){.cwd = s->dir,
	    .argv = (const char *const[]){harness_built("baton"), "run", "-c", s->conf, NULL}});
	proc_expect(s->baton, PROC_ERR, "^baton: gone\\.0: generation 1 cannot execute \\./gone: ");
	assert_null(strstr(proc_text(s->baton, PROC_OUT), "gone.0"));
	stage_stop(s);
}

/* The predecessor answers on the same socket all the time: that is not the successor's answer. */
static void
the_predecessors_answer_does_not_count(void **state)
{
	struct stage *s = stage_new("ready = http:/up\n");
	const char *gate = tempdir_path(s->dir, "gate");
	struct proc *p;
	struct who old;

	(void)state;
	stage_start(s);
	old = stage_ask(s->port);
	hold(s, gate);
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.0: generation 2 started");
	for (int i = 0; i < 50; i++)
		assert_int_equal(stage_ask(s->port).pid, old.pid);
	assert_true(stage_matches(stage_status(s), "^ +2 +[0-9]+ +starting"));
	tempdir_write(s->dir, "gate", "\n");
	proc_finish(p, 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
a_successor_that_does_not_answer_replaces_nobody(void **state)
{
	struct stage *s = stage_new("ready = http:/up\nstart_timeout_ms = 700\n");
	struct proc *p;
	struct who old;

	(void)state;
	stage_start(s);
	old = stage_ask(s->port);
	stage_mode(s, "hang");
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "w\\.0: generation 2 was not ready within 700 ms \\(GET /up: another process has "
	    "accepted the connection\\)"));
	assert_int_equal(stage_ask(s->port).pid, old.pid);
	stage_stop(s);
}

/* It accepts by EPOLLEXCLUSIVE: an idle predecessor is always asked first. */
static void
a_server_of_the_library_is_replaced_under_load(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_serve(port, 1, harness_built("hello"), "ready = http:/\n");
	struct load *l;
	struct load_result r;

	(void)state;
	baton_restart(&b);
	assert_int_equal(baton_who(port).generation, 2);
	l = load_start(&(struct load_spec){.port = port, .keepalive = 4, .oneshot = 4});
	load_wait_ok(l, 100);
	baton_restart(&b);
	load_wait_ok(l, 100);
	r = load_stop(l);
	load_assert_clean(&r);
	assert_int_equal(baton_who(port).generation, 3);
	baton_stop(&b);
}

static void
instances_that_share_a_socket_become_ready_one_by_one(void **state)
{
	struct stage *s = stage_new("ready = http:/up\nports = shared\n");

	(void)state;
	stage_start(s);
	proc_finish(stage_cli(s, "restart"), 0);
	proc_finish(stage_cli(s, "scale", "w=5"), 0);
	assert_true(stage_matches(stage_status(s), "^w +w\\.4 +1 +[0-9]+ +ready "));
	stage_stop(s);
}

/* An ordinary user's baton, and a process that is not to be looked at: alone it can be asked, but
 * beside its predecessor nobody could tell whose answer it is. */
static void
who_cannot_be_told_apart_does_not_become_ready(void **state)
{
	uint16_t port = port_free(1);
	const char *dir = tempdir_new(), *mode = tempdir_write(dir, "mode", "closed\n");
	struct baton b;
	struct proc *p;
	struct who old;

	(void)state;
	b = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service w]\ncommand = %s %s\nlisten = 127.0.0.1:%d\nready = http:/up\n"
		"start_timeout_ms = 1500\n",
		tempdir_copy(dir, "worker", harness_built("tests/fixtures/worker")), mode, port),
	    .dir = dir,
	    .uid = getuid() == 0 ? 65534 : 0,
	});
	baton_wait_ready(&b, 1);
	old = stage_ask(port);
	p = baton_command(&b, "restart", NULL);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "\\(GET /up: it cannot be found out which process answers: Permission denied\\)"));
	assert_int_equal(stage_ask(port).pid, old.pid);
	baton_stop(&b);
}

static void
a_newline_makes_ready(void **state)
{
	static const char *const kinds[] = {"fd", "fd:77"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct stage *s = stage_new(talloc_asprintf(
		    harness_mem(), "ready = %s\nstart_timeout_ms = 500\n", kinds[i]));
		struct proc *p;

		stage_mode(s, "newline");
		stage_start(s);
		proc_finish(stage_cli(s, "restart"), 0);
		assert_int_equal(stage_ask(s->port).generation, 2);
		stage_mode(s, "no-newline");
		p = stage_cli(s, "restart");
		proc_finish(p, 1);
		assert_true(stage_matches(proc_text(p, PROC_ERR),
		    "w\\.0: generation 3 was not ready within 500 ms \\(no newline on descriptor "
		    "[0-9]+\\)"));
		assert_true(stage_matches(proc_text(s->baton, PROC_ERR),
		    "^baton: w\\.0: generation 3 \\(pid [0-9]+\\) has closed descriptor [0-9]+ "
		    "without a newline"));
		assert_int_equal(stage_ask(s->port).generation, 2);
		stage_stop(s);
	}
}

static void
living_for_a_while_makes_ready(void **state)
{
	struct stage *s = stage_new("ready = delay:200ms\nbackoff_first_ms = 600000\n"
				    "backoff_max_ms = 600000\n");
	struct proc *p;
	int ms = 0;

	(void)state;
	stage_start(s);
	p = stage_cli(s, "restart", "w.0");
	proc_finish(p, 0);
	assert_int_equal(
	    sscanf(strstr(proc_text(p, PROC_OUT), "ready in "), "ready in %d", &ms), 1);
	assert_in_range(ms, 200, PATIENCE_MS);
	stage_mode(s, "exit 3");
	p = stage_cli(s, "restart", "w.0");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "w\\.0: generation 3 exited with status 3 before it was ready"));
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(an_answer_makes_ready),
	    e2e_test(an_error_makes_nobody_ready),
	    e2e_test(what_is_waited_for_is_said_soon),
	    e2e_test(what_is_to_be_tried_works),
	    e2e_test(a_program_can_be_ready_by_running),
	    e2e_test(the_predecessors_answer_does_not_count),
	    e2e_test(a_successor_that_does_not_answer_replaces_nobody),
	    e2e_test(a_server_of_the_library_is_replaced_under_load),
	    e2e_test(instances_that_share_a_socket_become_ready_one_by_one),
	    e2e_test(who_cannot_be_told_apart_does_not_become_ready),
	    e2e_test(a_newline_makes_ready),
	    e2e_test(living_for_a_while_makes_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
