/* SPDX-License-Identifier: MIT */
/*
 * How long a quick route takes at the worst beside programs that compute, all on one processor:
 * what the loop waits for is the kernel's turn for it, and nothing that a worker holds meanwhile.
 * Two other processes compute, 8 clients keep workers busy with a route that takes memory, one
 * handler computes all the time, and one client asks the quick route again and again. Medians of
 * BENCH_ROUNDS (5) rounds of 4 s each, without and with a deadline for handlers.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <baton/http.h>

enum { HOGS = 2, CLIENTS = 8, ROUND_S = 4, MOST_ROUNDS = 100 };

static atomic_bool over;
static struct sockaddr_in server_at = {.sin_family = AF_INET};

struct waits {
	int64_t worst_us;
	long n, long_ones; /* of more than 20 ms */
};

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int
quick(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, NULL, "x", 1);
}

static int
take_memory(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	char *some[16];

	for (int i = 0; i < 16; i++) {
		some[i] = malloc(2000);
		if (some[i] != NULL)
			memset(some[i], i, 2000);
	}
	for (int i = 0; i < 16; i++)
		free(some[i]);
	return quick(ctx, req, res, data);
}

static int
compute(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	while (!atomic_load(&over))
		take_memory(ctx, req, res, data);
	return 0;
}

/* One request and its answer; false if there was none. */
static bool
ask(int fd, const char *path)
{
	char text[500];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);

	return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n && recv(fd, text, sizeof(text), 0) > 0;
}

static int
connected(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&server_at, sizeof(server_at)) != 0)
		perror("hogs: connect");
	return fd;
}

static void *
run_client(void *path)
{
	int fd = connected();

	while (!atomic_load(&over) && ask(fd, path))
		;
	close(fd);
	return NULL;
}

static void *
run_probe(void *arg)
{
	struct waits *w = arg;
	int fd = connected();

	while (!atomic_load(&over)) {
		int64_t began = now_us(), us;

		if (!ask(fd, "/"))
			break;
		us = now_us() - began;
		w->n++;
		w->long_ones += us > 20000;
		w->worst_us = us > w->worst_us ? us : w->worst_us;
		usleep(300);
	}
	close(fd);
	return NULL;
}

static void
disturb(pid_t hogs[HOGS], struct waits *w)
{
	pthread_t client[CLIENTS], burner, probe;

	for (int i = 0; i < HOGS; i++)
		if ((hogs[i] = fork()) == 0) {
			alarm(60);
			for (;;)
				;
		}
	atomic_store(&over, false);
	for (int i = 0; i < CLIENTS; i++)
		pthread_create(&client[i], NULL, run_client, "/memory");
	pthread_create(&burner, NULL, run_client, "/compute");
	pthread_create(&probe, NULL, run_probe, w);
	sleep(ROUND_S);
	atomic_store(&over, true);
	for (int i = 0; i < HOGS; i++) {
		kill(hogs[i], SIGKILL);
		waitpid(hogs[i], NULL, 0);
	}
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(client[i], NULL);
	pthread_join(burner, NULL);
	pthread_join(probe, NULL);
}

static struct waits
measure(const char *timeout_ms)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct http_server *s = http_server_new(NULL);
	struct waits w = {0};
	pid_t hogs[HOGS];

	http_server_set(s, "handler_timeout_ms", timeout_ms);
	http_server_set(s, "log_level", "error");
	http_server_listen(s, "web", "127.0.0.1:0");
	http_server_handle(s, "/", quick, NULL);
	http_server_handle_with(s, "/compute", compute, NULL, &blocking);
	http_server_handle_with(s, "/memory", take_memory, NULL, &blocking);
	if (http_server_start(s) != 0)
		exit(1);
	server_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server_at.sin_port = htons((uint16_t)http_server_port(s, "web"));
	disturb(hogs, &w);
	http_server_drain(s);
	http_server_wait(s);
	talloc_free(s);
	return w;
}

static int
earlier(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int
main(void)
{
	const char *wanted = getenv("BENCH_ROUNDS"), *const timeouts[] = {"0", "30000"};
	int rounds = wanted != NULL ? atoi(wanted) : 5;
	int64_t worst[MOST_ROUNDS], median;
	cpu_set_t one;

	if (rounds < 1 || rounds > MOST_ROUNDS)
		rounds = 5;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	printf("A quick route beside %d programs that compute, on one processor:\n", HOGS);
	for (int t = 0; t < 2; t++) {
		struct waits all = {0};

		for (int i = 0; i < rounds; i++) {
			struct waits w = measure(timeouts[t]);

			worst[i] = w.worst_us;
			all.n += w.n;
			all.long_ones += w.long_ones;
		}
		qsort(worst, (size_t)rounds, sizeof(worst[0]), earlier);
		median = worst[rounds / 2];
		printf(
		    "  handler_timeout_ms %5s: longest wait, median of %d rounds %.1f ms, of all "
		    "%.1f ms; %ld of %ld waited more than 20 ms\n",
		    timeouts[t], rounds, median / 1e3, worst[rounds - 1] / 1e3, all.long_ones,
		    all.n);
		fflush(stdout);
	}
	return 0;
}
