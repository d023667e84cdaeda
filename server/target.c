/* SPDX-License-Identifier: MIT */
/*
 * Request targets: their forms (RFC 9112 section 3.2), percent-decoding (RFC 3986 section
 * 2.1) and queries (application/x-www-form-urlencoded). No memory is taken but for results.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "server/internal.h"

/* Skips "http://authority" of the absolute-form, which a server must accept (3.2.2). */
static const char *
skip_authority(const char *raw)
{
	size_t scheme = 0;

	if (strncasecmp(raw, "http://", 7) == 0)
		scheme = 7;
	else if (strncasecmp(raw, "https://", 8) == 0)
		scheme = 8;
	if (scheme == 0 || strcspn(raw + scheme, "/?#") == 0)
		return NULL;
	return raw + scheme + strcspn(raw + scheme, "/?");
}

int
target_parse(const char *raw, struct target *t)
{
	const char *path = raw;
	size_t len;

	if (strchr(raw, '#') != NULL) /* a fragment is never sent (RFC 9110 section 7.1) */
		return -EINVAL;
	if (raw[0] != '/' && strcmp(raw, "*") != 0) {
		path = skip_authority(raw);
		if (path == NULL)
			return -EINVAL;
	}
	len = strcspn(path, "?");
	t->query = path[len] == '?' ? path + len + 1 : "";
	t->path = len == 0 ? "/" : path; /* "http://host" means its root */
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

bool
target_is_dot_segment(const char *seg, size_t len)
{
	size_t dots = 0;

	for (size_t i = 0; i < len; dots++) {
		if (seg[i] == '.')
			i++;
		else if (len - i >= 3 && strncasecmp(seg + i, "%2e", 3) == 0)
			i += 3;
		else
			return false;
	}
	return dots == 1 || dots == 2;
}

const char *
target_query(TALLOC_CTX *mem, const char *query, const char *name)
{
	size_t longest = strlen(query);
	char *buf = longest == 0 ? NULL : talloc_array(mem, char, longest + 1);
	const char *p = query;

	while (buf != NULL && *p != '\0') {
		size_t pair = strcspn(p, "&");
		size_t key = strcspn(p, "=&");
		bool has_value = key < pair;

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
