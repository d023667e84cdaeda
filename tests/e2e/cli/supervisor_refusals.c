/* SPDX-License-Identifier: MIT */
/* What baton refuses, with one clear line each: ports taken, programs that are none, wrong
 * files and words, a second supervisor, strangers at the control socket. */
#include "tests/e2e/supervisor_stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void
a_port_that_is_taken_starts_nothing(void **state)
{
	struct stage *s = stage_new("");
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(s->port + 1))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *line;

	(void)state;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	stage_run(s);
	proc_finish(s->baton, 1);
	line = talloc_asprintf(harness_mem(),
	    "baton: w.1 of service w: cannot listen on 127.0.0.1:%d: Address already in use: %.15s "
	    "(pid %d) listens there; end it, or change the address (%s:6)\n",
	    s->port + 1, program_invocation_short_name, (int)getpid(), s->conf);
	assert_string_equal(proc_text(s->baton, PROC_ERR), line);
	assert_string_equal(proc_text(s->baton, PROC_OUT), "");
	assert_int_equal(access(s->control, F_OK), -1);
	close(fd);
}

/* An address that no other program on this machine connects from: the kernel gives one free port
 * to several connections whose other ends differ, and then any of them may be named. */
#define OWN_ADDRESS "127.77.66.55"

static int
open_socket(struct sockaddr_in *at, bool connects)
{
	struct sockaddr_in own = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	socklen_t len = sizeof(*at);

	if (connects) {
		assert_int_equal(inet_pton(AF_INET, OWN_ADDRESS, &own.sin_addr), 1);
		assert_int_equal(
		    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)), 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
		assert_int_equal(listen(fd, 1), 0);
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

/* Any free port of this side is taken by a connection that somebody opens. */
static void
a_port_that_a_connection_has_is_told_apart(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET}, other;
	struct stage *s = stage_new("");
	int listens, connected, accepted;
	struct proc *p;

	(void)state;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listens = open_socket(&at, false);
	other = at;
	connected = open_socket(&at, true);
	accepted = accept4(listens, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s/worker\nlisten = " OWN_ADDRESS
	    ":%d\n",
	    s->control, s->dir, ntohs(at.sin_port));
	p = proc_finish(stage_cli(s, "run"), 1);
	assert_non_null(strstr(proc_text(p, PROC_ERR),
	    talloc_asprintf(harness_mem(),
		": nobody listens there, but %.15s (pid %d) has a connection to 127.0.0.1:%d from "
		"this port; end it, or change the address",
		program_invocation_short_name, (int)getpid(), ntohs(other.sin_port))));
	/* Nobody has it any more, but the kernel. */
	close(connected);
	p = proc_finish(stage_cli(s, "run"), 1);
	assert_non_null(strstr(proc_text(p, PROC_ERR),
	    talloc_asprintf(harness_mem(),
		": nobody listens there, but a connection to 127.0.0.1:%d that has ended keeps the "
		"port",
		ntohs(other.sin_port))));
	close(accepted);
	close(listens);
	/* And one that is bound, and nothing more. */
	listens = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_port = htons(s->port);
	assert_int_equal(bind(listens, (struct sockaddr *)&at, sizeof(at)), 0);
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s/worker\nlisten = " OWN_ADDRESS
	    ":%d\n",
	    s->control, s->dir, s->port);
	p = proc_finish(stage_cli(s, "run"), 1);
	assert_non_null(strstr(proc_text(p, PROC_ERR),
	    talloc_asprintf(harness_mem(),
		": %.15s (pid %d) keeps this port without listening there; end it, or change the "
		"address",
		program_invocation_short_name, (int)getpid())));
	close(listens);
}

/* In a session of its own a process outlives the instance that has started it. */
static void
a_port_that_an_escaped_child_has_is_told_apart(void **state)
{
	struct stage *s = stage_new("");
	const char *pid_file = tempdir_path(s->dir, "pid");
	const char *head =
	    talloc_asprintf(harness_mem(), "[supervisor]\ncontrol = %s\n", s->control);
	const char *v = talloc_asprintf(harness_mem(),
	    "[service v]\ncommand = %s/worker\nlisten = 127.0.0.1:%d\n", s->dir, s->port + 1);
	struct proc *p;

	(void)state;
	tempdir_write(s->dir, "conf",
	    "%s%s[service w]\ncommand = sh -c 'setsid sh -c \"echo \\$\\$ >%s; exec sleep 600\" & "
	    "exec %s/worker'\nlisten = 127.0.0.1:%d\n",
	    head, v, pid_file, s->dir, s->port);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	wait_until(
	    "it is there", tempdir_read(pid_file) != NULL && atoi(tempdir_read(pid_file)) > 0);
	tempdir_write(s->dir, "conf", "%s%s", head, v);
	proc_finish(stage_cli(s, "reload"), 0);
	wait_until("the service is gone", !stage_matches(stage_status(s), "^w "));
	tempdir_write(s->dir, "conf",
	    "%s%s[service x]\ncommand = %s/worker\nlisten = 127.0.0.1:%d\n", head, v, s->dir,
	    s->port);
	p = proc_finish(stage_cli(s, "reload"), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    talloc_asprintf(harness_mem(),
		"Address already in use: sleep \\(pid %d\\), which w\\.0 of this baton has started, "
		"still has this port; end it, or change the address",
		atoi(tempdir_read(pid_file)))));
	kill(atoi(tempdir_read(pid_file)), SIGKILL);
	stage_stop(s);
}

