/* SPDX-License-Identifier: MIT */
/* Responses: every constructor, what each refuses, and what becomes of an answer made before. */
#include <errno.h>
#include <string.h>

#include "server/internal.h"
#include "tests/server/serving.h"

static struct http_response *
fresh(void)
{
	struct http_request *req = http_test_request(harness_mem(), "GET /", NULL, 0);

	assert_non_null(req);
	return &req->res;
}

static const char *
content(const struct http_response *res)
{
	size_t len;
	const char *text = http_response_content(res, &len);

	return talloc_strndup(harness_mem(), text, len);
}

static void
expect(const struct http_response *res, int status, const char *type, const char *text)
{
	const char *got = http_response_header_get(res, "content-type");

	assert_int_equal(http_response_status(res), status);
	if (type == NULL)
		assert_null(got);
	else
		assert_string_equal(got, type);
	assert_string_equal(content(res), text);
}

#define TEXT "text/plain; charset=utf-8"

static void
constructors_fill_status_type_and_content(void **state)
{
	struct http_response *res = fresh();
	char buffer[] = "bytes";

	(void)state;
	expect(res, 0, NULL, "");
	assert_int_equal(http_response_printf(res, 200, "%s %d%%", "a", 7), 0);
	expect(res, 200, TEXT, "a 7%");
	assert_int_equal(http_response_bytes(res, 201, "image/png", buffer, 5), 0);
	buffer[0] = 'X'; /* it was copied */
	expect(res, 201, "image/png", "bytes");
	assert_int_equal(http_response_bytes(res, 200, NULL, "", 0), 0);
	expect(res, 200, "application/octet-stream", "");
	assert_int_equal(http_response_bytes(res, 200, NULL, NULL, 0), 0);
	expect(res, 200, "application/octet-stream", "");
	assert_int_equal(http_response_static(res, 200, NULL, buffer, 5), 0);
	buffer[0] = 'Y'; /* it was not */
	expect(res, 200, "application/octet-stream", "Yytes");
	assert_int_equal(http_response_empty(res, 204), 0);
	expect(res, 204, NULL, "");
	assert_int_equal(http_response_error(res, 404, NULL), 0);
	expect(res, 404, TEXT, "404 Not Found\n");
	assert_int_equal(http_response_error(res, 409, "100% taken %s"), 0);
	expect(res, 409, TEXT, "409 Conflict: 100% taken %s\n");
	assert_int_equal(http_response_error(res, 599, NULL), 0);
	expect(res, 599, TEXT, "599\n");
	assert_int_equal(http_response_error(res, 599, "odd"), 0);
	expect(res, 599, TEXT, "599: odd\n");
	assert_int_equal(http_response_unauthorized(res, "Basic realm=\"x\"", "who?"), 0);
	expect(res, 401, TEXT, "401 Unauthorized: who?\n");
	assert_string_equal(http_response_header_get(res, "WWW-Authenticate"), "Basic realm=\"x\"");
}

static void
content_may_hold_any_byte_and_be_large(void **state)
{
	struct http_response *res = fresh();
	char *large = talloc_size(harness_mem(), 100000);
	const void *got;
	size_t len;

	(void)state;
	for (int i = 0; i < 100000; i++)
		large[i] = (char)i;
	assert_int_equal(http_response_bytes(res, 200, NULL, large, 100000), 0);
	got = http_response_content(res, &len);
	assert_int_equal(len, 100000);
	assert_memory_equal(got, large, len);
	assert_ptr_not_equal(got, large);
	large[99999] = '\0';
	memset(large, 'x', 99999);
	assert_int_equal(http_response_printf(res, 200, "%s", large), 0);
	got = http_response_content(res, &len);
	assert_int_equal(len, 99999);
	assert_memory_equal(got, large, len);
}

static int
vprintf_of(struct http_response *res, int status, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = http_response_vprintf(res, status, fmt, ap);
	va_end(ap);
	return err;
}

