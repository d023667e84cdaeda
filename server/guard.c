/* SPDX-License-Identifier: MIT */
/*
 * What the parser lets through and no handler may see: heads that two servers could read in
 * two ways, which is how requests are smuggled. Looks at the head as the parser gives it, once
 * through for every request; guard_bytes.c looks at how the bytes lay.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/internal.h"

/* What a byte may be part of. */
enum class {
	TOKEN = 1,    /* RFC 9110 section 5.6.2 */
	REG_NAME = 2, /* RFC 3986 section 3.2.2, "%" with two digits apart */
	LITERAL = 4,  /* what stands in the brackets of an IP literal, zone included */
	DIGIT = 8,
};

#define TR  (TOKEN | REG_NAME)
#define ANY (TOKEN | REG_NAME | LITERAL)

static const unsigned char classes[256] = {
    ['!'] = TR,
    ['#'] = TOKEN,
    ['$'] = TR,
    ['%'] = TOKEN | LITERAL,
    ['&'] = TR,
    ['\''] = TR,
    ['*'] = TR,
    ['+'] = TR,
    ['-'] = ANY,
    ['.'] = ANY,
    ['^'] = TOKEN,
    ['_'] = ANY,
    ['`'] = TOKEN,
    ['|'] = TOKEN,
    ['~'] = ANY,
    ['('] = REG_NAME,
    [')'] = REG_NAME,
    [','] = REG_NAME,
    [';'] = REG_NAME,
    ['='] = REG_NAME,
    [':'] = LITERAL,
    ['0' ... '9'] = ANY | DIGIT,
    ['A' ... 'Z'] = ANY,
    ['a' ... 'z'] = ANY,
};

static size_t
span(const char *text, unsigned class)
{
	const unsigned char *p = (const unsigned char *)text;

	while ((classes[*p] & class) != 0)
		p++;
	return (size_t)(p - (const unsigned char *)text);
}

/* ---- Control characters, sixteen bytes at a time ----------------------------------------------- */

typedef unsigned char bytes16 __attribute__((vector_size(16)));

