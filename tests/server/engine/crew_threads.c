/* SPDX-License-Identifier: MIT */
/*
 * The threads themselves: hooks, names, stacks and nice values; and what happens when none
 * can be made. pthread_create is replaced in this program by one that can fail.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "server/engine/crew.h"
#include "tests/server/holding.h"

/* ---- Failing --------------------------------------------------------------------------------- */

static atomic_bool failing;
static atomic_int failures;

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (atomic_load(&failing)) {
		atomic_fetch_add(&failures, 1);
		return EAGAIN;
	}
	if (real == NULL)
		real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, run, arg);
}

static int
count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* ---- Hooks and attributes -------------------------------------------------------------------- */

static atomic_int started, ended, doubled;
static __thread int here;

static void
start_hook(void *data)
{
	if (here++ != 0)
		atomic_fetch_add(&doubled, 1);
	atomic_fetch_add(&started, *(int *)data);
}

static void
end_hook(void *data)
{
	if (here-- != 1)
		atomic_fetch_add(&doubled, 1);
	atomic_fetch_add(&ended, *(int *)data);
}

/* Whether the hook has run in this thread, and what its stack is. */
static int
describe(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	pthread_attr_t attr;
	size_t stack = 0;

	(void)ctx, (void)req, (void)data;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstacksize(&attr, &stack);
		pthread_attr_destroy(&attr);
	}
	return http_response_printf(res, 200, "%d %zu", here, stack);
}

static struct http_server *
server(struct hold *h)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct http_server *s = brief_server();

	http_server_handle(s, "/name", name_thread, NULL);
	http_server_handle(s, "/hold", hold_block, h);
	http_server_handle(s, "/here", describe, NULL);
	http_server_handle_with(s, "/there", describe, NULL, &blocking);
	return s;
}

static int
count_named(const char *wanted)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *d;
	int n = 0;

	assert_non_null(tasks);
	while ((d = readdir(tasks)) != NULL) {
		char path[300], name[16] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", d->d_name);
		f = fopen(path, "re");
		if (f != NULL && fgets(name, sizeof(name), f) != NULL)
			name[strcspn(name, "\n")] = '\0';
		n += strcmp(name, wanted) == 0;
		if (f != NULL)
			fclose(f);
	}
	closedir(tasks);
	return n;
}

/* Also while a handler runs in the thread that was the leader before. */
static void
one_thread_is_called_leader(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *c;
	uint16_t port;

	(void)state;
	port = serving_start(s);
	c = ask(port, "/hold");
	wait_until("it is held", atomic_load(&h->entered) == 1);
	assert_string_equal(client_fetch(port, "/name"), "baton/leader");
	assert_int_equal(count_named("baton/leader"), 1);
	assert_true(count_named("baton/worker") >= 1);
	hold_open(h);
	expect_answer(c, 200, "held\n");
	serving_stop(s);
}

static void
hooks_run_once_in_each_thread(void **state)
{
	enum { MANY = 100 };
	static int one = 1;
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *c[MANY];
	uint16_t port;

	(void)state;
	log_open();
	assert_int_equal(http_server_thread_hooks(s, start_hook, end_hook, &one), 0);
	port = serving_start(s);
	/* More than may sit idle: all but 64, a leader and a spare end before the server does. */
	for (int i = 0; i < MANY; i++)
		c[i] = ask(port, "/hold");
	wait_until("all are held", atomic_load(&h->entered) == MANY);
	assert_int_equal(atoi(client_fetch(port, "/here")), 1);
	assert_int_equal(atoi(client_fetch(port, "/there")), 1);
	hold_open(h);
	for (int i = 0; i < MANY; i++)
		expect_answer(c[i], 200, "held\n");
	wait_until("those too many have ended", atomic_load(&started) - atomic_load(&ended) == 66);
	serving_stop(s);
	assert_true(atomic_load(&started) > MANY);
	assert_int_equal(atomic_load(&ended), atomic_load(&started));
	assert_int_equal(atomic_load(&doubled), 0);
}

static void
stacks_are_as_large_as_asked_for(void **state)
{
	struct http_server *s = server(NULL);
	uint16_t port;

	(void)state;
	log_open();
	http_server_set(s, "stack_bytes", "3145728");
	port = serving_start(s);
	assert_int_equal(atol(strchr(client_fetch(port, "/here"), ' ')), 3145728);
	assert_int_equal(atol(strchr(client_fetch(port, "/there"), ' ')), 3145728);
	serving_stop(s);
}

/* ---- Nice values ----------------------------------------------------------------------------- */

struct niceness {
	struct hold *hold;
	bool computes;
	_Atomic(pid_t) tid;
};

static int
hold_and_tell(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct niceness *n = data;

	atomic_store(&n->tid, gettid());
	return n->computes ? hold_compute(ctx, req, res, n->hold)
			   : hold_block(ctx, req, res, n->hold);
}

