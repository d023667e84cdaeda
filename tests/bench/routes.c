/* SPDX-License-Identifier: MIT */
/*
 * A server with as many routes as it is told: routes ADDRESS:PORT N. Each has a parameter, so
 * that finding one is work.
 */
#include <stdio.h>
#include <stdlib.h>

#include <baton/http.h>

static int
show(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, "text/plain; charset=utf-8", "here\n", 5);
}

int
main(int argc, char **argv)
{
	struct http_server *s = http_server_new(NULL);
	int n = argc == 3 ? atoi(argv[2]) : 0, status;
	char pattern[80];

	if (n < 1) {
		fprintf(stderr, "usage: routes ADDRESS:PORT N\n");
		return 2;
	}
	http_server_listen(s, "web", argv[1]);
	for (int i = 0; i < n; i++) {
		snprintf(pattern, sizeof(pattern), "GET /part/%d/of/{name}/here", i);
		http_server_handle(s, pattern, show, NULL);
	}
	status = http_server_run(s);
	talloc_free(s);
	return status;
}
