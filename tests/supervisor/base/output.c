/* SPDX-License-Identifier: MIT */
/* Writing to readers who stop reading or go away: nothing blocks, what is lost is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/output.h"

struct stage {
	struct tevent_context *ev;
	struct output *out;
	int reader, writer, null;
};

enum kind { PIPE, SOCKETPAIR };

static struct stage *
open_stage(enum kind kind)
{
	struct stage *s = talloc_zero(NULL, struct stage);
	int fds[2];

	if (kind == PIPE)
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s->ev = tevent_context_init(s);
	s->reader = fds[0];
	s->writer = fds[1];
	s->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	s->out = output_new(s, s->ev, s->writer, s->null);
	return s;
}

static void
close_stage(struct stage *s)
{
	TALLOC_FREE(s->out);
	if (s->reader >= 0)
		close(s->reader);
	close(s->writer);
	close(s->null);
	talloc_free(s);
}

static char *
read_all_of(struct stage *s, size_t want)
{
	char *text = talloc_zero_array(s, char, (unsigned)want + 1);
	size_t used = 0;

	while (used < want) {
		ssize_t n = read(s->reader, text + used, want - used);

		assert_true(n > 0);
		used += (size_t)n;
	}
	return text;
}

static void
lines_arrive_with_their_prefix(void **state)
{
	struct stage *s = open_stage(PIPE);

	(void)state;
	output_line(s->out, OUTPUT_OUT, "hello.0 | ", "text and more", 4);
	output_say(s->out, "%d lines", 2);
	assert_string_equal(read_all_of(s, 23), "hello.0 | text\n2 lines\n");
	assert_int_equal(output_dropped(s->out), 0);
	close_stage(s);
}

/* Fills the pipe and the queue; says how many lines were taken in. */
static unsigned
overfill(struct stage *s)
{
	char line[1000];
	unsigned n = 0;

	memset(line, 'x', sizeof(line));
	while (output_dropped(s->out) < 10) {
		output_line(s->out, OUTPUT_OUT, "", line, sizeof(line) - 1);
		assert_true(++n < 10000);
	}
	return n - 10;
}

static void
a_reader_that_stops_is_not_waited_for(void **state)
{
	static const enum kind kinds[] = {PIPE, SOCKETPAIR};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct stage *s = open_stage(kinds[k]);
		unsigned kept = overfill(s), lines = 0;
		char buf[4096], *said = NULL;

		/* It reads again: everything that was kept comes, then the count of the rest. */
		fcntl(s->reader, F_SETFL, O_NONBLOCK);
		while (said == NULL) {
			ssize_t n = read(s->reader, buf, sizeof(buf) - 1);

			if (n <= 0) {
				assert_int_equal(tevent_loop_once(s->ev), 0);
				continue;
			}
			buf[n] = '\0';
			for (ssize_t i = 0; i < n; i++)
				lines += buf[i] == '\n';
			said = strstr(buf, "lines were dropped here");
		}
		assert_int_equal(lines, kept + 1);
		assert_int_equal(output_dropped(s->out), 10);
		close_stage(s);
	}
}

static void
the_flags_of_a_shared_descriptor_stay_as_they_are(void **state)
{
	struct stage *s = open_stage(PIPE);

	(void)state;
	overfill(s);
	assert_int_equal(fcntl(s->writer, F_GETFL) & O_NONBLOCK, 0);
	close_stage(s);
}

static void
a_reader_that_goes_away_kills_nobody(void **state)
{
	struct stage *s = open_stage(PIPE);

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as signals.c does */
	close(s->reader);
	s->reader = -1;
	for (int i = 0; i < 100; i++)
		output_say(s->out, "nobody hears this");
	assert_int_equal(output_dropped(s->out), 100);
	output_drain(s->out, 1000);
	close_stage(s);
}

static void
files_are_written_at_their_end(void **state)
{
	char path[] = "/tmp/baton-output-XXXXXX", text[64] = "";
	int fd = mkstemp(path);
	struct tevent_context *ev = tevent_context_init(NULL);
	struct output *out;

	(void)state;
	assert_int_equal(write(fd, "before\n", 7), 7);
	out = output_new(ev, ev, fd, fd);
	output_say(out, "after");
	output_warn(out, "wrong");
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 26);
	assert_string_equal(text, "before\nafter\nbaton: wrong\n");
	talloc_free(ev);
	close(fd);
	unlink(path);
}

static void
the_last_lines_are_waited_for_but_not_for_ever(void **state)
{
	struct stage *s = open_stage(PIPE);

	(void)state;
	overfill(s);
	output_drain(s->out, 20); /* nobody reads: it comes back all the same */
	close_stage(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_arrive_with_their_prefix),
	    cmocka_unit_test(a_reader_that_stops_is_not_waited_for),
	    cmocka_unit_test(the_flags_of_a_shared_descriptor_stay_as_they_are),
	    cmocka_unit_test(a_reader_that_goes_away_kills_nobody),
	    cmocka_unit_test(files_are_written_at_their_end),
	    cmocka_unit_test(the_last_lines_are_waited_for_but_not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