static void
programs_that_cannot_run_are_refused_before_anything_starts(void **state)
{
	static const struct {
		const char *program, *text;
		mode_t mode;
		const char *says;
	} rows[] = {
	    {"missing", NULL, 0, "found \".*/missing\": no such file$"},
	    {"plain", "text\n", 0644, "found \".*/plain\": not executable by this user"},
	};
	struct stage *s = stage_new("");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *program = tempdir_path(s->dir, rows[i].program);
		struct proc *p;

		if (rows[i].text != NULL) {
			tempdir_write(s->dir, rows[i].program, "%s", rows[i].text);
			assert_int_equal(chmod(program, rows[i].mode), 0);
		}
		p = proc_run("baton", "run", "--control", s->control, program);
		proc_finish(p, 2);
		assert_true(stage_matches(proc_text(p, PROC_ERR), rows[i].says));
	}
}

static void
a_file_that_is_no_program_is_tried_again_with_the_reason(void **state)
{
	struct stage *s = stage_new("");
	const char *program = tempdir_write(s->dir, "text", "neither script nor ELF\n");
	struct proc *p;

	(void)state;
	assert_int_equal(chmod(program, 0755), 0);
	p = proc_run("baton", "run", "--control", s->control, program);
	proc_expect(p, PROC_ERR,
	    "^baton: text\\.0: generation 1 cannot execute .*/text: Exec format error "
	    "\\(neither a program nor a script with #!\\); starting it again at once$");
	proc_expect(p, PROC_ERR, "generation 2 cannot execute .*; starting it again in 100 ms$");
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

/* Words on the command line → exit status and (a part of) what is said on stderr. */
static const struct {
	const char *argv[8];
	int status;
	const char *says;
} words[] = {
    {{"baton"}, 2, "^usage: baton COMMAND"},
    {{"baton", "dance"}, 2, "^baton: unknown command \"dance\"; `baton help` lists them$"},
    {{"baton", "restat"}, 2, "^baton: unknown command \"restat\"; did you mean \"restart\"\\?$"},
    {{"baton", "status", "--jsn"}, 2,
	"^baton: status: --jsn is no option of it; did you mean --json\\?; usage: "},
    {{"baton", "stop", "--instances=2"}, 2,
	"^baton: stop: --instances=2 is no option of it; usage: "},
    {{"baton", "status", "--color=red"}, 2,
	"^baton: status: --color: expected auto, always or never, found \"red\"$"},
    {{"baton", "logs", "-n", "some"}, 2,
	"^baton: logs: -n: expected a number or \"all\", found \"some\"$"},
    {{"baton", "events", "-n-1"}, 2, "^baton: events: -n: expected a number or"},
    {{"baton", "status", "-c"}, 2, "^baton: status: -c needs a value; usage: "},
    {{"baton", "status", "hello"}, 2, "^baton: status: unexpected \"hello\"; usage: "},
    {{"baton", "status", "-c", "/nowhere/conf"}, 2,
	"^baton: /nowhere/conf: cannot be read: No such"},
    {{"baton", "run", "-c", "/nowhere/conf"}, 2,
	"^baton: /nowhere/conf: cannot be opened: No such"},
    {{"baton", "check", "-c", "/nowhere/conf"}, 2,
	"^baton: /nowhere/conf: cannot be opened: No such"},
    {{"baton", "run", "-c", "/nowhere/conf", "--", "/bin/true"}, 2, "exclude each other"},
    {{"baton", "run", "--instances", "2"}, 2, "add: -- PROGRAM ARGS"},
    {{"baton", "run", "--instances", "two", "/bin/true"}, 2,
	"^baton: --instances: instances: expected a number from 1 to 256, found \"two\"$"},
    {{"baton", "run", "--listen", "localhost:80", "/bin/true"}, 2,
	"^baton: --listen: listen: expected IPV4:PORT, \\[IPV6\\]:PORT, :PORT or unix:PATH, found"},
    {{"baton", "run", "--name", "a.b", "/bin/true"}, 2, "^baton: --name: expected 1 to 32"},
    {{"baton", "help", "status", "me"}, 2, "unexpected \"me\"; only config has further topics$"},
    {{"baton", "help", "config", "me"}, 2,
	"unknown key \"me\"; `baton help config` lists them all$"},
    {{"baton", "help", "me"}, 2, "unknown topic \"me\"; there is: config, and every command$"},
    {{"baton", "status", "--control", "/nowhere/socket"}, 3,
	"^baton: no supervisor answers on /nowhere/socket \\(--control\\): No such file"},
    {{"baton", "stop", "--control", "/nowhere/socket"}, 3, "looked, in this order, at: --control"},
    {{"baton", "restart", "--control", "/nowhere/socket"}, 3, "Is `baton run` running"},
};

static void
wrong_words_get_a_status_and_a_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct proc *p =
		    proc_start(&(struct proc_spec){.argv = words[i].argv, .cwd = tempdir_new()});

		proc_finish(p, words[i].status);
		if (!stage_matches(proc_text(p, PROC_ERR), words[i].says))
			harness_fail("row %zu: it said:\n%s", i, proc_text(p, PROC_ERR));
		assert_string_equal(proc_text(p, PROC_OUT), "");
	}
}

