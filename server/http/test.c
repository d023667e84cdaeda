/* SPDX-License-Identifier: MIT */
/*
 * Requests without a socket, for tests of one's own handlers: parsed by a reader of our own,
 * which takes well-formed heads and nothing else. The server dispatches them (http_test_serve).
 */
#include <errno.h>
#include <string.h>

#include "server/http/http_internal.h"

static size_t
line_length(const char *p)
{
	size_t len = strcspn(p, "\n");

	return len > 0 && p[len - 1] == '\r' ? len - 1 : len;
}

static const char *
next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p == '\n' ? p + 1 : p;
}

/* Cuts "Name: value" lines; they point into copies under mem. */
static int
parse_fields(TALLOC_CTX *mem, const char *p, struct http_field **fields, size_t *n)
{
	*fields = NULL;
	for (*n = 0; line_length(p) > 0; p = next_line(p)) {
		size_t len = line_length(p), name = strcspn(p, ":");
		struct http_field *f =
		    talloc_realloc(mem, *fields, struct http_field, (unsigned)*n + 1);

		if (f == NULL)
			return -ENOMEM;
		*fields = f;
		if (name >= len)
			return -EINVAL;
		f[*n].name = talloc_strndup(mem, p, name);
		f[*n].value = talloc_strndup(mem, p + name + 1, len - name - 1);
		if (f[*n].name == NULL || f[*n].value == NULL)
			return -ENOMEM;
		if (!field_name_valid(f[*n].name) || !field_value_valid(f[*n].value))
			return -EINVAL;
		(*n)++;
	}
	return 0;
}

static int
test_request_free(struct http_request **holder)
{
	request_free(*holder);
	return 0;
}

/* "METHOD target [version]" */
static struct http_request *
parse_request_line(TALLOC_CTX *mem, const char *head, char **method, const char **version)
{
	char *line = talloc_strndup(mem, head, line_length(head));
	char *target, *save = NULL;

	*method = line == NULL ? NULL : strtok_r(line, " ", &save);
	target = *method == NULL ? NULL : strtok_r(NULL, " ", &save);
	if (target == NULL || !field_name_valid(*method))
		return NULL;
	*version = strtok_r(NULL, " ", &save);
	if (*version == NULL)
		*version = "HTTP/1.1";
	else if (strcmp(*version, "HTTP/1.1") != 0 && strcmp(*version, "HTTP/1.0") != 0)
		return NULL;
	return strtok_r(NULL, " ", &save) == NULL ? request_new(NULL, target) : NULL;
}

struct http_request *
http_test_request(TALLOC_CTX *mem, const char *head, const void *body, size_t len)
{
	/* The request's pool has no parent; a holder under mem ends it with mem. */
	struct http_request **holder =
	    head == NULL ? NULL : talloc_zero(mem, struct http_request *);
	struct http_request *req;
	struct http_field *fields;
	const char *version;
	char *method;
	size_t n;

	if (holder == NULL)
		return NULL;
	req = *holder = parse_request_line(holder, head, &method, &version);
	if (req == NULL)
		goto fail;
	talloc_set_destructor(holder, test_request_free);
	if (parse_fields(holder, next_line(head), &fields, &n) != 0 ||
	    request_set_head(req, method, version, fields, n) != 0)
		goto fail;
	if (len > 0 && request_body_append(req, body, len, len) != 0)
		goto fail;
	return req;
fail:
	talloc_free(holder);
	return NULL;
}
