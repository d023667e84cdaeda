/* SPDX-License-Identifier: MIT */
/* Addresses as people write them, the good and the bad, and back to text again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "supervisor/config/address.h"

static const struct {
	const char *text, *back, *url;
	unsigned port;
} good[] = {
    {"127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080", 8080},
    {"0.0.0.0:80", "0.0.0.0:80", "http://127.0.0.1:80", 80},
    {"127.0.0.1:0", "127.0.0.1:0", "http://127.0.0.1:0", 0},
    {":8080", ":8080", "http://127.0.0.1:8080", 8080},
    {"[::1]:8443", "[::1]:8443", "http://[::1]:8443", 8443},
    {"[::]:8443", "[::]:8443", "http://[::1]:8443", 8443},
    {"[2001:DB8:0::7]:65535", "[2001:db8::7]:65535", "http://[2001:db8::7]:65535", 65535},
    {"10.0.0.1:00080", "10.0.0.1:80", "http://10.0.0.1:80", 80},
    {"unix:/run/x.sock", "unix:/run/x.sock", "unix:/run/x.sock", 0},
    {"unix:x", "unix:x", "unix:x", 0},
    {"unix:a%i/b%%%i", "unix:a%i/b%%%i", "unix:a%i/b%%%i", 0},
};

#define BYTES_50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BYTES_100 BYTES_50 BYTES_50

static const struct {
	const char *text, *why;
} bad[] = {
    {"", "the port is missing"},
    {"8080", "the port is missing"},
    {"127.0.0.1", "the port is missing"},
    {"[::1]", "the port is missing"},
    {"127.0.0.1:", "the port is not a number from 0 to 65535"},
    {"127.0.0.1:http", "the port is not a number from 0 to 65535"},
    {"127.0.0.1:65536", "the port is not a number from 0 to 65535"},
    {"127.0.0.1:99999999999999999999", "the port is not a number from 0 to 65535"},
    {"127.0.0.1:-1", "the port is not a number from 0 to 65535"},
    {"127.0.0.1: 80", "the port is not a number from 0 to 65535"},
    {"::1:8080", "an IPv6 address needs brackets"},
    {"[::g]:8080", "there is no IPv6 address between the brackets"},
    {"[127.0.0.1]:8080", "there is no IPv6 address between the brackets"},
    {"[]:8080", "there is no IPv6 address between the brackets"},
    {"localhost:8080", "names are not looked up, so the host must be an address"},
    {"127.1:8080", "names are not looked up, so the host must be an address"},
    {"unix:", "the path is missing"},
    {"unix:@x", "a Unix socket needs a path; names without a file are not supported"},
    {"unix:/run/", "the path is a directory's"},
    {"unix:/run/%n", "in a path, % is followed by i (the instance's number) or %"},
    {"unix:/run/100%", "in a path, % is followed by i (the instance's number) or %"},
    {"unix:" BYTES_100 "12345678", "a Unix socket's path has at most 107 bytes"},
    {"unix:" BYTES_100 "12345%i", "a Unix socket's path has at most 107 bytes"},
    {"1.2.3.256:80", "names are not looked up, so the host must be an address"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80",
	"the host is too long"},
};

static void
good_addresses_are_read_and_written_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		TALLOC_CTX *mem = talloc_new(NULL);
		const char *why = NULL;
		struct address a;

		assert_int_equal(address_parse(good[i].text, &a, &why), 0);
		assert_int_equal(address_port(&a), good[i].port);
		assert_string_equal(address_text(mem, &a), good[i].back);
		assert_string_equal(address_url(mem, &a), good[i].url);
		/* The text and the URL, and no block that helped to make them. */
		assert_int_equal(talloc_total_blocks(mem), 3);
		talloc_free(mem);
	}
}

static void
bad_addresses_are_refused_with_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct address a = {.len = 77};
		const char *why = NULL;

		assert_int_equal(address_parse(bad[i].text, &a, &why), -EINVAL);
		assert_string_equal(why, bad[i].why);
		assert_int_equal(a.len, 77); /* untouched on failure */
	}
}

