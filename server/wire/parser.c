/* SPDX-License-Identifier: MIT */
/*
 * Requests as libmicrohttpd gives them: what it calls from the request line to the answer.
 *
 * The engine stands on this: when the access handler returns MHD_YES at the final call for a
 * request, with no response and no suspension, it is called again at the next run, and
 * MHD_get_timeout is 0 meanwhile. So the final call only queues the request; the leader runs
 * its handler after MHD_run has returned; the next call finds the answer. Only if the handler is
 * still running then, in another thread, does the connection get suspended.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "server/wire/parser.h"

/* A head has few fields; one with more takes a second look. */
#define FIELDS_AT_ONCE 64

/* The name of the field that hides all others of the same name from the parser. */
static const char no_cookie[] = "Cookie";

struct field_list {
	struct http_field *fields;
	size_t n, size;
	struct guard_bytes bytes;
};

static enum MHD_Result
collect_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	struct field_list *list = cls;

	(void)kind;
	if (name == no_cookie)
		return MHD_YES;
	if (value == NULL) /* never, in a field that was received */
		return MHD_NO;
	if (list->n < list->size)
		list->fields[list->n] = (struct http_field){name, value};
	list->n++;
	guard_bytes_field(&list->bytes, name, name_len, value, value_len);
	return MHD_YES;
}

/* Copies the head. If its bytes are malformed, *why says in what way. */
static int
copy_head(struct wire_conn *c, struct http_request *req, const char *url, const char *method,
    const char *version, const char **why)
{
	struct http_field fields[FIELDS_AT_ONCE];
	struct field_list list = {.fields = fields, .size = FIELDS_AT_ONCE};

	guard_bytes_begin(&list.bytes, method, url, strlen(req->target), version);
	MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, collect_field, &list);
	if (c->wire->traits.counts_heads)
		req->buffer = method + parser_head_size(c);
	*why = c->wire->traits.lenient ? guard_bytes_end(&list.bytes, req->buffer) : NULL;
	if (list.n > list.size) {
		list.fields = talloc_array(req, struct http_field, list.n);
		if (list.fields == NULL)
			return -ENOMEM;
		list.size = list.n;
		list.n = 0;
		MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, collect_field, &list);
	}
	return request_set_head(req, method, version, list.fields, list.n);
}

static enum MHD_Result
too_large(struct wire_conn *c, struct http_request *req, const char *why)
{
	counter_add(c->wire->counters, COUNTER_HEADER_MAX);
	return parser_refuse(c, req, 431, why);
}

/* The request line counts for itself: then it is that which the client should shorten. */
static enum MHD_Result
head_too_large(
    struct wire_conn *c, struct http_request *req, const char *method, const char *version)
{
	size_t line = strlen(method) + strlen(req->target) + strlen(version) + strlen("  \r\n");

	if (line <= (size_t)c->wire->set->header_max_bytes)
		return too_large(c, req, "the head is larger than this server takes");
	counter_add(c->wire->counters, COUNTER_HEADER_MAX);
	return parser_refuse(c, req, 414, "the target is longer than this server takes");
}

static enum MHD_Result
malformed(struct wire_conn *c, struct http_request *req, int status, const char *why)
{
	counter_add(c->wire->counters, COUNTER_MALFORMED);
	return parser_refuse(c, req, status, why);
}

static enum MHD_Result
head_received(struct wire_conn *c, struct http_request *req, const char *url, const char *method,
    const char *version)
{
	const char *why;
	int status;

	(void)request_tell(req, REQUEST_EV_HEAD);
	c->wire->events->head(c); /* the time limit of the content begins */
	if ((int64_t)parser_head_size(c) > c->wire->set->header_max_bytes)
		return head_too_large(c, req, method, version);
	if (copy_head(c, req, url, method, version, &why) != 0)
		return parser_no_memory(c, req);
	if (why != NULL)
		return malformed(c, req, 400, why);
	if (req->fields_n > (size_t)c->wire->set->header_fields_max) {
		counter_add(c->wire->counters, COUNTER_HEADER_FIELDS_MAX);
		return parser_refuse(c, req, 431, "too many header fields");
	}
	status = guard_check(req, &why);
	if (status != 0)
		return malformed(c, req, status, why);
	if (req->announced <= c->wire->set->body_max_bytes)
		return MHD_YES;
	counter_add(c->wire->counters, COUNTER_BODY_MAX);
	return parser_refuse(c, req, 413, "the content is larger than this server takes");
}

