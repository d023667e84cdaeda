/* SPDX-License-Identifier: MIT */
/*
 * What the guard costs an ordinary request of eight header fields: its bytes, as the parser
 * leaves them, and its fields. The median of several rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/internal.h"
#include "server/wire/guard.h"

enum { ROUNDS = 9, TIMES = 500000, LIMIT_NS = 150 };

/* Cut as libmicrohttpd cuts it: "|" is for each byte that became NUL. */
static char head[] = "GET|/items/17?view=full|HTTP/1.1||"
		     "Host| www.example.com:8080||"
		     "User-Agent| Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101||"
		     "Accept| text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8||"
		     "Accept-Language| en-US,en;q=0.5||"
		     "Accept-Encoding| gzip, deflate, br||"
		     "Connection| keep-alive||"
		     "Cookie| session=0123456789abcdef0123456789abcdef||"
		     "If-None-Match| \"5d8c72a5edda8d6a\"||||";

struct field {
	const char *name, *value;
	size_t name_len, value_len;
};

static struct field fields[8];

static void
cut(void)
{
	char *p = strstr(head, "||") + 2;

	for (size_t i = 0; i < 8; i++) {
		char *colon = strchr(p, '|'), *end = strstr(colon, "||");

		fields[i] =
		    (struct field){p, colon + 2, (size_t)(colon - p), (size_t)(end - colon) - 2};
		p = end + 2;
	}
	for (p = head; *p != '\0'; p++)
		if (*p == '|')
			*p = '\0';
}

static int
guard_once(struct http_request *req, const char *version)
{
	struct guard_bytes bytes;
	const char *why;

	guard_bytes_begin(&bytes, head, head + 4, strlen(head + 4), version);
	for (size_t i = 0; i < 8; i++)
		guard_bytes_field(&bytes, fields[i].name, fields[i].name_len, fields[i].value,
		    fields[i].value_len);
	if (guard_bytes_end(&bytes, head + sizeof(head) - 1) != NULL)
		return 400;
	return guard_check(req, &why);
}

static double
round_ns(struct http_request *req, const char *version)
{
	struct timespec a, b;
	int refused = 0;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (int i = 0; i < TIMES; i++) {
		refused += guard_once(req, version);
		__asm__ volatile("" : : "r"(req) : "memory");
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	if (refused != 0) {
		fprintf(stderr, "guard: an ordinary request was refused\n");
		exit(1);
	}
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / TIMES;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
main(void)
{
	struct http_request *req;
	struct http_field copy[8];
	double ns[ROUNDS];
	const char *version;

	cut();
	version = head + 4 + strlen(head + 4) + 1;
	req = request_new(NULL, head + 4);
	for (size_t i = 0; i < 8; i++)
		copy[i] = (struct http_field){fields[i].name, fields[i].value};
	if (req == NULL || request_set_head(req, head, version, copy, 8) != 0)
		return 1;
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = round_ns(req, version);
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("guard: %.0f ns for a request of 8 header fields (%.0f to %.0f; limit %d)\n",
	    ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1], LIMIT_NS);
	request_free(req);
	return 0;
}
