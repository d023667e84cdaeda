/* SPDX-License-Identifier: MIT */
/*
 * A libmicrohttpd that is not as expected: the server starts all the same, serves without what
 * needs the missing part, and says so in one line. What is missing is taken away by functions of
 * this program that stand in for the library's, or for the system's, while it is tried.
 */
/* What is fortified is declared so that no other recv can be defined. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/handover/channel.h"
#include "tests/server/serving.h"

/* ---- Stand-ins -------------------------------------------------------------------------------- */

static atomic_bool blind;        /* NUL arrives as another byte: something malformed gets in */
static atomic_bool deaf, always; /* nothing arrives until a daemon was stopped, or at all */
static atomic_bool restless;     /* connections cannot be suspended */
static atomic_bool stuck;        /* or not resumed */
static atomic_bool innumerate;   /* the head's size is wrong */
static atomic_bool nosy;         /* arguments are found */
static atomic_bool frank;        /* cookies are not hidden */
static atomic_bool late;         /* connections are taken in at the next run */
static atomic_bool opaque;       /* the record of a connection cannot be looked into */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* For the library as well, not for this program alone. */
__attribute__((visibility("default"))) ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
	ssize_t n;

	if (atomic_load(&deaf) && (flags & MSG_PEEK) == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = REAL(recv)(fd, buf, len, flags);
	for (ssize_t i = 0; atomic_load(&blind) && i < n; i++)
		if (((char *)buf)[i] == '\0')
			((char *)buf)[i] = 'x';
	return n;
}

size_t
malloc_usable_size(void *p)
{
	return atomic_load(&opaque) ? 0 : REAL(malloc_usable_size)(p);
}

void MHD_stop_daemon(struct MHD_Daemon *d);
void MHD_suspend_connection(struct MHD_Connection *c);
void MHD_resume_connection(struct MHD_Connection *c);
int
MHD_set_connection_value(struct MHD_Connection *c, int kind, const char *name, const char *value);
int MHD_get_connection_values(struct MHD_Connection *c, int kind, void *each, void *cls);
const void *MHD_get_connection_info(struct MHD_Connection *c, int type, ...);
int MHD_add_connection(struct MHD_Daemon *d, int fd, const struct sockaddr *addr, socklen_t len);
int MHD_run(struct MHD_Daemon *d);

void
MHD_stop_daemon(struct MHD_Daemon *d)
{
	atomic_store(&deaf, atomic_load(&always));
	REAL(MHD_stop_daemon)(d);
}

void
MHD_suspend_connection(struct MHD_Connection *c)
{
	if (!atomic_load(&restless))
		REAL(MHD_suspend_connection)(c);
}

void
MHD_resume_connection(struct MHD_Connection *c)
{
	if (!atomic_load(&stuck))
		REAL(MHD_resume_connection)(c);
}

int
MHD_set_connection_value(struct MHD_Connection *c, int kind, const char *name, const char *value)
{
	return atomic_load(&frank) ? 0 : REAL(MHD_set_connection_value)(c, kind, name, value);
}

#define GET_ARGUMENT_KIND 8

int
MHD_get_connection_values(struct MHD_Connection *c, int kind, void *each, void *cls)
{
	int n = REAL(MHD_get_connection_values)(c, kind, each, cls);

	return kind == GET_ARGUMENT_KIND && atomic_load(&nosy) ? 3 : n;
}

#define INFO_REQUEST_HEADER_SIZE 10

const void *
MHD_get_connection_info(struct MHD_Connection *c, int type, ...)
{
	return type == INFO_REQUEST_HEADER_SIZE && atomic_load(&innumerate)
		   ? NULL
		   : REAL(MHD_get_connection_info)(c, type);
}

/* The leader's and the probes', one after the other. */
static struct newcomer {
	struct MHD_Daemon *daemon;
	int fd;
	struct sockaddr_storage addr;
	socklen_t len;
} newcomers[64];
static atomic_int newcomers_n;

int
MHD_add_connection(struct MHD_Daemon *d, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct newcomer *n = &newcomers[atomic_load(&newcomers_n)];

	if (!atomic_load(&late))
		return REAL(MHD_add_connection)(d, fd, addr, len);
	n->daemon = d;
	n->fd = fd;
	memcpy(&n->addr, addr, len);
	n->len = len;
	atomic_fetch_add(&newcomers_n, 1);
	return 1;
}

