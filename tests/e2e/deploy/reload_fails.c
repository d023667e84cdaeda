/* SPDX-License-Identifier: MIT */
/* A reload that fails: what counts is what last succeeded, whatever happens next. */
#include "tests/e2e/instance/spares.h"
#include "tests/e2e/upgrade/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

/* [service NAME] on PORT; it runs the worker, unless COMMAND is another one. What the socket is
 * called shows which configuration a process has. */
struct section {
	const char *name, *socket, *command, *more;
	uint16_t port;
};

static void
write_conf(struct stage *s, const struct section *sections, int n)
{
	char *text = talloc_asprintf(harness_mem(), "[supervisor]\ncontrol = %s\n", s->control);

	for (int i = 0; i < n; i++) {
		const struct section *c = &sections[i];
		const char *mode = talloc_asprintf(harness_mem(), "mode.%s", c->name);

		if (access(tempdir_path(s->dir, mode), F_OK) != 0)
			tempdir_write(s->dir, mode, "good\n");
		text = talloc_asprintf_append(text,
		    "[service %s]\ncommand = %s %s\nlisten.%s = 127.0.0.1:%d\n%s\n", c->name,
		    c->command != NULL ? c->command : harness_built("tests/fixtures/worker"),
		    tempdir_path(s->dir, mode), c->socket, c->port, c->more == NULL ? "" : c->more);
	}
	tempdir_write(s->dir, "conf", "%s", text);
}
#define WRITE_CONF(s, sections) \
	write_conf((s), (sections), sizeof(sections) / sizeof((sections)[0]))

