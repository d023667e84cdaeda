/* SPDX-License-Identifier: MIT */
/*
 * Request targets: their forms (RFC 9112 section 3.2), percent-decoding (RFC 3986 section
 * 2.1) and queries (application/x-www-form-urlencoded). No memory is taken but for results.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "server/http/http_internal.h"
#include "server/http/octet.h"

/* Behind "http://": the authority of the absolute-form, which a server must accept (3.2.2). */
static const char *
find_authority(const char *raw)
{
	size_t scheme = 0;

	if (strncasecmp(raw, "http://", 7) == 0)
		scheme = 7;
	else if (strncasecmp(raw, "https://", 8) == 0)
		scheme = 8;
	return scheme == 0 || strcspn(raw + scheme, "/?") == 0 ? NULL : raw + scheme;
}

/*
 * "*" is for OPTIONS alone (3.2.4), and "http://host" without a path means the same there (3.3);
 * with any other method it means the root.
 */
static const char *
no_path(const char *method, const char *rest)
{
	return strcmp(method, "OPTIONS") == 0 && rest[0] == '\0' ? "*" : "/";
}

int
target_parse(const char *method, const char *raw, struct target *t)
{
	const char *path = raw, *authority = NULL;
	size_t len;

	if (strchr(raw, '#') != NULL) /* a fragment is never sent (RFC 9110 section 7.1) */
		return -EINVAL;
	if (raw[0] != '/' && (strcmp(raw, "*") != 0 || strcmp(method, "OPTIONS") != 0)) {
		authority = find_authority(raw);
		if (authority == NULL)
			return -EINVAL;
		path = authority + strcspn(authority, "/?");
	}
	len = strcspn(path, "?");
	t->authority = authority;
	t->authority_len = authority == NULL ? 0 : (size_t)(path - authority);
	t->query = path[len] == '?' ? path + len + 1 : "";
	t->path = len == 0 ? no_path(method, path) : path;
	t->path_len = len == 0 ? 1 : len;
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t
target_unescape(char *dst, const char *src, size_t len, bool plus_is_space)
{
	char *out = dst;

	for (size_t i = 0; i < len; i++) {
		char c = src[i];

		if (c == '+' && plus_is_space) {
			c = ' ';
		} else if (c == '%') {
			int hi = i + 2 < len ? hex_digit(src[i + 1]) : -1;
			int lo = hi >= 0 ? hex_digit(src[i + 2]) : -1;

			/* A NUL would end the string for C code earlier than for others. */
			if (lo < 0 || (hi == 0 && lo == 0))
				return -EINVAL;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		*out++ = c;
	}
	*out = '\0';
	return out - dst;
}

/* More bytes of UTF-8 than a character needs (RFC 3629 section 3): a second spelling of it. */
static bool
is_overlong(const unsigned char *p)
{
	return (p[0] <= 0xc1 && (p[1] & 0xc0) == 0x80) || (p[0] == 0xe0 && (p[1] & 0xe0) == 0x80) ||
	       (p[0] == 0xf0 && (p[1] & 0xf0) == 0x80);
}

bool
target_path_valid(const char *decoded)
{
	const unsigned char *p = (const unsigned char *)decoded;
	size_t len = 0, dots = 0; /* of the segment so far */

	for (;; p++) {
		if (*p == '/' || *p == '\0') {
			if (len == dots && (dots == 1 || dots == 2))
				return false;
			if (*p == '\0')
				return true;
			len = dots = 0;
			continue;
		}
		if (*p >= 0xc0 && is_overlong(p))
			return false;
		len++;
		dots += *p == '.';
	}
}

const char *
target_query(TALLOC_CTX *mem, const char *query, const char *name)
{
	size_t longest = strlen(query);
	char *buf = longest == 0 ? NULL : talloc_array(mem, char, longest + 1);
	const char *p = query;

	while (buf != NULL && *p != '\0') {
		size_t pair = (size_t)(strchrnul(p, '&') - p);
		const char *equals = memchr(p, '=', pair);
		size_t key = equals == NULL ? pair : (size_t)(equals - p);
		bool has_value = equals != NULL;

		if (target_unescape(buf, p, key, true) >= 0 && strcmp(buf, name) == 0) {
			p += key + has_value;
			pair -= key + has_value;
			if (target_unescape(buf, p, pair, true) >= 0)
				return buf;
			break;
		}
		p += pair;
		p += *p == '&';
	}
	talloc_free(buf);
	return NULL;
}

/* RFC 9110 section 7.2; a host of http is not empty (section 4.2.1). */
bool
target_host_valid(const char *host)
{
	size_t len;

	if (host[0] == ':' || host[0] == '\0')
		return false;
	if (host[0] == '[') {
		len = octet_span(++host, OCTET_LITERAL);
		if (len == 0 || host[len] != ']')
			return false;
		host += len + 1;
	} else {
		while ((len = octet_span(host, OCTET_REG_NAME)) > 0 || host[0] == '%') {
			host += len;
			if (host[0] == '%' && strspn(++host, "0123456789abcdefABCDEF") < 2)
				return false;
		}
	}
	if (host[0] == ':')
		host += 1 + octet_span(host + 1, OCTET_DIGIT);
	return host[0] == '\0';
}
