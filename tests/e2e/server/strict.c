/* SPDX-License-Identifier: MIT */
/*
 * Malformed requests as they go over the wire: each is refused with the status of the table and
 * the connection ends in order, whether the bytes come at once or one by one. And the cases
 * where libmicrohttpd leaves no better choice, by name, with the reason.
 */
#include "tests/harness/client.h"
#include "tests/harness/hello.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "server/internal.h"

#include "server/internal.h"

#define H        "Host: a\r\n"
#define GET      "GET / HTTP/1.1\r\n"
#define POST     "POST /echo HTTP/1.1\r\n" H
#define CH       POST "Transfer-Encoding: chunked\r\n\r\n"
#define SMUGGLED "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
#define BYTES(b) b, sizeof(b) - 1

struct request {
	const char *name;
	int status;
	const char *bytes;
	size_t len;
	const char *why; /* a limit: what stands in the way of 0.9.75 */
	int with_1_0;    /* another status with libmicrohttpd 1.0; 0: the same */
};

static const struct request refused[] = {
    /* The request line. */
    {"lf_after_request_line", 400, BYTES("GET / HTTP/1.1\n" H "\r\n"), NULL, 0},
    {"cr_in_request_line", 400, BYTES("GET / HTTP/1.1\rHost: a\r\n\r\n"), NULL, 0},
    {"space_in_target", 400, BYTES("GET /a b HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"two_spaces", 400, BYTES("GET  / HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"space_after_version", 400, BYTES("GET / HTTP/1.1 \r\n" H "\r\n"), NULL, 0},
    {"tab_in_target", 400, BYTES("GET /a\tb HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"del_in_target", 400, BYTES("GET /a\x7f HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"nul_in_target", 400, BYTES("GET /\0a HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"nul_and_false_version", 400, BYTES("GET /\0HTTP/1.1\0\0 HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"nul_in_method", 400, BYTES("GET\0X / HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"utf8_in_target", 400, BYTES("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"overlong_dots_in_target", 400, BYTES("GET /\xc0\xae\xc0\xae/a HTTP/1.1\r\n" H "\r\n"), NULL,
	0},
    {"connect", 501, BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" SMUGGLED), NULL, 0},
    {"no_token_as_method", 400, BYTES("G(T / HTTP/1.1\r\n" H "\r\n"), NULL, 0},
    {"one_word", 400, BYTES("GET\r\n" H "\r\n"), NULL, 0},
    {"version_2", 505, BYTES("GET / HTTP/2.0\r\n" H "\r\n"), NULL, 0},
    {"version_0_9", 505, BYTES("GET / HTTP/0.9\r\n" H "\r\n"), NULL, 0},
    {"version_lower_case", 400, BYTES("GET / http/1.1\r\n" H "\r\n"), NULL, 0},
    {"no_version", 400, BYTES("GET /\r\n\r\n"), NULL, 0},
    /* Fields. */
    {"lf_after_field", 400, BYTES(GET "Host: a\n\r\n"), NULL, 0},
    {"lf_at_end", 400, BYTES(GET H "\n"), NULL, 0},
    {"no_fields_and_lf", 400, BYTES("GET / HTTP/1.0\r\n\n"), NULL, 0},
    {"space_before_colon", 400, BYTES(GET H "X : b\r\n\r\n"), NULL, 0},
    {"tab_before_colon", 400, BYTES(GET H "X\t: b\r\n\r\n"), NULL, 0},
    {"no_colon", 400, BYTES(GET H "X\r\n\r\n"), NULL, 0},
    {"no_name", 400, BYTES(GET H ": b\r\n\r\n"), NULL, 0},
    {"bad_name", 400, BYTES(GET H "X[]: b\r\n\r\n"), NULL, 0},
    {"utf8_name", 400, BYTES(GET H "X\xc3\xa4: b\r\n\r\n"), NULL, 0},
    {"folded", 400, BYTES(GET "X: b\r\n c\r\n" H "\r\n"), NULL, 0},
    {"folded_with_tab", 400, BYTES(GET H "X: b\r\n\tc\r\n\r\n"), NULL, 0},
    {"folded_at_once", 400, BYTES("GET / HTTP/1.1\r\n Host: a\r\n" H "\r\n"), NULL, 0},
    {"folded_name", 400,
	BYTES(POST "Transfer-: chunked\r\n Encoding\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"nul_in_value", 400, BYTES(GET H "X: b\0c\r\n\r\n"), NULL, 0},
    {"nul_in_name", 400, BYTES(GET H "X\0Y: b\r\n\r\n"), NULL, 0},
    {"nul_line", 400, BYTES(GET H "\0: y\r\n" SMUGGLED "\r\n"), NULL, 0},
    {"cr_in_value", 400, BYTES(GET H "X: b\rc\r\n\r\n"), NULL, 0},
    {"control_in_value", 400, BYTES(GET H "X: b\x01\r\n\r\n"), NULL, 0},
    {"del_in_value", 400, BYTES(GET H "X: 12345678\x7f\r\n\r\n"), NULL, 0},
    /* Host. */
    {"no_host", 400, BYTES(GET "\r\n"), NULL, 0},
    {"host_empty", 400, BYTES(GET "Host:\r\n\r\n"), NULL, 0},
    {"host_empty_with_space", 400, BYTES(GET "Host: \r\n\r\n"), NULL, 0},
    {"host_empty_with_port", 400, BYTES(GET "Host: :80\r\n\r\n"), NULL, 0},
    {"host_empty_absolute", 400, BYTES("GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n"), NULL, 0},
    {"two_hosts", 400, BYTES(GET H "HOST: a\r\n\r\n"), NULL, 0},
    {"host_with_space", 400, BYTES(GET "Host: a b\r\n\r\n"), NULL, 0},
    {"host_with_path", 400, BYTES(GET "Host: a/b\r\n\r\n"), NULL, 0},
    {"host_with_user", 400, BYTES(GET "Host: u@a\r\n\r\n"), NULL, 0},
    {"host_with_port_no_number", 400, BYTES(GET "Host: a:b\r\n\r\n"), NULL, 0},
    {"host_with_two_ports", 400, BYTES(GET "Host: a:1:2\r\n\r\n"), NULL, 0},
    {"host_with_open_bracket", 400, BYTES(GET "Host: [::1\r\n\r\n"), NULL, 0},
    {"host_with_empty_brackets", 400, BYTES(GET "Host: []\r\n\r\n"), NULL, 0},
    {"host_after_brackets", 400, BYTES(GET "Host: [::1]a\r\n\r\n"), NULL, 0},
    {"host_with_bad_escape", 400, BYTES(GET "Host: a%2\r\n\r\n"), NULL, 0},
    /* Where the content ends. */
    {"length_and_encoding", 400,
	BYTES(POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
	NULL, 0},
    {"encoding_and_length", 400,
	BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" SMUGGLED),
	NULL, 0},
    {"two_lengths", 400, BYTES(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), NULL,
	0},
    {"length_list", 400, BYTES(POST "Content-Length: 5, 6\r\n\r\nhello!"), NULL, 0},
    {"length_plus", 400, BYTES(POST "Content-Length: +5\r\n\r\nhello"), NULL, 0},
    {"length_minus", 400, BYTES(POST "Content-Length: -5\r\n\r\nhello"), NULL, 0},
    {"length_hex", 400, BYTES(POST "Content-Length: 0x5\r\n\r\nhello"), NULL, 0},
    {"length_inner_space", 400, BYTES(POST "Content-Length: 5 5\r\n\r\nhello"), NULL, 0},
    {"length_suffix", 400, BYTES(POST "Content-Length: 5a\r\n\r\nhello"), NULL, 0},
    {"length_empty", 400, BYTES(POST "Content-Length:\r\n\r\nhello"), NULL, 0},
    {"length_2_to_64", 400, BYTES(POST "Content-Length: 18446744073709551621\r\n\r\nhello"), NULL,
	0},
    {"length_second_bad", 400, BYTES(POST "Content-Length: 5\r\nContent-Length: x\r\n\r\nhello"),
	NULL, 0},
    {"length_19_digits", 413, BYTES(POST "Content-Length: 9999999999999999999\r\n\r\nhello"), NULL,
	0},
    {"encoding_space", 400, BYTES(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), NULL, 0},
    {"encoding_gzip", 400, BYTES(POST "Transfer-Encoding: gzip\r\n\r\nhello"), NULL, 0},
    {"encoding_gzip_last", 400,
	BYTES(POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" SMUGGLED), NULL, 0},
    {"encoding_gzip_first", 501,
	BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SMUGGLED), NULL, 0},
    {"encoding_gzip_field_first", 501,
	BYTES(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
		   "0\r\n\r\n" SMUGGLED),
	NULL, 0},
    {"encoding_unknown", 400, BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\nhello"),
	NULL, 0},
    {"encoding_identity", 400, BYTES(POST "Transfer-Encoding: identity\r\n\r\nhello"), NULL, 0},
    {"encoding_empty", 400, BYTES(POST "Transfer-Encoding:\r\n\r\nhello"), NULL, 0},
    {"encoding_twice", 400,
	BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	NULL, 0},
    {"encoding_in_1_0", 400,
	BYTES("POST /echo HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), NULL, 0},
    /* Chunks. */
    {"chunk_empty_size", 400, BYTES(CH "\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_size_0x", 400, BYTES(CH "0x5\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_size_minus", 400, BYTES(CH "-5\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_size_space", 400, BYTES(CH "5 \r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_size_2_to_64", 413, BYTES(CH "10000000000000005\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_spill", 400, BYTES(CH "3\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_end", 400, BYTES(CH "5\r\nhelloXX0\r\n\r\n"), NULL, 0},
    {"trailer_folded", 400, BYTES(CH "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"), NULL, 0},
    {"trailer_folded_at_once", 400, BYTES(CH "5\r\nhello\r\n0\r\n X: y\r\n\r\n"), NULL, 0},
    {"trailer_lf", 400, BYTES(CH "5\r\nhello\r\n0\r\nX: y\nZ: y\r\n\r\n"), NULL, 0},
    {"trailer_lf_at_end", 400, BYTES(CH "5\r\nhello\r\n0\r\nX: y\r\n\n" SMUGGLED), NULL, 0},
    {"trailer_nul", 400, BYTES(CH "5\r\nhello\r\n0\r\nX: y\0z\r\nZ: y\r\n\r\n"), NULL, 0},
    {"trailer_cr", 400, BYTES(CH "5\r\nhello\r\n0\r\nX: y\rz\r\n\r\n"), NULL, 0},
    {"trailer_bad_name", 400, BYTES(CH "5\r\nhello\r\n0\r\nX[]: y\r\n\r\n"), NULL, 0},
};

/*
 * Told by what stands before a chunk's data, so by what was read together with it; of a lone LF
 * libmicrohttpd 1.0 tells by itself, also where it comes alone.
 */
enum { COUNT_LF = 2 };
static const struct request refused_at_once[] = {
    {"chunk_lf_after_size", 400, BYTES(CH "5\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_lf_after_extension", 400, BYTES(CH "5;a\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_cr_in_extension", 400, BYTES(CH "5;a\rb\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_nul_in_extension", 400, BYTES(CH "5;a\0b\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_bare_semicolon", 400, BYTES(CH "5;\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_bare_semicolon_later", 400, BYTES(CH "2;a\r\nhe\r\n3;a;\r\nllo\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_extension_no_token", 400, BYTES(CH "5;\xc3\xa4\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_extension_open_quote", 400, BYTES(CH "5;a=\"\r\nhello\r\n0\r\n\r\n"), NULL, 0},
    {"chunk_lf_after_data", 400, BYTES(CH "5\r\nhello\n1\r\n!\r\n0\r\n\r\n"), NULL, 0},
};

/* Well framed, only that the target names nothing: the connection goes on. */
static const char *const bad_targets[] = {"GET /%00", "GET /%", "GET /%zz", "GET /#a", "GET a",
    "GET /../a", "GET /a/%2e%2E/b", "GET /..%2f..%2fetc%2fpasswd", "GET /%c0%ae%c0%ae/a",
    "GET a:443", "GET http://", "GET http://:80/", "GET http://u@a/", "GET *", "POST *",
    "OPTIONS *?a", "GET ftp://a/"};

/*
 * Where libmicrohttpd decides before anybody is asked. If one of these fails, the library has
 * changed: see whether the guard can do better, and baton-settings(7).
 */
static const struct request limits[] = {
    {"encoding_white_space_after", 400,
	BYTES(POST "Transfer-Encoding: \tchunked \t\r\n\r\n0\r\n\r\n"),
	"valid, but it compares the value with its white space and would wait for ever", 200},
    {"length_white_space_after", 400, BYTES(POST "Content-Length: 5 \r\n\r\nhello"),
	"valid, but it reads the number with its white space", 200},
    {"length_list_of_equals", 400, BYTES(POST "Content-Length: 5, 5\r\n\r\nhello"),
	"RFC 9112 section 6.3 would allow it; it reads one number", 0},
    {"nul_for_cr", 200, BYTES(GET H "X: y\0\n\r\n"), "both are NUL when the handler is called",
	400},
    {"lf_nul_at_end", 200, BYTES("GET / HTTP/1.1\r\n" H "\0\n"), "the same", 400},
    {"line_of_nul_first", 200, BYTES("\0junk\r\n" GET H "\r\n"),
	"it takes the line for an empty one, which are to be ignored", 400},
    {"last_chunk_lf", 200, BYTES(CH "5\r\nhello\r\n0;a\n\r\n"),
	"no call between its line and the end", 400},
};

static struct hello hello;

static int
start(void **state)
{
	static const char *const env[] = {"BATON_HTTP_IDLE_LINGER_MS=1", NULL, 0};

	if (harness_setup(state) != 0)
		return -1;
	hello = hello_start(env);
	return 0;
}

static int
stop(void **state)
{
	hello_stop(&hello);
	return harness_teardown(state);
}

static struct client *
send_request(const struct request *r, size_t piece)
{
	struct client *c = client_open(hello.port);
	int on = 1;

	setsockopt(client_fd(c), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t at = 0; at < r->len; at += piece)
		client_send_bytes(c, r->bytes + at, at + piece < r->len ? piece : r->len - at);
	return c;
}

static int
expected(const struct request *r)
{
	return r->with_1_0 != 0 && parser_version()[0] != '0' ? r->with_1_0 : r->status;
}

/* Exactly one answer, and then the end, in order. */
static void
expect(const struct request *r, size_t piece)
{
	struct client *c = send_request(r, piece);
	const struct answer *a = client_read_any(c, "GET");
	enum client_end end;

	if (a->state != ANSWER_COMPLETE || a->status != expected(r))
		harness_fail("%s in pieces of %zu: %s, status %d, expected %d", r->name, piece,
		    answer_state_text(a->state), a->status, expected(r));
	if (a->status == 200) {
		client_close(c);
		return;
	}
	if (!a->close || answer_field(a, "Date") == NULL)
		harness_fail("%s: no Connection: close, or no Date", r->name);
	end = client_wait_end(c);
	if (end != CLIENT_EOF)
		harness_fail("%s in pieces of %zu: %s at the end", r->name, piece,
		    end == CLIENT_RESET ? "a reset" : "more than one answer");
	client_close(c);
}

static void
every_malformed_request_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		expect(&refused[i], refused[i].len);
		expect(&refused[i], 1);
		expect(&refused[i], 7);
	}
	assert_string_equal(client_fetch(hello.port, "/"), "hello\n");
}

static void
chunk_lines_are_read_before_their_data(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused_at_once) / sizeof(refused_at_once[0]); i++)
		expect(&refused_at_once[i], refused_at_once[i].len);
	/* 1.0 looks at these lines itself, wherever they end. */
	for (size_t i = 0; parser_version()[0] != '0' && i < COUNT_LF; i++)
		expect(&refused_at_once[i], 1);
	assert_string_equal(client_fetch(hello.port, "/"), "hello\n");
}

/* Nothing has come behind it, and the content has left NUL there in the parser's memory, as if the
 * lone LF were CR LF. */
static void
a_trailers_end_is_seen_by_itself(void **state)
{
	static const char head[] = CH "40\r\n";
	static const char content[] =
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const char *const trailers[] = {"", "X: y\r\n"};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(trailers) / sizeof(trailers[0]); i++) {
		bool good = i % 2 == 0;
		struct client *c = client_open(hello.port);
		char *bytes = talloc_asprintf(harness_mem(), "%s%s\r\n0\r\n%s%s", head, content,
		    trailers[i / 2], good ? "\r\n" : "\n");
		size_t len = strlen(bytes);

		memset(bytes + sizeof(head) - 1, 0, sizeof(content) - 1);
		client_send_bytes(c, bytes, len);
		assert_int_equal(client_read(c, "POST")->status, good ? 200 : 400);
		client_close(c);
	}
}

static void
what_the_parser_decides_is_as_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		assert_non_null(limits[i].why);
		expect(&limits[i], limits[i].len);
	}
	assert_string_equal(client_fetch(hello.port, "/"), "hello\n");
}

static void
targets_that_name_nothing_keep_the_connection(void **state)
{
	struct client *c = client_open(hello.port);

	(void)state;
	for (size_t i = 0; i < sizeof(bad_targets) / sizeof(bad_targets[0]); i++) {
		client_send(c, "%s HTTP/1.1\r\n" H "\r\n", bad_targets[i]);
		assert_int_equal(client_read(c, "GET")->status, 400);
	}
	assert_int_equal(client_get(c, "/")->status, 200);
	client_close(c);
}

/* It is no target that names nothing: it names the server. */
static void
options_of_the_server_are_told(void **state)
{
	struct client *c = client_open(hello.port);
	const struct answer *a;

	(void)state;
	client_send(c, "OPTIONS * HTTP/1.1\r\n" H "\r\n");
	a = client_read(c, "OPTIONS");
	assert_int_equal(a->status, 204);
	assert_string_equal(answer_field(a, "Allow"), "POST, GET, HEAD, OPTIONS");
	assert_int_equal(client_get(c, "/")->status, 200);
	client_close(c);
}

/* A refusal arrives although the client goes on sending for a while. */
static void
refusals_reach_a_client_that_is_still_sending(void **state)
{
	static const struct request table[] = {
	    {"bad length", 400, BYTES(POST "Content-Length: x\r\n\r\n"), NULL, 0},
	    {"bad encoding", 400, BYTES(POST "Transfer-Encoding: x\r\n\r\n"), NULL, 0},
	    {"bad chunk", 400, BYTES(CH "5\nhello\r\n5\r\n"), NULL, 0},
	    {"bad chunk size", 400, BYTES(CH "x\r\n"), NULL, 0},
	    {"large field", 431, BYTES(GET H "X: "), NULL, 0},
	    {"large target", 414, BYTES("GET /"), NULL, 0},
	};
	enum { FILLER = 400000, TIMES = 10 };
	char *filler = talloc_array(harness_mem(), char, FILLER);

	(void)state;
	memset(filler, 'z', FILLER);
	for (size_t i = 0; i < TIMES * sizeof(table) / sizeof(table[0]); i++) {
		const struct request *r = &table[i / TIMES];
		struct client *c = send_request(r, r->len);
		const struct answer *a;

		client_send_bytes(c, filler, FILLER);
		a = client_read_any(c, "GET");
		if (a->state != ANSWER_COMPLETE || a->status != r->status)
			harness_fail("%s: %s, status %d, expected %d", r->name,
			    answer_state_text(a->state), a->status, r->status);
		client_close(c);
	}
}

/* What was asked before the malformed one is answered, what comes after it is not. */
static void
pipelined_requests_before_it_are_answered(void **state)
{
	struct client *c = client_open(hello.port);
	const struct answer *a;

	(void)state;
	client_send(c, "%s",
	    GET H "\r\n" POST "Content-Length: 5\r\n\r\nhello" POST
		  "Content-Length: x\r\n\r\n" SMUGGLED);
	assert_int_equal(client_read(c, "GET")->status, 200);
	assert_int_equal(client_read(c, "POST")->status, 200);
	a = client_read(c, "POST");
	assert_int_equal(a->status, 400);
	assert_true(a->close);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	client_close(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_malformed_request_is_refused, start, stop),
	    cmocka_unit_test_setup_teardown(
		targets_that_name_nothing_keep_the_connection, start, stop),
	    cmocka_unit_test_setup_teardown(options_of_the_server_are_told, start, stop),
	    cmocka_unit_test_setup_teardown(chunk_lines_are_read_before_their_data, start, stop),
	    cmocka_unit_test_setup_teardown(a_trailers_end_is_seen_by_itself, start, stop),
	    cmocka_unit_test_setup_teardown(what_the_parser_decides_is_as_described, start, stop),
	    cmocka_unit_test_setup_teardown(
		refusals_reach_a_client_that_is_still_sending, start, stop),
	    cmocka_unit_test_setup_teardown(pipelined_requests_before_it_are_answered, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