static enum MHD_Result
content_received(struct wire_conn *c, struct http_request *req, const char *data, size_t *size)
{
	size_t len = *size;
	size_t whole = req->announced < 0 ? 0 : (size_t)req->announced;

	*size = 0;
	if (req->chunked && !guard_bytes_chunk(req->buffer, data)) {
		counter_add(c->wire->counters, COUNTER_MALFORMED);
		parser_answer_past(c, 400, "malformed chunk");
		return MHD_NO;
	}
	if (req->chunked && !account_framing_fair(c, req)) {
		counter_add(c->wire->counters, COUNTER_MALFORMED);
		parser_answer_past(c, 400, "chunk extensions out of all proportion to the content");
		return MHD_NO;
	}
	if ((int64_t)(req->body_len + len) > c->wire->set->body_max_bytes) {
		/* Chunked, for a length is looked at before. The parser takes no answer in the
		 * middle of content, so it is written past it, and the parser told to end. */
		counter_add(c->wire->counters, COUNTER_BODY_MAX);
		parser_answer_past(c, 413, "the content is larger than this server takes");
		return MHD_NO;
	}
	if (request_body_append(req, data, len, whole) != 0)
		return parser_no_memory(c, req);
	return MHD_YES;
}

struct trailer {
	bool lenient;
	struct guard_bytes bytes;
	const char *end; /* of the last field */
	size_t n;
};

static enum MHD_Result
check_trailer_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	struct trailer *t = cls;

	(void)kind;
	if (value == NULL || name < t->bytes.begin)
		return MHD_YES;
	t->n++;
	t->end = value + value_len;
	if (t->lenient)
		guard_bytes_trailer_field(&t->bytes, name, name_len, value, value_len);
	else if (t->bytes.why == NULL)
		t->bytes.why = guard_field(name, value);
	return MHD_YES;
}

/*
 * Nobody is shown trailer fields, but they tell where the next request begins; and they share
 * the memory, and so the limits, of the head. *status is what to refuse them with, 0: nothing.
 */
static const char *
check_trailer(struct wire_conn *c, struct http_request *req, int *status)
{
	struct trailer t = {
	    .lenient = c->wire->traits.lenient && req->buffer != NULL, .end = req->buffer};
	const struct http_settings *set = c->wire->set;
	size_t size;
	const char *why;

	guard_bytes_begin_trailer(&t.bytes, req->buffer);
	MHD_get_connection_values_n(c->mhd, MHD_FOOTER_KIND, check_trailer_field, &t);
	why = t.lenient ? guard_bytes_end(&t.bytes, readahead_begins(c)) : t.bytes.why;
	*status = why != NULL ? 400 : 0;
	size = req->buffer == NULL ? 0 : parser_head_size(c) + (size_t)(t.end - req->buffer);
	if (why == NULL && (req->fields_n + t.n > (size_t)set->header_fields_max ||
			       size > (size_t)set->header_max_bytes)) {
		*status = 431;
		why = "the trailer is larger than this server takes";
	}
	return why;
}

/* The parser asks for the answer of a complete request. */
static enum MHD_Result
asked(struct wire_conn *c, struct http_request *req)
{
	bool returned = atomic_load(&req->handler) == HANDLER_RETURNED;
	unsigned todo = request_tell(req, returned          ? REQUEST_EV_ASKED_RETURNED
					  : c->wire->ending ? REQUEST_EV_ASKED_ENDING
							    : REQUEST_EV_ASKED);

	if (todo & REQUEST_DO_SEND)
		return parser_answer(c, req, req->answer);
	if (todo & REQUEST_DO_SUSPEND)
		MHD_suspend_connection(c->mhd);
	return todo & REQUEST_DO_CLOSE ? MHD_NO : MHD_YES;
}

static enum MHD_Result
all_received(struct wire_conn *c, struct http_request *req)
{
	int status = 0;
	const char *why = req->chunked ? check_trailer(c, req, &status) : NULL;

	if (status == 431)
		return too_large(c, req, why);
	if (status != 0)
		return malformed(c, req, status, why);
	/* The framing of chunked content is not counted. */
	account_use(c, parser_head_size(c) + req->body_len);
	(void)request_tell(req, REQUEST_EV_COMPLETE);
	c->wire->events->complete(c, req);
	return c->wire->traits.asks_again ? MHD_YES : asked(c, req);
}

enum MHD_Result
parser_on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **slot)
{
	struct http_request *req = *slot;

	(void)cls, (void)mhd;
	if (req == NULL)
		return MHD_NO; /* there was no memory for it */
	if (!request_is_arriving(req))
		return asked(req->conn, req);
	if (req->conn->cut)
		return MHD_NO; /* it was too slow, and has been told */
	if (req->state == REQUEST_HEAD)
		return head_received(req->conn, req, url, method, version);
	return *size > 0 ? content_received(req->conn, req, data, size)
			 : all_received(req->conn, req);
}