static struct stage *
start_with(const struct section *sections, int n)
{
	struct stage *s = stage_new("");

	write_conf(s, sections, n);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

static void
set_mode(struct stage *s, const char *service, const char *mode)
{
	tempdir_write(s->dir, talloc_asprintf(harness_mem(), "mode.%s", service), "%s\n", mode);
}

/* It is refused, and what is said of it. */
static void
reload_fails(struct stage *s, const char *says)
{
	struct proc *p = proc_finish(stage_cli(s, "reload"), 1);

	if (!stage_matches(proc_text(p, PROC_ERR), says))
		harness_fail("%s\ndoes not match %s", proc_text(p, PROC_ERR), says);
}

/* The process on PORT crashes, and the next one there has a socket of that name. */
static void
crash_brings(uint16_t port, const char *socket)
{
	struct who w = stage_ask(port);

	assert_string_equal(w.names, socket);
	kill(w.pid, SIGKILL);
	stage_wait_gone(w.pid);
	assert_string_equal(stage_ask(port).names, socket);
	assert_int_equal(stage_ask(port).generation > w.generation, 1);
}

static bool
status_json_has(struct stage *s, const char *text)
{
	struct proc *p = proc_finish(stage_cli(s, "status", "--json"), 0);

	return strstr(proc_text(p, PROC_OUT), text) != NULL;
}

#define REFUSED                                                                                 \
	"^w: what was read 20[-0-9]+ [0-9:]+ counts; what the file said 20[-0-9]+ [0-9:]+ was " \
	"refused: w\\.0: generation [0-9]+ exited with status 1 before it was ready"

static void
a_crash_does_not_start_what_was_refused(void **state)
{
	uint16_t port = port_free(1);
	const struct section good[] = {{"w", "before", .port = port}};
	const struct section bad[] = {{"w", "after", .port = port, .command = "/bin/false"}};
	const struct section better[] = {{"w", "after", .port = port}};
	struct stage *s = start_with(good, 1);

	(void)state;
	assert_true(status_json_has(s, "\"refused_why\": null"));
	WRITE_CONF(s, bad);
	reload_fails(s, "serves on; the configuration that was before counts again for w; 0 of 1");
	stage_wait_status(s, REFUSED);
	crash_brings(port, "before");
	crash_brings(port, "before");
	/* A restart, too, and baton's own successor. */
	proc_finish(stage_cli(s, "restart"), 0);
	assert_string_equal(stage_ask(port).names, "before");
	upgrade(s);
	stage_wait_status(s, REFUSED);
	crash_brings(port, "before");
	/* The file is refused as often as it is read, and taken when it is good. */
	reload_fails(s, "exited with status 1");
	crash_brings(port, "before");
	WRITE_CONF(s, better);
	proc_finish(stage_cli(s, "reload"), 0);
	crash_brings(port, "after");
	assert_false(stage_matches(stage_status(s), "was refused"));
	assert_true(status_json_has(s, "\"refused_why\": null"));
	stage_stop(s);
}

/* One that is wrong altogether is told as well; and a file that says what counts ends that. */
static void
the_status_says_what_counts(void **state)
{
	uint16_t port = port_free(1);
	const struct section good[] = {{"w", "before", .port = port}};
	const struct section wrong[] = {{"w", "before", .port = port, .more = "instanses = 2\n"}};
	const struct section bad[] = {{"w", "after", .port = port, .command = "/bin/false"}};
	struct stage *s = start_with(good, 1);

	(void)state;
	WRITE_CONF(s, wrong);
	reload_fails(s, "unknown key");
	stage_wait_status(s,
	    "^configuration: what was read 20[-0-9]+ [0-9:]+ counts; what the file "
	    "said 20[-0-9]+ [0-9:]+ was refused: ");
	upgrade(s);
	stage_wait_status(s, "^configuration: what was read ");
	WRITE_CONF(s, bad);
	reload_fails(s, "exited with status 1");
	stage_wait_status(s, REFUSED);
	assert_false(stage_matches(stage_status(s), "^configuration: "));
	WRITE_CONF(s, good);
	proc_finish(stage_cli(s, "reload"), 0);
	assert_false(stage_matches(stage_status(s), "was refused"));
	assert_int_equal(stage_ask(port).generation, 1);
	stage_stop(s);
}

/* A reload that comes at the wrong time says nothing about the file. */
static void
what_was_not_read_is_not_refused(void **state)
{
	uint16_t port = port_free(2);
	struct section conf[] = {{"w", "before", .port = port,
	    .more = "canary = yes\ninstances = 2\n"
		    "canary_time_ms = 0\n"}};
	struct stage *s = start_with(conf, 1);
	struct proc *p = stage_cli(s, "restart");

	(void)state;
	stage_wait_status(s, "^a restart is under way: paused");
	reload_fails(s, "a restart is under way");
	assert_false(stage_matches(stage_status(s), "was refused"));
	proc_finish(stage_cli(s, "continue"), 0);
	proc_finish(p, 0);
	stage_stop(s);
}

/* Of several services each has what it last succeeded with. */
static void
one_of_several_fails(void **state)
{
	uint16_t port = port_free(3);
	const uint16_t p1 = (uint16_t)(port + 1), p2 = (uint16_t)(port + 2);
	const struct section good[] = {{"a", "before", .port = port}, {"b", "before", .port = p1},
	    {"c", "before", .port = p2}};
	const struct section bad[] = {{"a", "after", .port = port},
	    {"b", "after", .port = p1, .command = "/bin/false"}, {"c", "after", .port = p2}};
	struct stage *s = start_with(good, 3);

	(void)state;
	WRITE_CONF(s, bad);
	reload_fails(s, "counts again for b, c; 1 of 3");
	crash_brings(port, "after");
	crash_brings(p1, "before");
	crash_brings(p2, "before");
	upgrade(s);
	crash_brings(port, "after");
	crash_brings(p1, "before");
	crash_brings(p2, "before");
	stage_stop(s);
}

/* Instances that are replaced already come back, on the sockets that they had. */
static void
all_instances_go_back(void **state)
{
	uint16_t port = port_free(4);
	const struct section good[] = {{"w", "before", .port = port, .more = "instances = 2\n"}};
	const struct section bad[] = {
	    {"w", "after", .port = (uint16_t)(port + 2), .more = "instances = 2\n"}};
	struct stage *s = start_with(good, 1);

	(void)state;
	set_mode(s, "w", "only 1 exit 1");
	WRITE_CONF(s, bad);
	reload_fails(s, "w\\.1: generation 2 exited with status 1 .*; 1 of 2 instances");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .*:[0-9]+ .* ready in .* generation 3$");
	assert_string_equal(stage_ask(port).names, "before");
	assert_string_equal(stage_ask((uint16_t)(port + 1)).names, "before");
	wait_until("nobody listens on the new ports",
	    client_try((uint16_t)(port + 2)) == ECONNREFUSED &&
		client_try((uint16_t)(port + 3)) == ECONNREFUSED);
	set_mode(s, "w", "good");
	crash_brings(port, "before");
	crash_brings((uint16_t)(port + 1), "before");
	proc_finish(stage_cli(s, "reload"), 0);
	crash_brings((uint16_t)(port + 2), "after");
	crash_brings((uint16_t)(port + 3), "after");
	wait_until("nobody listens on the old ports",
	    client_try(port) == ECONNREFUSED && client_try((uint16_t)(port + 1)) == ECONNREFUSED);
	stage_stop(s);
}

/* Their number belongs to the configuration that was refused; and `scale` is about the other. */
static void
the_number_of_instances_stays(void **state)
{
	uint16_t port = port_free(3);
	const struct section good[] = {{"w", "before", .port = port, .more = "instances = 2\n"}};
	struct section bad[] = {{"w", "after", .port = port, .command = "/bin/false"}};
	static const char *const numbers[] = {"instances = 1\n", "instances = 3\n"};
	struct stage *s = start_with(good, 1);

	(void)state;
	for (int i = 0; i < 2; i++) {
		bad[0].more = numbers[i];
		WRITE_CONF(s, bad);
		reload_fails(s, "counts again for w");
		wait_until("two are left", stage_matches(stage_status(s), "^w +w\\.1 .* ready ") &&
					       !stage_matches(stage_status(s), "^w +w\\.2 "));
		assert_string_equal(stage_ask((uint16_t)(port + 1)).names, "before");
	}
	proc_finish(stage_cli(s, "scale", "w=3"), 0);
	assert_string_equal(stage_ask((uint16_t)(port + 2)).names, "before");
	stage_stop(s);
}

/* Who takes over a socket by a reload that fails gives it back. */
static void
addresses_go_back_together(void **state)
{
	uint16_t port = port_free(3);
	const uint16_t p1 = (uint16_t)(port + 1), p2 = (uint16_t)(port + 2);
	const struct section good[] = {{"a", "before", .port = port}, {"b", "before", .port = p1}};
	/* a gets b's port, and works there; b fails on its new one. */
	const struct section bad[] = {
	    {"a", "after", .port = p1}, {"b", "after", .port = p2, .command = "/bin/false"}};
	struct stage *s = start_with(good, 2);
	struct proc *p;

	(void)state;
	WRITE_CONF(s, bad);
	p = proc_finish(stage_cli(s, "reload"), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "counts again for a, b; 1 of 2"));
	wait_until("both are back",
	    strcmp(stage_ask(port).service, "a") == 0 && strcmp(stage_ask(p1).service, "b") == 0);
	wait_until("the processes, too", strcmp(stage_ask(port).names, "before") == 0);
	crash_brings(port, "before");
	crash_brings(p1, "before");
	assert_int_equal(client_try(p2), ECONNREFUSED);
	stage_stop(s);
}