static int
tell_nice(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_printf(res, 200, "%d", getpriority(PRIO_PROCESS, (id_t)gettid()));
}

static bool
is_gone(pid_t tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) != 0;
}

/* In the leader, which is taken over, or in a worker. Its thread ends with it. */
static void
who_computes_gives_way(unsigned flags)
{
	struct niceness n = {.hold = hold_new(), .computes = true};
	struct http_server *s = server(n.hold);
	int before = getpriority(PRIO_PROCESS, 0);
	struct client *c;
	uint16_t port;

	log_open();
	http_server_handle_with(
	    s, "/long", hold_and_tell, &n, &(struct http_route_options){.flags = flags});
	http_server_handle(s, "/nice", tell_nice, NULL);
	http_server_set(s, "worker_nice", "15");
	port = serving_start(s);
	assert_int_equal(atoi(client_fetch(port, "/nice")), before);
	c = ask(port, "/long");
	wait_until("it gives way",
	    atomic_load(&n.tid) != 0 && getpriority(PRIO_PROCESS, (id_t)atomic_load(&n.tid)) == 15);
	assert_int_equal(atoi(client_fetch(port, "/nice")), before);
	hold_open(n.hold);
	expect_answer(c, 200, "held\n");
	wait_until("its thread has ended", is_gone(atomic_load(&n.tid)));
	hold_shut(n.hold);
	atomic_store(&n.tid, 0);
	n.computes = false;
	c = ask(port, "/long");
	wait_until("it is held", atomic_load(&n.tid) != 0);
	/* Who blocks is no hindrance to anybody, and not the same thread. */
	for (int i = 0; i < 100; i++)
		assert_int_equal(atoi(client_fetch(port, "/nice")), before);
	assert_int_equal(getpriority(PRIO_PROCESS, (id_t)atomic_load(&n.tid)), before);
	hold_open(n.hold);
	expect_answer(c, 200, "held\n");
	serving_stop(s);
}

static void
handlers_that_compute_give_way_and_nobody_else(void **state)
{
	(void)state;
	who_computes_gives_way(0);
	who_computes_gives_way(HTTP_BLOCKING);
}

/* A program that is nice itself has handlers that are no less so. */
static void
handlers_of_a_nice_program_are_as_nice(void **state)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct http_server *s = server(NULL);
	int before = getpriority(PRIO_PROCESS, 0);
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle(s, "/nice", tell_nice, NULL);
	http_server_handle_with(s, "/worker", tell_nice, NULL, &blocking);
	http_server_set(s, "worker_nice", "5");
	assert_int_equal(setpriority(PRIO_PROCESS, 0, 17), 0);
	port = serving_start(s);
	assert_int_equal(atoi(client_fetch(port, "/nice")), 17);
	assert_int_equal(atoi(client_fetch(port, "/worker")), 17);
	serving_stop(s);
	(void)setpriority(PRIO_PROCESS, 0, before); /* as far as it may */
}

/* The monitor would look again in ten seconds. */
static void
the_end_does_not_wait_for_the_monitor(void **state)
{
	struct http_server *s = server(NULL);
	int64_t begin;
	uint16_t port;

	(void)state;
	log_open();
	http_server_set(s, "takeover_after_us", "10000000");
	port = serving_start(s);
	client_fetch(port, "/name");
	begin = harness_now_ms();
	serving_stop(s);
	assert_true(harness_now_ms() - begin < 9000);
}

/* ---- No threads ------------------------------------------------------------------------------ */

static void
a_server_without_a_thread_does_not_start(void **state)
{
	struct http_server *s = server(NULL);
	struct log *log = log_open();

	(void)state;
	http_server_listen(s, "web", "127.0.0.1:0");
	atomic_store(&failing, true);
	assert_int_equal(http_server_start(s), -EAGAIN);
	atomic_store(&failing, false);
	log_expect(log, "cannot serve: no thread");
	assert_int_equal(http_server_wait(s), -ESRCH);
}

/* Requests wait for a thread, quick ones are answered, and nobody loses his patience. */
static void
without_new_threads_requests_wait_and_nothing_spins(void **state)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	enum { MANY = 5, QUICK = 300, HOUR_MS = 3600000 };
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct log *log = log_open();
	struct client *c[MANY], *quick;
	int64_t begin;
	uint16_t port;
	int tries, said;

	(void)state;
	http_server_handle_with(s, "/wait", hold_block, h, &blocking);
	port = serving_start(s);
	quick = client_open(port);
	assert_int_equal(client_get(quick, "/name")->status, 200);
	atomic_store(&failures, 0);
	atomic_store(&failing, true);
	begin = harness_now_ms();
	for (int i = 0; i < MANY; i++)
		c[i] = ask(port, "/wait");
	for (int i = 0; i < QUICK; i++)
		assert_string_equal(client_get(quick, "/name")->body, "baton/leader");
	assert_true(client_is_quiet(c[0], 300));
	tries = atomic_load(&failures);
	/* It goes on trying, but has other things to do. */
	assert_true(tries > 0 && tries <= 10 + (harness_now_ms() - begin) / 10);
	said = count(log_text(log), "cannot make a thread");
	assert_in_range(said, 1, 2);
	/* As if it had been said long ago: it is said again. */
	atomic_store(&s->sched.crew->complained_ms, clock_now_ms() - HOUR_MS);
	wait_until("it is said again", count(log_text(log), "cannot make a thread") > said);
	atomic_store(&failing, false);
	wait_until("all are held", atomic_load(&h->entered) == MANY);
	hold_open(h);
	for (int i = 0; i < MANY; i++)
		expect_answer(c[i], 200, "held\n");
	serving_stop(s);
}

