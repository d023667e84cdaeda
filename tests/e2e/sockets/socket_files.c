/* SPDX-License-Identifier: MIT */
/* Files of sockets that somebody has removed are made anew; those of another baton stay. */
#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
is_answered(const char *path)
{
	struct client *c;
	bool ok;

	if (client_try_unix(path) != 0)
		return false;
	c = client_open_unix(path);
	client_send(c, "GET / HTTP/1.0\r\n\r\n");
	ok = strncmp(client_read(c, "GET")->body, "w 0 ", 4) == 0;
	client_close(c);
	return ok;
}

/* A service "w" of the worker with one path. */
static struct stage *
start(void)
{
	struct stage *s = stage_new("");

	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s/worker %s\n"
	    "listen = unix:%s/u\n",
	    s->control, s->dir, s->mode, s->dir);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

static void
a_services_file_is_made_anew(void **state)
{
	struct stage *s = start();
	const char *path = tempdir_path(s->dir, "u");

	(void)state;
	assert_int_equal(unlink(path), 0);
	proc_signal(s->baton, SIGUSR1);
	wait_until("it is there after SIGUSR1", is_answered(path));
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready +unix");
	assert_int_equal(unlink(path), 0);
	proc_finish(stage_cli(s, "reload"), 0);
	assert_true(is_answered(path));
	stage_wait_status(s, "^w +w\\.0 +3 +[0-9]+ +ready +unix");
	proc_finish(stage_cli(s, "stop", "w"), 0);
	assert_int_equal(unlink(path), 0);
	unlink(tempdir_path(s->dir, "u.refusing"));
	proc_finish(stage_cli(s, "start", "w"), 0);
	assert_true(is_answered(path));
	stage_stop(s);
	assert_int_equal(access(path, F_OK), -1);
}

static void
the_control_sockets_files_are_made_anew(void **state)
{
	const int signals[] = {SIGUSR1, SIGHUP};
	struct stage *s = start();
	const char *lock = talloc_asprintf(harness_mem(), "%s.lock", s->control);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(unlink(s->control), 0);
		if (i == 1)
			assert_int_equal(unlink(lock), 0);
		proc_signal(s->baton, signals[i]);
		wait_until("it is there", client_try_unix(s->control) == 0);
		stage_wait_status(s, "^w +w\\.0 +1 ");
		assert_int_equal(access(lock, F_OK), 0);
	}
	stage_stop(s);
	assert_int_equal(access(s->control, F_OK), -1);
	assert_int_equal(access(lock, F_OK), -1);
}

static void
what_another_baton_has_made_stays(void **state)
{
	struct stage *s = start(), *other = stage_new("");
	const char *lock = talloc_asprintf(harness_mem(), "%s.lock", s->control);

	(void)state;
	assert_int_equal(unlink(s->control), 0);
	assert_int_equal(unlink(lock), 0);
	other->control = s->control;
	tempdir_write(other->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service v]\ncommand = %s/worker\nlisten = 127.0.0.1:%d\n",
	    s->control, other->dir, other->port);
	stage_run(other);
	proc_expect(other->baton, PROC_OUT, "^Ctrl-C ");
	proc_signal(s->baton, SIGUSR1);
	proc_expect(
	    s->baton, PROC_ERR, "no client finds this baton: another baton \\(pid [0-9]+\\) runs");
	stage_stop(s);
	assert_true(stage_matches(stage_status(other), "^v +v\\.0 "));
	assert_int_equal(access(lock, F_OK), 0);
	stage_stop(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_services_file_is_made_anew),
	    e2e_test(the_control_sockets_files_are_made_anew),
	    e2e_test(what_another_baton_has_made_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
