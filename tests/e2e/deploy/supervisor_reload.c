/* SPDX-License-Identifier: MIT */
/* Reading the configuration anew: the difference is applied, or nothing changes. */
#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

/* The whole file, with those sections. */
static void
write_conf(struct stage *s, const char *sections)
{
	tempdir_write(s->dir, "conf", "[supervisor]\ncontrol = %s\n%s", s->control, sections);
}

/* [service NAME] on PORT with more lines. */
static const char *
service(struct stage *s, const char *name, uint16_t port, const char *more)
{
	return talloc_asprintf(harness_mem(),
	    "[service %s]\ncommand = %s %s\nlisten = 127.0.0.1:%d\n%s\n", name,
	    harness_built("tests/fixtures/worker"), s->mode, port, more);
}

static const char *
both(const char *a, const char *b)
{
	return talloc_asprintf(harness_mem(), "%s%s", a, b);
}

static struct stage *
start_with(uint16_t *port, int ports, const char *more)
{
	struct stage *s = stage_new("");

	*port = port_free(ports);
	write_conf(s, service(s, "w", *port, more));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

static void
services_come_and_go(void **state)
{
	uint16_t port;
	struct stage *s = start_with(&port, 2, "");
	struct who w = stage_ask(port);
	struct proc *p;

	(void)state;
	write_conf(s, both(service(s, "v", (uint16_t)(port + 1), ""), service(s, "w", port, "")));
	p = proc_finish(stage_cli(s, "reload"), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT),
	    "^the configuration was read anew: services: 1 new, 0 gone, 0 changed$"));
	assert_int_equal(stage_ask((uint16_t)(port + 1)).generation, 1);
	assert_int_equal(stage_ask(port).pid, w.pid);
	/* The signal does the same. */
	write_conf(s, service(s, "v", (uint16_t)(port + 1), ""));
	proc_signal(s->baton, SIGHUP);
	proc_expect(s->baton, PROC_OUT, "services: 0 new, 1 gone, 0 changed$");
	stage_wait_gone(w.pid);
	wait_until("the port is free", client_try(port) == ECONNREFUSED);
	assert_false(stage_matches(stage_status(s), "^w "));
	assert_int_equal(stage_ask((uint16_t)(port + 1)).generation, 1);
	/* And again: what was gone may come back. */
	write_conf(s, both(service(s, "v", (uint16_t)(port + 1), ""), service(s, "w", port, "")));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_string_equal(stage_ask(port).service, "w");
	stage_stop(s);
}

static void
only_what_a_process_must_know_replaces_it(void **state)
{
	uint16_t port;
	struct stage *s = start_with(&port, 3, "");
	struct who w = stage_ask(port);
	struct proc *p;

	(void)state;
	proc_finish(stage_cli(s, "reload"), 0);
	write_conf(s, service(s, "w", port, "drain_timeout_ms = 1234\nquiet_time_ms = 5\n"));
	p = proc_finish(stage_cli(s, "reload"), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "0 new, 0 gone, 1 changed$"));
	assert_int_equal(stage_ask(port).pid, w.pid);
	write_conf(s, service(s, "w", port, "env.X = 1\n"));
	p = proc_finish(stage_cli(s, "reload"), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "w\\.0: generation 2 ready in "));
	assert_int_equal(stage_ask(port).generation, 2);
	/* More instances and fewer, beside those that stay. */
	write_conf(s, service(s, "w", port, "env.X = 1\ninstances = 3\n"));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(stage_ask(port).generation, 2);
	assert_int_equal(stage_ask((uint16_t)(port + 2)).generation, 1);
	write_conf(s, service(s, "w", port, "env.X = 1\n"));
	proc_finish(stage_cli(s, "reload"), 0);
	wait_until("they are gone", client_try((uint16_t)(port + 1)) == ECONNREFUSED &&
					client_try((uint16_t)(port + 2)) == ECONNREFUSED);
	assert_int_equal(stage_ask(port).generation, 2);
	stage_stop(s);
}

/* A file that says the same as before has nothing to say about it. */
static void
what_was_scaled_stays_until_the_file_says_another_number(void **state)
{
	uint16_t port;
	struct stage *s = start_with(&port, 3, "");
	struct proc *p;

	(void)state;
	proc_finish(stage_cli(s, "scale", "w=3"), 0);
	p = proc_finish(stage_cli(s, "reload"), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "0 new, 0 gone, 0 changed$"));
	assert_int_equal(stage_ask((uint16_t)(port + 2)).generation, 1);
	write_conf(s, service(s, "w", port, "env.X = 1\n"));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(stage_ask((uint16_t)(port + 2)).generation, 2);
	write_conf(s, service(s, "w", port, "env.X = 1\ninstances = 2\n"));
	proc_finish(stage_cli(s, "reload"), 0);
	wait_until("the third is gone", client_try((uint16_t)(port + 2)) == ECONNREFUSED);
	assert_int_equal(stage_ask((uint16_t)(port + 1)).generation, 2);
	stage_stop(s);
}

