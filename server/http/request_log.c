/* SPDX-License-Identifier: MIT */
/* Lines of log that name their request by its id. */
#include "server/base/base.h"
#include "server/http/http_internal.h"

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