/*
 * The one spare leads while a handler sleeps in the thread that led before, and no other can be
 * made: another route that was never seen may sleep as well, so it waits for a thread.
 */
static void
without_a_spare_only_what_was_quick_runs_in_the_leader(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *first, *second, *third, *quick;
	uint16_t port;
	bool led;

	(void)state;
	log_open();
	http_server_handle(s, "/other", hold_block, h);
	http_server_set(s, "takeover_after_us", "20000"); /* a busy machine is not taken for it */
	port = serving_start(s);
	assert_string_equal(client_fetch(port, "/name"), "baton/leader");
	wait_until("a spare is there", count_named("baton/spare") == 1);
	atomic_store(&failing, true);
	first = ask(port, "/hold");
	wait_until("it was taken over", http_server_counter(s, "takeovers") == 1);
	second = ask(port, "/other");
	third = ask(port, "/here");
	quick = ask(port, "/name");
	led = !client_is_quiet(quick, PATIENCE_MS) && atomic_load(&h->entered) == 1 &&
	      client_is_quiet(third, 100);
	/* When the first is done there is a thread for them. */
	hold_open(h);
	assert_true(led);
	expect_answer(quick, 200, "baton/leader");
	expect_answer(first, 200, "held\n");
	expect_answer(second, 200, "held\n");
	expect_answer(third, 200, NULL);
	assert_int_equal(http_server_counter(s, "takeovers"), 1);
	atomic_store(&failing, false);
	serving_stop(s);
}

/* Both threads that may be busy are: it waits for somebody to relieve the leader. */
static void
what_waits_for_a_spare_runs_when_one_has_come(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *first, *second, *third;
	uint16_t port;
	bool waited, answered;

	(void)state;
	log_open();
	http_server_handle(s, "/other", hold_block, h);
	http_server_set(s, "threads_max", "4");
	http_server_set(s, "takeover_after_us", "20000");
	port = serving_start(s);
	assert_string_equal(client_fetch(port, "/name"), "baton/leader");
	wait_until("a spare is there", count_named("baton/spare") == 1);
	atomic_store(&failing, true);
	first = ask(port, "/hold");
	wait_until("it was taken over", http_server_counter(s, "takeovers") == 1);
	second = ask(port, "/other");
	client_fetch(port, "/name");
	third = ask(port, "/here");
	client_fetch(port, "/name");
	waited = client_is_quiet(third, 100);
	atomic_store(&failing, false);
	answered = !client_is_quiet(third, PATIENCE_MS);
	hold_open(h);
	assert_true(waited && answered);
	expect_answer(first, 200, "held\n");
	expect_answer(second, 200, "held\n");
	expect_answer(third, 200, NULL);
	serving_stop(s);
}

/* Then there is nobody to hand anything to. */
static void
a_leader_without_any_other_thread_runs_everything(void **state)
{
	struct http_server *s = server(NULL);
	uint16_t port;

	(void)state;
	log_open();
	http_server_set(s, "takeover_after_us", "1000000"); /* the monitor has not looked yet */
	port = serving_start(s);
	atomic_store(&failing, true);
	assert_int_equal(atoi(client_fetch(port, "/here")), 0);
	assert_string_equal(client_fetch(port, "/name"), "baton/leader");
	atomic_store(&failing, false);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(one_thread_is_called_leader), e2e_test(hooks_run_once_in_each_thread),
	    e2e_test(stacks_are_as_large_as_asked_for),
	    e2e_test(handlers_that_compute_give_way_and_nobody_else),
	    e2e_test(the_end_does_not_wait_for_the_monitor),
	    e2e_test(a_server_without_a_thread_does_not_start),
	    e2e_test(without_new_threads_requests_wait_and_nothing_spins),
	    e2e_test(without_a_spare_only_what_was_quick_runs_in_the_leader),
	    e2e_test(what_waits_for_a_spare_runs_when_one_has_come),
	    e2e_test(a_leader_without_any_other_thread_runs_everything),
	    e2e_test(handlers_of_a_nice_program_are_as_nice), /* the last: it may stay so */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
