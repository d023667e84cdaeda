/* SPDX-License-Identifier: MIT */
/* `baton upgrade`: the program is another one, and everything else goes on as it was. */
#include "tests/e2e/upgrade/upgrade.h"
#include "tests/harness/baton.h"
#include "tests/harness/load.h"

#include <dirent.h>
#include <sys/stat.h>

enum { BETWEEN = 200 };

static void
clients_notice_nothing(void **state)
{
	struct load_spec spec = {.ports = 2, .keepalive = 16, .oneshot = 8, .gap_ms = 1};
	struct load_result r;
	struct baton_who before[2], now;
	struct baton b;
	struct load *l;

	(void)state;
	spec.port = port_free(2);
	b = baton_hello(spec.port, 2);
	for (int i = 0; i < 2; i++)
		before[i] = baton_who((uint16_t)(spec.port + i));
	l = load_start(&spec);
	for (int n = 0; n < 3; n++) {
		load_wait_ok(l, BETWEEN);
		proc_finish(baton_command(&b, "upgrade", NULL), 0);
	}
	load_wait_ok(l, BETWEEN);
	for (int i = 0; i < 2; i++) {
		now = baton_who((uint16_t)(spec.port + i));
		assert_memory_equal(&now, &before[i], sizeof(now));
	}
	/* The handover channels are there: connections move as if nothing had been. */
	baton_restart(&b);
	load_wait_ok(l, BETWEEN);
	proc_finish(baton_command(&b, "upgrade", NULL), 0);
	baton_restart(&b);
	load_wait_ok(l, BETWEEN);
	r = load_stop(l);
	load_assert_clean(&r);
	assert_int_equal(r.reopened, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(baton_who((uint16_t)(spec.port + i)).generation, 3);
	baton_stop(&b);
}

/* All that status knows, but how long ago things were. */
static const char *
timeless_status(struct stage *s)
{
	struct proc *p = proc_finish(stage_cli(s, "status", "--json"), 0);
	char *text = talloc_strdup(harness_mem(), proc_text(p, PROC_OUT)), *save = NULL;
	char *kept = talloc_strdup(harness_mem(), "");

	for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		if (!stage_matches(
			l, "\"(uptime_ms|cpu_ms|cpu_percent|memory_bytes|connections)\""))
			kept = talloc_asprintf_append(kept, "%s\n", l);
	}
	return kept;
}

