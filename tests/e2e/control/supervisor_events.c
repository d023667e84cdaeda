/* SPDX-License-Identifier: MIT */
/* `baton events` and `baton logs`: what happened, what is written, now and from now on. */
#include "tests/e2e/supervisor_stage.h"

#include <signal.h>

/* All of them, in order: each regex matches after the one before. */
static void
assert_in_order(const char *text, const char *const *regexes)
{
	const char *at = text;

	for (; *regexes != NULL; regexes++) {
		regmatch_t match;
		regex_t re;
		int no;

		assert_int_equal(regcomp(&re, *regexes, REG_EXTENDED | REG_NEWLINE), 0);
		no = regexec(&re, at, 1, &match, 0);
		regfree(&re);
		if (no)
			harness_fail("expected, in order, \"%s\" in\n%s", *regexes, text);
		at += match.rm_eo;
	}
}

static const char *
events_of(struct stage *s, const char *name)
{
	struct proc *p = name == NULL ? stage_cli(s, "events", "--no-follow", "-n", "all")
				      : stage_cli(s, "events", "--no-follow", "-n", "all", name);

	proc_finish(p, 0);
	return proc_text(p, PROC_OUT);
}

static void
what_has_happened_is_told_in_order(void **state)
{
	static const char *const both[] = {
	    "^20[0-9-]+ [0-9:]+\\.[0-9]{3}  w\\.0 +started +generation 1, pid [0-9]+$",
	    " w\\.0 +ready +generation 1, pid [0-9]+, in ", " w\\.1 +started ", " w\\.1 +ready ",
	    " baton +running ", " baton +restart-begin +restart of 1 instance$",
	    " w\\.0 +started +generation 2,", " w\\.0 +ready +generation 2,",
	    " w\\.0 +replaced +generation 1 by generation 2",
	    " w\\.0 +drained +generation 1 exited with status 0$",
	    " baton +restart-end +restart: 1 of 1 done$", NULL};
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_start(s);
	proc_finish(stage_cli(s, "restart", "w.0"), 0);
	assert_in_order(events_of(s, NULL), both);
	assert_in_order(events_of(s, "w"), both);
	assert_in_order(events_of(s, "w.0"), (const char *const[]){" w\\.0 +drained ", NULL});
	assert_false(stage_matches(events_of(s, "w.0"), "w\\.1"));
	p = stage_cli(s, "events", "--json", "--no-follow", "--lines=1");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT),
	    "^\\{\"number\":[0-9]+,\"time_unix_ms\":[0-9]+,\"event\":\"restart-end\",.*"
	    "\"ok\":true,\"restarted\":1,\"of\":1\\}$"));
	stage_stop(s);
}

static void
crashes_and_their_consequences_are_told(void **state)
{
	struct stage *s = stage_new("crashes_max = 3\nbackoff_first_ms = 10\n");

	(void)state;
	stage_start(s);
	stage_mode(s, "exit 3");
	proc_finish(stage_cli(s, "restart", "w.1"), 1);
	assert_in_order(events_of(s, "w.1"),
	    (const char *const[]){" w\\.1 +started +generation 2,",
		" w\\.1 +crashed +generation 2 exited with status 3 before it was ready$",
		" baton +restart-end +restart: 0 of 1 done; it failed: w\\.1: generation 2 ",
		NULL});
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +[0-9]+ +- +failed ");
	assert_in_order(events_of(s, "w.0"),
	    (const char *const[]){
		" w\\.0 +crashed +generation 1 was ended by signal 9 \\(SIGKILL\\)$",
		" w\\.0 +started ", " w\\.0 +crashed ", " w\\.0 +backoff +started again in 10 ms$",
		" w\\.0 +started ", " w\\.0 +failed +.*baton reset w\\.0", NULL});
	stage_stop(s);
}