static void
check_tells_all_errors_and_starts_nothing(void **state)
{
	const char *dir = tempdir_new();
	struct proc *p;

	(void)state;
	/* ./baton.conf is found without being named. */
	tempdir_write(dir, "baton.conf", "[service a]\ncommand = /bin/true\ninstances = 3\n");
	p = proc_start(
	    &(struct proc_spec){.argv = (const char *const[]){"baton", "check", NULL}, .cwd = dir});
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), "./baton.conf: good: 1 service, 3 instances\n");
	tempdir_write(
	    dir, "baton.conf", "[service a]\ncommand = /bin/true\ninstances = x\nlsten = y\n");
	p = proc_start(
	    &(struct proc_spec){.argv = (const char *const[]){"baton", "check", NULL}, .cwd = dir});
	proc_finish(p, 2);
	assert_string_equal(proc_text(p, PROC_ERR),
	    "baton: ./baton.conf:3: [service a] instances: expected a number from 1 to 256, found "
	    "\"x\"\n"
	    "baton: ./baton.conf:4: [service a] lsten: unknown key; did you mean \"listen\"?\n");
	p = proc_start(
	    &(struct proc_spec){.argv = (const char *const[]){"baton", "check", "-c", "-", NULL},
		.cwd = dir,
		.in = true});
	proc_write(p, "[service a]\n");
	proc_write(p, NULL);
	proc_finish(p, 2);
	assert_string_equal(proc_text(p, PROC_ERR),
	    "baton: standard input:1: [service a] command: missing; expected a program and its "
	    "arguments\n");
}

static void
a_second_supervisor_is_refused_and_harms_nothing(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_start(s);
	p = proc_run("baton", "run", "-c", s->conf);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: another baton \\(pid [0-9]+\\) runs with the control socket "));
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_status(s);
	/* SIGKILL leaves the files; the next one replaces them. */
	proc_signal(s->baton, SIGKILL);
	proc_wait(s->baton);
	harness_kill_children();
	assert_int_equal(access(s->control, F_OK), 0);
	stage_start(s);
	stage_status(s);
	stage_stop(s);
}

static void
rude_clients_are_noticed_by_nobody_else(void **state)
{
	struct stage *s = stage_new("");
	struct client *idle[100], *c;
	char *junk = talloc_zero_size(harness_mem(), 1 << 20);

	(void)state;
	stage_start(s);
	for (int i = 0; i < 100; i++)
		idle[i] = client_open_unix(s->control);
	/* A million bytes of one line: the reason, then the end. */
	memset(junk, '{', 1 << 20);
	c = client_open_unix(s->control);
	client_send_bytes(c, junk, 4096);
	assert_non_null(strstr(client_read_line(c), "one line of at most 4096 bytes"));
	client_send_bytes(c, junk, 1 << 20);
	client_close(c);
	c = client_open_unix(s->control);
	client_send(c, "GET / HTTP/1.1\r\n\r\n");
	assert_non_null(strstr(client_read_line(c), "one JSON object a line"));
	client_close(c);
	/* One that asks and goes away without reading. */
	c = client_open_unix(s->control);
	client_send(c, "{\"command\":\"status\"}\n");
	client_close(c);
	stage_status(s);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	for (int i = 0; i < 100; i++)
		client_close(idle[i]);
	stage_stop(s);
}

