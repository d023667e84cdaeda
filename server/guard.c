/* SPDX-License-Identifier: MIT */
/*
 * What the parser lets through and no handler may see: heads that two servers could read in
 * two ways, which is how requests are smuggled. Looks at the head as the parser gives it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/internal.h"

static const char *
check_fields(const struct http_request *req)
{
	for (size_t i = 0; i < req->fields_n; i++) {
		/* The parser glues folded lines (obs-fold) to the name: it is none then. */
		if (!field_name_valid(req->fields[i].name))
			return "malformed field name";
		if (!field_value_valid(req->fields[i].value))
			return "control character in a field value";
	}
	return NULL;
}

/* uri-host [":" port]: no white space, no user, nothing of a path (RFC 9112 section 3.2). */
static bool
host_valid(const char *host)
{
	for (const unsigned char *p = (const unsigned char *)host; *p != '\0'; p++)
		if (!isalnum(*p) && strchr("-._~!$&'()*+,;=:[]%", *p) == NULL)
			return false;
	return true;
}

static const char *
check_host(const struct http_request *req)
{
	unsigned n = 0;

	for (size_t i = 0; i < req->fields_n; i++) {
		if (strcasecmp(req->fields[i].name, "Host") != 0)
			continue;
		n++;
		if (!host_valid(req->fields[i].value))
			return "malformed Host";
	}
	if (n > 1)
		return "more than one Host";
	return n == 0 && strcmp(req->version, "HTTP/1.0") != 0 ? "no Host" : NULL;
}

/* One number, or the same number again and again (RFC 9112 section 6.3, rule 5). */
static const char *
check_length(const struct http_request *req)
{
	const char *first = NULL;

	for (size_t i = 0; i < req->fields_n; i++) {
		const char *value = req->fields[i].value;

		if (strcasecmp(req->fields[i].name, "Content-Length") != 0)
			continue;
		if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0' ||
		    strlen(value) > 18)
			return "malformed Content-Length";
		if (first != NULL && strcmp(first, value) != 0)
			return "differing Content-Length";
		first = value;
	}
	return NULL;
}

static int
check_encoding(const struct http_request *req, const char **why)
{
	bool chunked = false;

	for (size_t i = 0; i < req->fields_n; i++) {
		if (strcasecmp(req->fields[i].name, "Transfer-Encoding") != 0)
			continue;
		*why = "Transfer-Encoding other than chunked";
		if (chunked || strcasecmp(req->fields[i].value, "chunked") != 0)
			return 501;
		chunked = true;
	}
	*why = "Transfer-Encoding together with Content-Length";
	if (chunked && http_request_header(req, "Content-Length") != NULL)
		return 400;
	*why = "Transfer-Encoding in HTTP/1.0";
	return chunked && strcmp(req->version, "HTTP/1.0") == 0 ? 400 : 0;
}

int
guard_check(const struct http_request *req, const char **why)
{
	*why = "malformed method";
	if (!field_name_valid(req->method))
		return 400;
	if ((*why = check_fields(req)) != NULL || (*why = check_host(req)) != NULL ||
	    (*why = check_length(req)) != NULL)
		return 400;
	return check_encoding(req, why);
}

int64_t
guard_content_length(const struct http_request *req)
{
	const char *value = http_request_header(req, "Content-Length");

	return value == NULL ? -1 : strtoll(value, NULL, 10);
}
