/* SPDX-License-Identifier: MIT */
/*
 * Requests: their memory, and what a handler can ask of them. A request lives in one parentless
 * talloc pool, which is emptied and used again, so that an ordinary request costs no malloc.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "server/base/base.h"
#include "server/http/http_internal.h"

/* So many pools are kept: enough for the requests of one turn of the loop. */
#define STORE_MAX 256

static int
store_destroy(struct request_store *store)
{
	for (size_t i = 0; i < store->n; i++)
		talloc_free(store->pools[i]);
	return 0;
}

struct request_store *
request_store_new(TALLOC_CTX *mem)
{
	struct request_store *store = talloc_zero(mem, struct request_store);

	if (store == NULL)
		return NULL;
	store->pools = talloc_array(store, TALLOC_CTX *, STORE_MAX);
	if (store->pools == NULL) {
		talloc_free(store);
		return NULL;
	}
	store->size = STORE_MAX;
	talloc_set_destructor(store, store_destroy);
	return store;
}

static TALLOC_CTX *
pool_take(struct request_store *store)
{
	TALLOC_CTX *pool = NULL;

	if (store != NULL && store->n > 0)
		pool = store->pools[--store->n];
	return pool != NULL ? pool : talloc_pool(NULL, REQUEST_POOL_BYTES);
}

static void
pool_give_back(struct request_store *store, TALLOC_CTX *pool)
{
	talloc_free_children(pool); /* an empty pool starts again at its beginning */
	if (store != NULL && store->n < store->size)
		store->pools[store->n++] = pool;
	else
		talloc_free(pool);
}

/* A power of two. */
#define ID_BLOCK 256

/* Tells processes apart: those that serve now, those that did, and those forked from them. */
static char process[9]; /* eight digits and a hyphen */

static const char digits[] = "0123456789abcdef";

static void
new_process(void)
{
	uint32_t n;

	while (getrandom(&n, sizeof(n), 0) != sizeof(n))
		;
	for (int i = 0; i < 8; i++, n >>= 4)
		process[i] = digits[n & 15];
	process[8] = '-';
}

static void
first_process(void)
{
	new_process();
	pthread_atfork(NULL, NULL, new_process);
}

/* Numbers are taken from all threads' counter a block at a time. */
static uint64_t
new_number(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static _Atomic uint64_t next;
	static _Thread_local uint64_t number;

	if (number % ID_BLOCK == 0) {
		pthread_once(&once, first_process);
		number = atomic_fetch_add_explicit(&next, ID_BLOCK, memory_order_relaxed);
		if (number == 0)
			number++; /* 0 says that there is no block yet */
	}
	return number++;
}

uint64_t
request_new_id(char id[24])
{
	uint64_t number = new_number(), n = number;

	memcpy(id, process, sizeof(process));
	for (int i = 20; i >= 9; i--, n >>= 4)
		id[i] = digits[n & 15];
	id[21] = '\0';
	return number;
}

/* The target stands behind the structure: one allocation for both. */
struct http_request *
request_new(struct request_store *store, const char *target)
{
	TALLOC_CTX *pool = pool_take(store);
	size_t len = strlen(target) + 1;
	struct http_request *req =
	    pool == NULL ? NULL : talloc_size(pool, sizeof(struct http_request) + len);

	if (req == NULL) {
		talloc_free(pool);
		return NULL;
	}
	memset(req, 0, sizeof(*req));
	req->pool = pool;
	req->store = store;
	req->state = REQUEST_HEAD;
	atomic_init(&req->handler, HANDLER_RUNS);
	req->answer = &req->res;
	req->target = memcpy(req + 1, target, len);
	req->method = req->version = req->path = req->query = req->listener = "";
	req->number = request_new_id(req->id);
	response_init(&req->res, req);
	return req;
}

/* Called by another thread than the leader, which alone touches the store. */
static void
pool_free(void *pool)
{
	talloc_free(pool);
}

/* A function that the handler left behind, and that may use the pool, is the last to let go. */
void
request_free(struct http_request *req)
{
	if (req->ctx == NULL || ctxi_calls_settled(&req->calls, pool_free, req->pool))
		pool_give_back(req->store, req->pool);
}

