/* SPDX-License-Identifier: MIT */
/*
 * Answers on their way out: what a handler made becomes a response of libmicrohttpd's.
 */
#include <syslog.h>

#include "server/parser.h"

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

enum MHD_Result
parser_answer(struct http_conn *c, struct http_request *req, struct http_response *res)
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

enum MHD_Result
parser_refuse(struct http_conn *c, struct http_request *req, int status, const char *why)
{
	response_init(&req->res, req);
	http_response_close(&req->res);
	if (http_response_error(&req->res, status, why) != 0)
		http_response_empty(&req->res, status);
	return parser_answer(c, req, &req->res);
}
