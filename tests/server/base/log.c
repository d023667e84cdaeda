/* SPDX-License-Identifier: MIT */
/* The log: one event, one line, whatever text comes from outside. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <syslog.h>

#include "server/internal.h"
#include "tests/server/serving.h"

static void
levels_have_names(void **state)
{
	static const struct {
		int priority;
		const char *line;
	} table[] = {
	    {LOG_EMERG, "level=error msg=\"x\"\n"},
	    {LOG_ERR, "level=error msg=\"x\"\n"},
	    {LOG_WARNING, "level=warning msg=\"x\"\n"},
	    {LOG_NOTICE, "level=info msg=\"x\"\n"},
	    {LOG_INFO, "level=info msg=\"x\"\n"},
	    {LOG_DEBUG, "level=debug msg=\"x\"\n"},
	};
	struct log *log = log_open();

	(void)state;
	log_set_level(3);
	for (size_t i = 0; i < COUNT(table); i++) {
		log_line(table[i].priority, "x");
		assert_string_equal(log_text(log), table[i].line);
		log_skip(log);
	}
	log_set_level(1);
	log_line(LOG_INFO, "x");
	assert_string_equal(log_text(log), "");
	log_set_level(2);
}

static void
text_cannot_forge_a_line_or_leave_its_quotes(void **state)
{
	static const struct {
		const char *text, *written;
	} table[] = {
	    {"", ""},
	    {"plain text: a=b, c", "plain text: a=b, c"},
	    {"\xc3\xa4\xe2\x82\xac\xff", "\xc3\xa4\xe2\x82\xac\xff"},
	    {"a\nlevel=error msg=\"b", "a\\x0alevel=error msg=\\\"b"},
	    {"a\r\nb", "a\\x0d\\x0ab"},
	    {"\" level=error", "\\\" level=error"},
	    {"\\", "\\\\"},
	    {"\\x0a", "\\\\x0a"},
	    {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
	    {"\x01\t\x7f", "\\x01\\x09\\x7f"},
	    {"%s%n%", "%s%n%"},
	};
	struct log *log = log_open();

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		log_line(LOG_INFO, "%s", table[i].text);
		assert_string_equal(log_text(log),
		    talloc_asprintf(harness_mem(), "level=info msg=\"%s\"\n", table[i].written));
		log_skip(log);
		http_log(ctx_background(), LOG_INFO, "%s", table[i].text);
		assert_string_equal(log_text(log),
		    talloc_asprintf(harness_mem(), "level=info msg=\"%s\"\n", table[i].written));
		log_skip(log);
	}
}

/* Too long a text is cut, and what is left is one whole line. */
static void
long_messages_stay_one_line(void **state)
{
	static const char fill[] = {'a', '\n', '"', '\xff'};
	struct log *log = log_open();
	struct http_request *req = http_test_request(harness_mem(), "GET /", NULL, 0);

	(void)state;
	for (size_t f = 0; f < COUNT(fill); f++)
		for (size_t len = 300; len < 6000; len += 37) {
			char *text = talloc_zero_array(harness_mem(), char, len + 1);
			const char *line;
			size_t n;

			memset(text, fill[f], len);
			log_request(LOG_ERR, req, "%s", text);
			line = log_text(log);
			n = strlen(line);
			log_skip(log);
			assert_in_range(n, 300, 2048);
			assert_ptr_equal(strchr(line, '\n'), line + n - 1);
			assert_int_equal(line[n - 2], '"');
			/* No escape is cut in two. */
			if (fill[f] == '\n')
				assert_memory_equal(line + n - 6, "\\x0a", 4);
		}
}

static void
no_context_is_no_crash_and_errno_stays(void **state)
{
	struct log *log = log_open();

	(void)state;
	errno = EXDEV;
	http_log(NULL, LOG_INFO, "alone");
	assert_int_equal(errno, EXDEV);
	assert_string_equal(log_text(log), "level=info msg=\"alone\"\n");
	log_skip(log);
	close(STDERR_FILENO);
	http_log(NULL, LOG_INFO, "lost");
	assert_int_equal(errno, EXDEV);
	dup2(log->file, STDERR_FILENO);
	errno = ENOENT;
	http_log(NULL, LOG_INFO, "%m");
	log_expect(log, "No such file or directory");
}

/* ---- Threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, LINES = 500 };

static void *
write_lines(void *arg)
{
	char text[200];

	memset(text, *(const char *)arg, sizeof(text));
	for (int i = 0; i < LINES; i++)
		log_line(LOG_INFO, "%.*s", (int)sizeof(text), text);
	return NULL;
}

static void
lines_of_several_threads_do_not_mix(void **state)
{
	static const char names[THREADS] = {'a', 'b', 'c', 'd'};
	struct log *log = log_open();
	pthread_t threads[THREADS];
	const char *text;
	int lines = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, write_lines, (void *)&names[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = log_text(log);
	for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1, lines++) {
		assert_memory_equal(p, "level=info msg=\"", 16);
		assert_int_equal(strspn(p + 16, (char[]){p[16], '\0'}), 200);
		assert_memory_equal(p + 216, "\"\n", 2);
	}
	assert_int_equal(lines, THREADS * LINES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(levels_have_names),
	    e2e_test(text_cannot_forge_a_line_or_leave_its_quotes),
	    e2e_test(long_messages_stay_one_line),
	    e2e_test(no_context_is_no_crash_and_errno_stays),
	    e2e_test(lines_of_several_threads_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