static struct wire_conn *
conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/*
 * Queries and cookies are ours to take apart. The parser would do it as well, and keep each of
 * their parts in the room for the head; 1.0.1 would also write beyond its memory if an argument
 * without "=" comes last. The target stands in its buffer, and is copied; it looks at the first
 * Cookie only, which is this one, and empty.
 */
static void
hide(const struct wire *w, struct MHD_Connection *mhd, const char *target)
{
	char *mark = strchr((char *)target, '?');

	if (mark != NULL)
		mark[1] = '\0';
	if (w->traits.hides_cookies)
		(void)MHD_set_connection_value(mhd, MHD_HEADER_KIND, no_cookie, "");
}

/* Comes once for each request, with the target as it was sent. */
void *
parser_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct wire *w = cls;
	struct wire_conn *c = conn_of(mhd);
	struct http_request *req = NULL;

	if (c == NULL || target == NULL)
		return NULL;
	req = request_new(w->store, target);
	hide(w, mhd, target);
	if (req == NULL) {
		(void)parser_no_memory(c, NULL);
		return NULL;
	}
	req->conn = c;
	memcpy(req->peer, c->peer_text, sizeof(req->peer));
	req->listener = c->listener;
	c->current = req;
	c->requests++;
	counter_add(w->counters, COUNTER_REQUESTS);
	TAILQ_INSERT_TAIL(&w->begun, c, entry);
	w->events->begun(c);
	return req;
}

static void
count_refusal(struct wire *w, int status)
{
	counter_add(w->counters, status == 414 || status == 431 ? COUNTER_HEADER_MAX
				 : status == 413                ? COUNTER_BODY_MAX
								: COUNTER_MALFORMED);
}

/* The parser ends a request that was not complete: its own answer is under way, or the client has
 * left, or it closes without a word, which is ours to say then. */
static void
ended_early(struct wire_conn *c, enum MHD_RequestTerminationCode how)
{
	int status = parser_status(c);

	c->linger = true; /* the client may still be sending the request */
	/* In any other case (the server stops, say) the parser has refused nothing. */
	if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK && how != MHD_REQUEST_TERMINATED_WITH_ERROR)
		return;
	if (c->cut || (status == 0 && wire_conn_ended(c)))
		return;
	if (status == 0) {
		status = account_pending(c) > c->wire->set->header_max_bytes ? 431 : 400;
		parser_answer_past(c, status, "malformed, or too large");
	}
	count_refusal(c->wire, status);
}

/* Whether the parser has answered by itself is known only where there was no answer before. */
void
parser_unrecognized(struct wire_conn *c)
{
	int64_t pending = account_pending(c);
	int status = pending > c->wire->set->header_max_bytes ? 414 : 400;

	c->linger = true;
	if (pending == 0)
		return;
	count_refusal(c->wire, status);
	if (account_mute(c))
		parser_answer_past(c, status, "malformed request line");
}

/* May come at any time after parser_on_target, also while the handler runs: lets go, frees
 * nothing. */
void
parser_on_completed(
    void *cls, struct MHD_Connection *mhd, void **slot, enum MHD_RequestTerminationCode how)
{
	struct http_request *req = *slot;
	struct wire *w = cls;
	struct wire_conn *c;
	unsigned todo;

	(void)mhd;
	if (req == NULL)
		return;
	*slot = NULL;
	c = req->conn;
	if (request_is_arriving(req))
		ended_early(c, how);
	else if (how == MHD_REQUEST_TERMINATED_WITH_ERROR && w->answered == req &&
		 parser_answer_lost(c, req))
		how = MHD_REQUEST_TERMINATED_COMPLETED_OK;
	c->completed_run = w->runs;
	w->events->ended(c);
	TAILQ_REMOVE(&w->begun, c, entry);
	c->current = NULL;
	req->conn = NULL;
	todo = request_tell(req,
	    how == MHD_REQUEST_TERMINATED_COMPLETED_OK ? REQUEST_EV_ENDED : REQUEST_EV_CLIENT_GONE);
	if ((todo & REQUEST_DO_CANCEL) && req->ctx != NULL) {
		counter_add(w->counters, COUNTER_CLIENT_GONE);
		ctxi_soon_cancel(req->ctx, &http_client_gone);
	}
	if (todo & REQUEST_DO_FREE)
		request_free(req);
}
