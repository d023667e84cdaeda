/* SPDX-License-Identifier: MIT */
/* Fuzz target: http_test_request, and what a handler asks a request for. */
#include "server/wire/guard.h"
#include "tests/fuzz/fuzz.h"

static int
look(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t n, len;
	const struct http_field *fields = http_request_headers(req, &n);

	(void)ctx, (void)data;
	for (size_t i = 0; i < n; i++) {
		must(http_request_header(req, fields[i].name) != NULL);
		/* What was received can be sent, unless it is the server's own. */
		(void)http_response_header_add(res, fields[i].name, fields[i].value);
	}
	(void)http_request_query(req, "a");
	(void)http_request_body(req, &len);
	return http_response_printf(
	    res, 200, "%s %s", http_request_method(req), http_request_path(req));
}

static struct http_server *
server(void)
{
	static struct http_server *s;

	if (s == NULL) {
		s = http_server_new(NULL);
		must(http_server_handle(s, "/{rest...}", look, NULL) == 0);
	}
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *head = fuzz_text(data, size);
	TALLOC_CTX *mem = talloc_new(NULL);
	struct http_request *req = http_test_request(mem, head, "body", 4);
	const struct http_response *res;
	const char *why;

	if (req != NULL) {
		int status = http_test_serve(server(), ctx_background(), req, &res);

		must(status >= 200 && status <= 599);
		(void)guard_check(req, &why);
	}
	talloc_free(mem);
	free(head);
	return 0;
}
