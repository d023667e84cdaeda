/* SPDX-License-Identifier: MIT */
/* The guard: heads that two servers could read in two ways never reach a handler. */
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "server/wire/guard.h"
#include "tests/server/serving.h"

/* A request of the parts given; fields are "Name:value" lines. */
static struct http_request *
received(const char *method, const char *target, const char *version, const char *lines)
{
	struct http_request *req = request_new(NULL, target);
	struct http_field fields[16];
	char *copy = talloc_strdup(harness_mem(), lines), *save = NULL;
	size_t n = 0;

	for (char *l = strtok_r(copy, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(l, ':');

		*colon = '\0';
		fields[n++] = (struct http_field){l, colon + 1};
	}
	assert_int_equal(request_set_head(req, method, version, fields, n), 0);
	return req;
}

#define OK       "Host:a\n"
#define OTHER    "Transfer-Encoding other than chunked"
#define NOT_LAST "Transfer-Encoding that does not end in chunked"
#define TWICE    "Transfer-Encoding with chunked twice"

static const struct {
	int status; /* 0: let through */
	const char *why, *method, *version, *lines;
} heads[] = {
    {0, NULL, "GET", "HTTP/1.1", "Host:a"},
    {0, NULL, "M-SEARCH", "HTTP/1.1", "Host:a"},
    {400, "malformed method", "G(T", "HTTP/1.1", "Host:a"},
    {400, "malformed method", "G\xc3\x96T", "HTTP/1.1", "Host:a"},
    {400, "malformed method", "", "HTTP/1.1", "Host:a"},
    {501, "this server is no proxy", "CONNECT", "HTTP/1.1", "Host:a"},
    {0, NULL, "connect", "HTTP/1.1", "Host:a"},
    /* Host */
    {0, NULL, "GET", "HTTP/1.1", "hOST:example.com:8080"},
    {0, NULL, "GET", "HTTP/1.1", "Host:[2001:db8::1]:80"},
    {0, NULL, "GET", "HTTP/1.1", "Host: a \t"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host: \t"},
    {400, "malformed Host", "GET", "HTTP/1.0", "Host:"},
    {0, NULL, "GET", "HTTP/1.0", ""},
    {400, "no Host", "GET", "HTTP/1.1", ""},
    {400, "no Host", "GET", "HTTP/1.1", "X-Host:a"},
    {400, "more than one Host", "GET", "HTTP/1.1", "Host:a\nhost:a"},
    {400, "more than one Host", "GET", "HTTP/1.0", "Host:a\nHost:b"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a b"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a/b"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:user@a"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a?b"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a#b"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a\\b"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:\xc3\xa4"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host::80"},
    {0, NULL, "GET", "HTTP/1.1", "Host:a:"},
    {0, NULL, "GET", "HTTP/1.1", "Host:%41%c3%84"},
    {0, NULL, "GET", "HTTP/1.1", "Host:[fe80::1%25eth0]"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a:80x"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a:80:80"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a%"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a%4"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:a%zz"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:[]"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:[::1"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:[::1]a"},
    {400, "malformed Host", "GET", "HTTP/1.1", "Host:::1"},
    /* field names and values */
    {0, NULL, "GET", "HTTP/1.1", OK "!#$%&'*+-.^_`|~09Az:x"},
    {0, NULL, "GET", "HTTP/1.1", OK "X:a\tb \xc3\xa4\xff"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK "X :a"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK " X:a"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK ":a"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK "X\tY:a"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK "X\rY:a"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK "X(Y):a"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK "X\x7f:a"},
    {400, "malformed field name", "GET", "HTTP/1.1", OK "X\xc3\xa4:a"},
    {400, "control character in a field value", "GET", "HTTP/1.1", OK "X:a\rb"},
    {400, "control character in a field value", "GET", "HTTP/1.1", OK "X:a\x01"},
    {400, "control character in a field value", "GET", "HTTP/1.1", OK "X:a\x7f"},
    /* Content-Length */
    {0, NULL, "POST", "HTTP/1.1", OK "Content-Length:0"},
    {0, NULL, "POST", "HTTP/1.1", OK "Content-Length: 42 "},
    {0, NULL, "POST", "HTTP/1.1", OK "Content-Length:042"},
    {0, NULL, "POST", "HTTP/1.1", OK "Content-Length:5\ncontent-length:5"},
    {0, NULL, "POST", "HTTP/1.1", OK "Content-Length:999999999999999999"},
    {400, "differing Content-Length", "POST", "HTTP/1.1", OK "Content-Length:5\nContent-Length:6"},
    {400, "differing Content-Length", "POST", "HTTP/1.1", OK "Content-Length:5\nContent-Length:05"},
    {400, "malformed Content-Length", "POST", "HTTP/1.1", OK "Content-Length:"},
    {400, "malformed Content-Length", "POST", "HTTP/1.1", OK "Content-Length:+5"},
    {400, "malformed Content-Length", "POST", "HTTP/1.1", OK "Content-Length:-5"},
    {400, "malformed Content-Length", "POST", "HTTP/1.1", OK "Content-Length:5 6"},
    {400, "malformed Content-Length", "POST", "HTTP/1.1", OK "Content-Length:5,5"},
    {400, "malformed Content-Length", "POST", "HTTP/1.1", OK "Content-Length:0x5"},
    {400, "malformed Content-Length", "POST", "HTTP/1.1", OK "Content-Length:5.0"},
    /* only larger than anything: 413 will be the answer */
    {0, NULL, "POST", "HTTP/1.1", OK "Content-Length:18446744073709551617"},
    /* Transfer-Encoding */
    {0, NULL, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked"},
    {0, NULL, "POST", "HTTP/1.1", OK "transfer-encoding: CHUNKED"},
    /* chunked is last, but not alone */
    {501, OTHER, "POST", "HTTP/1.1", OK "Transfer-Encoding:gzip, chunked"},
    {501, OTHER, "POST", "HTTP/1.1", OK "Transfer-Encoding:gzip;level=9 ,\tChunked"},
    {501, OTHER, "POST", "HTTP/1.1", OK "Transfer-Encoding:gzip\nTransfer-Encoding:chunked"},
    {501, OTHER, "POST", "HTTP/1.1", OK "Transfer-Encoding:identity,chunked"},
    {501, OTHER, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked,"}, /* the parser misses it */
    {501, OTHER, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked\nTransfer-Encoding:"},
    /* nobody knows where it ends */
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:gzip"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked, identity"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked\nTransfer-Encoding:gzip"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:identity"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding: , ,"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:xchunked"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunkedx"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked;x=1"},
    {400, NOT_LAST, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked chunked"},
    {400, TWICE, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked, chunked"},
    {400, TWICE, "POST", "HTTP/1.1", OK "Transfer-Encoding:chunked\nTransfer-Encoding:chunked"},
    {400, "Transfer-Encoding together with Content-Length", "POST", "HTTP/1.1",
	OK "Transfer-Encoding:chunked\nContent-Length:5"},
    {400, "Transfer-Encoding together with Content-Length", "POST", "HTTP/1.1",
	OK "Content-Length:5\nTransfer-Encoding:chunked"},
    {400, "Transfer-Encoding in HTTP/1.0", "POST", "HTTP/1.0", "Transfer-Encoding:chunked"},
};

static void
ambiguous_heads_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(heads); i++) {
		struct http_request *req =
		    received(heads[i].method, "/", heads[i].version, heads[i].lines);
		const char *why = NULL;
		int status = guard_check(req, &why);

		if (status != heads[i].status ||
		    (status != 0 && (why == NULL || strcmp(why, heads[i].why) != 0)))
			fail_msg("%s %s %s: %d %s", heads[i].method, heads[i].version,
			    heads[i].lines, status, why);
		request_free(req);
	}
}

static void
targets_are_printable_ascii(void **state)
{
	static const struct {
		int status;
		const char *target;
	} table[] = {
	    {0, "/"},
	    {0, "/!\"$%&'()*+,-./09:;<=>@AZ[\\]^_`az{|}~"},
	    {400, "/a b"},
	    {400, "/a\tb"},
	    {400, "/\x7f"},
	    {400, "/\x01/long/enough/to/be/looked/at/by/sixteen"},
	    {400, "/\xc3\xa4"},
	    {400, "/long/enough/to/be/looked/at/by/sixteen/\xe2\x82\xac"},
	    {400, "/\xc0\xae\xc0\xae/long/enough/to/be/looked/at"},
	    {400, "/?\xff"},
	    {400, "\x80"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_request *req = received("GET", table[i].target, "HTTP/1.1", OK);
		const char *why;

		if (guard_check(req, &why) != table[i].status)
			fail_msg("%s", table[i].target);
		request_free(req);
	}
}

static void
chunk_extensions_are_names_and_values(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} table[] = {
	    {"", true},
	    {";a", true},
	    {";a=b", true},
	    {";a=b;c;d=e", true},
	    {" ;\ta = b ; c", true},
	    {";a=\"\"", true},
	    {";a=\"b;c=\\\"\\\\\xc3\xa4 \";d", true},
	    {";", false},
	    {" ", false},
	    {";;", false},
	    {";a;", false},
	    {";a; ", false},
	    {";=b", false},
	    {";a=", false},
	    {";a= ", false},
	    {";a=;b", false},
	    {";a=b=c", false},
	    {";a b", false},
	    {";a=b c", false},
	    {";a ", false},
	    {"a", false},
	    {",a", false},
	    {";a=\"b", false},
	    {";a=\"b\\\"", false},
	    {";a=\"", false},
	    {";a=\"\\", false},
	    {";a=\"b\"c", false},
	    {";\xc3\xa4", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t len = strlen(table[i].text);
		char *copy = malloc(len + 1); /* to its end, and no further */

		memcpy(copy, table[i].text, len);
		if (guard_extensions_valid(copy, len) != table[i].valid)
			fail_msg("%s", table[i].text);
		free(copy);
	}
}

static void
announced_length_is_read(void **state)
{
	static const struct {
		const char *lines;
		int64_t length;
	} table[] = {
	    {OK, -1},
	    {OK "Transfer-Encoding:chunked", -1},
	    {OK "Content-Length:0", 0},
	    {OK "Content-Length: 0042 ", 42},
	    {OK "Content-Length:999999999999999999", INT64_C(999999999999999999)},
	    {OK "Content-Length:0000000000000000000000007", 7},
	    {OK "Content-Length:18446744073709551617", INT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_request *req = received("POST", "/", "HTTP/1.1", table[i].lines);
		const char *why;

		assert_int_equal(guard_check(req, &why), 0);
		assert_int_equal(req->announced, table[i].length);
		request_free(req);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(ambiguous_heads_are_refused),
	    e2e_test(targets_are_printable_ascii),
	    e2e_test(chunk_extensions_are_names_and_values),
	    e2e_test(announced_length_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
