/* SPDX-License-Identifier: MIT */
/* While something ends, nobody new waits for it: clients are refused, and those who are served stay. */
#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT(...) talloc_asprintf(harness_mem(), __VA_ARGS__)

/* A service "w" of the worker on a port and a path, which behaves so. */
static struct stage *
start_worker(const char *mode, const char *lines)
{
	struct stage *s = stage_new("");

	stage_mode(s, mode);
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s/worker %s\n"
	    "listen = 127.0.0.1:%d\nlisten.u = unix:%s/u\n%s\n",
	    s->control, s->dir, s->mode, s->port, s->dir, lines);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

static void
expect_refusal(struct stage *s)
{
	wait_until("the port refuses", client_try(s->port) == ECONNREFUSED);
	wait_until("the path refuses", client_try_unix(tempdir_path(s->dir, "u")) == ECONNREFUSED);
}

/* Whether it says STOPPING=1, or not. */
static void
a_service_that_ends_refuses(void **state)
{
	const char *modes[] = {"linger", "ignore-term"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *dir = tempdir_new(), *go = tempdir_path(dir, "go");
		struct stage *s = start_worker(
		    i == 0 ? TEXT("linger %s", go) : modes[i], "drain_timeout_ms = 20000");
		pid_t pid = stage_ask(s->port).pid;
		struct proc *p = stage_cli(s, "stop", "w");

		expect_refusal(s);
		assert_int_equal(kill(pid, 0), 0);
		tempdir_write(dir, "go", "now\n");
		if (i == 1)
			kill(pid, SIGKILL);
		proc_finish(p, 0);
		expect_refusal(s);
		stage_mode(s, "good");
		proc_finish(stage_cli(s, "start", "w"), 0);
		assert_int_equal(stage_ask(s->port).generation, 2);
		assert_int_equal(client_try_unix(tempdir_path(s->dir, "u")), 0);
		stage_stop(s);
	}
}

/* The end of baton itself; a request that is in work is answered. */
static void
a_request_that_is_in_work_is_answered(void **state)
{
	struct stage *s = stage_new("");
	struct client *c;

	(void)state;
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service h]\ncommand = %s\nlisten = 127.0.0.1:%d\n",
	    s->control, harness_built("hello"), s->port);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	c = client_open(s->port);
	client_send(c, "GET /sleep/?duration=3s HTTP/1.1\r\nHost: h\r\n\r\n");
	wait_until("it is in work", strstr(client_fetch(s->port, "/"), "") != NULL);
	proc_signal(s->baton, SIGTERM);
	wait_until("the port refuses", client_try(s->port) == ECONNREFUSED);
	assert_false(proc_ended(s->baton));
	assert_int_equal(client_read(c, "GET")->status, 200);
	proc_finish(s->baton, 0);
}

/* Where others have the socket, it goes on as long as one of them does. */
static void
a_shared_socket_refuses_when_the_last_one_ends(void **state)
{
	const char *dir = tempdir_new(), *go = tempdir_path(dir, "go");
	struct stage *s = start_worker(TEXT("linger %s", go), "ports = shared\ninstances = 2\n");
	struct proc *p;

	(void)state;
	p = stage_cli(s, "stop", "w.0");
	stage_wait_status(s, "^w +w\\.0 .* stopping ");
	assert_int_equal(stage_ask(s->port).instance, 1);
	tempdir_write(dir, "go", "now\n");
	proc_finish(p, 0);
	assert_int_equal(stage_ask(s->port).instance, 1);
	unlink(go);
	p = stage_cli(s, "stop", "w");
	expect_refusal(s);
	stage_wait_status(s, "^w +w\\.1 .* stopping ");
	tempdir_write(dir, "go", "now\n");
	proc_finish(p, 0);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_service_that_ends_refuses),
	    e2e_test(a_request_that_is_in_work_is_answered),
	    e2e_test(a_shared_socket_refuses_when_the_last_one_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
