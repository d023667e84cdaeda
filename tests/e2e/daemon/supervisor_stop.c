/* SPDX-License-Identifier: MIT */
/* What `baton stop` promises when it returns, and how it finds the supervisor. */
#include "tests/e2e/supervisor_stage.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* As the next program would bind it. */
static bool
can_be_bound(uint16_t port)
{
	const struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	can = bind(fd, (const struct sockaddr *)&in, sizeof(in)) == 0 && listen(fd, 1) == 0;
	close(fd);
	return can;
}

/* A reader that does not read keeps baton from ending for a while, with its last lines. */
static void
stop_returns_when_the_ports_are_free(void **state)
{
	struct stage *s = stage_new("");
	const char *script = talloc_asprintf(harness_mem(),
	    "%s run -c %s | { read -r line; echo \"$line\" >&2; read -r stop <%s/fifo; }",
	    harness_built("baton"), s->conf, s->dir);
	struct proc *p, *q;

	(void)state;
	proc_finish(
	    proc_run("/bin/sh", "-c", talloc_asprintf(harness_mem(), "mkfifo %s/fifo", s->dir)), 0);
	stage_mode(s, "flood");
	p = proc_run("/bin/sh", "-c", script);
	proc_expect(p, PROC_ERR, ".");
	stage_wait_status(s, "^w +w\\.1 +1 +[0-9]+ +ready ");
	wait_until("lines wait for their reader",
	    (q = proc_finish(stage_cli(s, "status", "--json"), 0),
		stage_matches(proc_text(q, PROC_OUT), "\"lines_dropped\": [1-9]")));
	proc_finish(stage_cli(s, "stop"), 0);
	assert_true(can_be_bound(s->port));
	assert_true(can_be_bound(s->port + 1));
	assert_int_not_equal(access(s->control, F_OK), 0);
	tempdir_write(s->dir, "fifo", "stop\n");
	proc_wait(p);
}

static void
stop_and_run_may_follow_each_other(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	for (int i = 0; i < 10; i++) {
		struct proc *before = s->baton;

		stage_start(s);
		proc_finish(stage_cli(s, "stop"), 0);
		if (before != NULL)
			proc_finish(before, 0);
	}
	proc_finish(s->baton, 0);
}

static void
a_relative_control_begins_at_the_configuration(void **state)
{
	struct stage *s = stage_new("");
	const char *sub = tempdir_path(s->dir, "sub");
	const char *const places[][2] = {
	    {s->dir, "sub/conf"}, {sub, "conf"}, {sub, "./conf"}, {"/", NULL}};

	(void)state;
	assert_int_equal(mkdir(sub, 0755), 0);
	s->conf = tempdir_write(sub, "conf",
	    "[supervisor]\ncontrol = here.sock\n[service w]\ncommand = %s\n",
	    harness_built("tests/fixtures/worker"));
	s->baton = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"baton", "run", "-c", "sub/conf", NULL}, .cwd = s->dir});
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(access(tempdir_path(sub, "here.sock"), F_OK), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *conf = places[i][1] != NULL ? places[i][1] : s->conf;

		proc_finish(proc_start(&(struct proc_spec){
				.argv = (const char *const[]){"baton", "status", "-c", conf, NULL},
				.cwd = places[i][0]}),
		    0);
	}
	stage_stop(s);
}

/* They are started one after the other: the second has not begun when all are too many. */
static void
a_start_ends_for_instances_that_are_removed(void **state)
{
	struct stage *s = stage_new("");
	const char *go = tempdir_path(s->dir, "go");
	struct proc *p;

	(void)state;
	stage_start(s);
	stage_mode(s, talloc_asprintf(harness_mem(), "hold %s", go));
	p = stage_cli(s, "scale", "w=5");
	stage_wait_status(s, "^w +w\\.2 +1 +[0-9]+ +starting ");
	proc_finish(stage_cli(s, "scale", "w=2"), 0);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "w\\.2: was told to stop; w\\.3: was told to stop; w\\.4: was told to stop$"));
	assert_false(stage_matches(stage_status(s), "w\\.[2-4]"));
	tempdir_write(s->dir, "go", "\n");
	proc_finish(stage_cli(s, "scale", "w=4"), 0);
	stage_wait_status(s, "^w +w\\.3 +1 +[0-9]+ +ready ");
	stage_stop(s);
}

/* Two wait for the end of the same instance, of whom one removes it. */
static void
a_stop_ends_for_instances_that_are_removed(void **state)
{
	struct stage *s = stage_new("");
	const char *go = tempdir_path(s->dir, "go");
	struct proc *stop, *start, *scale;

	(void)state;
	stage_mode(s, talloc_asprintf(harness_mem(), "only 0 linger %s", go));
	stage_start(s);
	stop = stage_cli(s, "stop", "w");
	stage_wait_status(s, "^w +w\\.1 +1 +- +down ");
	scale = stage_cli(s, "scale", "w=1");
	proc_finish(scale, 0);
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +1 +[0-9]+ +stopping "));
	assert_false(stage_matches(stage_status(s), "w\\.1"));
	tempdir_write(s->dir, "go", "\n");
	proc_finish(stop, 0);
	/* Nor is one started that is being removed. */
	stage_mode(s, talloc_asprintf(harness_mem(), "only 1 linger %s/again", s->dir));
	proc_finish(stage_cli(s, "start", "w"), 0);
	proc_finish(stage_cli(s, "scale", "w=2"), 0);
	scale = stage_cli(s, "scale", "w=1");
	stage_wait_status(s, "^w +w\\.1 +[0-9]+ +[0-9]+ +stopping ");
	start = proc_finish(stage_cli(s, "start", "w.1"), 1);
	assert_true(stage_matches(proc_text(start, PROC_ERR), "w\\.1: is being removed$"));
	tempdir_write(s->dir, "again", "\n");
	proc_finish(scale, 0);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(stop_returns_when_the_ports_are_free),
	    e2e_test(stop_and_run_may_follow_each_other),
	    e2e_test(a_relative_control_begins_at_the_configuration),
	    e2e_test(a_start_ends_for_instances_that_are_removed),
	    e2e_test(a_stop_ends_for_instances_that_are_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
