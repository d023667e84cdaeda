/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: clients in threads of their own that send quick, blocking, computing,
 * failing, large, chunked, pipelined and reset requests to one server, which is told to drain
 * at some moment. Every request gets its right answer, or an end that was announced. The seed
 * of what happens when is printed; STRESS_SEED repeats it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "tests/harness/answer.h"
#include "tests/server/holding.h"

#define CLIENTS 8
#define LARGE   (300 * 1024)

static char large[LARGE];

/* ---- Handlers --------------------------------------------------------------------------------- */

static int
quick(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	return http_response_printf(res, 200, "%s", http_request_query_string(req));
}

static int
block(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	int err = ctx_sleep(ctx, 1 + strlen(http_request_query_string(req)) % 4);

	return err != 0 ? err : quick(ctx, req, res, data);
}

static int
compute(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	int64_t end = harness_now_ms() + 3;

	while (harness_now_ms() < end && ctx_err(ctx) == 0)
		;
	return quick(ctx, req, res, data);
}

static int
give_up(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)res, (void)data;
	return -EIO;
}

static int
much(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, NULL, large, LARGE);
}

static int
echo(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t len;
	const void *body = http_request_body(req, &len);

	(void)ctx, (void)data;
	return http_response_bytes(res, 200, "text/plain", body, len);
}

/* ---- Clients ----------------------------------------------------------------------------------- */

/* A client in its own thread: it does not end the test, but says what went wrong. */
struct actor {
	pthread_t thread;
	uint16_t port;
	unsigned seed;
	int fd;     /* -1: not connected */
	bool fresh; /* nothing was answered on it yet */
	char *in;   /* what has come and is no part of an answer yet */
	size_t len;
	int answers;
	bool done; /* the server takes no more connections */
	char wrong[200];
};

static atomic_bool draining;

static void
wrong(struct actor *a, const char *what, const char *got)
{
	if (a->wrong[0] == '\0')
		snprintf(a->wrong, sizeof(a->wrong), "%s: %.100s", what, got);
	a->done = true;
}

static void
disconnect(struct actor *a, bool reset)
{
	const struct linger now = {.l_onoff = 1};

	if (a->fd >= 0 && reset)
		setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->len = 0;
}

static void
connect_to(struct actor *a)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(a->port)};
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

	a->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(a->fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
		a->fresh = true;
		return;
	}
	if (!atomic_load(&draining))
		wrong(a, "connect", strerror(errno));
	a->done = true;
	disconnect(a, false);
}

static void
put(struct actor *a, const char *text)
{
	size_t len = strlen(text);
	ssize_t n = 0;

	for (; len > 0 && n >= 0; text += n, len -= (size_t)n) {
		n = send(a->fd, text, len, MSG_NOSIGNAL);
		if (n < 0)
			return; /* reading tells */
	}
}

/*
 * One answer of that status and body (NULL: any). False if the connection has ended: which
 * only a server that drains may do, before it has begun to answer.
 */
static bool
get(struct actor *a, int status, const char *body, size_t len)
{
	struct answer an;
	enum answer_state state;
	ssize_t n = 1;

	while (
	    (state = answer_parse(&an, a->in, a->len, false, n == 0)) == ANSWER_PARTIAL && n > 0) {
		n = recv(a->fd, a->in + a->len, 2 * LARGE - a->len, 0);
		if (n > 0)
			a->len += (size_t)n;
	}
	if (state != ANSWER_COMPLETE) {
		if (a->len > 0 || !atomic_load(&draining))
			wrong(a, "no answer", a->len > 0 ? "but a part" : strerror(errno));
		disconnect(a, false);
		return false;
	}
	a->answers++;
	if (an.status != status || (body != NULL && !answer_body_is(&an, a->in, body, len))) {
		a->in[a->len < 2 * LARGE ? a->len : 2 * LARGE - 1] = '\0';
		wrong(a, "wrong answer", a->in);
	}
	memmove(a->in, a->in + an.used, a->len - an.used);
	a->len -= an.used;
	if (an.close)
		disconnect(a, false);
	return a->fd >= 0;
}

static void
simple(struct actor *a, const char *path, int status)
{
	char request[200], word[32];

	snprintf(word, sizeof(word), "w%u", (unsigned)rand_r(&a->seed) % 10000);
	snprintf(request, sizeof(request), "GET %s?%s HTTP/1.1\r\nHost: a\r\n\r\n", path, word);
	put(a, request);
	get(a, status, status == 200 ? word : NULL, strlen(word));
}