static void
equality_is_of_family_host_and_port(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
	    {"127.0.0.1:80", "127.0.0.1:80", true},
	    {"127.0.0.1:80", "127.0.0.1:81", false},
	    {"127.0.0.1:80", "127.0.0.2:80", false},
	    {"[::1]:80", "[0:0::1]:80", true},
	    {"[::1]:80", "127.0.0.1:80", false},
	    {"127.0.0.1:0", "127.0.0.1:0", false},
	    {"unix:/a", "unix:/a", true},
	    {"unix:/a", "unix:/b", false},
	    {"unix:/a", "127.0.0.1:0", false},
	    {"127.0.0.1:80", "unix:/a", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address a, b;
		const char *why;

		assert_int_equal(address_parse(rows[i].a, &a, &why), 0);
		assert_int_equal(address_parse(rows[i].b, &b, &why), 0);
		assert_int_equal(address_equal(&a, &b), rows[i].equal);
	}
}

static void
wildcards_overlap_with_all_of_their_family(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
	    {"127.0.0.1:80", "127.0.0.1:80", true},
	    {"127.0.0.1:80", "127.0.0.1:81", false},
	    {"127.0.0.1:80", "127.0.0.2:80", false},
	    {"127.0.0.1:80", "0.0.0.0:80", true},
	    {"127.0.0.1:80", "0.0.0.0:81", false},
	    {"127.0.0.1:80", "[::]:80", false},
	    {"127.0.0.1:80", ":80", true},
	    {"0.0.0.0:80", "[::]:80", false},
	    {"0.0.0.0:80", ":80", true},
	    {"[::]:80", ":80", true},
	    {"[::1]:80", "[::]:80", true},
	    {"[::1]:80", ":80", true},
	    {"[::1]:80", "[::2]:80", false},
	    {"127.0.0.1:0", "127.0.0.1:0", false},
	    {":0", "127.0.0.1:0", false},
	    {"unix:/a", "unix:/a", true},
	    {"unix:/a", "unix:/b", false},
	    {"unix:/a", ":80", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address a, b;
		const char *why;

		assert_int_equal(address_parse(rows[i].a, &a, &why), 0);
		assert_int_equal(address_parse(rows[i].b, &b, &why), 0);
		assert_int_equal(address_overlap(&a, &b), rows[i].overlap);
		assert_int_equal(address_overlap(&b, &a), rows[i].overlap);
	}
}

static void
each_instance_has_an_address_of_its_own(void **state)
{
	static const struct {
		const char *base;
		unsigned index;
		const char *own;
		bool has_index;
	} rows[] = {
	    {"127.0.0.1:80", 0, "127.0.0.1:80", false},
	    {"[::1]:80", 7, "[::1]:87", false},
	    {"unix:/run/x", 3, "unix:/run/x", false},
	    {"unix:/run/x%i", 3, "unix:/run/x3", true},
	    {"unix:%i/%i", 255, "unix:255/255", true},
	    {"unix:100%%%i", 12, "unix:100%12", true},
	    {"unix:100%%i", 12, "unix:100%i", false},
	    {"unix:" BYTES_100 "1234%i", 255, "unix:" BYTES_100 "1234255", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TALLOC_CTX *mem = talloc_new(NULL);
		struct address base, own;
		const char *why;

		assert_int_equal(address_parse(rows[i].base, &base, &why), 0);
		assert_int_equal(address_has_index(&base), rows[i].has_index);
		own = address_of_instance(&base, rows[i].index);
		assert_string_equal(address_text(mem, &own), rows[i].own);
		talloc_free(mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_addresses_are_read_and_written_back),
	    cmocka_unit_test(bad_addresses_are_refused_with_the_reason),
	    cmocka_unit_test(each_instance_has_an_address_of_its_own),
	    cmocka_unit_test(equality_is_of_family_host_and_port),
	    cmocka_unit_test(wildcards_overlap_with_all_of_their_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