/* One that crashes in its probation is rolled back by itself, in the middle of the reload: to what
 * had proved good, on its sockets; and what was read last is refused. */
static void
a_rollback_is_one_to_what_counted(void **state)
{
	uint16_t port = port_free(4);
	struct section conf[] = {{"w", "before", .port = port,
	    .more = "probation_time_ms = 1\n"
		    "instances = 2\n"}};
	struct stage *s = start_with(conf, 1);
	const char *bad;
	int fd;

	(void)state;
	wait_until("it has proved good", status_json_has(s, "\"since_unix_ms\""));
	bad = tempdir_copy(s->dir, "bad", harness_built("tests/fixtures/worker"));
	fd = open(bad, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(dprintf(fd, "\n#mode ready-then-die\n") > 0);
	close(fd);
	conf[0] = (struct section){"w", "after", .port = (uint16_t)(port + 2), .command = bad,
	    .more = "probation_time_ms = 600000\ninstances = 2\n"};
	WRITE_CONF(s, conf);
	reload_fails(s,
	    "w\\.0: generation 2 .*status 7.*counts again for w; .*rolled back to the executable");
	crash_brings(port, "before");
	crash_brings((uint16_t)(port + 1), "before");
	stage_wait_status(s, "^w: what was read .* was refused: w\\.0: generation 2");
	/* From the file again, but not with what was refused. */
	proc_finish(stage_cli(s, "restart"), 0);
	crash_brings(port, "before");
	stage_stop(s);
}

/* Spares are of what counts, those that are started after the reload as well. */
static void
spares_are_of_what_counts(void **state)
{
	struct scene s = scene_new(1, "good", "spares = 1\n");
	const char *conf = tempdir_read(s.baton.config), *command = strstr(conf, "command =");
	struct proc *p;
	int spare;

	(void)state;
	scene_wait(&s, WARM);
	tempdir_write(s.dir, "fresh", "%.*scommand = /bin/false\n%s", (int)(command - conf), conf,
	    strchr(command, '\n') + 1);
	assert_int_equal(rename(tempdir_path(s.dir, "fresh"), s.baton.config), 0);
	p = proc_finish(baton_command(&s.baton, "reload", NULL), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "counts again for s; 0 of 1"));
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	kill_hard(spare);
	scene_wait(&s, WARM);
	assert_int_not_equal(pid_of(&s, "s.spare.0"), spare);
	spare = pid_of(&s, "s.spare.0");
	kill_instance(s.port);
	assert_int_equal(baton_who(s.port).pid, spare);
	scene_wait(&s, WARM);
	baton_stop(&s.baton);
}

