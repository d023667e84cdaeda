/* SPDX-License-Identifier: MIT */
/*
 * Chains of middleware: made once, never changed, shared by threads. What a request needs on
 * its way through one is on the stack: http_next says what is still to come.
 */
#include <errno.h>
#include <string.h>

#include "server/http/http_internal.h"

#include <baton/bag.h>
#include <baton/registry.h>

/* Immutable once it has been returned. */
struct http_chain {
	struct http_link *links; /* talloc array */
	size_t n;
	const struct ctx *values; /* its bag has what was injected; NULL: nothing was */
	int err;                  /* the first error, 0: none */
	const char *why;
};

struct http_chained {
	struct http_chain *chain; /* a copy of its own */
	http_handler *handler;
	void *data;
	int err;
	const char *why;
};

/* A plain middleware, or a plain handler. */
struct http_plain {
	http_plain_middleware *middleware;
	http_plain_handler *handler;
	void *data;
};

/* ---- On the way ------------------------------------------------------------------------------ */

int
http_next(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next)
{
	struct http_next after;

	if (ctx == NULL)
		return -ENOMEM;
	if (next->at == next->end)
		return next->last(ctx, req, res, next->data);
	after = *next;
	after.at++;
	after.ctx = ctx;
	return next->at->run(ctx, req, res, &after, next->at->data);
}

int
http_next_same(
    const struct http_request *req, struct http_response *res, const struct http_next *next)
{
	return http_next(next->ctx, req, res, next);
}

int
http_chain_serve(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const struct http_chained *c = data;
	const struct http_chain *chain = c->chain;
	struct http_next first = {.at = chain->links,
	    .end = chain->links + chain->n,
	    .last = c->handler,
	    .data = c->data};
	int err = chain->values == NULL ? 0 : ctx_bag_put_all(ctx, ctx_bag_of(chain->values));

	return err != 0 ? err : http_next(ctx, req, res, &first);
}

int
http_adapted(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	const struct http_plain *plain = data;

	(void)ctx;
	return plain->middleware(req, res, next, plain->data);
}

static int
serve_plain(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const struct http_plain *plain = data;

	(void)ctx;
	return plain->handler(req, res, plain->data);
}

int
http_clear_registry(const struct ctx *ctx, const struct http_request *req,
    struct http_response *res, const struct http_next *next, void *data)
{
	int err = http_next(ctx, req, res, next);

	ctx_registry_clear(data, req);
	return err;
}

/* ---- Made once ------------------------------------------------------------------------------- */

/* Keeps the first error. */
static void
spoil(struct http_chain *c, int err, const char *why)
{
	if (c->err != 0)
		return;
	c->err = err;
	c->why = why;
}

int
chain_check_link(const struct http_link *link, const char **why)
{
	*why = "expected a middleware, not NULL";
	if (link->run == NULL)
		return -EINVAL;
	*why = "out of memory";
	if (link->run == http_adapted && link->data == NULL)
		return -ENOMEM;
	*why = "http_adapt: expected a middleware, not NULL";
	if (link->run == http_adapted &&
	    ((const struct http_plain *)link->data)->middleware == NULL)
		return -EINVAL;
	*why = "http_clear_registry: expected a registry, not NULL";
	return link->run == http_clear_registry && link->data == NULL ? -EINVAL : 0;
}

int
chain_check_handler(http_handler *h, const void *data, const char **why)
{
	const struct http_chained *c = data;

	*why = "expected a handler, not NULL";
	if (h == NULL)
		return -EINVAL;
	*why = "out of memory";
	if (h == http_chain_serve && c == NULL)
		return -ENOMEM;
	if (h != http_chain_serve)
		return 0;
	*why = c->why;
	return c->err;
}

/* Adds the values of another chain, copied; false for lack of memory. */
static bool
add_values(struct http_chain *c, const struct http_chain *from)
{
	struct ctx_bag *copy;

	if (from->values == NULL)
		return true;
	if (c->values != NULL)
		return ctx_bag_put_all(c->values, ctx_bag_of(from->values)) == 0;
	copy = ctx_bag_copy(c, ctx_bag_of(from->values));
	if (copy != NULL)
		c->values = ctx_with_bag(c, ctx_background(), copy);
	return c->values != NULL;
}