int
MHD_run(struct MHD_Daemon *d)
{
	for (int i = 0; i < atomic_load(&newcomers_n); i++)
		REAL(MHD_add_connection)
	(newcomers[i].daemon, newcomers[i].fd, (struct sockaddr *)&newcomers[i].addr,
	    newcomers[i].len);
	atomic_store(&newcomers_n, 0);
	return REAL(MHD_run)(d);
}

/* A test that failed may have left something missing. */
static int
set_up(void **state)
{
	atomic_bool *const all[] = {
	    &blind, &deaf, &always, &restless, &stuck, &innumerate, &nosy, &frank, &late, &opaque};

	for (size_t i = 0; i < COUNT(all); i++)
		atomic_store(all[i], false);
	return harness_setup(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, harness_teardown)

/* ---- A server ---------------------------------------------------------------------------------- */

static int
echo(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t len;
	const void *body = http_request_body(req, &len);

	(void)ctx, (void)data;
	return http_response_bytes(res, 200, "text/plain", body, len);
}

struct scene {
	struct log *log;
	struct http_server *server;
	uint16_t port;
	int channel; /* the taker's end */
};

/* Lacks something while it is tried, and says so in one line. */
static struct scene
start_without(atomic_bool *what, const char *said)
{
	struct scene t = {.log = log_open(), .server = serving_new()};
	const char *line;
	char value[32];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	snprintf(value, sizeof(value), "%d,-1", ends[0]);
	setenv(BATON_ENV_HANDOVER, value, 1);
	t.channel = ends[1];
	http_server_handle(t.server, "/", echo, NULL);
	http_server_handle(t.server, "/gate", gate_pass, NULL);
	atomic_store(what, true);
	t.port = serving_start(t.server);
	atomic_store(what, false);
	line = strstr(log_text(t.log), "is not as expected");
	if (said == NULL)
		assert_true(line == NULL || (strstr(line, "handed over") == NULL &&
						strstr(line, "first answer") == NULL));
	else if (line == NULL || strstr(line, said) == NULL)
		harness_fail("not said: %s\nbut:\n%s", said, log_text(t.log));
	else
		assert_null(strstr(line + 1, "is not as expected"));
	return t;
}

static void
expect_service(const struct scene *t)
{
	const struct parser_traits *traits = &t->server->wire.traits;
	/* Without the record nobody knows where chunked content ends, if lone LFs get in. */
	bool ends = traits->lenient && traits->readahead_begins_at == 0;
	struct client *c = client_open(t->port);
	const struct answer *chunked;

	for (int i = 0; i < 3; i++) {
		const struct answer *a =
		    client_request(c, "POST", "/?a=b&c", "Cookie: a=b\r\n", "hello");

		assert_int_equal(a->status, 200);
		assert_string_equal(a->body, "hello");
		assert_false(a->close);
	}
	client_send(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
	chunked = client_read(c, "POST");
	assert_string_equal(chunked->body, "hello");
	assert_int_equal(chunked->close, ends);
	if (ends)
		assert_int_equal(client_wait_end(c), CLIENT_EOF);
	else
		assert_int_equal(client_read(c, "GET")->status, 200);
	client_close(c);
}

/* A successor is there: what moves to it, and what does not. */
static void
drain(struct scene *t, const char *report)
{
	struct client *c = client_open(t->port);

	assert_int_equal(client_get(c, "/")->status, 200);
	assert_int_equal(handover_send(t->channel, BATON_HANDOVER_HELLO, 0, NULL, -1), 0);
	http_server_drain(t->server);
	if (strstr(report, "moved=1") != NULL) {
		struct handover_message m;

		do
			assert_int_equal(
			    poll(&(struct pollfd){t->channel, POLLIN, 0}, 1, PATIENCE_MS), 1);
		while (handover_receive(t->channel, &m) == 1 && m.type != BATON_HANDOVER_OFFER);
		close(m.fd);
		assert_int_equal(handover_send(t->channel, BATON_HANDOVER_HAVE, m.id, NULL, -1), 0);
	} else {
		assert_int_equal(client_wait_end(c), CLIENT_EOF);
	}
	assert_int_equal(http_server_wait(t->server), 0);
	log_expect(t->log, report);
	close(t->channel);
}

/* ---- What may be missing ----------------------------------------------------------------------- */

static void
with_all_of_it_nothing_is_said(void **state)
{
	static atomic_bool nothing;
	struct scene t = start_without(&nothing, NULL);

	(void)state;
	expect_service(&t);
	drain(&t, "moved=1 ");
}

static void
connections_that_come_later_are_found(void **state)
{
	struct scene t = start_without(&late, NULL);

	(void)state;
	atomic_store(&late, true);
	expect_service(&t);
	expect_service(&t);
	atomic_store(&late, false);
	drain(&t, "moved=1 ");
}

static void
without_being_asked_again_requests_are_suspended(void **state)
{
	struct scene t = start_without(&deaf, "asks for no answer twice");

	(void)state;
	assert_false(t.server->wire.traits.asks_again);
	expect_service(&t);
	drain(&t, "moved=1 ");
}

static void
without_suspension_nothing_is_handed_over(void **state)
{
	struct scene t = start_without(&restless, "connections are not handed over");

	(void)state;
	assert_false(t.server->wire.traits.holds);
	expect_service(&t);
	drain(&t, "moved=0 ");
	t = start_without(&stuck, "connections are not handed over");
	assert_false(t.server->wire.traits.holds);
	expect_service(&t);
	drain(&t, "moved=0 ");
}

/* Nor is it known where the content begins: some version lets something malformed in, then. */
static void
without_sizes_of_heads_nothing_is_handed_over(void **state)
{
	struct scene t = start_without(&innumerate, "tells no head's size");

	(void)state;
	assert_false(t.server->wire.traits.counts_heads);
	if (t.server->wire.traits.sure) {
		expect_service(&t);
		drain(&t, "moved=0 ");
	} else {
		assert_int_equal(strlen(client_fetch(t.port, "/")), 0);
		serving_stop(t.server);
		close(t.channel);
	}
}

static void
without_its_record_only_what_was_counted_is_handed_over(void **state)
{
	struct scene t = start_without(&opaque, "hides what it has read ahead");

	(void)state;
	assert_int_equal(t.server->wire.traits.readahead_at, 0);
	expect_service(&t);
	drain(&t, "moved=1 ");
}

static void
arguments_and_cookies_that_cannot_be_hidden_are_served(void **state)
{
	struct scene t = start_without(&nosy, "takes queries apart");

	(void)state;
	assert_false(t.server->wire.traits.hides_queries);
	expect_service(&t);
	drain(&t, "moved=1 ");
	t = start_without(&frank, "takes cookies apart");
	assert_false(t.server->wire.traits.hides_cookies);
	expect_service(&t);
	drain(&t, "moved=1 ");
}

/* What might be two requests to somebody else ends with the first. */
static void
where_something_malformed_gets_in_connections_have_one_request(void **state)
{
	struct scene t = start_without(&blind, "lets in 'NUL");
	struct client *c;
	const struct answer *a;

	(void)state;
	log_expect(t.log, "each connection ends with its first answer");
	assert_false(t.server->wire.traits.sure);
	c = client_open(t.port);
	client_send(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
		       "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
	a = client_read(c, "POST");
	assert_string_equal(a->body, "hello");
	assert_true(a->close);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	assert_int_equal(http_server_counter(t.server, "requests"), 1);
	serving_stop(t.server);
	close(t.channel);
}

static void
what_answers_nothing_cannot_serve(void **state)
{
	struct log *log = log_open();
	struct http_server *s = serving_new();

	(void)state;
	assert_int_equal(http_server_listen(s, "web", "127.0.0.1:0"), 0);
	atomic_store(&always, true);
	atomic_store(&deaf, true);
	assert_int_equal(http_server_start(s), -ENOTSUP);
	atomic_store(&always, false);
	atomic_store(&deaf, false);
	log_expect(log, "cannot serve: libmicrohttpd ");
	log_expect(log, "does not come to an answer to a plain request");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(with_all_of_it_nothing_is_said),
	    test(connections_that_come_later_are_found),
	    test(without_being_asked_again_requests_are_suspended),
	    test(without_suspension_nothing_is_handed_over),
	    test(without_sizes_of_heads_nothing_is_handed_over),
	    test(without_its_record_only_what_was_counted_is_handed_over),
	    test(arguments_and_cookies_that_cannot_be_hidden_are_served),
	    test(where_something_malformed_gets_in_connections_have_one_request),
	    test(what_answers_nothing_cannot_serve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