/* A service that is new has nothing to go back to: it goes, if it is in the way. */
static void
what_is_new_gives_way(void **state)
{
	uint16_t port = port_free(3);
	const uint16_t p1 = (uint16_t)(port + 1), p2 = (uint16_t)(port + 2);
	const struct section good[] = {{"w", "before", .port = port, .more = "instances = 2\n"}};
	const struct section bad[] = {{"w", "after", .port = port, .command = "/bin/false"},
	    {"v", "new", .port = p1}, {"x", "new", .port = p2}};
	struct stage *s = start_with(good, 1);

	(void)state;
	WRITE_CONF(s, bad);
	reload_fails(s, "counts again for w");
	wait_until("v is gone", strstr(stage_status(s), "v.0") == NULL);
	for (int i = 0; i < 2; i++) {
		crash_brings(port, "before");
		crash_brings(p1, "before");
		assert_string_equal(stage_ask(p1).service, "w");
		assert_string_equal(stage_ask(p2).service, "x");
		upgrade(s);
	}
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_crash_does_not_start_what_was_refused),
	    e2e_test(the_status_says_what_counts),
	    e2e_test(what_was_not_read_is_not_refused),
	    e2e_test(one_of_several_fails),
	    e2e_test(all_instances_go_back),
	    e2e_test(the_number_of_instances_stays),
	    e2e_test(addresses_go_back_together),
	    e2e_test(what_is_new_gives_way),
	    e2e_test(spares_are_of_what_counts),
	    e2e_test(a_rollback_is_one_to_what_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