static void
a_follower_sees_what_comes_until_the_end(void **state)
{
	struct stage *s = stage_new("");
	struct proc *people, *programs;

	(void)state;
	stage_start(s);
	people = stage_cli(s, "events", "-n", "1");
	programs = stage_cli(s, "events", "-n", "1", "--json");
	proc_expect(people, PROC_OUT, " baton +running ");
	proc_expect(programs, PROC_OUT, "\"event\":\"running\"");
	proc_finish(stage_cli(s, "scale", "w=3"), 0);
	proc_expect(people, PROC_OUT, " w +scale +w from 2 to 3 instances$");
	proc_expect(people, PROC_OUT, " w\\.2 +ready ");
	proc_expect(programs, PROC_OUT, "\"event\":\"scale\".*\"from\":2,\"to\":3\\}$");
	proc_finish(stage_cli(s, "reload"), 0);
	proc_expect(people, PROC_OUT, " baton +reload ");
	/* One that is interrupted is missed by nobody. */
	proc_signal(programs, SIGINT);
	assert_int_equal(proc_wait(programs), 128 + SIGINT);
	stage_stop(s);
	proc_expect(people, PROC_OUT, " baton +stopping ");
	proc_expect(people, PROC_OUT, " w\\.0 +stopped ");
	proc_finish(people, 0);
}

static void
the_last_lines_are_shown_and_followed(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p, *all, *one;

	(void)state;
	stage_start(s);
	p = stage_cli(s, "logs");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), "w.0 | worker is up\nw.1 | worker is up\n");
	p = stage_cli(s, "logs", "-n", "1", "w.0");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), "w.0 | worker is up\n");
	p = stage_cli(s, "logs", "-n", "0");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), "");
	all = stage_cli(s, "logs", "-f");
	one = stage_cli(s, "logs", "-f", "-n1", "w.1");
	proc_expect(all, PROC_OUT, "^w\\.1 \\| worker is up$");
	proc_expect(one, PROC_OUT, "^w\\.1 \\| worker is up$");
	stage_mode(s, "exit 3");
	proc_finish(stage_cli(s, "restart"), 1);
	stage_mode(s, "last-words");
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
	/* What is written at the very end comes, too; and then it is over. */
	proc_finish(all, 0);
	proc_finish(one, 0);
	assert_in_order(proc_text(all, PROC_OUT),
	    (const char *const[]){"^w\\.0 \\| first line$",
		"^w\\.0 \\| worker: told to exit with 3$", "^w\\.1 \\| worker is up$",
		"^w\\.[01] \\| these are my last words$", "^w\\.[01] \\| these are my last words$",
		NULL});
	assert_in_order(proc_text(one, PROC_OUT),
	    (const char *const[]){"^w\\.1 \\| these are my last words$", NULL});
	assert_false(stage_matches(proc_text(one, PROC_OUT), "w\\.0"));
}

/* Lines that go to a file are kept as well; those that are inherited baton does not see. */
static void
lines_are_kept_wherever_they_go(void **state)
{
	struct stage *s = stage_new("stdout = ./log\n");
	struct proc *p;

	(void)state;
	s->baton = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"baton", "run", "-c", s->conf, NULL}, .cwd = s->dir});
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	p = stage_cli(s, "logs", "w.1");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), "w.1 | worker is up\n");
	stage_stop(s);
}

/* baton replaces itself: what has happened is kept, what instances have written is not. */
static void
what_has_happened_is_known_after_an_upgrade(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_start(s);
	proc_finish(stage_cli(s, "upgrade"), 0);
	proc_finish(stage_cli(s, "restart", "w.1"), 0);
	assert_in_order(events_of(s, NULL), (const char *const[]){" w\\.0 +started ",
						" baton +running ", " w\\.1 +replaced ", NULL});
	p = stage_cli(s, "logs");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), "w.1 | worker is up\n");
	stage_stop(s);
}

/* An instance that writes without end, and a follower that does not read. */
static void
a_follower_that_stops_is_noticed_by_nobody(void **state)
{
	struct stage *s = stage_new("");
	struct client *stuck;
	struct proc *p;

	(void)state;
	stage_mode(s, "flood");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	stuck = client_open_unix(s->control);
	client_send(stuck, "{\"command\":\"logs\",\"follow\":true}\n");
	assert_non_null(strstr(client_read_line(stuck), "flood"));
	p = stage_cli(s, "logs", "-f", "w.0");
	for (int i = 0; i < 5; i++)
		proc_expect(p, PROC_OUT, "^w\\.0 \\| a line of the flood");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	proc_signal(p, SIGKILL);
	proc_wait(p);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(what_has_happened_is_told_in_order),
	    e2e_test(crashes_and_their_consequences_are_told),
	    e2e_test(a_follower_sees_what_comes_until_the_end),
	    e2e_test(the_last_lines_are_shown_and_followed),
	    e2e_test(lines_are_kept_wherever_they_go),
	    e2e_test(what_has_happened_is_known_after_an_upgrade),
	    e2e_test(a_follower_that_stops_is_noticed_by_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