/* One block for the array and every string: the parser's memory does not last. */
int
request_set_head(struct http_request *req, const char *method, const char *version,
    const struct http_field *fields, size_t n)
{
	size_t size = strlen(method) + strlen(version) + 2 + n * sizeof(*fields);
	char *block, *p;

	for (size_t i = 0; i < n; i++)
		size += strlen(fields[i].name) + strlen(fields[i].value) + 2;
	block = talloc_size(req, size);
	if (block == NULL)
		return -ENOMEM;
	req->fields = (struct http_field *)block;
	req->fields_n = n;
	p = block + n * sizeof(*fields);
	req->method = p;
	p = stpcpy(p, method) + 1;
	req->version = p;
	p = stpcpy(p, version) + 1;
	for (size_t i = 0; i < n; i++) {
		size_t len;

		req->fields[i].name = p;
		p = stpcpy(p, fields[i].name) + 1;
		/* Optional white space around a value is no part of it (RFC 9110, 5.5). */
		req->fields[i].value = p;
		strcpy(p, fields[i].value + strspn(fields[i].value, " \t"));
		len = strlen(p);
		while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
			len--;
		p[len] = '\0';
		p += len + 1;
	}
	return 0;
}

/* In the place of what the Host field says, or beside all others where there is none. */
int
request_set_host(struct http_request *req, const char *host)
{
	struct http_field *fields;

	for (size_t i = 0; i < req->fields_n; i++)
		if (strcasecmp(req->fields[i].name, "Host") == 0) {
			req->fields[i].value = host;
			return 0;
		}
	fields = talloc_array(req, struct http_field, req->fields_n + 1);
	if (fields == NULL)
		return -ENOMEM;
	fields[0] = (struct http_field){"Host", host};
	memcpy(fields + 1, req->fields, req->fields_n * sizeof(*fields));
	req->fields = fields;
	req->fields_n++;
	return 0;
}

/* `hint` is the announced length, so that content of known size is allocated once. */
int
request_body_append(struct http_request *req, const void *data, size_t len, size_t hint)
{
	if (req->body_len + len + 1 > req->body_size) {
		size_t size = req->body_size * 2;
		char *body;

		if (size < req->body_len + len + 1)
			size = req->body_len + len + 1;
		if (size < hint + 1)
			size = hint + 1;
		body = talloc_realloc(req, req->body, char, size);
		if (body == NULL)
			return -ENOMEM;
		req->body = body;
		req->body_size = size;
	}
	memcpy(req->body + req->body_len, data, len);
	req->body_len += len;
	req->body[req->body_len] = '\0';
	return 0;
}

/* ---- Lines of log that name their request by its id -------------------------------------------- */

void
log_request(int priority, const struct http_request *req, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_of(priority, req->id, fmt, ap);
	va_end(ap);
}

/* Work that goes on after its request logs under the request's id: it takes a copy along. */
static void *
copy_id(TALLOC_CTX *mem, const void *id)
{
	return talloc_strdup(mem, id);
}

CTX_KEY_DEFINE_COPY(request_id_key, const char, copy_id);

void
http_log(const struct ctx *ctx, int priority, const char *fmt, ...)
{
	const char *id = ctx == NULL ? NULL : ctx_value(ctx, &request_id_key);
	va_list ap;

	va_start(ap, fmt);
	log_of(priority, id, fmt, ap);
	va_end(ap);
}

/* ---- What <baton/http.h> offers ------------------------------------------------------------ */

TALLOC_CTX *
http_request_mem(const struct http_request *req)
{
	return req->pool;
}

/* A copy of a request has its number, too; its address and its memory are used again. */
const void *
http_request_identity(const void *req)
{
	return (const void *)(uintptr_t)((const struct http_request *)req)->number;
}

const char *
http_request_id(const struct http_request *req)
{
	return req->id;
}

const char *
http_request_method(const struct http_request *req)
{
	return req->method;
}

const char *
http_request_target(const struct http_request *req)
{
	return req->target;
}

const char *
http_request_path(const struct http_request *req)
{
	return req->path;
}

const char *
http_request_path_value(const struct http_request *req, const char *name)
{
	const struct route *route = req->match.route;
	size_t wild = 0;

	for (size_t i = 0; route != NULL && i < route->segments_n; i++) {
		if (route->segments[i].kind == SEGMENT_LITERAL)
			continue;
		if (strcmp(route->segments[i].text, name) == 0)
			return req->match.values[wild];
		wild++;
	}
	return NULL;
}

const char *
http_request_query_string(const struct http_request *req)
{
	return req->query;
}

const char *
http_request_query(const struct http_request *req, const char *name)
{
	return target_query(req->pool, req->query, name);
}

const char *
http_request_header(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->fields_n; i++)
		if (strcasecmp(req->fields[i].name, name) == 0)
			return req->fields[i].value;
	return NULL;
}

const struct http_field *
http_request_headers(const struct http_request *req, size_t *n)
{
	*n = req->fields_n;
	return req->fields;
}

const void *
http_request_body(const struct http_request *req, size_t *len)
{
	*len = req->body_len;
	return req->body != NULL ? req->body : "";
}

const char *
http_request_peer(const struct http_request *req)
{
	return req->peer;
}

const char *
http_request_listener(const struct http_request *req)
{
	return req->listener;
}
