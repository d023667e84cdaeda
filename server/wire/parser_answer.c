/* SPDX-License-Identifier: MIT */
/*
 * Answers on their way out. What a handler made becomes a response of libmicrohttpd's. Past it goes
 * what it would answer by itself and badly, or can answer only at the end of content, where nobody
 * knows where that is; such an answer ends its connection. Plain connections only.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>

#include "server/wire/parser.h"

/* ---- Past libmicrohttpd ------------------------------------------------------------------------- */

/* RFC 9110 section 5.6.7; strftime(3) would speak the locale's language. */
static void
format_date(char text[40])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	snprintf(text, 40, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
	    (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
	    (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
	    (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/*
 * No answer may have begun. Whatever the parser sends after it meets a closed door, and it ends
 * the connection; what the client still sends is read and thrown away (linger.c).
 */
bool
parser_answer_past(struct wire_conn *c, int status, const char *why)
{
	char date[40], body[256], text[512];
	int len;

	c->linger = true;
	if (c->cut)
		return false;
	c->cut = true;
	format_date(date);
	len = snprintf(body, sizeof(body), "%d %s: %s\n", status, http_status_text(status), why);
	len = snprintf(text, sizeof(text),
	    "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s",
	    status, http_status_text(status), date, len, body);
	len = (int)send(c->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(c->fd, SHUT_WR);
	return len > 0;
}

/*
 * What the parser refuses by itself it first logs, and then there is one connection of which it
 * knows the head's size, although the request has not come to us.
 */
static struct wire_conn *
refused_by_parser(const struct wire *w)
{
	struct wire_conn *c;

	TAILQ_FOREACH(c, &w->begun, entry)
		if (c->current->state == REQUEST_HEAD && parser_head_size(c) > 0)
			break;
	return c;
}

/* Of a Content-Length that it does not like 0.9.75 says so twice, one head in the other. */
void
parser_answer_bad_length(struct wire *w)
{
	struct wire_conn *c = refused_by_parser(w);

	if (c == NULL)
		return;
	counter_add(w->counters, COUNTER_MALFORMED);
	parser_answer_past(c, 400, "malformed Content-Length");
}

static enum MHD_Result
collect_coding(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
    const char *value, size_t value_len)
{
	(void)kind, (void)name_len, (void)value_len;
	if (value != NULL && strcasecmp(name, "Transfer-Encoding") == 0)
		guard_codings_add(cls, value);
	return MHD_YES;
}

/* 1.0 has one status for every Transfer-Encoding that it does not know, and not always the same. */
void
parser_answer_bad_coding(struct wire *w)
{
	struct wire_conn *c = refused_by_parser(w);
	struct guard_codings codings = {0};
	const char *why;
	int status;

	if (c == NULL)
		return;
	MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, collect_coding, &codings);
	status = codings.fields == 0 ? 0 : guard_codings_check(&codings, &why);
	if (status == 0)
		return;
	counter_add(w->counters, COUNTER_MALFORMED);
	parser_answer_past(c, status, why);
}

/* ---- By libmicrohttpd --------------------------------------------------------------------------- */

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

/* The size of an answer's head without what the parser adds to it. */
static size_t
head_bytes(const struct http_response *res)
{
	size_t n = res->type != NULL ? strlen(res->type) : 0;

	for (size_t i = 0; i < res->fields_n; i++)
		n += strlen(res->fields[i].name) + strlen(value_of(&res->fields[i])) + 4;
	return n;
}

static void
complain(const struct http_request *req, const struct http_response *res)
{
	const struct wire *w = req->conn->wire;

	counter_add(w->counters, COUNTER_ANSWER_HEAD);
	log_request(LOG_ERR, req,
	    "the answer to %s %s is lost, 500 instead: its %zu fields have %zu bytes, and "
	    "answer_head_max_bytes is %lld",
	    req->method, req->path, res->fields_n, head_bytes(res),
	    (long long)w->set->answer_head_max_bytes);
}

/* What came with the request may have taken more room than is set apart. Nothing was sent, for
 * the parser makes a head before it sends anything; what failed in sending fails here, too. */
bool
parser_answer_lost(struct wire_conn *c, const struct http_request *req)
{
	bool refused = req->ctx == NULL; /* no handler saw it */

	if (!parser_answer_past(c, refused ? req->res.status : 500, "the answer had no room"))
		return false;
	complain(req, &req->res);
	return true;
}

enum MHD_Result
parser_no_memory(struct wire_conn *c, const struct http_request *req)
{
	counter_add(c->wire->counters, COUNTER_NO_MEMORY);
	if (req != NULL)
		log_request(LOG_ERR, req, "out of memory: 503; closing");
	else
		log_line(
		    LOG_ERR, "peer=%s out of memory for a request: 503; closing", c->peer_text);
	parser_answer_past(c, 503, "out of memory");
	return MHD_NO;
}

/* True if the connection ends with this answer. */
static bool
closes(struct wire_conn *c, const struct http_request *req, const struct http_response *res)
{
	const struct parser_traits *t = &c->wire->traits;
	int64_t most = c->wire->set->requests_per_connection_max;

	if (res->close || c->wire->events->is_last(c) || !t->sure)
		return true;
	/* Nobody knows where its trailer ends and the next request begins. */
	if (req->chunked && t->lenient && t->readahead_begins_at == 0)
		return true;
	if (most == 0 || c->requests < most)
		return false;
	counter_add(c->wire->counters, COUNTER_REQUESTS_MAX);
	return true;
}

static enum MHD_Result
queue(struct wire_conn *c, const struct http_response *res)
{
	struct MHD_Response *out = MHD_create_response_from_buffer(
	    res->content_len, (void *)res->content, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ok = out == NULL ? MHD_NO : add_response_fields(out, res);

	if (ok == MHD_YES)
		ok = MHD_queue_response(c->mhd, (unsigned)res->status, out);
	if (out != NULL)
		MHD_destroy_response(out);
	return ok;
}

enum MHD_Result
parser_answer(struct wire_conn *c, struct http_request *req, struct http_response *res)
{
	struct wire *w = c->wire;

	if (head_bytes(res) > (size_t)w->set->answer_head_max_bytes) {
		complain(req, res);
		dispatch_error(req, 500, NULL);
		res = &req->res;
	}
	c->linger = res->close = closes(c, req, res);
	if (queue(c, res) != MHD_YES)
		return parser_no_memory(c, req);
	w->answered = req;
	return MHD_YES;
}

enum MHD_Result
parser_refuse(struct wire_conn *c, struct http_request *req, int status, const char *why)
{
	(void)request_tell(req, REQUEST_EV_REFUSED);
	response_init(&req->res, req);
	http_response_close(&req->res);
	if (http_response_error(&req->res, status, why) != 0)
		http_response_empty(&req->res, status);
	return parser_answer(c, req, &req->res);
}
