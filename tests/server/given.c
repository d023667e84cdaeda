/* SPDX-License-Identifier: MIT */
/*
 * What a program was given (its signals, its limit of descriptors, its nice value) is what the programs have that
 * its handlers start, and no thread of the server's takes a signal of the program's. Each server
 * is in a process of its own, which http_server_run has for itself.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/server/holding.h"

/* The signals up to 28: the C library has some of its own beyond those that have names. */
#define SHOW                                                                  \
	"sed -nE 's/^(SigBlk|SigIgn).*(.{7})$/\\1 \\2/p' /proc/self/status; " \
	"ulimit -Sn; nice"

/* ---- A server in a process of its own ----------------------------------------------------------- */

struct served {
	pid_t pid; /* 0: it has ended */
	uint16_t port;
	char before[500]; /* what a program that it starts has before it serves */
};

static int
served_free(struct served *v)
{
	if (v->pid > 0) {
		kill(v->pid, SIGKILL);
		waitpid(v->pid, NULL, 0);
	}
	return 0;
}

/* What a child started so says of itself. */
static void
say_by_popen(char *text, size_t size)
{
	FILE *f = popen(SHOW, "re");
	size_t n = f == NULL ? 0 : fread(text, 1, size - 1, f);

	text[n] = '\0';
	if (f != NULL)
		pclose(f);
}

static void
say_by_fork(char *text, size_t size)
{
	int ends[2];
	ssize_t n = 0, got;
	pid_t pid;

	text[0] = '\0';
	if (pipe2(ends, O_CLOEXEC) != 0)
		return;
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", SHOW, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + n, size - 1 - (size_t)n)) > 0)
		n += got;
	text[n] = '\0';
	close(ends[0]);
	waitpid(pid, NULL, 0);
}

static int
spawn(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	void (*say)(char *, size_t) = data;
	char text[500];

	(void)ctx, (void)req;
	say(text, sizeof(text));
	return http_response_printf(res, 200, "%s", text);
}

struct report {
	struct http_server *s;
	int fd;
	atomic_bool told;
	struct served v;
};

/* The first thread begins when everything is open. */
static void
tell(void *data)
{
	struct report *r = data;
	int port = http_server_port(r->s, "web");

	if (port > 0 && !atomic_exchange(&r->told, true)) {
		r->v.port = (uint16_t)port;
		if (write(r->fd, &r->v, sizeof(r->v)) != sizeof(r->v))
			_exit(3);
	}
}

static _Noreturn void
serve(void (*prepare)(void), int fd)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct report r = {.s = http_server_new(NULL), .fd = fd};

	dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
	prepare();
	say_by_popen(r.v.before, sizeof(r.v.before));
	http_server_set(r.s, "idle_linger_ms", "0");
	http_server_listen(r.s, "web", "127.0.0.1:0");
	http_server_handle(r.s, "/popen", spawn, say_by_popen);
	http_server_handle_with(r.s, "/popen/worker", spawn, say_by_popen, &blocking);
	http_server_handle(r.s, "/fork", spawn, say_by_fork);
	http_server_thread_hooks(r.s, tell, NULL, &r);
	_exit(http_server_run(r.s));
}

static struct served *
served_new(void (*prepare)(void))
{
	struct served *v = talloc_zero(harness_mem(), struct served);
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		serve(prepare, ends[1]);
	close(ends[1]);
	talloc_set_destructor(v, served_free);
	v->pid = pid;
	assert_int_equal(read(ends[0], v, sizeof(*v)), sizeof(*v));
	v->pid = pid;
	close(ends[0]);
	return v;
}

