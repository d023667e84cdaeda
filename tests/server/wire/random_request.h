/* SPDX-License-Identifier: MIT */
/*
 * Random valid requests: whatever RFC 9110, 9112 and 3986 allow that the server takes, together
 * with what a handler must be shown of it. Included by one test; its parts are static.
 */
#ifndef BATON_TESTS_RANDOM_REQUEST_H
#define BATON_TESTS_RANDOM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

struct rng {
	uint64_t state;
	bool no_extensions; /* chunks have none */
};

/* splitmix64 */
static inline uint64_t
rng_next(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline size_t
rng_below(struct rng *r, size_t n)
{
	return (size_t)(rng_next(r) % n);
}

static inline bool
rng_one_in(struct rng *r, size_t n)
{
	return rng_below(r, n) == 0;
}

struct random_request {
	const char *method;
	const char *bytes; /* as sent */
	size_t bytes_len;
	const char *expect; /* "METHOD target\n", "name=value\n"..., content */
	size_t expect_len;
};

/* ---- Texts ------------------------------------------------------------------------------------- */

struct text {
	char *p;
	size_t len;
};

static inline void
add_bytes(struct text *t, const void *bytes, size_t len)
{
	t->p = talloc_realloc(talloc_parent(t->p), t->p, char, t->len + len + 1);
	memcpy(t->p + t->len, bytes, len);
	t->len += len;
	t->p[t->len] = '\0';
}

static inline void
add(struct text *t, const char *s)
{
	add_bytes(t, s, strlen(s));
}

static inline void
add_from(struct text *t, struct rng *r, const char *alphabet, size_t least, size_t most)
{
	size_t n = least + rng_below(r, most - least + 1);

	while (n-- > 0)
		add_bytes(t, &alphabet[rng_below(r, strlen(alphabet))], 1);
}

static inline const char *
one_of(struct rng *r, const char *const *list, size_t n)
{
	return list[rng_below(r, n)];
}

#define ONE_OF(r, list) one_of(r, list, sizeof(list) / sizeof(list[0]))
#define ALNUM           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define TCHAR           "!#$%&'*+-.^_`|~" ALNUM
#define PCHAR           "-._~!$&'()*+,;=:@" ALNUM

/* ---- Parts of a request -------------------------------------------------------------------------- */

static inline void
add_path(struct text *t, struct rng *r)
{
	static const char *const escapes[] = {"%20", "%c3%A4", "%2F", "%25", "%7e", "%0a"};

	for (size_t n = 1 + rng_below(r, 5); n > 0; n--) {
		add(t, "/");
		/* No segment of dots alone: they are refused. */
		add_from(t, r, ALNUM, 1, 1);
		add_from(t, r, PCHAR, 0, 12);
		if (rng_one_in(r, 3))
			add(t, ONE_OF(r, escapes));
	}
	if (rng_one_in(r, 3)) {
		add(t, "?");
		add_from(t, r, PCHAR "/?&&==", 0, 60);
		if (rng_one_in(r, 3))
			add(t, ONE_OF(r, escapes));
	}
}

/* The authority, where it has one: that counts, and not what Host says. */
static inline const char *
add_target(struct text *t, struct rng *r)
{
	static const char *const authorities[] = {
	    "http://a", "HTTP://example.com:80", "https://[::1]:443", "http://127.0.0.1"};
	const char *absolute = rng_one_in(r, 4) ? ONE_OF(r, authorities) : NULL;

	if (absolute != NULL)
		add(t, absolute);
	add_path(t, r);
	return absolute == NULL ? NULL : strchr(absolute, '/') + 2;
}

static inline void
add_ows(struct text *t, struct rng *r)
{
	static const char *const ows[] = {"", " ", " ", " ", "  ", "\t", " \t "};

	add(t, ONE_OF(r, ows));
}

struct building {
	struct random_request *q;
	struct text bytes, expect;
};

static inline void
expect_field(struct building *b, const char *name, const char *value)
{
	add(&b->expect, name);
	add(&b->expect, "=");
	add(&b->expect, value);
	add(&b->expect, "\n");
}

/* `after`: also white space after the value, which libmicrohttpd takes badly in two fields. */
static inline void
send_field(struct building *b, struct rng *r, const char *name, const char *value, bool after)
{
	add(&b->bytes, name);
	add(&b->bytes, ":");
	add_ows(&b->bytes, r);
	add(&b->bytes, value);
	if (after && rng_one_in(r, 3))
		add_ows(&b->bytes, r);
	add(&b->bytes, "\r\n");
}

static inline void
add_field(struct building *b, struct rng *r, const char *name, const char *value, bool after)
{
	send_field(b, r, name, value, after);
	expect_field(b, name, value);
}

static inline void
add_random_field(struct building *b, struct rng *r)
{
	static const char *const known[] = {"Accept", "accept-encoding", "Cookie", "User-Agent",
	    "ETag", "X-Forwarded-For", "Hostx", "Content-Lengthx", "Transfer-Encodinx",
	    "If-None-Match"};
	struct text name = {talloc_strdup(b->q, ""), 0}, value = {talloc_strdup(b->q, ""), 0};

	if (rng_one_in(r, 2)) {
		add(&name, ONE_OF(r, known));
	} else {
		add(&name, "X");
		add_from(&name, r, TCHAR, 0, 20);
	}
	if (!rng_one_in(r, 6)) { /* else it is empty */
		add_from(&value, r, PCHAR "\"\\/<>[]{}|^`#?\xc3\xa4\xff\x80", 1, 8);
		add_from(&value, r, PCHAR "\"\\  \t;,=", 0, 60);
		add(&value, "x");
	}
	add_field(b, r, name.p, value.p, true);
}

static inline void
add_host(struct building *b, struct rng *r, const char *authority)
{
	static const char *const names[] = {"host", "Host", "HOST", "hOsT"};
	static const char *const hosts[] = {"a", "example.com", "Example.COM:8080", "127.0.0.1:80",
	    "[::1]", "[2001:db8::1]:443", "[fe80::1%25eth0]", "[v1.a:b]", "a:", "a%20b",
	    "under_score.example", "xn--nxasmq6b.example.", "!$&'()*+,;=~-."};

	const char *name = ONE_OF(r, names), *host = ONE_OF(r, hosts);

	send_field(b, r, name, host, true);
	expect_field(b, name, authority != NULL ? authority : host);
}

/* ---- Content --------------------------------------------------------------------------------------- */

static inline void
add_chunk(struct text *t, struct rng *r, const char *data, size_t len)
{
	static const char *const extensions[] = {
	    "", "", "", ";a", ";a=b", ";a=\"b;c\\\"d\"", "; a = b", ";a;b=c;d", ";x=\t1"};
	static const char *const zeros[] = {"", "", "0", "0000"};
	char *size = talloc_asprintf(t->p, rng_one_in(r, 2) ? "%zx" : "%zX", len);

	add(t, ONE_OF(r, zeros));
	add(t, size);
	talloc_free(size);
	if (!r->no_extensions)
		add(t, ONE_OF(r, extensions));
	add(t, "\r\n");
	add_bytes(t, data, len);
	if (len > 0)
		add(t, "\r\n");
}

static inline void
add_chunks(struct text *t, struct rng *r, const char *data, size_t len)
{
	static const char *const trailers[] = {"", "", "X: y\r\n", "X:\r\nY: a b \r\n",
	    "Content-Length: 99\r\nHost: b\r\n", "Digest: sha-256=\t\xff\r\n"};

	while (len > 0) {
		size_t n = 1 + rng_below(r, len);

		add_chunk(t, r, data, n);
		data += n;
		len -= n;
	}
	add_chunk(t, r, "", 0);
	add(t, ONE_OF(r, trailers));
	add(t, "\r\n");
}

/* ---- The whole ---------------------------------------------------------------------------------------- */

static inline void
add_content(struct building *b, struct rng *r, size_t fields)
{
	static const char *const lengths[] = {"Content-Length", "content-length"};
	static const char *const codings[] = {"chunked", "Chunked", "CHUNKED"};
	size_t len = rng_one_in(r, 4) ? rng_below(r, 20000) : rng_below(r, 40),
	       before = rng_below(r, fields + 1);
	bool chunked = rng_one_in(r, 2), none = rng_one_in(r, 3);
	char *data = talloc_size(b->q, len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (char)rng_next(r);
	for (size_t i = 0; i <= fields; i++) {
		if (i == before && !none && chunked)
			add_field(b, r, "Transfer-Encoding", ONE_OF(r, codings), false);
		else if (i == before && !none)
			add_field(b, r, ONE_OF(r, lengths),
			    talloc_asprintf(b->q, "%s%zu", rng_one_in(r, 4) ? "00" : "", len),
			    false);
		if (i < fields)
			add_random_field(b, r);
	}
	add(&b->bytes, "\r\n");
	if (none)
		return;
	if (chunked)
		add_chunks(&b->bytes, r, data, len);
	else
		add_bytes(&b->bytes, data, len);
	add_bytes(&b->expect, data, len);
}

static inline struct random_request *
random_request(TALLOC_CTX *mem, struct rng *r)
{
	static const char *const methods[] = {"GET", "GET", "POST", "PUT", "HEAD", "DELETE",
	    "PATCH", "OPTIONS", "M-SEARCH", "PROPFIND", "get", "x!#$%&'*+-.^_`|~9"};
	struct building b = {.q = talloc_zero(mem, struct random_request)};
	struct text target = {talloc_strdup(b.q, ""), 0};
	size_t fields = rng_one_in(r, 4) ? rng_below(r, 41) : rng_below(r, 6), host;
	const char *authority;

	b.bytes.p = talloc_strdup(b.q, "");
	b.expect.p = talloc_strdup(b.q, "");
	b.q->method = ONE_OF(r, methods);
	authority = add_target(&target, r);
	if (rng_one_in(r, 10))
		add(&b.bytes, "\r\n"); /* RFC 9112 section 2.2 */
	add(&b.bytes, b.q->method);
	add(&b.bytes, " ");
	add(&b.bytes, target.p);
	add(&b.bytes, " HTTP/1.1\r\n");
	add(&b.expect, b.q->method);
	add(&b.expect, " ");
	add(&b.expect, target.p);
	add(&b.expect, "\n");
	host = rng_below(r, fields + 1);
	for (size_t i = 0; i < host; i++)
		add_random_field(&b, r);
	add_host(&b, r, authority);
	add_content(&b, r, fields - host);
	b.q->bytes = b.bytes.p;
	b.q->bytes_len = b.bytes.len;
	b.q->expect = b.expect.p;
	b.q->expect_len = b.expect.len;
	return b.q;
}

#endif
