/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd, all of it: the only file that includes its header. It parses and writes;
 * accepting, waiting, timing and running handlers are ours.
 *
 * The engine stands on this: when the access handler returns MHD_YES at the final call for a
 * request, with no response and no suspension, it is called again at the next run, and
 * MHD_get_timeout is 0 meanwhile. So the final call only queues the request; the leader runs
 * its handler after MHD_run has returned; the next call finds the answer. Only if the handler is
 * still running then, in another thread, does the connection get suspended.
 */
#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "server/internal.h"

/* A head has few fields; one with more takes a second look. */
#define FIELDS_AT_ONCE 64

/* Of libmicrohttpd 1.0, in the words of its header. The header of 0.9.75 has neither, and its
 * library, which has the same soname, ignores the flag and refuses the option. */
#define MHD_1_USE_NO_THREAD_SAFETY         (1U << 19)
#define MHD_1_OPTION_CLIENT_DISCIPLINE_LVL ((enum MHD_OPTION)38)

struct field_list {
	struct http_field *fields;
	size_t n, size;
	struct guard_bytes bytes;
};

/* An empty value would be refused; white space around a value is no part of it. */
static const char *
value_of(const struct http_field *f)
{
	return f->value[0] != '\0' ? f->value : " ";
}

static enum MHD_Result
add_response_fields(struct MHD_Response *out, const struct http_response *res)
{
	enum MHD_Result ok = MHD_YES;

	for (size_t i = 0; i < res->fields_n && ok == MHD_YES; i++)
		ok = MHD_add_response_header(out, res->fields[i].name, value_of(&res->fields[i]));
	if (ok == MHD_YES && res->type != NULL &&
	    http_response_header_get(res, "Content-Type") == res->type)
		ok = MHD_add_response_header(out, "Content-Type", res->type);
	if (ok == MHD_YES && res->close)
		ok = MHD_add_response_header(out, "Connection", "close");
	return ok;
}

/* Gives the answer to the parser. The content stays ours, in the request's pool. */
static enum MHD_Result
send_answer(struct http_conn *c, struct http_request *req, struct http_response *res)
{
	int64_t most = c->server->set.requests_per_connection_max;
	struct MHD_Response *out = MHD_create_response_from_buffer(
	    res->content_len, (void *)res->content, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ok = out == NULL ? MHD_NO : MHD_YES;

	if (most > 0 && c->requests >= most && !res->close) {
		counter_add(c->server, COUNTER_REQUESTS_MAX);
		res->close = true;
	}
	res->close = res->close || drain_closes(c);
	c->linger = res->close;
	if (ok == MHD_YES)
		ok = add_response_fields(out, res);
	if (ok == MHD_YES)
		ok = MHD_queue_response(c->mhd, (unsigned)res->status, out);
	if (out != NULL)
		MHD_destroy_response(out);
	atomic_store_explicit(&req->phase, REQUEST_SENDING, memory_order_relaxed);
	if (ok != MHD_YES)
		log_request(LOG_ERR, req, "answer lost: no memory for its head; closing");
	return ok;
}

/* Refuses a request that no handler sees. The connection ends with it: where the next request
 * would begin is not certain, or there is content that is not wanted. */
static enum MHD_Result
refuse(struct http_conn *c, struct http_request *req, int status, const char *why)
{
	response_init(&req->res, req);
	http_response_close(&req->res);
	if (http_response_error(&req->res, status, why) != 0)
		http_response_empty(&req->res, status);
	return send_answer(c, req, &req->res);
}

static enum MHD_Result
collect_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	struct field_list *list = cls;

	(void)kind;
	if (value == NULL) /* never, in a field that was received */
		return MHD_NO;
	if (list->n < list->size)
		list->fields[list->n] = (struct http_field){name, value};
	list->n++;
	guard_bytes_field(&list->bytes, name, name_len, value, value_len);
	return MHD_YES;
}

size_t
parser_head_size(const struct http_conn *c)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info == NULL ? 0 : info->header_size;
}

