/* SPDX-License-Identifier: MIT */
/*
 * A registry: values by request, for code that has only the request and no context, in the
 * manner of gorilla/context. What is set stays until it is deleted, cleared or purged: clear
 * each request at its end (the server has a middleware for it).
 *
 *	ctx_registry_set(reg, request, &user_key, user);
 *	struct user *u = ctx_registry_get(reg, request, &user_key);
 *	ctx_registry_clear(reg, request);
 *
 * Keys are those of ctx.h, and types are checked alike. A request is any pointer but NULL; it is
 * not looked into. What was set for one is found by whoever asks with the same pointer: where
 * memory is used again for the next request, identity must give something that is not.
 *
 * Any thread may call any function; ctx_registry_get() takes no lock, the others that of one of 64
 * parts. A registry does not own the values.
 */
#ifndef BATON_REGISTRY_H
#define BATON_REGISTRY_H

#include <baton/ctx.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ctx_registry;

/*
 * A registry under mem. identity, if not NULL, says what stands for a request, so that copies
 * of a request object share its values: `return ((const struct request *)r)->original;`. It
 * must give the same answer for all of them as long as they live, and not the same for another
 * request before this one was cleared: an address serves if its object lives until then, a
 * number that is never used again always does. Not NULL. NULL: no memory.
 */
struct ctx_registry *
ctx_registry_new(TALLOC_CTX *mem, const void *(*identity)(const void *request));

/* int ctx_registry_set(struct ctx_registry *, const void *request, &key, T *v);
 * Sets v, which may be NULL, in place of what was there. 0 or -ENOMEM. */
#define ctx_registry_set(reg, request, keyp, v) \
	ctx_registry_set_((reg), (request), CTX_KEY_OF_(keyp), CTX_TYPED_(keyp, v))

/* T *ctx_registry_get(struct ctx_registry *, const void *request, &key); NULL if absent. */
#define ctx_registry_get(reg, request, keyp) \
	((CTX_PTR_(keyp))ctx_registry_get_((reg), (request), CTX_KEY_OF_(keyp)))

/* T *ctx_registry_get_ok(struct ctx_registry *, const void *request, &key, bool *ok);
 * The same; *ok says whether it is there, be it NULL. */
#define ctx_registry_get_ok(reg, request, keyp, ok) \
	((CTX_PTR_(keyp))ctx_registry_get_ok_((reg), (request), CTX_KEY_OF_(keyp), (ok)))

struct ctx_registry_value {
	const struct ctx_key *key;
	void *value;
};

/*
 * All values of a request, in no order, ended by a NULL key, under mem; *n is how many. An
 * array of none if it was registered and all were deleted. 0; -ENOENT if it is not
 * registered; -ENOMEM.
 */
int ctx_registry_get_all_ok(struct ctx_registry *reg, TALLOC_CTX *mem, const void *request,
    struct ctx_registry_value **values, size_t *n);
/* The same array, or NULL for either error. */
struct ctx_registry_value *
ctx_registry_get_all(struct ctx_registry *reg, TALLOC_CTX *mem, const void *request);

/* void ctx_registry_delete(struct ctx_registry *, const void *request, &key);
 * Takes one value away. The request stays registered. */
#define ctx_registry_delete(reg, request, keyp) \
	ctx_registry_delete_((reg), (request), CTX_KEY_OF_(keyp))

/* Takes all values of the request away, and forgets it. */
void ctx_registry_clear(struct ctx_registry *reg, const void *request);

/*
 * Forgets all requests that were registered more than max_age_s seconds ago, all if that is
 * 0 or less; how many. For programs that cannot be sure to clear each request.
 */
size_t ctx_registry_purge(struct ctx_registry *reg, int64_t max_age_s);

/* How many requests are registered now. */
size_t ctx_registry_count(struct ctx_registry *reg);

int ctx_registry_set_(
    struct ctx_registry *reg, const void *request, const struct ctx_key *key, const void *value);
void *ctx_registry_get_(struct ctx_registry *reg, const void *request, const struct ctx_key *key);
void *ctx_registry_get_ok_(
    struct ctx_registry *reg, const void *request, const struct ctx_key *key, bool *ok);
void ctx_registry_delete_(struct ctx_registry *reg, const void *request, const struct ctx_key *key);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