static bytes16
load16(const char *p)
{
	bytes16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool
any_of(bytes16 found)
{
	uint64_t half[2];

	memcpy(half, &found, sizeof(half));
	return (half[0] | half[1]) != 0;
}

/* The same for fewer than sixteen: the beginning and the end, which may overlap. */
static bytes16
load_short(const char *p, size_t len)
{
	uint64_t half[2] = {UINT64_C(0x7878787878787878), UINT64_C(0x7878787878787878)}; /* "x" */
	bytes16 v;

	if (len >= 8) {
		memcpy(&half[0], p, 8);
		memcpy(&half[1], p + len - 8, 8);
	} else if (len >= 4) {
		memcpy(&half[0], p, 4);
		memcpy(&half[1], p + len - 4, 4);
	} else {
		for (size_t i = 0; i < len; i++)
			((char *)half)[i] = p[i];
	}
	memcpy(&v, half, sizeof(v));
	return v;
}

/* Is any byte below `limit`, or DEL? Inline: the limit is a constant of the caller's. */
static inline __attribute__((always_inline)) bool
has_below(const char *text, size_t len, unsigned char limit)
{
	bytes16 v = len < sizeof(v) ? load_short(text, len) : load16(text + len - sizeof(v));
	bytes16 found = (bytes16)(v < limit) | (bytes16)(v == 0x7f);

	for (size_t i = 0; i + sizeof(v) < len; i += sizeof(v)) {
		v = load16(text + i);
		found |= (bytes16)(v < limit) | (bytes16)(v == 0x7f);
	}
	return any_of(found);
}

/* ---- Fields ------------------------------------------------------------------------------------ */

/* The fields that say where the message ends and whom it is for. */
struct framing {
	const char *host, *length, *encoding;
	unsigned hosts, encodings;
};

/* uri-host [":" port], where all but the port may be empty (RFC 9110 section 7.2). */
static bool
host_valid(const char *host)
{
	size_t len;

	if (host[0] == '[') {
		len = span(++host, LITERAL);
		if (len == 0 || host[len] != ']')
			return false;
		host += len + 1;
	} else {
		while ((len = span(host, REG_NAME)) > 0 || host[0] == '%') {
			host += len;
			if (host[0] == '%' && strspn(++host, "0123456789abcdefABCDEF") < 2)
				return false;
		}
	}
	if (host[0] == ':')
		host += 1 + span(host + 1, DIGIT);
	return host[0] == '\0';
}

/* One number, or the same again and again (RFC 9112 section 6.3, rule 5). */
static const char *
note_length(struct framing *f, const char *value)
{
	if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0')
		return "malformed Content-Length";
	if (f->length != NULL && strcmp(f->length, value) != 0)
		return "differing Content-Length";
	f->length = value;
	return NULL;
}

/* The three that matter differ in length, so most fields are not compared at all. */
static const char *
note_field(struct framing *f, const struct http_field *field, size_t name_len)
{
	if (name_len == strlen("Host") && strcasecmp(field->name, "Host") == 0) {
		f->hosts++;
		f->host = field->value;
	} else if (name_len == strlen("Content-Length") &&
		   strcasecmp(field->name, "Content-Length") == 0) {
		return note_length(f, field->value);
	} else if (name_len == strlen("Transfer-Encoding") &&
		   strcasecmp(field->name, "Transfer-Encoding") == 0) {
		f->encodings++;
		f->encoding = field->value;
	}
	return NULL;
}

/* name_len is what of the name is a token: all of it, or it is none. */
static inline const char *
check_field(const char *name, size_t name_len, const char *value)
{
	size_t value_len = strlen(value);

	if (name_len == 0 || name[name_len] != '\0')
		return "malformed field name";
	/* A tab is the one control character that is allowed: where there is one, look closer. */
	if (has_below(value, value_len, 0x20) && !field_value_valid(value))
		return "control character in a field value";
	return NULL;
}

const char *
guard_field(const char *name, const char *value)
{
	return check_field(name, span(name, TOKEN), value);
}

static const char *
check_fields(const struct http_request *req, struct framing *f)
{
	const char *why = NULL;

	for (size_t i = 0; i < req->fields_n && why == NULL; i++) {
		const struct http_field *field = &req->fields[i];
		size_t name_len = span(field->name, TOKEN);

		why = check_field(field->name, name_len, field->value);
		if (why == NULL)
			why = note_field(f, field, name_len);
	}
	return why;
}

static const char *
check_host(const struct http_request *req, const struct framing *f)
{
	if (f->hosts > 1)
		return "more than one Host";
	if (f->hosts == 0)
		return strcmp(req->version, "HTTP/1.0") != 0 ? "no Host" : NULL;
	return host_valid(f->host) ? NULL : "malformed Host";
}

static int
check_encoding(const struct http_request *req, const struct framing *f, const char **why)
{
	if (f->encodings == 0)
		return 0;
	*why = "Transfer-Encoding together with Content-Length";
	if (f->length != NULL)
		return 400;
	*why = "Transfer-Encoding in HTTP/1.0";
	if (strcmp(req->version, "HTTP/1.0") == 0)
		return 400;
	*why = "Transfer-Encoding other than chunked";
	return f->encodings > 1 || strcasecmp(f->encoding, "chunked") != 0 ? 501 : 0;
}

/* A number that no machine counts to is as good as any other that is too large. */
static int64_t
length_of(const char *digits)
{
	digits += strspn(digits, "0");
	return strlen(digits) > 18 ? INT64_MAX : strtoll(digits, NULL, 10);
}

int
guard_check(struct http_request *req, const char **why)
{
	struct framing f = {0};

	req->announced = -1;
	*why = "malformed method";
	if (req->method[0] == '\0' || req->method[span(req->method, TOKEN)] != '\0')
		return 400;
	*why = "white space or control character in the target";
	if (has_below(req->target, strlen(req->target), 0x21))
		return 400;
	if ((*why = check_fields(req, &f)) != NULL || (*why = check_host(req, &f)) != NULL)
		return 400;
	req->chunked = f.encodings > 0;
	if (f.length != NULL)
		req->announced = length_of(f.length);
	return check_encoding(req, &f, why);
}

int64_t
guard_content_length(const struct http_request *req)
{
	return req->announced;
}