/* Copies the head. If its bytes are malformed, *why says in what way. */
static int
copy_head(struct http_conn *c, struct http_request *req, const char *url, const char *method,
    const char *version, const char **why)
{
	struct http_field fields[FIELDS_AT_ONCE];
	struct field_list list = {.fields = fields, .size = FIELDS_AT_ONCE};

	guard_bytes_begin(&list.bytes, method, url, strlen(req->target), version);
	MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, collect_field, &list);
	req->buffer = method + parser_head_size(c);
	*why = c->server->lax ? guard_bytes_end(&list.bytes, req->buffer) : NULL;
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
malformed(struct http_conn *c, struct http_request *req, int status, const char *why)
{
	counter_add(c->server, COUNTER_MALFORMED);
	return refuse(c, req, status, why);
}

static enum MHD_Result
head_received(struct http_conn *c, struct http_request *req, const char *url, const char *method,
    const char *version)
{
	const char *why;
	int64_t length;
	int status;

	atomic_store_explicit(&req->phase, REQUEST_BODY, memory_order_relaxed);
	c->since_ms = c->server->now_ms; /* the content has a time of its own */
	if (copy_head(c, req, url, method, version, &why) != 0)
		return refuse(c, req, 503, "out of memory");
	if (why != NULL)
		return malformed(c, req, 400, why);
	if (req->fields_n > (size_t)c->server->set.header_fields_max) {
		counter_add(c->server, COUNTER_HEADER_FIELDS_MAX);
		return refuse(c, req, 431, "too many header fields");
	}
	status = guard_check(req, &why);
	if (status != 0)
		return malformed(c, req, status, why);
	length = guard_content_length(req);
	if (length <= c->server->set.body_max_bytes)
		return MHD_YES;
	counter_add(c->server, COUNTER_BODY_MAX);
	return refuse(c, req, 413, "the content is larger than this server takes");
}

static enum MHD_Result
content_received(struct http_conn *c, struct http_request *req, const char *data, size_t *size)
{
	size_t len = *size;
	int64_t announced = guard_content_length(req);

	*size = 0;
	if (req->chunked && !guard_bytes_chunk(req->buffer, data)) {
		counter_add(c->server, COUNTER_MALFORMED);
		guard_answer(c, 400, "malformed chunk");
		return MHD_NO;
	}
	if ((int64_t)(req->body_len + len) > c->server->set.body_max_bytes) {
		/* Chunked, for a length is looked at before. The parser takes no answer in the
		 * middle of content, so it is written past it, and the parser told to end. */
		counter_add(c->server, COUNTER_BODY_MAX);
		guard_answer(c, 413, "the content is larger than this server takes");
		return MHD_NO;
	}
	if (request_body_append(req, data, len, announced < 0 ? 0 : (size_t)announced) != 0)
		return MHD_NO;
	return MHD_YES;
}

struct trailer {
	bool lax;
	struct guard_bytes bytes;
};

static enum MHD_Result
check_trailer_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	struct trailer *t = cls;

	(void)kind;
	if (value != NULL && t->lax)
		guard_bytes_trailer_field(&t->bytes, name, name_len, value, value_len);
	else if (value != NULL && t->bytes.why == NULL)
		t->bytes.why = guard_field(name, value);
	return MHD_YES;
}

/* Nobody is shown trailer fields, but they tell where the next request begins. */
static const char *
check_trailer(struct http_conn *c, struct http_request *req)
{
	struct trailer t = {.lax = c->server->lax};

	guard_bytes_begin_trailer(&t.bytes, req->buffer);
	MHD_get_connection_values_n(c->mhd, MHD_FOOTER_KIND, check_trailer_field, &t);
	return t.lax ? guard_bytes_end(&t.bytes, NULL) : t.bytes.why;
}

