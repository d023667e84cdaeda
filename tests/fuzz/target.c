/* SPDX-License-Identifier: MIT */
/* Fuzz target: request targets, their decoding, and the router that walks them. */
#include "server/wire/guard.h"
#include "tests/fuzz/fuzz.h"

static int
nothing(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_empty(res, 204);
}

static struct router *
router(void)
{
	static const char *const patterns[] = {
	    "/", "/a", "GET /a/{b}", "/a/{b}/c", "/a/{b}/{rest...}", "/a%20b/", "/d/{rest...}"};
	static struct router *r;

	for (size_t i = 0; r == NULL || i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		const struct route *with;
		const char *why;
		struct route *route;

		if (r == NULL)
			r = router_new(NULL);
		route = route_parse(r, patterns[i], &why);
		route->handler = nothing;
		if (router_add(r, route, &with) != 0)
			break; /* they are all there */
	}
	return r;
}

static void
find(const struct target *t)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct route_match m = {0};

	if (router_find(router(), mem, "GET", t->path, t->path_len, &m) == 0 && m.route != NULL)
		for (size_t i = 0, wild = 0; i < m.route->segments_n; i++)
			if (m.route->segments[i].kind != SEGMENT_LITERAL)
				must(strlen(m.values[wild]) <= t->path_len &&
				     target_path_valid(m.values[wild++]));
	talloc_free(mem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *out = malloc(size + 1);
	struct target t;
	ssize_t len;

	must(out != NULL);
	if (target_parse("OPTIONS", text, &t) == 0) {
		must(t.path_len > 0 && t.query != NULL);
		must(t.path[0] == '/' || (t.path[0] == '*' && t.path_len == 1));
		must((t.authority == NULL) == (t.authority_len == 0));
		must(memchr(t.path, '?', t.path_len) == NULL);
		must(memchr(t.path, '#', t.path_len) == NULL);
		find(&t);
	}
	len = target_unescape(out, text, strlen(text), false);
	must(len < 0 || ((size_t)len <= strlen(text) && strlen(out) == (size_t)len));
	(void)target_path_valid(text);
	(void)target_host_valid(text);
	(void)guard_extensions_valid(text, strlen(text));
	free(out);
	free(text);
	return 0;
}
