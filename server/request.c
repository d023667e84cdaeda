/* SPDX-License-Identifier: MIT */
/*
 * Requests: their memory, their references, and what a handler can ask of them. A request
 * lives in one parentless talloc pool, which is emptied and used again, so that an ordinary
 * request costs no malloc.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "server/internal.h"

/* So many pools are kept: enough for the requests of one turn of the loop. */
#define STORE_MAX 256

static int
store_destroy(struct request_store *store)
{
	for (size_t i = 0; i < store->n; i++)
		talloc_free(store->pools[i]);
	pthread_mutex_destroy(&store->lock);
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
	pthread_mutex_init(&store->lock, NULL);
	talloc_set_destructor(store, store_destroy);
	return store;
}

static TALLOC_CTX *
pool_take(struct request_store *store)
{
	TALLOC_CTX *pool = NULL;

	if (store != NULL) {
		pthread_mutex_lock(&store->lock);
		if (store->n > 0)
			pool = store->pools[--store->n];
		pthread_mutex_unlock(&store->lock);
	}
	return pool != NULL ? pool : talloc_pool(NULL, REQUEST_POOL_BYTES);
}

static void
pool_give_back(struct request_store *store, TALLOC_CTX *pool)
{
	talloc_free_children(pool); /* an empty pool starts again at its beginning */
	if (store != NULL) {
		pthread_mutex_lock(&store->lock);
		if (store->n < store->size) {
			store->pools[store->n++] = pool;
			pool = NULL;
		}
		pthread_mutex_unlock(&store->lock);
	}
	talloc_free(pool);
}

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

void
request_new_id(char id[24])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static _Atomic uint64_t next;
	uint64_t n;

	pthread_once(&once, first_process);
	n = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
	memcpy(id, process, sizeof(process));
	for (int i = 20; i >= 9; i--, n >>= 4)
		id[i] = digits[n & 15];
	id[21] = '\0';
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
	atomic_init(&req->refs, 1);
	atomic_init(&req->phase, REQUEST_HEAD);
	req->target = memcpy(req + 1, target, len);
	req->method = req->version = req->path = req->query = req->listener = "";
	request_new_id(req->id);
	response_init(&req->res, req);
	return req;
}

void
request_ref(struct http_request *req)
{
	atomic_fetch_add_explicit(&req->refs, 1, memory_order_relaxed);
}

void
request_unref(struct http_request *req)
{
	if (atomic_fetch_sub_explicit(&req->refs, 1, memory_order_acq_rel) > 1)
		return;
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

/* ---- What <baton/http.h> offers ------------------------------------------------------------ */

TALLOC_CTX *
http_request_mem(const struct http_request *req)
{
	return req->pool;
}

/* A copy of a request has its memory, too. */
const void *
http_request_identity(const void *req)
{
	return ((const struct http_request *)req)->pool;
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

/* Decimal; returns where it ends. */
static char *
put_number(char *p, unsigned n)
{
	char reversed[10];
	int len = 0;

	do
		reversed[len++] = digits[n % 10];
	while ((n /= 10) > 0);
	while (len > 0)
		*p++ = reversed[--len];
	return p;
}

static char *
put_ipv4(char *p, const uint8_t octets[4])
{
	for (int i = 0; i < 4; i++) {
		p = put_number(p, octets[i]);
		*p++ = i < 3 ? '.' : ':';
	}
	return p;
}

/* printf would cost more than the rest of the request's bookkeeping. */
static void
format_peer(const struct sockaddr_storage *ss, char text[PEER_TEXT_BYTES])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
	char *p = text;

	if (ss->ss_family == AF_INET) {
		p = put_number(put_ipv4(p, (const uint8_t *)&in->sin_addr), ntohs(in->sin_port));
	} else if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		/* An IPv4 client of a socket for both is named as one. */
		p = put_ipv4(p, &in6->sin6_addr.s6_addr[12]);
		p = put_number(p, ntohs(in6->sin6_port));
	} else if (ss->ss_family == AF_INET6) {
		*p++ = '[';
		inet_ntop(AF_INET6, &in6->sin6_addr, p, INET6_ADDRSTRLEN);
		p += strlen(p);
		*p++ = ']';
		*p++ = ':';
		p = put_number(p, ntohs(in6->sin6_port));
	} else if (ss->ss_family == AF_UNIX) {
		p = stpcpy(p, "unix");
	}
	*p = '\0';
}

const char *
http_request_peer(const struct http_request *req)
{
	struct http_request *own = (struct http_request *)req;

	/* Formatted at the first call: a request has one handler at a time. */
	if (req->peer[0] == '\0')
		format_peer(&req->peer_addr, own->peer);
	return req->peer;
}

const char *
http_request_listener(const struct http_request *req)
{
	return req->listener;
}