static void
add_links(struct http_chain *c, const struct http_link *links, size_t n)
{
	const char *why;

	for (size_t i = 0; i < n; i++) {
		int err = chain_check_link(&links[i], &why);

		c->links[c->n++] = links[i];
		if (err != 0)
			spoil(c, err, why);
	}
}

/* An empty chain with room for so many links. */
static struct http_chain *
make_chain(TALLOC_CTX *mem, size_t room)
{
	struct http_chain *c = talloc_zero(mem, struct http_chain);

	if (c == NULL)
		return NULL;
	c->links = talloc_array(c, struct http_link, (unsigned)room);
	if (c->links == NULL)
		TALLOC_FREE(c);
	return c;
}

/* first, then links, then second; both chains may be NULL if they are not wanted. */
static struct http_chain *
join(TALLOC_CTX *mem, const struct http_chain *first, const struct http_link *links, size_t n,
    const struct http_chain *second)
{
	const struct http_chain *both[] = {first, second};
	size_t room = n + (first == NULL ? 0 : first->n) + (second == NULL ? 0 : second->n);
	struct http_chain *c = make_chain(mem, room);

	for (int i = 0; i < 2 && c != NULL; i++) {
		if (i == 1)
			add_links(c, links, n);
		if (both[i] == NULL)
			continue;
		spoil(c, both[i]->err, both[i]->why);
		add_links(c, both[i]->links, both[i]->n);
		if (!add_values(c, both[i]))
			TALLOC_FREE(c);
	}
	return c;
}

struct http_chain *
http_chain_new(TALLOC_CTX *mem, const struct http_link *links, size_t n)
{
	return join(mem, NULL, links, n, NULL);
}

struct http_chain *
http_chain_append(
    TALLOC_CTX *mem, const struct http_chain *chain, const struct http_link *links, size_t n)
{
	return chain == NULL ? NULL : join(mem, chain, links, n, NULL);
}

struct http_chain *
http_chain_extend(TALLOC_CTX *mem, const struct http_chain *first, const struct http_chain *then)
{
	return first == NULL || then == NULL ? NULL : join(mem, first, NULL, 0, then);
}

struct http_chain *
http_chain_inject(TALLOC_CTX *mem, const struct http_chain *chain, const char *key, void *value)
{
	struct http_chain *c = chain == NULL ? NULL : join(mem, chain, NULL, 0, NULL);

	if (c == NULL)
		return NULL;
	if (key == NULL) {
		spoil(c, -EINVAL, "http_chain_inject: expected a key, not NULL");
		return c;
	}
	if (c->values == NULL)
		c->values = ctx_with_bag(c, ctx_background(), NULL);
	if (c->values == NULL || ctx_bag_put(c->values, key, value) != 0)
		TALLOC_FREE(c);
	return c;
}

struct http_chained *
http_chain_then(TALLOC_CTX *mem, const struct http_chain *chain, http_handler *h, void *data)
{
	struct http_chained *c = chain == NULL ? NULL : talloc_zero(mem, struct http_chained);

	if (c == NULL)
		return NULL;
	c->chain = join(c, chain, NULL, 0, NULL);
	if (c->chain == NULL) {
		talloc_free(c);
		return NULL;
	}
	c->handler = h;
	c->data = data;
	c->err = chain->err;
	c->why = chain->why;
	if (c->err == 0)
		c->err = chain_check_handler(h, data, &c->why);
	return c;
}

static struct http_plain *
make_plain(TALLOC_CTX *mem, struct http_plain what)
{
	struct http_plain *p = talloc(mem, struct http_plain);

	if (p != NULL)
		*p = what;
	return p;
}

struct http_chained *
http_chain_then_handler(
    TALLOC_CTX *mem, const struct http_chain *chain, http_plain_handler *h, void *data)
{
	struct http_plain *p = make_plain(mem, (struct http_plain){.handler = h, .data = data});
	struct http_chained *c =
	    p == NULL ? NULL : http_chain_then(mem, chain, h != NULL ? serve_plain : NULL, p);

	if (c == NULL)
		talloc_free(p);
	else
		talloc_steal(c, p);
	return c;
}

struct http_plain *
http_adapt(TALLOC_CTX *mem, http_plain_middleware *plain, void *data)
{
	return make_plain(mem, (struct http_plain){.middleware = plain, .data = data});
}
