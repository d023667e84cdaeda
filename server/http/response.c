/* SPDX-License-Identifier: MIT */
/*
 * Responses as handlers make them: a status, header fields and content, all in the request's
 * memory. Nothing is sent before the handler has returned; streaming will have a file of its
 * own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/http/http_internal.h"
#include "server/http/octet.h"

void
response_init(struct http_response *res, struct http_request *req)
{
	*res = (struct http_response){.req = req};
}

/* A token (RFC 9110 section 5.6.2). */
bool
field_name_valid(const char *name)
{
	return name[0] != '\0' && name[octet_span(name, OCTET_TOKEN)] == '\0';
}

bool
field_value_valid(const char *value)
{
	for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

/* Fields that frame the message: only the server knows what is right for them. */
static bool
is_reserved(const char *name)
{
	static const char *const reserved[] = {
	    "Connection", "Content-Length", "Date", "Keep-Alive", "Trailer", "Transfer-Encoding"};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcasecmp(reserved[i], name) == 0)
			return true;
	return false;
}

int
http_response_header_add(struct http_response *res, const char *name, const char *value)
{
	struct http_field *fields, field;

	if (name == NULL || value == NULL)
		return -EINVAL;
	if (!field_name_valid(name) || !field_value_valid(value) || is_reserved(name))
		return -EINVAL;
	fields = talloc_realloc(res->req, res->fields, struct http_field, res->fields_n + 1);
	if (fields == NULL)
		return -ENOMEM;
	res->fields = fields;
	field.name = talloc_strdup(fields, name);
	field.value = talloc_strdup(fields, value);
	if (field.name == NULL || field.value == NULL)
		return -ENOMEM;
	fields[res->fields_n++] = field;
	return 0;
}

int
http_response_header(struct http_response *res, const char *name, const char *value)
{
	size_t before = res->fields_n, kept = 0;
	int err = http_response_header_add(res, name, value);

	if (err != 0)
		return err; /* what was set before stays */
	for (size_t i = 0; i < res->fields_n; i++)
		if (i == before || strcasecmp(res->fields[i].name, name) != 0)
			res->fields[kept++] = res->fields[i];
	res->fields_n = kept;
	return 0;
}

const char *
http_response_header_get(const struct http_response *res, const char *name)
{
	for (size_t i = 0; i < res->fields_n; i++)
		if (strcasecmp(res->fields[i].name, name) == 0)
			return res->fields[i].value;
	return strcasecmp(name, "Content-Type") == 0 ? res->type : NULL;
}

/* Types that most answers have: neither checked nor copied. */
static const char octets[] = "application/octet-stream";
static const char plain[] = "text/plain; charset=utf-8";
static const char *const usual[] = {plain, "text/html; charset=utf-8", "application/json", octets};

static const char *
usual_type(const char *type)
{
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strcmp(type, usual[i]) == 0)
			return usual[i];
	return NULL;
}

/* The type is of the usual ones, or has been checked. */
static int
answer(struct http_response *res, int status, const char *type, const void *data, size_t len)
{
	if (status < 200 || status > 599 || (data == NULL && len > 0))
		return -EINVAL;
	res->status = status;
	res->type = type;
	res->content = data;
	res->content_len = len;
	return 0;
}

int
http_response_static(
    struct http_response *res, int status, const char *type, const void *data, size_t len)
{
	const char *known = type == NULL ? octets : usual_type(type);

	if (known == NULL) {
		if (type[0] == '\0' || !field_value_valid(type))
			return -EINVAL;
		known = talloc_strdup(res->req, type);
		if (known == NULL)
			return -ENOMEM;
	}
	return answer(res, status, known, data, len);
}

int
http_response_bytes(
    struct http_response *res, int status, const char *type, const void *data, size_t len)
{
	void *copy = data == NULL && len > 0 ? NULL : talloc_size(res->req, len + 1);

	if (copy == NULL)
		return data == NULL && len > 0 ? -EINVAL : -ENOMEM;
	if (len > 0)
		memcpy(copy, data, len);
	return http_response_static(res, status, type, copy, len);
}

int
http_response_vprintf(struct http_response *res, int status, const char *fmt, va_list ap)
{
	char *text = fmt == NULL ? NULL : talloc_vasprintf(res->req, fmt, ap);

	if (text == NULL)
		return fmt == NULL ? -EINVAL : -ENOMEM;
	return answer(res, status, plain, text, talloc_get_size(text) - 1);
}

int
http_response_printf(struct http_response *res, int status, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = http_response_vprintf(res, status, fmt, ap);
	va_end(ap);
	return err;
}

int
http_response_empty(struct http_response *res, int status)
{
	return answer(res, status, NULL, "", 0);
}

int
http_response_error(struct http_response *res, int status, const char *text)
{
	const char *phrase = http_status_text(status);

	return http_response_printf(res, status, "%d%s%s%s%s\n", status,
	    phrase[0] != '\0' ? " " : "", phrase, text != NULL ? ": " : "",
	    text != NULL ? text : "");
}

int
http_response_unauthorized(struct http_response *res, const char *scheme, const char *text)
{
	int err = -EINVAL;

	if (scheme != NULL && scheme[0] != '\0')
		err = http_response_header(res, "WWW-Authenticate", scheme);
	return err != 0 ? err : http_response_error(res, 401, text);
}

int
http_response_redirect(struct http_response *res, int status, const char *location)
{
	int err;

	if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
		return -EINVAL;
	if (location == NULL || location[0] == '\0' || strpbrk(location, " \t") != NULL)
		return -EINVAL;
	err = http_response_header(res, "Location", location);
	return err != 0 ? err : http_response_printf(res, status, "see %s\n", location);
}

void
http_response_on_timeout(struct http_response *res, int status)
{
	atomic_store(&res->req->timeout_status, status == 504 ? 504 : 503);
}

void
http_response_close(struct http_response *res)
{
	res->close = true;
}

int
http_response_status(const struct http_response *res)
{
	return res->status;
}

const void *
http_response_content(const struct http_response *res, size_t *len)
{
	*len = res->content_len;
	return res->content != NULL ? res->content : "";
}