/* A refused call leaves the answer that was made before. */
static void
statuses_that_are_no_answers_are_refused(void **state)
{
	static const int bad[] = {-1, 0, 1, 99, 100, 101, 199, 600, 1000};
	static const int good[] = {200, 299, 300, 404, 418, 599};
	struct http_response *res = fresh();

	(void)state;
	http_response_printf(res, 202, "before");
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(http_response_printf(res, bad[i], "x"), -EINVAL);
		assert_int_equal(vprintf_of(res, bad[i], "x"), -EINVAL);
		assert_int_equal(http_response_bytes(res, bad[i], NULL, "x", 1), -EINVAL);
		assert_int_equal(http_response_static(res, bad[i], NULL, "x", 1), -EINVAL);
		assert_int_equal(http_response_empty(res, bad[i]), -EINVAL);
		assert_int_equal(http_response_error(res, bad[i], NULL), -EINVAL);
		assert_int_equal(http_response_redirect(res, bad[i], "/"), -EINVAL);
		expect(res, 202, TEXT, "before");
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(vprintf_of(res, good[i], "%d", i), 0);
		assert_int_equal(http_response_status(res), good[i]);
	}
}

static void
redirects_take_their_statuses_and_a_location(void **state)
{
	static const int good[] = {301, 302, 303, 307, 308};
	static const int bad[] = {200, 300, 304, 305, 306, 309, 404};
	static const char *const places[] = {"", "/a b", " /a", "/a\r\nX: y", "/a\tb", "/\x7f"};
	struct http_response *res = fresh();

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(http_response_redirect(res, bad[i], "/a"), -EINVAL);
	for (size_t i = 0; i < COUNT(places); i++)
		if (http_response_redirect(res, 302, places[i]) != -EINVAL)
			fail_msg("location \"%s\" is taken", places[i]);
	expect(res, 0, NULL, "");
	assert_null(http_response_header_get(res, "Location"));
	for (size_t i = 0; i < COUNT(good); i++) {
		const char *to = talloc_asprintf(harness_mem(), "https://h/%d?x=%%20#f", good[i]);

		assert_int_equal(http_response_redirect(res, good[i], to), 0);
		assert_int_equal(http_response_status(res), good[i]);
		assert_string_equal(http_response_header_get(res, "location"), to);
		assert_int_equal(res->fields_n, 1);
	}
}

/* ---- Header fields ------------------------------------------------------------------------- */