static void
expect_end(struct served *v, int sig)
{
	int status = -1;

	assert_int_equal(kill(v->pid, sig), 0);
	wait_until("it has ended", waitpid(v->pid, &status, WNOHANG) == v->pid);
	v->pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Signals that end it ------------------------------------------------------------------------ */

static void
block_all(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static void
ignore_many(void)
{
	static const int sigs[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGUSR2};

	for (size_t i = 0; i < COUNT(sigs); i++)
		signal(sigs[i], SIG_IGN);
}

static void
nothing(void)
{
}

static void
it_ends_however_its_signals_were_when_it_was_started(void **state)
{
	(void)state;
	expect_end(served_new(block_all), SIGTERM);
	expect_end(served_new(block_all), SIGINT);
	expect_end(served_new(ignore_many), SIGTERM);
	expect_end(served_new(ignore_many), SIGINT);
}

/* As nohup does it. */
static void
an_ignored_hangup_is_ignored(void **state)
{
	struct served *v = served_new(ignore_many);

	(void)state;
	kill(v->pid, SIGHUP);
	assert_non_null(client_fetch(v->port, "/popen"));
	expect_end(v, SIGTERM);
}

/* ---- What children have ------------------------------------------------------------------------- */

static void
few_files(void)
{
	struct rlimit lim;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = 60;
	setrlimit(RLIMIT_NOFILE, &lim);
}

/* Nothing of what http_server_run does is seen in them; in leader and worker, and again. */
static void
expect_same(struct served *v)
{
	static const char *const targets[] = {"/popen", "/popen", "/popen/worker", "/fork"};

	assert_non_null(strstr(v->before, "SigIgn"));
	for (size_t i = 0; i < COUNT(targets); i++)
		assert_string_equal(client_fetch(v->port, targets[i]), v->before);
	expect_end(v, SIGTERM);
}

static void
few_blocked(void)
{
	sigset_t few;

	sigemptyset(&few);
	sigaddset(&few, SIGUSR1);
	sigaddset(&few, SIGTERM);
	sigprocmask(SIG_SETMASK, &few, NULL);
	signal(SIGPIPE, SIG_IGN);
	few_files();
}

static void
children_of_handlers_have_what_the_program_was_given(void **state)
{
	(void)state;
	expect_same(served_new(nothing));
	expect_same(served_new(few_files));
	expect_same(served_new(few_blocked));
}

/* More than there is room for: the limit is raised, for as long as they are there. */
static void
the_limit_of_descriptors_is_raised_while_it_must_be(void **state)
{
	enum { MANY = 100 };
	struct served *v;
	struct client *c[MANY];
	struct rlimit lim;
	(void)state;
	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_max < 2 * MANY || lim.rlim_cur < 2 * MANY)
		harness_skip("too few descriptors are allowed");
	v = served_new(few_files);
	assert_non_null(strstr(v->before, "\n60\n"));
	for (int i = 0; i < MANY; i++) {
		c[i] = client_open(v->port);
		assert_int_equal(client_get(c[i], "/nowhere")->status, 404);
	}
	/* Who forks can be helped. */
	assert_string_equal(client_get(c[0], "/fork")->body, v->before);
	assert_string_not_equal(client_get(c[0], "/popen")->body, v->before);
	for (int i = 1; i < MANY; i++)
		client_close(c[i]);
	wait_until("it is as it was", strcmp(client_get(c[0], "/popen")->body, v->before) == 0);
	expect_end(v, SIGTERM);
}

/* ---- Whose signals they are --------------------------------------------------------------------- */

/* Of each thread whose name begins with "baton/": does it block that signal? */
static int
count_open_to(int sig)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *d;
	int n = 0;

	assert_non_null(tasks);
	while ((d = readdir(tasks)) != NULL) {
		char path[300], line[200];
		unsigned long long blocked = ~0ULL;
		bool ours = false;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", d->d_name);
		f = fopen(path, "re");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			ours = ours || strncmp(line, "Name:\tbaton/", 12) == 0;
			sscanf(line, "SigBlk: %llx", &blocked);
		}
		if (f != NULL)
			fclose(f);
		n += ours && (blocked & 1ULL << (sig - 1)) == 0;
	}
	closedir(tasks);
	return n;
}

static int
tell_mask(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	sigset_t now;

	(void)ctx, (void)req, (void)data;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return http_response_printf(res, 200, "%s%s", sigismember(&now, SIGUSR1) ? "USR1" : "",
	    sigismember(&now, SIGUSR2) ? "USR2" : "");
}

/* The program blocks them after the start, and looks at them when it likes to. */
static void
no_thread_of_an_idle_server_takes_a_signal(void **state)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct http_server *s = brief_server();
	sigset_t before, usr1, usr2, pending;
	const struct timespec now = {0};
	uint16_t port;

	(void)state;
	log_open();
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &usr1, &before);
	http_server_handle(s, "/", tell_mask, NULL);
	http_server_handle_with(s, "/worker", tell_mask, NULL, &blocking);
	port = serving_start(s);
	pthread_sigmask(SIG_BLOCK, &usr2, NULL);
	/* Handlers run with the mask that there was at the start. */
	assert_string_equal(client_fetch(port, "/"), "USR1");
	assert_string_equal(client_fetch(port, "/worker"), "USR1");
	wait_until("all wait", count_open_to(SIGUSR2) == 0);
	/* leader, monitor, worker; and a spare, which may come between two counts */
	wait_until("all are open to their own faults",
	    count_open_to(SIGSEGV) >= 3 && count_open_to(SIGSEGV) == count_open_to(SIGBUS));
	kill(getpid(), SIGUSR2);
	assert_int_equal(sigpending(&pending), 0);
	assert_true(sigismember(&pending, SIGUSR2));
	assert_int_equal(sigtimedwait(&usr2, NULL, &now), SIGUSR2);
	serving_stop(s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(it_ends_however_its_signals_were_when_it_was_started),
	    e2e_test(an_ignored_hangup_is_ignored),
	    e2e_test(children_of_handlers_have_what_the_program_was_given),
	    e2e_test(the_limit_of_descriptors_is_raised_while_it_must_be),
	    e2e_test(no_thread_of_an_idle_server_takes_a_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
