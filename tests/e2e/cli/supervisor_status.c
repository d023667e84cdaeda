/* SPDX-License-Identifier: MIT */
/* What `baton status` tells: connections, memory, CPU time; colours; again each second. */
#include "tests/e2e/supervisor_stage.h"

#define HEAD "^SERVICE +INSTANCE +GEN +PID +STATE +ADDRESS +UPTIME +RESTARTS +CONNS +MEMORY +CPU "
/* From the state on: address, uptime, restarts, connections. */
#define ROW(instance, connections)                                                            \
	"^w +w\\." instance " +[0-9]+ +[0-9]+ +ready +[^ ]+ +[0-9.]+ [a-z]+ +0 +" connections \
	" +[0-9.]+[KM] +[0-9.]+% +"

/* A service "w" of hello, which holds connections open, on the address given. */
static struct stage *
stage_hello(const char *listen, const char *more)
{
	struct stage *s = talloc_zero(harness_mem(), struct stage);

	s->dir = tempdir_new();
	s->control = tempdir_path(s->dir, "control");
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\ninstances = 2\nlisten = %s\n%s",
	    s->control, harness_built("hello"), listen, more);
	s->baton = proc_run("baton", "run", "-c", s->conf);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

static void
connections_are_counted_for_each_instance(void **state)
{
	static const char *const forms[] = {"127.0.0.1:%d", "0.0.0.0:%d", ":%d"};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		uint16_t port = port_free(2);
		struct stage *s = stage_hello(talloc_asprintf(harness_mem(), forms[i], port), "");
		struct client *c[5];

		stage_wait_status(s, HEAD);
		stage_wait_status(s, ROW("0", "0"));
		for (int k = 0; k < 5; k++)
			c[k] = client_open((uint16_t)(port + (k < 3 ? 0 : 1)));
		stage_wait_status(s, ROW("0", "3"));
		stage_wait_status(s, ROW("1", "2"));
		/* They move to the successor, and are still those of the instance. */
		assert_int_equal(client_get(c[0], "/")->status, 200);
		proc_finish(stage_cli(s, "restart"), 0);
		stage_wait_status(s, ROW("0", "3"));
		client_close(c[0]);
		client_close(c[1]);
		stage_wait_status(s, ROW("0", "1"));
		stage_stop(s);
		client_close(c[2]);
		client_close(c[3]);
		client_close(c[4]);
	}
}

/* Each with a file of its own; those that nobody accepts yet are there, too, and nobody else's. */
static void
connections_on_unix_sockets_are_counted(void **state)
{
	const char *dir = tempdir_new(), *other = tempdir_path(dir, "other");
	const char *mine = tempdir_path(dir, "s0"), *next = tempdir_path(dir, "s1");
	struct stage *s = stage_hello(talloc_asprintf(harness_mem(), "unix:%s/s%%i", dir), "");
	struct proc *foreign = proc_run("baton", "run", "--control", tempdir_path(dir, "c"),
	    "--listen", talloc_asprintf(harness_mem(), "unix:%s", other), "--name", "x",
	    harness_built("hello"));
	struct client *c[7];
	int pid;

	(void)state;
	proc_expect(foreign, PROC_OUT, "^Ctrl-C ");
	stage_wait_status(s, ROW("0", "0"));
	for (int i = 0; i < 6; i++)
		c[i] = client_open_unix(i < 3 ? mine : i < 5 ? next : other);
	stage_wait_status(s, ROW("0", "3"));
	stage_wait_status(s, ROW("1", "2"));
	/* They move to the successor, and are still those of the instance. */
	assert_int_equal(client_get(c[0], "/")->status, 200);
	proc_finish(stage_cli(s, "restart"), 0);
	stage_wait_status(s, ROW("0", "3"));
	/* What is stopped does not accept: more wait in its queue. */
	assert_int_equal(sscanf(strstr(stage_status(s), "w.0 "), "w.0 %*d %d", &pid), 1);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	c[6] = client_open_unix(mine);
	stage_wait_status(s, ROW("0", "4"));
	assert_int_equal(kill(pid, SIGCONT), 0);
	client_close(c[0]);
	client_close(c[1]);
	stage_wait_status(s, ROW("0", "2"));
	stage_stop(s);
	proc_signal(foreign, SIGTERM);
	proc_finish(foreign, 0);
	for (int i = 2; i < 7; i++)
		client_close(c[i]);
}

static void
connections_of_all_sockets_are_added_up(void **state)
{
	uint16_t port = port_free(1);
	const char *path = tempdir_path(tempdir_new(), "s");
	struct stage *s = stage_hello(
	    talloc_asprintf(harness_mem(), "127.0.0.1:%d\nlisten.second = unix:%s", port, path),
	    "ports = shared\n");
	struct client *a = client_open(port), *b = client_open_unix(path),
		      *c = client_open_unix(path);

	(void)state;
	stage_wait_status(s, "^w: 3 connections on the sockets that its instances share$");
	client_close(a);
	client_close(b);
	client_close(c);
	stage_wait_status(s, "^w: 0 connections on the sockets that its instances share$");
	stage_stop(s);
}

