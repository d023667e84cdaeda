/* SPDX-License-Identifier: MIT */
/*
 * Finds the most specific route of a path: a tree of segments for each method, searched
 * literal first, then {name}, then {rest...}, with a step back where a branch ends. As
 * conflicting routes are refused, what is found first is the most specific (route.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/http_internal.h"

struct edge {
	const char *text;
	struct node *to;
};

struct node {
	struct edge *edges; /* literals, sorted by text */
	size_t edges_n;
	struct node *one;          /* {name} */
	const struct route *rest;  /* {name...} */
	const struct route *route; /* the path may end here */
};

struct tree {
	const char *method; /* NULL: every method */
	struct node *root;
	struct tree *next;
};

struct router {
	struct tree *trees;
	const struct route **routes; /* in order of registration, to find conflicts */
	size_t routes_n;
	size_t depth; /* segments of the longest pattern */
};

/*
 * A search: the path's segments, and what the wildcards on the way hold. The segments lie one
 * behind the other, each ended by a NUL where its slash was.
 */
struct search {
	char **segments;
	size_t n;
	size_t *wild; /* index of the segment that each wildcard matched */
};

struct router *
router_new(TALLOC_CTX *mem)
{
	return talloc_zero(mem, struct router);
}

/* Where text is among the edges, or belongs. */
static size_t
edge_place(const struct node *n, const char *text, bool *found)
{
	size_t lo = 0, hi = n->edges_n;

	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(n->edges[mid].text, text);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct node *
literal_child(struct node *n, const char *text)
{
	bool found;
	size_t at = edge_place(n, text, &found);
	struct edge *edges;
	struct node *to;

	if (found)
		return n->edges[at].to;
	edges = talloc_realloc(n, n->edges, struct edge, n->edges_n + 1);
	if (edges == NULL)
		return NULL;
	n->edges = edges;
	to = talloc_zero(n, struct node);
	/* The tree's own: the route may be gone if a later step fails. */
	text = to == NULL ? NULL : talloc_strdup(to, text);
	if (text == NULL)
		return NULL;
	memmove(&edges[at + 1], &edges[at], (n->edges_n - at) * sizeof(*edges));
	edges[at] = (struct edge){.text = text, .to = to};
	n->edges_n++;
	return to;
}

static int
insert(struct node *n, const struct route *route)
{
	for (size_t i = 0; i < route->segments_n; i++) {
		const struct segment *seg = &route->segments[i];

		if (seg->kind == SEGMENT_REST) {
			n->rest = route;
			return 0;
		}
		if (seg->kind == SEGMENT_LITERAL) {
			n = literal_child(n, seg->text);
		} else {
			if (n->one == NULL)
				n->one = talloc_zero(n, struct node);
			n = n->one;
		}
		if (n == NULL)
			return -ENOMEM;
	}
	n->route = route;
	return 0;
}

static bool
same_method(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static const struct tree *
tree_of(const struct router *r, const char *method)
{
	const struct tree *t = r->trees;

	while (t != NULL && !same_method(t->method, method))
		t = t->next;
	return t;
}

static struct tree *
tree_make(struct router *r, const char *method)
{
	struct tree *t = (struct tree *)tree_of(r, method);

	if (t != NULL)
		return t;
	t = talloc_zero(r, struct tree);
	if (t == NULL)
		return NULL;
	t->root = talloc_zero(t, struct node);
	t->method = method == NULL ? NULL : talloc_strdup(t, method);
	t->next = r->trees;
	if (t->root == NULL || (method != NULL && t->method == NULL)) {
		talloc_free(t);
		return NULL;
	}
	r->trees = t;
	return t;
}

int
router_add(struct router *r, struct route *route, const struct route **with)
{
	const struct route **routes;
	struct tree *t;

	for (size_t i = 0; i < r->routes_n; i++)
		if (route_conflict(r->routes[i], route)) {
			*with = r->routes[i];
			return -EEXIST;
		}
	routes = talloc_realloc(r, r->routes, const struct route *, r->routes_n + 1);
	if (routes == NULL)
		return -ENOMEM;
	r->routes = routes;
	t = tree_make(r, route->method);
	if (t == NULL || insert(t->root, route) != 0)
		return -ENOMEM;
	r->routes[r->routes_n++] = talloc_steal(r, route);
	if (r->depth < route->segments_n)
		r->depth = route->segments_n;
	return 0;
}

static const struct route *
walk(const struct node *n, const struct search *s, size_t at, size_t wilds)
{
	const struct route *found = NULL;

	if (at == s->n)
		return n->route;
	if (n->edges_n > 0) {
		bool has;
		size_t e = edge_place(n, s->segments[at], &has);

		if (has)
			found = walk(n->edges[e].to, s, at + 1, wilds);
	}
	if (found == NULL && n->one != NULL && s->segments[at][0] != '\0') {
		s->wild[wilds] = at;
		found = walk(n->one, s, at + 1, wilds + 1);
	}
	if (found == NULL && n->rest != NULL) {
		s->wild[wilds] = at;
		found = n->rest;
	}
	return found;
}

/*
 * Cuts the path, without its first slash, into decoded segments, all in one block. What lies
 * deeper than any pattern can only be the end of a {rest...}, and stays in one piece.
 */
static int
split(const struct router *r, struct search *s, TALLOC_CTX *mem, const char *path, size_t len)
{
	size_t most = r->depth + 1, at = most * (sizeof(*s->segments) + sizeof(*s->wild));
	char *buf;

	s->segments = talloc_size(mem, at + len + 1);
	if (s->segments == NULL)
		return -ENOMEM;
	s->wild = (size_t *)(s->segments + most);
	buf = (char *)s->segments + at;
	s->n = 0;
	for (size_t i = 0; i <= len;) {
		const char *end = s->n < r->depth ? memchr(path + i, '/', len - i) : NULL;
		size_t seg = end == NULL ? len - i : (size_t)(end - path) - i;
		ssize_t size = target_unescape(buf, path + i, seg, false);

		if (size < 0 || !target_path_valid(buf))
			return -EINVAL;
		s->segments[s->n++] = buf;
		buf += size + 1;
		i += seg + 1;
	}
	return 0;
}

/* The slashes come back in their places, and the segments are one text again. */
static const char *
join_rest(const struct search *s, size_t from)
{
	for (size_t i = from + 1; i < s->n; i++)
		s->segments[i][-1] = '/';
	return s->segments[from];
}

static int
collect_values(TALLOC_CTX *mem, const struct search *s, struct route_match *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->route->segments_n; i++)
		n += m->route->segments[i].kind != SEGMENT_LITERAL;
	if (n == 0)
		return 0;
	n = 0;
	m->values = talloc_array(mem, const char *, m->route->segments_n);
	if (m->values == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->route->segments_n; i++) {
		enum segment_kind kind = m->route->segments[i].kind;

		if (kind == SEGMENT_LITERAL)
			continue;
		m->values[n] =
		    kind == SEGMENT_ONE ? s->segments[s->wild[n]] : join_rest(s, s->wild[n]);
		n++;
	}
	return 0;
}

/* True if a tree knows the path; without a search, if it knows any. */
static bool
knows(const struct tree *t, const struct search *s)
{
	return t != NULL && (s == NULL || walk(t->root, s, 0, 0) != NULL);
}

/*
 * The methods under which the path is known, or any path, if there is no search: for the Allow
 * field (RFC 9110 section 10.2.1).
 */
static int
collect_allow(TALLOC_CTX *mem, const struct router *r, const struct search *s, const char **allow)
{
	char *list = NULL;

	for (const struct tree *t = r->trees; t != NULL; t = t->next) {
		bool get = t->method != NULL && strcmp(t->method, "GET") == 0;

		if (t->method == NULL || !knows(t, s))
			continue;
		if (strcmp(t->method, "HEAD") == 0 && knows(tree_of(r, "GET"), s))
			continue; /* named along with GET */
		list = list == NULL ? talloc_strdup(mem, t->method)
				    : talloc_asprintf_append(list, ", %s", t->method);
		if (get && list != NULL)
			list = talloc_asprintf_append(list, ", HEAD");
		if (list == NULL)
			return -ENOMEM;
	}
	*allow = list;
	return 0;
}

/* "OPTIONS *": what the server as a whole can do (RFC 9110 section 9.3.7). */
static int
allow_of_server(TALLOC_CTX *mem, const struct router *r, const char **allow)
{
	int err = collect_allow(mem, r, NULL, allow);

	if (err != 0 || tree_of(r, "OPTIONS") != NULL)
		return err;
	*allow = *allow == NULL ? "OPTIONS" : talloc_asprintf(mem, "%s, OPTIONS", *allow);
	return *allow == NULL ? -ENOMEM : 0;
}

int
router_find(const struct router *r, TALLOC_CTX *mem, const char *method, const char *path,
    size_t len, struct route_match *m)
{
	const char *order[3] = {method, strcmp(method, "HEAD") == 0 ? "GET" : NULL, NULL};
	struct search s;
	int err;

	memset(m, 0, sizeof(*m));
	if (len == 0 || path[0] != '/') /* "*" is no path: nothing is routed there */
		return allow_of_server(mem, r, &m->allow);
	err = split(r, &s, mem, path + 1, len - 1);
	if (err != 0)
		return err;
	for (size_t i = 0; i < 3 && m->route == NULL; i++) {
		const struct tree *t = tree_of(r, order[i]);

		if (t != NULL)
			m->route = walk(t->root, &s, 0, 0);
	}
	if (m->route != NULL)
		return collect_values(mem, &s, m);
	return collect_allow(mem, r, &s, &m->allow);
}