static void
what_was_counted_stays(void **state)
{
	struct stage *s = stage_new("");
	const char *before;

	(void)state;
	stage_mode(s, "tell");
	stage_start(s);
	proc_finish(stage_cli(s, "restart", "w.1"), 0);
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready .*was ended by signal 9");
	stage_mode(s, "exit 3");
	proc_finish(stage_cli(s, "restart", "w.0"), 1);
	wait_until(
	    "the message of the worker is there", strstr(timeless_status(s), "with tests") != NULL);
	before = timeless_status(s);
	assert_non_null(strstr(before, "last_restart"));
	upgrade(s);
	assert_string_equal(timeless_status(s), before);
	proc_signal(s->baton, SIGUSR2);
	proc_expect(s->baton, PROC_OUT, "^baton was upgraded .*, 2 instances kept$");
	proc_expect(s->baton, PROC_OUT, "^baton was upgraded .*, 2 instances kept$");
	assert_string_equal(timeless_status(s), before);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
ends_are_noticed_and_numbers_go_on(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_start(s);
	upgrade(s);
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready .*was ended by signal 9");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 3);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 2);
	stage_stop(s);
}

static void
output_goes_on_where_it_went(void **state)
{
	const char *dir = tempdir_new(), *log = tempdir_path(dir, "log"),
		   *moved = tempdir_path(dir, "moved");
	struct stage *s = stage_new(talloc_asprintf(harness_mem(), "stdout = %s\n", log));

	(void)state;
	stage_mode(s, "halves");
	stage_start(s);
	wait_until("two lines", stage_matches(tempdir_read(log), "worker is up\nworker is up\n"));
	assert_int_equal(rename(log, moved), 0);
	stage_status(s); /* what was written before that has been read */
	stage_status(s);
	upgrade(s);
	stage_ask(s->port);
	wait_until("a whole line, in the file that was open",
	    stage_matches(tempdir_read(moved), "^one half and the other half$"));
	proc_signal(s->baton, SIGUSR1);
	proc_expect(s->baton, PROC_OUT, "^SIGUSR1: 1 log file opened anew$");
	stage_ask((uint16_t)(s->port + 1));
	wait_until("a line in the new one",
	    stage_matches(tempdir_read(log), "^one half and the other half$"));
	stage_stop(s);
}

static int
count_descriptors(pid_t pid)
{
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static long
resident_kib(pid_t pid)
{
	char path[64];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	at = strstr(tempdir_read(path), "VmRSS:");
	return strtol(at + 6, NULL, 10);
}

static void
twenty_in_a_row_cost_nothing(void **state)
{
	struct stage *s = stage_new("keep_good = 0\n"); /* a copy would be one descriptor more */
	struct who w;
	pid_t pid;
	long kib;
	int fds;

	(void)state;
	stage_start(s);
	pid = proc_pid(s->baton);
	w = stage_ask(s->port);
	upgrade(s);
	wait_until("the client is gone", count_descriptors(pid) > 0);
	fds = count_descriptors(pid);
	kib = resident_kib(pid);
	for (int i = 0; i < 20; i++)
		upgrade(s);
	wait_until("no more descriptors", count_descriptors(pid) <= fds);
	assert_true(resident_kib(pid) < kib + kib / 4 + 1024);
	assert_int_equal(stage_ask(s->port).pid, w.pid);
	stage_stop(s);
}

/* Whoever has asked for something has an answer; nobody is left waiting. */
static void
who_talks_to_it_is_told(void **state)
{
	struct stage *s = stage_new("");
	struct client *asks, *silent;

	(void)state;
	stage_start(s);
	silent = client_open_unix(s->control);
	client_send(silent, "{\"comm");
	asks = client_open_unix(s->control);
	client_send(asks, "{\"command\":\"upgrade\"}\n{\"command\":\"status\"}\n");
	assert_true(stage_matches(client_read_line(asks),
	    "^\\{.*\"ok\": ?true.*\"pid\": ?[0-9]+.*\"instances\": ?2.*\\}$"));
	assert_true(client_wait_end(asks) != CLIENT_DATA);
	assert_true(client_wait_end(silent) != CLIENT_DATA);
	asks = client_open_unix(s->control);
	client_send(asks, "{\"command\":\"events\",\"follow\":true,\"lines\":0}\n");
	upgrade(s);
	assert_true(stage_matches(client_read_line(asks), "baton replaces itself now; ask again"));
	assert_true(client_wait_end(asks) != CLIENT_DATA);
	stage_stop(s);
}

/* What counts is the configuration as it was read, not the file. */
static void
the_configuration_stays_until_it_is_reloaded(void **state)
{
	struct stage *s = stage_new("env.COLOR = a \"strange\" one\nwatchdog_ms = 3000\n"
				    "limit.nofile = 100:200\numask = 027\nlifetime = transient\n");
	const char *good = tempdir_read(s->conf), *environment;

	(void)state;
	stage_start(s);
	tempdir_write(s->dir, "conf", "[supervisor]\ncontrol = %s\nrubbish\n", s->control);
	proc_signal(s->baton, SIGUSR2);
	proc_expect(s->baton, PROC_OUT, "^baton was upgraded ");
	tempdir_write(s->dir, "conf", "%s", good);
	proc_finish(stage_cli(s, "restart", "w.0"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	environment = talloc_asprintf(harness_mem(), "/proc/%d/limits", stage_ask(s->port).pid);
	assert_true(stage_matches(tempdir_read(environment), "^Max open files +100 +200 "));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
a_program_from_the_command_line_is_kept(void **state)
{
	const char *dir = tempdir_new(), *control = tempdir_path(dir, "c");
	uint16_t port = port_free(1);
	const char *program = tempdir_copy(dir, "baton", harness_built("baton"));
	struct proc *p;
	int pid;

	(void)state;
	(void)program;
	/* By a relative path, which means the same afterwards. */
	p = proc_start(&(struct proc_spec){.cwd = dir,
	    .argv = (const char *const[]){"./baton", "run", "--control", control, "--listen",
		port_address(port), "--", harness_built("tests/fixtures/worker"), "no such file",
		NULL}});
	proc_expect(p, PROC_OUT, "^Ctrl-C ");
	pid = stage_ask(port).pid;
	for (int i = 0; i < 2; i++)
		proc_finish(proc_run("baton", "upgrade", "--control", control), 0);
	assert_int_equal(stage_ask(port).pid, pid);
	proc_finish(proc_run("baton", "restart", "--control", control), 0);
	assert_int_equal(stage_ask(port).generation, 2);
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(clients_notice_nothing),
	    e2e_test(what_was_counted_stays),
	    e2e_test(ends_are_noticed_and_numbers_go_on),
	    e2e_test(output_goes_on_where_it_went),
	    e2e_test(twenty_in_a_row_cost_nothing),
	    e2e_test(who_talks_to_it_is_told),
	    e2e_test(the_configuration_stays_until_it_is_reloaded),
	    e2e_test(a_program_from_the_command_line_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