static void
while_it_ends_it_answers_and_starts_nothing(void **state)
{
	struct stage *s = stage_new("drain_timeout_ms = 3600000\n");
	struct proc *stop[2], *p;

	(void)state;
	stage_mode(s, "ignore-term");
	stage_start(s);
	for (int i = 0; i < 2; i++) {
		stop[i] = stage_cli(s, "stop");
		proc_expect(stop[i], PROC_OUT, "^ending in good order$");
	}
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +1 +[0-9]+ +stopping "));
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "^baton: restart failed: baton is stopping$"));
	/* Both who wait are told, although it ends by force. */
	proc_signal(s->baton, SIGINT);
	for (int i = 0; i < 2; i++)
		proc_finish(stop[i], 0);
	proc_finish(s->baton, 0);
}

static void
another_user_is_not_let_in(void **state)
{
	struct stage *s = stage_new("");
	const char *dir = tempdir_new(), *copy;
	struct proc *p;

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	stage_start(s);
	/* The build may lie where an ordinary user cannot look. */
	tempdir_own(dir, 65534);
	copy = tempdir_copy(dir, "baton", harness_built("baton"));
	/* Even if somebody opens the socket's mode and its directory. */
	assert_int_equal(chmod(s->dir, 0755), 0);
	assert_int_equal(chmod(s->control, 0666), 0);
	p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){copy, "stop", "--control", s->control, NULL},
	    .cwd = "/",
	    .uid = 65534});
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "stop failed: only the user who runs baton, and root, may control it"));
	proc_expect(s->baton, PROC_ERR, "^baton: control: uid 65534 was not let in$");
	stage_status(s);
	stage_stop(s);
}

static void
an_ordinary_user_can_run_it(void **state)
{
	const char *dir = tempdir_new(), *runtime = tempdir_path(dir, "runtime");
	const char *env, *copy, *worker;
	uint16_t port = port_free(1);
	struct proc *p, *q;

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	tempdir_own(dir, 65534);
	assert_int_equal(mkdir(runtime, 0700), 0);
	assert_int_equal(chown(runtime, 65534, 65534), 0);
	env = talloc_asprintf(harness_mem(), "XDG_RUNTIME_DIR=%s", runtime);
	/* The build may lie where an ordinary user cannot look. */
	copy = tempdir_copy(dir, "baton", harness_built("baton"));
	worker = tempdir_copy(dir, "worker", harness_built("tests/fixtures/worker"));
	p = proc_start(&(struct proc_spec){.argv = (const char *const[]){copy, "run", "--listen",
					       port_address(port), worker, NULL},
	    .env = (const char *const[]){env, NULL},
	    .cwd = "/",
	    .uid = 65534});
	proc_expect(p, PROC_OUT, "^Ctrl-C ");
	/* The client finds it by the same rule. */
	q = proc_start(&(struct proc_spec){.argv = (const char *const[]){copy, "stop", NULL},
	    .env = (const char *const[]){env, NULL},
	    .cwd = "/",
	    .uid = 65534});
	proc_finish(q, 0);
	proc_finish(p, 0);
	/* A directory that others may write to is not trusted. */
	assert_int_equal(chmod(tempdir_path(runtime, "baton"), 0777), 0);
	p = proc_start(&(struct proc_spec){.argv = (const char *const[]){copy, "run", worker, NULL},
	    .env = (const char *const[]){env, NULL},
	    .cwd = "/",
	    .uid = 65534});
	proc_finish(p, 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "^baton: .*/baton has mode 0777, .*; chmod it to 0700$"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_port_that_is_taken_starts_nothing),
	    e2e_test(a_port_that_a_connection_has_is_told_apart),
	    e2e_test(a_port_that_an_escaped_child_has_is_told_apart),
	    e2e_test(programs_that_cannot_run_are_refused_before_anything_starts),
	    e2e_test(a_file_that_is_no_program_is_tried_again_with_the_reason),
	    e2e_test(wrong_words_get_a_status_and_a_line),
	    e2e_test(check_tells_all_errors_and_starts_nothing),
	    e2e_test(a_second_supervisor_is_refused_and_harms_nothing),
	    e2e_test(rude_clients_are_noticed_by_nobody_else),
	    e2e_test(while_it_ends_it_answers_and_starts_nothing),
	    e2e_test(another_user_is_not_let_in),
	    e2e_test(an_ordinary_user_can_run_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
