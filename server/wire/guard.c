/* SPDX-License-Identifier: MIT */
/*
 * What the parser lets through and no handler may see: heads that two servers could read in
 * two ways, which is how requests are smuggled. Looks at the head as the parser gives it, once
 * through for every request; guard_bytes.c looks at how the bytes lay.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http/octet.h"
#include "server/wire/guard.h"

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

/* True if any byte is below `low`, DEL, or above `high`. Inline: both are constants of the caller's. */
static inline __attribute__((always_inline)) bool
has_outside(const char *text, size_t len, unsigned char low, unsigned char high)
{
	bytes16 v = len < sizeof(v) ? load_short(text, len) : load16(text + len - sizeof(v));
	bytes16 found = (bytes16)(v < low) | (bytes16)(v == 0x7f) | (bytes16)(v > high);

	for (size_t i = 0; i + sizeof(v) < len; i += sizeof(v)) {
		v = load16(text + i);
		found |= (bytes16)(v < low) | (bytes16)(v == 0x7f) | (bytes16)(v > high);
	}
	return any_of(found);
}

/* ---- Fields ------------------------------------------------------------------------------------ */

/* The fields that say where the message ends and whom it is for. */
struct framing {
	const char *host, *length;
	unsigned hosts;
	struct guard_codings codings;
};

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

/* A list, whose empty elements count for nothing (RFC 9110 section 5.6.1.2). */
void
guard_codings_add(struct guard_codings *codings, const char *value)
{
	codings->fields++;
	codings->value = value;
	while (*(value += strspn(value, ", \t")) != '\0') {
		size_t len = strcspn(value, ","), name = strcspn(value, ", \t");
		bool chunked = name == strlen("chunked") &&
			       strncasecmp(value, "chunked", name) == 0 &&
			       name + strspn(value + name, " \t") == len;

		codings->n++;
		codings->chunked_n += chunked;
		codings->chunked_last = chunked;
		value += len;
	}
}

int
guard_codings_check(const struct guard_codings *codings, const char **why)
{
	*why = "Transfer-Encoding that does not end in chunked"; /* RFC 9112 section 6.3, rule 4 */
	if (!codings->chunked_last)
		return 400;
	*why = "Transfer-Encoding with chunked twice"; /* section 6.1 */
	if (codings->chunked_n > 1)
		return 400;
	/* Also what the parser would not take for the one word that it knows. */
	*why = "Transfer-Encoding other than chunked";
	return codings->fields > 1 || strcasecmp(codings->value, "chunked") != 0 ? 501 : 0;
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
		guard_codings_add(&f->codings, field->value);
	}
	return NULL;
}

/* name_len is how far the name is a token: a valid name is one to its end. */
static inline const char *
check_field(const char *name, size_t name_len, const char *value)
{
	size_t value_len = strlen(value);

	if (name_len == 0 || name[name_len] != '\0')
		return "malformed field name";
	/* A tab is the one control character that is allowed: where there is one, look closer. */
	if (has_outside(value, value_len, 0x20, 0xff) && !field_value_valid(value))
		return "control character in a field value";
	return NULL;
}

const char *
guard_field(const char *name, const char *value)
{
	return check_field(name, octet_span(name, OCTET_TOKEN), value);
}

static const char *
check_fields(const struct http_request *req, struct framing *f)
{
	const char *why = NULL;

	for (size_t i = 0; i < req->fields_n && why == NULL; i++) {
		const struct http_field *field = &req->fields[i];
		size_t name_len = octet_span(field->name, OCTET_TOKEN);

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
	return target_host_valid(f->host) ? NULL : "malformed Host";
}

static int
check_encoding(const struct http_request *req, const struct framing *f, const char **why)
{
	if (f->codings.fields == 0)
		return 0;
	*why = "Transfer-Encoding together with Content-Length";
	if (f->length != NULL)
		return 400;
	*why = "Transfer-Encoding in HTTP/1.0";
	if (strcmp(req->version, "HTTP/1.0") == 0)
		return 400;
	return guard_codings_check(&f->codings, why);
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
	if (req->method[0] == '\0' || req->method[octet_span(req->method, OCTET_TOKEN)] != '\0')
		return 400;
	*why = "white space, control or non-ASCII character in the target";
	if (has_outside(req->target, strlen(req->target), 0x21, 0x7e))
		return 400;
	if ((*why = check_fields(req, &f)) != NULL || (*why = check_host(req, &f)) != NULL)
		return 400;
	/* What the client sends next is meant for the host that it wants to reach, so nobody reads it. */
	*why = "this server is no proxy";
	if (strcmp(req->method, "CONNECT") == 0)
		return 501;
	req->chunked = f.codings.fields > 0;
	if (f.length != NULL)
		req->announced = length_of(f.length);
	return check_encoding(req, &f, why);
}

/* ---- Chunk extensions ------------------------------------------------------------------------- */

/* Returns what stands behind the closing quote; NULL if there is none. */
static const char *
skip_quoted(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : NULL;
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

static const char *
skip_token(const char *p, const char *end)
{
	const char *begin = p;

	while (p < end && (octet_classes[(unsigned char)*p] & OCTET_TOKEN) != 0)
		p++;
	return p > begin ? p : NULL;
}

/*
 * *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 section 7.1.1.
 * What they say is ignored; what is none could be read by somebody else as a line's end.
 */
bool
guard_extensions_valid(const char *text, size_t len)
{
	const char *p = text, *end = text + len, *after;

	while (p != NULL && p < end) {
		p = skip_space(p, end);
		if (p == end || *p != ';')
			return false;
		p = skip_token(skip_space(p + 1, end), end);
		after = p == NULL ? end : skip_space(p, end);
		if (after == end || *after != '=')
			continue; /* white space belongs to what follows, so something does */
		p = skip_space(after + 1, end);
		p = p < end && *p == '"' ? skip_quoted(p, end) : skip_token(p, end);
	}
	return p != NULL;
}