static enum MHD_Result
all_received(struct http_conn *c, struct http_request *req)
{
	const char *why = req->chunked ? check_trailer(c, req) : NULL;

	if (why != NULL)
		return malformed(c, req, 400, why);
	/* The framing of chunked content is not in it. */
	account_use(c, parser_head_size(c) + req->body_len);
	atomic_store_explicit(&req->phase, REQUEST_READY, memory_order_relaxed);
	work_ready(c->server, req);
	return MHD_YES;
}

/* The answer is not there yet: the parser shall not ask again before parser_resume. */
static enum MHD_Result
suspend(struct http_conn *c, struct http_request *req)
{
	if (c->server->drain == DRAIN_CUT)
		return MHD_NO;
	if (!req->suspended)
		MHD_suspend_connection(c->mhd);
	req->suspended = true;
	return MHD_YES;
}

void
parser_hold(struct http_conn *c)
{
	MHD_suspend_connection(c->mhd);
}

/* What is resumed is looked at in the next run, of which MHD_get_timeout says nothing. */
void
parser_release(struct http_conn *c)
{
	MHD_resume_connection(c->mhd);
	c->server->resumed = true;
}

void
parser_resume(struct http_request *req)
{
	if (req->suspended && req->conn != NULL)
		parser_release(req->conn);
	req->suspended = false;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **slot)
{
	struct http_request *req = *slot;

	(void)cls, (void)mhd;
	if (req == NULL)
		return MHD_NO; /* there was no memory for it */
	switch (atomic_load(&req->phase)) {
	case REQUEST_HEAD:
		return head_received(req->conn, req, url, method, version);
	case REQUEST_BODY:
		return *size > 0 ? content_received(req->conn, req, data, size)
				 : all_received(req->conn, req);
	case REQUEST_READY:
	case REQUEST_RUNNING:
		return suspend(req->conn, req);
	case REQUEST_DONE:
		return send_answer(req->conn, req, &req->res);
	case REQUEST_ABANDONED:
		return send_answer(req->conn, req, &req->late);
	case REQUEST_SENDING:
		break;
	}
	return MHD_NO;
}

static struct http_conn *
conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* The query is ours: without this, the parser would take it apart, keep each argument in the
 * room for the head and, in 1.0.1, write beyond its memory if one without "=" comes last. */
static void
hide_query(const char *target)
{
	char *mark = strchr((char *)target, '?');

	if (mark != NULL)
		mark[1] = '\0';
}

/* Comes once for each request, with the target as it was sent: in the parser's buffer. */
static void *
on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct http_server *s = cls;
	struct http_conn *c = conn_of(mhd);
	struct http_request *req =
	    c == NULL ? NULL : request_new(s->store, target != NULL ? target : "");

	if (target != NULL)
		hide_query(target);
	if (req == NULL)
		return NULL;
	req->conn = c;
	memcpy(req->peer, c->peer_text, sizeof(req->peer));
	req->listener = c->listener->name;
	conn_busy(c, req);
	return req;
}

/* May come at any time after on_target, also while the handler runs: lets go, frees nothing. */
static void
on_completed(
    void *cls, struct MHD_Connection *mhd, void **slot, enum MHD_RequestTerminationCode how)
{
	struct http_request *req = *slot;

	(void)mhd;
	if (req == NULL)
		return;
	*slot = NULL;
	/* The parser has refused it by itself: the client may be in the middle of it. */
	if (atomic_load(&req->phase) < REQUEST_READY)
		req->conn->linger = true;
	req->conn->completed_run = req->conn->server->parser_runs;
	conn_idle(req->conn);
	req->conn = NULL;
	if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK && req->ctx != NULL) {
		counter_add(cls, COUNTER_CLIENT_GONE);
		ctx_cancel_cause(req->ctx, &http_client_gone);
	}
	request_unref(req);
}

static void
on_connection(
    void *cls, struct MHD_Connection *mhd, void **slot, enum MHD_ConnectionNotificationCode what)
{
	struct http_server *s = cls;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		s->accepting->mhd = mhd;
		*slot = s->accepting;
		s->accepting = NULL;
		conn_open(*slot);
	} else if (*slot != NULL) {
		struct http_conn *c = *slot;

		/* Closed without a request, and not by the peer: the parser has refused what it
		 * did not take for one. */
		if (c->completed_run != s->parser_runs && !c->cut && !conn_ended(c))
			c->linger = true;
		conn_closed(c);
		*slot = NULL;
	}
}

