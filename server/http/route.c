/* SPDX-License-Identifier: MIT */
/*
 * Patterns of routes: "GET /items/{id}", parsed and compared. Precedence and conflicts are
 * those of Go 1.22's net/http.ServeMux.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "server/http/http_internal.h"

static bool
is_name(const char *s, size_t len)
{
	if (len == 0 || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

static bool
name_taken(const struct route *r, const char *name)
{
	for (size_t i = 0; i < r->segments_n; i++)
		if (r->segments[i].kind != SEGMENT_LITERAL &&
		    strcmp(r->segments[i].text, name) == 0)
			return true;
	return false;
}

/* {name} or {name...}; s points behind the brace, len counts up to the segment's end. */
static const char *
parse_wildcard(struct route *r, struct segment *seg, const char *s, size_t len, bool last)
{
	if (s[len - 1] != '}')
		return "a wildcard is a whole segment: {name} or {name...}";
	len--;
	seg->kind = SEGMENT_ONE;
	if (len > 3 && strncmp(s + len - 3, "...", 3) == 0) {
		seg->kind = SEGMENT_REST;
		len -= 3;
		if (!last)
			return "{name...} is only possible as the last segment";
	}
	if (!is_name(s, len))
		return "a wildcard's name consists of letters, digits and _";
	seg->text = talloc_strndup(r, s, len);
	if (seg->text != NULL && name_taken(r, seg->text))
		return "two wildcards have the same name";
	return NULL;
}

static const char *
parse_segment(struct route *r, const char *s, size_t len, bool last)
{
	struct segment *seg = &r->segments[r->segments_n];
	const char *why = NULL;

	if (len > 1 && s[0] == '{') {
		why = parse_wildcard(r, seg, s + 1, len - 1, last);
	} else {
		char *text = talloc_array(r, char, len + 1);

		seg->kind = SEGMENT_LITERAL;
		seg->text = text;
		if (memchr(s, '{', len) != NULL || memchr(s, '}', len) != NULL)
			return "a wildcard is a whole segment: {name} or {name...}";
		if (text != NULL && target_unescape(text, s, len, false) < 0)
			return "bad percent-encoding";
		if (text != NULL && !target_path_valid(text))
			return "dot segments and overlong UTF-8 never match";
	}
	if (why == NULL && seg->text == NULL)
		return "out of memory";
	r->segments_n++;
	return why;
}

static const char *
parse_path(struct route *r, const char *path)
{
	size_t n = 0;

	if (path[0] != '/')
		return "expected \"/path\" or \"METHOD /path\"";
	for (const char *p = path; *p != '\0'; p++)
		n += *p == '/';
	r->segments = talloc_array(r, struct segment, n);
	if (r->segments == NULL)
		return "out of memory";
	for (const char *p = path; *p == '/';) {
		size_t len = strcspn(p + 1, "/");
		const char *why = parse_segment(r, p + 1, len, p[1 + len] == '\0');

		if (why != NULL)
			return why;
		p += 1 + len;
	}
	return NULL;
}

struct route *
route_parse(TALLOC_CTX *mem, const char *pattern, const char **why)
{
	struct route *r = talloc_zero(mem, struct route);
	size_t method = strcspn(pattern, " \t/");
	const char *path = pattern + method + strspn(pattern + method, " \t");

	*why = "out of memory";
	if (r == NULL)
		return NULL;
	r->pattern = talloc_strdup(r, pattern);
	if (r->pattern == NULL)
		goto fail;
	if (method > 0) {
		r->method = talloc_strndup(r, pattern, method);
		if (r->method == NULL)
			goto fail;
		if (!field_name_valid(r->method) || path == pattern + method) {
			*why = "expected \"/path\" or \"METHOD /path\"";
			goto fail;
		}
	}
	*why = parse_path(r, path);
	if (*why == NULL)
		return r;
fail:
	talloc_free(r);
	return NULL;
}

/* What two patterns are to each other; bits, for both can be more specific in places. */
enum relation { SAME = 0, LEFT_NARROWER = 1, RIGHT_NARROWER = 2, CROSSING = 3, DISJOINT = 4 };

static enum relation
compare_segments(const struct segment *a, const struct segment *b)
{
	if (a->kind == b->kind)
		return a->kind == SEGMENT_LITERAL && strcmp(a->text, b->text) != 0 ? DISJOINT
										   : SAME;
	if (a->kind > b->kind) {
		enum relation r = compare_segments(b, a);

		return r == LEFT_NARROWER ? RIGHT_NARROWER : r;
	}
	if (b->kind == SEGMENT_ONE && a->text[0] == '\0')
		return DISJOINT; /* {name} is never empty */
	return LEFT_NARROWER;
}

static enum relation
compare_paths(const struct route *a, const struct route *b)
{
	unsigned all = SAME;

	for (size_t i = 0;; i++) {
		bool a_ends = i == a->segments_n, b_ends = i == b->segments_n;
		enum relation r;

		if (a_ends || b_ends)
			return a_ends && b_ends ? all : DISJOINT;
		r = compare_segments(&a->segments[i], &b->segments[i]);
		if (r == DISJOINT)
			return DISJOINT;
		all |= r;
		if (a->segments[i].kind == SEGMENT_REST || b->segments[i].kind == SEGMENT_REST)
			return all;
	}
}

static enum relation
compare_methods(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b ? SAME : a == NULL ? RIGHT_NARROWER : LEFT_NARROWER;
	if (strcmp(a, b) == 0)
		return SAME;
	if (strcmp(a, "GET") == 0 && strcmp(b, "HEAD") == 0)
		return RIGHT_NARROWER;
	if (strcmp(a, "HEAD") == 0 && strcmp(b, "GET") == 0)
		return LEFT_NARROWER;
	return DISJOINT;
}

bool
route_conflict(const struct route *a, const struct route *b)
{
	enum relation m = compare_methods(a->method, b->method);
	enum relation p = compare_paths(a, b);

	if (m == DISJOINT || p == DISJOINT)
		return false;
	return (m | p) == SAME || (m | p) == CROSSING;
}