static void
pipelined(struct actor *a)
{
	put(a, "GET /quick?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /block?2 HTTP/1.1\r\nHost: a\r\n\r\n"
	       "GET /quick?3 HTTP/1.1\r\nHost: a\r\n\r\n");
	if (get(a, 200, "1", 1) && get(a, 200, "2", 1))
		get(a, 200, "3", 1);
}

static void
chunked(struct actor *a)
{
	put(a, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	if (rand_r(&a->seed) % 2)
		sched_yield();
	put(a, "4\r\ndefg\r\n0\r\n\r\n");
	get(a, 200, "abcdefg", 7);
}

static void
resetting(struct actor *a)
{
	static const char *const requests[] = {"GET /block? HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /compute? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /quick? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /quick? HTT",
	    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"};

	put(a, requests[(unsigned)rand_r(&a->seed) % COUNT(requests)]);
	if (rand_r(&a->seed) % 2)
		sched_yield();
	disconnect(a, rand_r(&a->seed) % 3 != 0);
}

static void
act(struct actor *a)
{
	switch (rand_r(&a->seed) % 12) {
	case 0:
	case 1:
		simple(a, "/block", 200);
		break;
	case 2:
		simple(a, "/compute", 200);
		break;
	case 3:
		simple(a, "/fail", 500);
		break;
	case 4:
		put(a, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
		get(a, 200, large, LARGE);
		break;
	case 5:
		chunked(a);
		break;
	case 6:
		pipelined(a);
		break;
	case 7:
		resetting(a);
		break;
	case 8:
		simple(a, "/nowhere", 404);
		break;
	default:
		simple(a, "/quick", 200);
	}
}

static void *
run_actor(void *arg)
{
	struct actor *a = arg;

	while (!a->done) {
		if (a->fd < 0)
			connect_to(a);
		if (!a->done)
			act(a);
	}
	disconnect(a, false);
	return NULL;
}

/* ---- The test ----------------------------------------------------------------------------------- */

static struct http_server *
server(unsigned *seed)
{
	struct http_server *s = serving_new();

	http_server_handle(s, "/quick", quick, NULL);
	http_server_handle(s, "/block", block, NULL);
	http_server_handle(s, "/compute", compute, NULL);
	http_server_handle(s, "/fail", give_up, NULL);
	http_server_handle(s, "/large", much, NULL);
	http_server_handle(s, "/echo", echo, NULL);
	http_server_set(s, "idle_linger_ms", "100");
	http_server_set(s, "threads_max", rand_r(seed) % 2 ? "2048" : "6");
	http_server_set(s, "concurrency", rand_r(seed) % 4 ? "preemptive" : "serial");
	return s;
}

static void
drained_in_the_middle(unsigned seed)
{
	struct actor *actors = talloc_zero_array(harness_mem(), struct actor, CLIENTS);
	struct http_server *s;
	uint16_t port;
	int answers = 0;

	fprintf(stderr, "STRESS_SEED=%u\n", seed);
	atomic_store(&draining, false);
	s = server(&seed);
	port = serving_start(s);
	for (int i = 0; i < CLIENTS; i++) {
		actors[i] = (struct actor){.port = port, .seed = seed + (unsigned)i, .fd = -1};
		actors[i].in = talloc_size(actors, 2 * LARGE);
		assert_int_equal(pthread_create(&actors[i].thread, NULL, run_actor, &actors[i]), 0);
	}
	/* The moment is counted in requests: a slow machine has as many of them. */
	wait_until("it is time", http_server_counter(s, "requests") > 200 + rand_r(&seed) % 1000);
	atomic_store(&draining, true);
	serving_stop(s);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(actors[i].thread, NULL);
		answers += actors[i].answers;
	}
	for (int i = 0; i < CLIENTS; i++)
		if (actors[i].wrong[0] != '\0')
			harness_fail("client %d: %s", i, actors[i].wrong);
	assert_true(answers > 100);
	assert_true(http_server_counter(s, "takeovers") > 0);
	serving_free(s);
}

static void
every_request_is_answered_or_its_end_announced(void **state)
{
	const char *wanted = getenv("STRESS_SEED");
	unsigned seed = wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10)
				       : (unsigned)time(NULL) ^ (unsigned)getpid() << 8;

	(void)state;
	/* Also if it crashes, when the log, which has each round's, is lost. */
	fprintf(stderr, "STRESS_SEED=%u, and each 1000 more\n", seed);
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)('a' + i % 23);
	log_open();
	for (unsigned round = 0; round < (wanted != NULL ? 1 : 5); round++)
		drained_in_the_middle(seed + round * 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_request_is_answered_or_its_end_announced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