static void
connections_of_shared_sockets_are_told_together(void **state)
{
	uint16_t port = port_free(1);
	struct stage *s =
	    stage_hello(talloc_asprintf(harness_mem(), "127.0.0.1:%d", port), "ports = shared\n");
	struct client *a = client_open(port), *b = client_open(port);
	struct proc *p;

	(void)state;
	stage_wait_status(s, "^w: 2 connections on the sockets that its instances share$");
	assert_true(stage_matches(stage_status(s), ROW("0", "-")));
	p = stage_cli(s, "status", "--json");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^      \"connections\": 2,$"));
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^          \"connections\": null,$"));
	client_close(a);
	client_close(b);
	stage_stop(s);
}

static void
what_does_not_run_uses_nothing(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_start(s);
	proc_finish(stage_cli(s, "stop", "w.1"), 0);
	assert_true(stage_matches(
	    stage_status(s), "^w +w\\.1 +1 +- +down +[^ ]+ +- +0 +0 +- +- +exited with status 0$"));
	stage_stop(s);
}

/* One that computes: the time since its start, and in the watch that of the last second. */
static void
cpu_time_is_told(void **state)
{
	struct stage *s = stage_new("stdout = /dev/null\n");
	struct proc *p;

	(void)state;
	stage_mode(s, "flood");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	wait_until("it has used time",
	    stage_matches(stage_status(s), "^w +w\\.0 .* ([1-9][0-9]*\\.[0-9]|0\\.[1-9])% "));
	p = stage_cli(s, "status", "--watch");
	proc_expect(p, PROC_OUT, "^SERVICE");
	proc_expect(p, PROC_OUT, "^SERVICE");
	proc_expect(p, PROC_OUT, "^w +w\\.0 .* ([1-9][0-9]*\\.[0-9]|0\\.[1-9])% ");
	proc_signal(p, SIGINT);
	assert_int_equal(proc_wait(p), 128 + SIGINT);
	stage_stop(s);
}

static void
a_watch_goes_on_until_baton_ends(void **state)
{
	struct stage *s = stage_new("");
	struct proc *people, *programs;

	(void)state;
	stage_start(s);
	people = stage_cli(s, "status", "--watch");
	programs = stage_cli(s, "status", "--watch", "--json");
	for (int i = 0; i < 2; i++) {
		proc_expect(people, PROC_OUT, "^w +w\\.0 ");
		proc_expect(programs, PROC_OUT, "^\\{\"baton\":\\{.*\\}$");
	}
	assert_null(strchr(proc_text(people, PROC_OUT), '\033'));
	stage_stop(s);
	proc_finish(people, 3);
	proc_finish(programs, 3);
	assert_true(stage_matches(proc_text(people, PROC_ERR), "^baton: the supervisor went away"));
}

/* Its output on a terminal. */
static const char *
on_a_terminal(struct stage *s, const char *variable, const char *options)
{
	struct proc *p =
	    proc_start(&(struct proc_spec){.argv = (const char *const[]){"/usr/bin/script", "-qec",
					       talloc_asprintf(harness_mem(), "%s status -c %s %s",
						   harness_built("baton"), s->conf, options),
					       "/dev/null", NULL},
		.env = (const char *const[]){"NO_COLOR", "TERM=xterm", variable, NULL}});

	proc_finish(p, 0);
	return proc_text(p, PROC_OUT);
}

static void
colours_are_for_terminals_unless_asked_for(void **state)
{
	static const char green[] = "\033[32mready\033[0m";
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_start(s);
	p = stage_cli(s, "status", "--color=always");
	proc_finish(p, 0);
	assert_non_null(strstr(proc_text(p, PROC_OUT), green));
	assert_null(strchr(stage_status(s), '\033'));
	assert_non_null(strstr(on_a_terminal(s, NULL, ""), green));
	assert_null(strchr(on_a_terminal(s, "NO_COLOR=1", ""), '\033'));
	assert_non_null(strstr(on_a_terminal(s, "NO_COLOR=1", "--color always"), green));
	assert_null(strchr(on_a_terminal(s, "TERM=dumb", ""), '\033'));
	assert_null(strchr(on_a_terminal(s, NULL, "--color never"), '\033'));
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(connections_are_counted_for_each_instance),
	    e2e_test(connections_on_unix_sockets_are_counted),
	    e2e_test(connections_of_all_sockets_are_added_up),
	    e2e_test(connections_of_shared_sockets_are_told_together),
	    e2e_test(what_does_not_run_uses_nothing),
	    e2e_test(cpu_time_is_told),
	    e2e_test(a_watch_goes_on_until_baton_ends),
	    e2e_test(colours_are_for_terminals_unless_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