/* Targets are decoded by us, in parts: the parser's text of one is of no use. */
static size_t
leave_encoded(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls, (void)mhd;
	return strlen(text);
}

static void
on_message(void *cls, const char *fmt, va_list ap)
{
	char text[512];
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	if (strstr(text, "Content-Length") != NULL)
		guard_answer_bad_length(cls);
	/* Options that Unix sockets do not have, twice for each answer: no news. */
	if ((strstr(text, "etting") != NULL && strstr(text, "option") != NULL) ||
	    strstr(text, "push the data") != NULL)
		return;
	if (((struct http_server *)cls)->quiet)
		return;
	n = strcspn(text, "\r\n");
	text[n] = '\0';
	/* What it says of clients is their doing, not ours. */
	log_line(LOG_DEBUG, "parser: %s", text);
}

int
parser_start(struct http_server *s)
{
	/* Without safety between threads, 1.0 takes a connection in while MHD_add_connection
	 * runs, as 0.9.75 always does, and not in the next run. */
	unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_1_USE_NO_THREAD_SAFETY;
	/* The same old option at -1 would make 1.0 as lenient as it can be. */
	bool old = MHD_get_version()[0] == '0';
	/* A net below our own timers, in whole seconds. */
	unsigned net_s = (unsigned)((s->set.idle_timeout_ms + s->set.header_timeout_ms +
					s->set.send_timeout_ms) /
				    1000) +
			 60;

	s->mhd = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
	    on_message, s,                             /* first: later options may log */
	    MHD_OPTION_URI_LOG_CALLBACK, on_target, s, /* */
	    MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, /* */
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, s, MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->set.connections_max + 64,
	    MHD_OPTION_CONNECTION_TIMEOUT, net_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)s->set.header_max_bytes,
	    old ? MHD_OPTION_STRICT_FOR_CLIENT : MHD_1_OPTION_CLIENT_DISCIPLINE_LVL, old ? -1 : 1,
	    MHD_OPTION_END);
	return s->mhd == NULL ? -ENOMEM : 0;
}

/* Daemons that hold connections given away: to stop one would shut those down. */
static struct MHD_Daemon *kept[16];
static atomic_uint kept_n;

void
parser_stop(struct http_server *s)
{
	if (s->mhd != NULL && !(TAILQ_EMPTY(&s->given) && TAILQ_EMPTY(&s->offered)))
		kept[atomic_fetch_add(&kept_n, 1) % 16] = s->mhd;
	else if (s->mhd != NULL)
		MHD_stop_daemon(s->mhd);
	s->mhd = NULL;
}

int
parser_add(struct http_conn *c)
{
	struct http_server *s = c->server;
	enum MHD_Result ok;

	s->accepting = c;
	ok = MHD_add_connection(s->mhd, c->fd, (const struct sockaddr *)&c->peer, c->peer_len);
	/* The fd is closed if it failed; the record is ours as long as nobody was told of it. */
	if (ok != MHD_YES && s->accepting != NULL) {
		address_uncount(s->addresses, c);
		talloc_free(c);
	}
	s->accepting = NULL;
	return ok == MHD_YES ? 0 : -errno;
}

const char *
parser_version(void)
{
	return MHD_get_version();
}

void
parser_run(struct http_server *s)
{
	s->parser_runs++;
	s->resumed = false;
	MHD_run(s->mhd);
}

int
parser_fd(const struct http_server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);

	return info == NULL ? -EINVAL : info->epoll_fd;
}

int64_t
parser_timeout_ms(const struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (s->resumed)
		return 0;
	return MHD_get_timeout(s->mhd, &ms) == MHD_YES ? (int64_t)ms : -1;
}
