/* SPDX-License-Identifier: MIT */
/*
 * The yardstick: libmicrohttpd alone, answering "hello" inline in its access handler from its
 * own epoll thread (MHD_USE_TURBO, default pool). raw_mhd PORT serves until it is killed.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result
hello(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
    const char *data, size_t *size, void **slot)
{
	static char text[] = "hello\n";
	static int seen;
	struct MHD_Response *res;
	enum MHD_Result ok;

	(void)cls, (void)version, (void)data, (void)size;
	if (*slot == NULL) { /* the head has come; content and answer belong to the next call */
		*slot = &seen;
		return MHD_YES;
	}
	res = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(res, "Content-Type", "text/plain; charset=utf-8");
	ok = MHD_queue_response(
	    c, strcmp(method, "GET") == 0 && strcmp(url, "/") == 0 ? 200 : 404, res);
	MHD_destroy_response(res);
	return ok;
}

int
main(int argc, char **argv)
{
	struct MHD_Daemon *d;

	if (argc != 2) {
		fprintf(stderr, "usage: raw_mhd PORT\n");
		return 2;
	}
	d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, (uint16_t)atoi(argv[1]),
	    NULL, NULL, hello, NULL, MHD_OPTION_END);
	if (d == NULL) {
		perror("raw_mhd");
		return 1;
	}
	pause();
	MHD_stop_daemon(d);
	return 0;
}
