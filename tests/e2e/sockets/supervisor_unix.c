/* SPDX-License-Identifier: MIT */
/* Services on Unix sockets: their files from the first start to the end, and live connections. */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"

#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A service "w" of the worker, with these lines; it works in b.dir, where its sockets are. */
static struct baton
worker(const char *lines)
{
	const char *dir = tempdir_new();

	tempdir_write(dir, "mode", "good\n");
	return baton_start(&(struct baton_spec){
	    .dir = dir,
	    .services = talloc_asprintf(harness_mem(), "[service w]\ncommand = %s %s/mode\n%s\n",
		tempdir_copy(dir, "worker", harness_built("tests/fixtures/worker")), dir, lines),
	});
}

static const char *
at(const struct baton *b, const char *name)
{
	return tempdir_path(b->dir, name);
}

/* Who answers on a Unix socket of the worker's. */
static struct who
ask(const char *path)
{
	struct client *c = client_open_unix(path);
	struct who w;

	client_send(c, "GET / HTTP/1.0\r\n\r\n");
	if (sscanf(client_read(c, "GET")->body, "%39s %d %d %d %199s", w.service, &w.instance,
		&w.generation, &w.pid, w.names) != 5)
		harness_fail("odd answer");
	client_close(c);
	return w;
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
end(struct baton *b)
{
	proc_signal(b->proc, SIGTERM);
	proc_finish(b->proc, 0);
}

static void
every_instance_has_a_path_of_its_own(void **state)
{
	struct baton b = worker("instances = 2\nlisten = unix:w%i.sock\nlisten.admin = unix:a%i");
	struct proc *p;

	(void)state;
	proc_expect(b.proc, PROC_OUT, "^w\\.0  unix:w0\\.sock unix:a0  pid [0-9]+  ready in ");
	proc_expect(b.proc, PROC_OUT, "^w\\.1  unix:w1\\.sock unix:a1  pid [0-9]+  ready in ");
	proc_expect(b.proc, PROC_OUT, "^  curl --unix-socket w0\\.sock http://localhost/$");
	for (int i = 0; i < 2; i++) {
		struct who w = ask(at(&b, i == 0 ? "w0.sock" : "a1"));

		assert_int_equal(w.instance, i);
		assert_string_equal(w.names, "w:admin");
	}
	p = proc_finish(baton_command(&b, "status", NULL), 0);
	assert_true(stage_matches(
	    proc_text(p, PROC_OUT), "^w +w\\.1 +1 +[0-9]+ +ready +unix:w1.sock unix:a1 "));
	p = proc_finish(baton_command(&b, "status", "--json"), 0);
	assert_non_null(strstr(proc_text(p, PROC_OUT), "\"unix:w1.sock\""));
	/* More of them, and fewer. */
	proc_finish(baton_command(&b, "scale", "w=3"), 0);
	assert_int_equal(ask(at(&b, "w2.sock")).instance, 2);
	proc_finish(baton_command(&b, "scale", "w=1"), 0);
	assert_false(exists(at(&b, "w1.sock")));
	assert_false(exists(at(&b, "w2.sock")));
	assert_int_equal(ask(at(&b, "w0.sock")).instance, 0);
	end(&b);
	assert_false(exists(at(&b, "w0.sock")));
	assert_false(exists(at(&b, "a0")));
}

static void
all_instances_share_one_path(void **state)
{
	struct baton b = worker("instances = 3\nports = shared\nlisten = unix:w.sock");
	struct stat before, after;

	(void)state;
	baton_wait_ready(&b, 3);
	assert_int_equal(stat(at(&b, "w.sock"), &before), 0);
	ask(at(&b, "w.sock"));
	proc_finish(baton_command(&b, "scale", "w=1"), 0);
	baton_restart(&b);
	assert_int_equal(ask(at(&b, "w.sock")).generation, 2);
	assert_int_equal(stat(at(&b, "w.sock"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	end(&b);
	assert_false(exists(at(&b, "w.sock")));
}

static void
more_instances_need_more_paths(void **state)
{
	struct baton b = worker("listen = unix:w.sock");
	struct proc *p;

	(void)state;
	baton_wait_ready(&b, 1);
	p = proc_finish(baton_command(&b, "scale", "w=2"), 1);
	assert_non_null(strstr(proc_text(p, PROC_ERR), "instance 0 has this path; put %i"));
	assert_int_equal(ask(at(&b, "w.sock")).instance, 0);
	end(&b);
}

/* A live one is refused, and who has it is said; a dead one's is replaced. */
static void
what_stands_there_is_looked_at(void **state)
{
	const char *line = talloc_asprintf(harness_mem(), "listen = unix:%s/w", tempdir_new());
	const char *path = strchr(line, ':') + 1;
	struct baton first = worker(line), second;
	int pid;

	(void)state;
	baton_wait_ready(&first, 1);
	pid = ask(path).pid;
	second = worker(line);
	proc_finish(second.proc, 1);
	assert_true(stage_matches(proc_text(second.proc, PROC_ERR),
	    talloc_asprintf(harness_mem(),
		"cannot listen on unix:.*: Address already in use: .* \\(pid %d\\) listens there; "
		"end it, or change the path \\(.*baton.conf:[0-9]+\\)$",
		(int)proc_pid(first.proc))));
	assert_int_equal(ask(path).pid, pid);
	/* Its child serves on when it is killed. */
	proc_signal(first.proc, SIGKILL);
	proc_wait(first.proc);
	second = worker(line);
	proc_finish(second.proc, 1);
	assert_true(stage_matches(proc_text(second.proc, PROC_ERR),
	    talloc_asprintf(harness_mem(),
		"w\\.0 \\(pid %d\\), started by a baton that has died, still serves; end it",
		pid)));
	assert_int_equal(ask(path).pid, pid);
	kill(pid, SIGKILL);
	wait_until("nobody listens", client_try_unix(path) == ECONNREFUSED);
	second = worker(line);
	baton_wait_ready(&second, 1);
	assert_int_not_equal(ask(path).pid, pid);
	end(&second);
	assert_false(exists(path));
}

static void
what_is_no_socket_is_refused(void **state)
{
	static const struct {
		const char *path, *why;
	} rows[] = {{"mode", "a file that is no socket stands there; remove it"},
	    {"no/such", "No such file or directory: make its directory"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct baton b =
		    worker(talloc_asprintf(harness_mem(), "listen = unix:%s", rows[i].path));

		proc_finish(b.proc, 1);
		assert_non_null(strstr(proc_text(b.proc, PROC_ERR), rows[i].why));
		assert_string_equal(tempdir_read(at(&b, "mode")), "good\n");
	}
}

static void
who_has_failed_refuses_until_it_is_reset(void **state)
{
	struct baton b = worker("listen = unix:w\ncrashes_max = 1");
	struct who w;
	struct stat before, after;

	(void)state;
	baton_wait_ready(&b, 1);
	w = ask(at(&b, "w"));
	assert_int_equal(stat(at(&b, "w"), &before), 0);
	kill(w.pid, SIGKILL);
	proc_expect(b.proc, PROC_ERR, "it has failed");
	assert_int_equal(client_try_unix(at(&b, "w")), ECONNREFUSED);
	proc_finish(baton_command(&b, "reset", "w"), 0);
	assert_int_equal(ask(at(&b, "w")).generation, 2);
	assert_int_equal(stat(at(&b, "w"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* And so does one that was stopped; the end finds all of its files. */
	proc_finish(baton_command(&b, "stop", "w"), 0);
	assert_int_equal(client_try_unix(at(&b, "w")), ECONNREFUSED);
	assert_true(exists(at(&b, "w.refusing")));
	end(&b);
	assert_false(exists(at(&b, "w")));
	assert_false(exists(at(&b, "w.refusing")));
}

/* Connections that wait are let go when it has been down for too long. */
static void
who_is_down_for_long_refuses(void **state)
{
	struct baton b = worker("listen = unix:w\nrefuse_after_ms = 300\nbackoff_first_ms = 60000\n"
				"backoff_max_ms = 60000");
	struct client *waits;

	(void)state;
	baton_wait_ready(&b, 1);
	tempdir_write(b.dir, "mode", "exit 3\n");
	kill(ask(at(&b, "w")).pid, SIGKILL);
	proc_expect(b.proc, PROC_ERR, "starting it again in ");
	waits = client_open_unix(at(&b, "w"));
	assert_int_not_equal(client_wait_end(waits), CLIENT_DATA);
	wait_until("it refuses", client_try_unix(at(&b, "w")) == ECONNREFUSED);
	tempdir_write(b.dir, "mode", "good\n");
	proc_finish(baton_command(&b, "reset", "w"), 0);
	ask(at(&b, "w"));
	end(&b);
}

static unsigned
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
mode_and_owner_follow_the_configuration(void **state)
{
	const bool root = geteuid() == 0;
	struct baton b = worker(root ? "listen = unix:w\nsocket_mode = 0640\nsocket_user = nobody\n"
				       "socket_group = 0"
				     : "listen = unix:w\nsocket_mode = 0640");
	struct stat st;
	int pid;

	(void)state;
	baton_wait_ready(&b, 1);
	assert_int_equal(stat(at(&b, "w"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_uid, root ? 65534 : geteuid());
	pid = ask(at(&b, "w")).pid;
	/* A change counts at once, and nothing is replaced for it. */
	tempdir_write(b.dir, "baton.conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s/worker %s/mode\n"
	    "listen = unix:w\nsocket_mode = 0600\n",
	    b.control, b.dir, b.dir);
	proc_finish(baton_command(&b, "reload", NULL), 0);
	assert_int_equal(mode_of(at(&b, "w")), 0600);
	assert_int_equal(ask(at(&b, "w")).pid, pid);
	/* Another path is another socket. */
	tempdir_write(b.dir, "baton.conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s/worker %s/mode\n"
	    "listen = unix:w2\n",
	    b.control, b.dir, b.dir);
	proc_finish(baton_command(&b, "reload", NULL), 0);
	assert_int_equal(ask(at(&b, "w2")).generation, 2);
	assert_int_equal(mode_of(at(&b, "w2")), 0666);
	assert_false(exists(at(&b, "w")));
	end(&b);
}

static int
pid_by(struct client *c)
{
	return atoi(client_get(c, "/pid")->body + strlen("pid "));
}

static void
live_connections_move(void **state)
{
	struct baton b = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service s]\ncommand = %s\nlisten.web = unix:s.sock\n", harness_built("hello"))});
	struct client *c[8];
	int pid;

	(void)state;
	baton_wait_ready(&b, 1);
	for (int i = 0; i < 8; i++) {
		c[i] = client_open_unix(at(&b, "s.sock"));
		pid = pid_by(c[i]);
	}
	for (int round = 0; round < 3; round++) {
		struct proc *p = proc_finish(baton_command(&b, "restart", NULL), 0);
		int now;

		assert_non_null(strstr(proc_text(p, PROC_OUT), "8 connections moved"));
		now = pid_by(c[0]);
		assert_int_not_equal(now, pid);
		for (int i = 1; i < 8; i++)
			assert_int_equal(pid_by(c[i]), now);
		pid = now;
	}
	baton_stop(&b);
	assert_false(exists(at(&b, "s.sock")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_instance_has_a_path_of_its_own),
	    e2e_test(all_instances_share_one_path),
	    e2e_test(more_instances_need_more_paths),
	    e2e_test(what_stands_there_is_looked_at),
	    e2e_test(what_is_no_socket_is_refused),
	    e2e_test(who_has_failed_refuses_until_it_is_reset),
	    e2e_test(who_is_down_for_long_refuses),
	    e2e_test(mode_and_owner_follow_the_configuration),
	    e2e_test(live_connections_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
