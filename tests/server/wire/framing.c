/* SPDX-License-Identifier: MIT */
/*
 * Chunked content whose framing is out of all proportion is refused, however it is cut; that
 * which is only cut small, or has a signature to each chunk, is not.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "tests/harness/tempdir.h"
#include "tests/server/serving.h"

enum { FIRST_FD = 3 };

static int
set_up(void **state)
{
	dup2(STDIN_FILENO, FIRST_FD); /* so that nothing else takes this number */
	return harness_setup(state);
}

static int
length(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t len;

	(void)ctx, (void)data;
	(void)http_request_body(req, &len);
	return http_response_printf(res, 200, "%zu", len);
}

/* Listens on a port, and on a Unix socket that it is given as a manager does. */
static struct http_server *
start(const char **path, uint16_t *port)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct http_server *s = serving_new();
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char pid[16];

	log_open();
	*path = tempdir_path(tempdir_new(), "socket");
	strcpy(at.sun_path, *path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(dup2(fd, FIRST_FD), FIRST_FD); /* kept free for it */
	close(fd);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "unix", 1);
	assert_int_equal(http_server_set(s, "body_max_bytes", "16000000"), 0);
	http_server_handle(s, "POST /", length, NULL);
	assert_int_equal(http_server_listen(s, "unix", "127.0.0.1:0"), 0); /* it is inherited */
	*port = serving_start(s);
	return s;
}

/* `n` times that piece, as often as it fits into a block at a time. */
static void
send_pieces(struct client *c, const char *piece, size_t n)
{
	size_t len = strlen(piece), at_once = 65536 / len + 1;
	char *block = talloc_size(harness_mem(), at_once * len + 1), *end = block;

	for (size_t i = 0; i < at_once; i++)
		end = stpcpy(end, piece);
	for (; n > 0; n -= at_once) {
		at_once = at_once < n ? at_once : n;
		client_send_bytes(c, block, at_once * len);
	}
	talloc_free(block);
}

static const struct answer *
ask(struct client *c, const char *piece, size_t n)
{
	client_send(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	send_pieces(c, piece, n);
	client_send(c, "0\r\n\r\n");
	return client_read_any(c, "POST");
}

static char *
extension(size_t len)
{
	char *text = talloc_size(harness_mem(), len + 1);

	memset(text, 'e', len);
	text[0] = ';';
	text[len] = '\0';
	return text;
}

static void
extensions_without_content_are_refused(void **state)
{
	static const struct {
		size_t extension, chunks;
	} table[] = {{4000, 10240}, {400, 102400}, {100, 20000}};
	const char *path;
	uint16_t port;
	struct http_server *s = start(&path, &port);

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(table); i++) {
		char *piece = talloc_asprintf(
		    harness_mem(), "1%s\r\nx\r\n", extension(table[i / 2].extension));
		struct client *c = i % 2 == 0 ? client_open(port) : client_open_unix(path);
		const struct answer *a = ask(c, piece, table[i / 2].chunks);

		if (a->state != ANSWER_COMPLETE || a->status != 400 || !a->close)
			harness_fail("%zu chunks with %zu bytes each: %s, status %d",
			    table[i / 2].chunks, table[i / 2].extension,
			    answer_state_text(a->state), a->status);
		client_close(c);
	}
	assert_int_equal(http_server_counter(s, "malformed"), 2 * COUNT(table));
	serving_stop(s);
}

static void
small_and_signed_chunks_are_fair(void **state)
{
	/* Bytes of extension, and of content, in each chunk; 1.0.1 knows no extensions. */
	static const struct {
		size_t extension, content, chunks;
	} table[] = {
	    {0, 1, 100000}, {80, 65536, 100}, {80, 100, 20000}, {15, 1, 100000}, {2000, 1, 60}};
	const size_t rows = strcmp(parser_version(), "1.0.1") == 0 ? 1 : COUNT(table);
	const char *path;
	uint16_t port;
	struct http_server *s = start(&path, &port);
	struct client *clients[2] = {client_open(port), client_open_unix(path)};

	(void)state;
	for (size_t i = 0; i < 2 * rows; i++) {
		char *data = talloc_zero_size(harness_mem(), table[i / 2].content + 1);
		char *piece;
		const struct answer *a;

		memset(data, 'x', table[i / 2].content);
		piece = talloc_asprintf(harness_mem(), "%zx%s\r\n%s\r\n", table[i / 2].content,
		    table[i / 2].extension > 0 ? extension(table[i / 2].extension) : "", data);
		a = ask(clients[i % 2], piece, table[i / 2].chunks);
		if (a->state != ANSWER_COMPLETE || a->status != 200 ||
		    strtoul(a->body, NULL, 10) != table[i / 2].content * table[i / 2].chunks)
			harness_fail("%zu chunks of %zu, %zu bytes more each: %s, status %d",
			    table[i / 2].chunks, table[i / 2].content, table[i / 2].extension,
			    answer_state_text(a->state), a->status);
	}
	client_close(clients[0]);
	client_close(clients[1]);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		extensions_without_content_are_refused, set_up, harness_teardown),
	    cmocka_unit_test_setup_teardown(
		small_and_signed_chunks_are_fair, set_up, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