static void
malformed_and_reserved_fields_are_refused(void **state)
{
	static const struct {
		const char *name, *value;
		int err;
	} table[] = {
	    {"X", "a", 0},
	    {"!#$%&'*+-.^_`|~09Az", "a", 0},
	    {"X", "a b\xc3\xa4\xff", 0},
	    {"Content-Type", "text/html", 0},
	    {"X", "a\tb", 0},
	    {"X", "", 0},
	    {"", "a", -EINVAL},
	    {"X Y", "a", -EINVAL},
	    {"X:", "a", -EINVAL},
	    {"X\r\nY", "a", -EINVAL},
	    {"X\xc3\xa4", "a", -EINVAL},
	    {"X(", "a", -EINVAL},
	    {"X", "a\r\nY: b", -EINVAL},
	    {"X", "a\n", -EINVAL},
	    {"X", "\x01", -EINVAL},
	    {"X", "\x7f", -EINVAL},
	    {"Connection", "close", -EINVAL},
	    {"content-length", "5", -EINVAL},
	    {"DATE", "x", -EINVAL},
	    {"Keep-Alive", "timeout=5", -EINVAL},
	    {"Trailer", "X", -EINVAL},
	    {"Transfer-Encoding", "chunked", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_response *res = fresh();

		if (http_response_header(res, table[i].name, table[i].value) != table[i].err ||
		    http_response_header_add(res, table[i].name, table[i].value) != table[i].err)
			fail_msg("%s: %s", table[i].name, table[i].value);
		assert_int_equal(res->fields_n, table[i].err == 0 ? 2 : 0);
	}
}

static void
fields_are_replaced_or_added(void **state)
{
	struct http_response *res = fresh();
	char name[] = "X-One", value[] = "1";

	(void)state;
	assert_int_equal(http_response_header(res, name, value), 0);
	name[0] = value[0] = '?'; /* they were copied */
	assert_string_equal(http_response_header_get(res, "x-one"), "1");
	http_response_header_add(res, "Set-Cookie", "a=1");
	http_response_header_add(res, "set-cookie", "b=2");
	assert_int_equal(res->fields_n, 3);
	assert_string_equal(http_response_header_get(res, "SET-COOKIE"), "a=1");
	assert_int_equal(http_response_header(res, "Set-Cookie", "c=3"), 0);
	assert_int_equal(res->fields_n, 2);
	assert_string_equal(http_response_header_get(res, "Set-Cookie"), "c=3");
	assert_string_equal(http_response_header_get(res, "X-One"), "1");
	assert_int_equal(http_response_header(res, "X-One", "bad\n"), -EINVAL);
	assert_string_equal(http_response_header_get(res, "X-One"), "1");
	assert_null(http_response_header_get(res, "X-Two"));
}

/* The answer is replaced, the fields stay. */
static void
a_second_answer_replaces_the_first(void **state)
{
	struct http_response *res = fresh();

	(void)state;
	http_response_header(res, "X", "kept");
	http_response_bytes(res, 200, "image/png", "first", 5);
	http_response_error(res, 500, NULL);
	expect(res, 500, TEXT, "500 Internal Server Error\n");
	assert_string_equal(http_response_header_get(res, "X"), "kept");
	http_response_empty(res, 304);
	expect(res, 304, NULL, "");
}

static void
a_content_type_that_was_set_wins(void **state)
{
	struct http_response *res = fresh();

	(void)state;
	http_response_header(res, "content-type", "text/csv");
	http_response_printf(res, 200, "a,b\n");
	expect(res, 200, "text/csv", "a,b\n");
	http_response_bytes(res, 200, "image/png", "x", 1);
	expect(res, 200, "text/csv", "x");
	http_response_empty(res, 204);
	expect(res, 204, "text/csv", "");
}

static void
types_that_are_no_values_are_refused(void **state)
{
	static const char *const bad[] = {"", "text/plain\r\nX: y", "a\nb", "\x7f"};
	struct http_response *res = fresh();

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(http_response_bytes(res, 200, bad[i], "x", 1), -EINVAL);
		assert_int_equal(http_response_static(res, 200, bad[i], "x", 1), -EINVAL);
	}
	expect(res, 0, NULL, "");
	assert_int_equal(http_response_unauthorized(res, "", NULL), -EINVAL);
	assert_int_equal(http_response_unauthorized(res, "Basic\r\n", NULL), -EINVAL);
	expect(res, 0, NULL, "");
}

static void
closing_is_remembered(void **state)
{
	struct http_response *res = fresh();

	(void)state;
	assert_false(res->close);
	http_response_close(res);
	http_response_printf(res, 200, "x");
	assert_true(res->close);
}

static void
phrases_are_those_of_the_registry(void **state)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
	    {200, "OK"},
	    {204, "No Content"},
	    {308, "Permanent Redirect"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {413, "Content Too Large"},
	    {422, "Unprocessable Content"},
	    {431, "Request Header Fields Too Large"},
	    {503, "Service Unavailable"},
	    {511, "Network Authentication Required"},
	    {299, ""},
	    {306, ""},
	    {418, ""},
	    {0, ""},
	    {-1, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		assert_string_equal(http_status_text(table[i].status), table[i].text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(constructors_fill_status_type_and_content),
	    e2e_test(content_may_hold_any_byte_and_be_large),
	    e2e_test(statuses_that_are_no_answers_are_refused),
	    e2e_test(redirects_take_their_statuses_and_a_location),
	    e2e_test(malformed_and_reserved_fields_are_refused),
	    e2e_test(fields_are_replaced_or_added),
	    e2e_test(a_second_answer_replaces_the_first),
	    e2e_test(a_content_type_that_was_set_wins),
	    e2e_test(types_that_are_no_values_are_refused),
	    e2e_test(closing_is_remembered),
	    e2e_test(phrases_are_those_of_the_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