static void
addresses_change_and_the_old_socket_is_kept_where_it_can(void **state)
{
	uint16_t port;
	struct stage *s = start_with(&port, 2, "");

	(void)state;
	write_conf(
	    s, service(s, "w", port,
		   talloc_asprintf(harness_mem(), "listen.admin = 127.0.0.1:%d\n", port + 1)));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_string_equal(stage_ask((uint16_t)(port + 1)).names, "w:admin");
	assert_int_equal(stage_ask(port).generation, 2);
	write_conf(s, service(s, "w", (uint16_t)(port + 1), ""));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_string_equal(stage_ask((uint16_t)(port + 1)).names, "w");
	assert_int_equal(client_try(port), ECONNREFUSED);
	stage_stop(s);
}

static const struct {
	const char *lines, *error;
} wrong[] = {
    {"instanses = 2\n", "instanses: unknown key; did you mean \"instances\"\\?"},
    {"user = nobody-of-that-name\n", "there is no user \"nobody-of-that-name\""},
    {"stderr = /nowhere/log\n", "cannot open the log file /nowhere/log"},
    {"listen.x = 192.0.2.1:80\n", "cannot listen on 192.0.2.1:80"},
    {"[supervisor2]\n", "unknown section"},
};

static void
what_cannot_be_applied_changes_nothing(void **state)
{
	uint16_t port;
	struct stage *s = start_with(&port, 2, "");
	struct who w = stage_ask(port);
	struct proc *p;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		/* A service before it, which would be good, does not start either. */
		write_conf(s, both(service(s, "v", (uint16_t)(port + 1), ""),
				  service(s, "w", port, wrong[i].lines)));
		p = proc_finish(stage_cli(s, "reload"), 1);
		assert_true(stage_matches(
		    proc_text(p, PROC_ERR), "^baton: reload failed: nothing has changed:"));
		if (!stage_matches(proc_text(p, PROC_ERR), wrong[i].error))
			harness_fail(
			    "%s\ndoes not match %s", proc_text(p, PROC_ERR), wrong[i].error);
		assert_int_equal(stage_ask(port).pid, w.pid);
		assert_int_equal(client_try((uint16_t)(port + 1)), ECONNREFUSED);
	}
	/* The control socket is where others look for it. */
	tempdir_write(s->dir, "conf", "[supervisor]\ncontrol = %s2\n%s", s->control,
	    service(s, "w", port, ""));
	proc_signal(s->baton, SIGHUP);
	proc_expect(s->baton, PROC_ERR, "control: cannot be changed while baton runs");
	stage_stop(s);
}

static void
a_new_program_that_fails_leaves_the_old_one_serving(void **state)
{
	uint16_t port;
	struct stage *s = start_with(&port, 1, "");
	struct who w = stage_ask(port);
	struct proc *p;

	(void)state;
	stage_mode(s, "exit 5");
	write_conf(s, service(s, "w", port, "env.X = 2\n"));
	p = proc_finish(stage_cli(s, "reload"), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: reload failed: w\\.0: generation 2 exited with status 5 .* serves on"));
	assert_int_equal(stage_ask(port).pid, w.pid);
	stage_stop(s);
}

static void
without_a_file_there_is_nothing_to_read(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	s->baton = proc_run(
	    "baton", "run", "--control", s->control, "--", harness_built("tests/fixtures/worker"));
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	p = proc_finish(proc_run("baton", "reload", "--control", s->control), 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "baton was started without a configuration file"));
	stage_stop(s);
}

/* It drains with what the old configuration said of it. */
static void
an_instance_too_many_is_shown_until_it_has_ended(void **state)
{
	struct stage *s = stage_new("");
	uint16_t port = port_free(2);
	struct who last;

	(void)state;
	stage_mode(s, "slow-exit 700");
	write_conf(s, service(s, "w", port, "instances = 2\n"));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	last = stage_ask((uint16_t)(port + 1));
	write_conf(s, service(s, "w", port, "drain_timeout_ms = 20000\n"));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_true(stage_matches(
	    stage_status(s), talloc_asprintf(harness_mem(),
				 "^w +w\\.1 +1 +[0-9]+ +stopping +127\\.0\\.0\\.1:%d ", port + 1)));
	stage_wait_gone(last.pid);
	wait_until("it is gone", strstr(stage_status(s), "w.1") == NULL);
	stage_stop(s);
}

/* Whoever opened it to read would wait for somebody who writes. */
static void
a_file_that_is_none_keeps_nobody_waiting(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_start(s);
	assert_int_equal(unlink(s->conf), 0);
	assert_int_equal(mkfifo(s->conf, 0600), 0);
	p = proc_finish(proc_run("baton", "reload", "--control", s->control), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "nothing has changed: .*/conf: expected a regular file, found none"));
	proc_finish(proc_run("baton", "status", "--control", s->control), 0);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_file_that_is_none_keeps_nobody_waiting),
	    e2e_test(services_come_and_go),
	    e2e_test(only_what_a_process_must_know_replaces_it),
	    e2e_test(what_was_scaled_stays_until_the_file_says_another_number),
	    e2e_test(addresses_change_and_the_old_socket_is_kept_where_it_can),
	    e2e_test(what_cannot_be_applied_changes_nothing),
	    e2e_test(a_new_program_that_fails_leaves_the_old_one_serving),
	    e2e_test(an_instance_too_many_is_shown_until_it_has_ended),
	    e2e_test(without_a_file_there_is_nothing_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
