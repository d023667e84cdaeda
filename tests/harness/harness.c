/* SPDX-License-Identifier: MIT */
/*
 * Set-up and teardown of an end-to-end test, deadlines, and how a test fails. Children are
 * killed on every way out of the process: teardown, exit, SIGTERM (run.sh's time limit) and
 * a sanitizer's abort.
 */
#include "tests/harness/harness.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Present only in sanitizer builds, whose abort runs no atexit function. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static TALLOC_CTX *root;
static const char *here_file = "?";
static int here_line;

static void
on_signal(int sig)
{
	harness_kill_children();
	_exit(128 + sig);
}

static void
at_exit(void)
{
	TALLOC_FREE(root);
	harness_kill_children();
}

static void
once(void)
{
	static bool done;
	static const int ends[] = {SIGTERM, SIGINT, SIGHUP};

	if (done)
		return;
	done = true;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		signal(ends[i], on_signal);
	atexit(at_exit);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(harness_kill_children);
}

int
harness_setup(void **state)
{
	(void)state;
	once();
	talloc_free(root); /* of a test whose own teardown has failed */
	root = talloc_named_const(NULL, 0, "harness");
	return root == NULL ? -1 : 0;
}

int
harness_teardown(void **state)
{
	(void)state;
	talloc_free(root);
	root = NULL;
	harness_kill_children();
	return 0;
}

TALLOC_CTX *
harness_mem(void)
{
	if (root == NULL) {
		fprintf(stderr, "harness: used outside harness_setup and harness_teardown\n");
		abort();
	}
	return root;
}

const char *
harness_built(const char *name)
{
	const char *build = getenv("BATON_BUILD");
	char absolute[PATH_MAX];

	if (build == NULL || build[0] == '\0')
		build = "build";
	if (realpath(build, absolute) == NULL)
		harness_fail("no build directory %s (BATON_BUILD): %m", build);
	return talloc_asprintf(harness_mem(), "%s/%s", absolute, name);
}

void
harness_here(const char *file, int line)
{
	here_file = file;
	here_line = line;
}

void
harness_fail(const char *format, ...)
{
	va_list ap;
	char text[16384];

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	print_error("%s\n", text);
	_fail(here_file, here_line);
	abort(); /* _fail jumps away; the compiler does not know */
}

/* tests/run.sh looks for this line just before cmocka's. */
void
harness_skip(const char *format, ...)
{
	va_list ap;
	char text[1024];

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	text[strcspn(text, "\n")] = '\0';
	print_message("skip: %s\n", text);
	_skip(here_file, here_line);
	abort(); /* _skip jumps away; the compiler does not know */
}

void
harness_need(const char *program)
{
	if (access(program, X_OK) != 0)
		harness_skip("%s is not installed", program);
}

int64_t
harness_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
harness_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - harness_now_ms();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void
harness_pause(int64_t deadline_ms, const char *what)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	if (harness_now_ms() >= deadline_ms)
		harness_fail("waited %d ms in vain until %s", PATIENCE_MS, what);
	ppoll(NULL, 0, &pause, NULL);
}
