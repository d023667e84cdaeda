/* SPDX-License-Identifier: MIT */
/*
 * Numbered POSTs over many restarts, under load: the servers write down every number that they
 * execute. None is executed twice, and every one whose bytes were read is answered. The client
 * sends each number once, on connections that it never reopens.
 *
 * HANDOVER_RESTARTS (50) says how many, for the soak test, which also watches descriptors and
 * memory.
 */
#include "tests/harness/relay.h"

#include <baton/http.h>
#include <errno.h>
#include <fcntl.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

enum { CLIENTS = 16 };

/* ---- The server: this program with an argument ---------------------------------------------- */

static int
execute(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	char line[32];
	size_t len;
	const char *body = http_request_body(req, &len);
	int n = snprintf(line, sizeof(line), "%.16s\n", body);

	(void)ctx;
	/* appended as a whole, in one call */
	if (write(*(int *)data, line, (size_t)n) != n)
		return -EIO;
	return http_response_static(res, 200, NULL, body, len);
}

static int
serve(const char *record)
{
	struct http_server *s = http_server_new(NULL);
	int fd = open(record, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644), status;

	http_server_listen(s, "web", "127.0.0.1:0");
	http_server_handle(s, "POST /execute", execute, &fd);
	status = fd < 0 ? EXIT_FAILURE : http_server_run(s);
	talloc_free(s);
	return status;
}

/* ---- The clients ------------------------------------------------------------------------------ */

struct numbers {
	const struct relay *relay;
	struct client *c[CLIENTS];
	atomic_int next, answered;
	atomic_bool stop;
	char wrong[256]; /* the first thing that went wrong */
	pthread_t thread;
};

static void
send_one(struct client *c, int number, int kind)
{
	char text[512], digits[16];
	int len;

	snprintf(digits, sizeof(digits), "%08d", number);
	/* of three kinds: with a length, chunked, and a head and content sent apart */
	if (kind == 1)
		len = snprintf(text, sizeof(text),
		    "POST /execute HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "3\r\n%.3s\r\n5\r\n%.5s\r\n0\r\n\r\n",
		    digits, digits + 3);
	else
		len = snprintf(text, sizeof(text),
		    "%sPOST /execute HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n%s",
		    kind == 2 ? "\r\n" : "", digits);
	if (kind == 3) {
		client_send_bytes(c, text, (size_t)len - 9);
		client_send_bytes(c, text + len - 9, 9);
	} else {
		client_send_bytes(c, text, (size_t)len);
	}
}

/* Every client has one request under way, of which the answer must come. */
static void *
ask(void *arg)
{
	struct numbers *n = arg;
	int number[CLIENTS];

	while (!atomic_load(&n->stop)) {
		for (int i = 0; i < CLIENTS; i++) {
			number[i] = atomic_fetch_add(&n->next, 1);
			send_one(n->c[i], number[i], (number[i] / CLIENTS + i) % 4);
		}
		for (int i = 0; i < CLIENTS; i++) {
			const struct answer *a = (client_read_any)(n->c[i], "POST");
			bool good = a->state == ANSWER_COMPLETE && a->status == 200 && !a->close &&
				    atoi(a->body) == number[i];

			if (!good && n->wrong[0] == '\0')
				snprintf(n->wrong, sizeof(n->wrong),
				    "number %d of client %d: %s, status %d%s", number[i], i,
				    answer_state_text(a->state), a->status,
				    a->close ? ", to be closed" : "");
			if (!good)
				return NULL;
			atomic_fetch_add(&n->answered, 1);
		}
		usleep(100);
	}
	return NULL;
}

static void
check_record(const char *path, int numbers)
{
	unsigned char *seen = talloc_zero_array(harness_mem(), unsigned char, (size_t)numbers);
	char line[64];
	FILE *f = fopen(path, "re");
	int executed = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		int number = atoi(line);

		if (number < 0 || number >= numbers)
			harness_fail("number %d was never sent", number);
		if (seen[number]++ > 0)
			harness_fail("number %d was executed twice", number);
		executed++;
	}
	fclose(f);
	if (executed != numbers)
		harness_fail("%d of %d numbers were executed", executed, numbers);
}

static void
no_number_is_lost_or_executed_twice(void **state)
{
	const char *many = getenv("HANDOVER_RESTARTS");
	int restarts = many != NULL ? atoi(many) : 50, fds = 0;
	const char *record = tempdir_path(tempdir_new(), "record");
	const char *const argv[] = {"/proc/self/exe", record, NULL};
	struct relay r = relay_new(RELAY_IPV4);
	struct numbers *n = talloc_zero(harness_mem(), struct numbers);
	struct generation *g, *next;
	long kb = 0;

	(void)state;
	r.argv = argv;
	g = relay_next(&r, NULL);
	for (int i = 0; i < CLIENTS; i++)
		n->c[i] = relay_client(&r);
	assert_int_equal(pthread_create(&n->thread, NULL, ask, n), 0);
	for (int i = 0; i < restarts; i++) {
		int before = atomic_load(&n->answered);

		wait_until("some are answered",
		    atomic_load(&n->answered) > before + 50 || n->wrong[0] != '\0');
		if (n->wrong[0] != '\0')
			break;
		next = relay_next(&r, g);
		relay_stop(g);
		assert_int_equal(relay_count(g, "MOVED"), CLIENTS);
		assert_int_equal(relay_count(g, "ENDED") + relay_count(g, "CUT"), 0);
		relay_end(g);
		talloc_free(g);
		g = next;
		if (i == 9) {
			fds = relay_fds(g); /* perhaps with a channel that is about to close */
			kb = relay_memory_kb(g);
		}
	}
	atomic_store(&n->stop, true);
	pthread_join(n->thread, NULL);
	if (n->wrong[0] != '\0')
		harness_fail("%s", n->wrong);
	if (restarts > 10)
		wait_until("it has as many descriptors as others had", relay_fds(g) <= fds);
	if (restarts > 10 && relay_memory_kb(g) > kb + kb / 4)
		harness_fail("from %ld to %ld kB", kb, relay_memory_kb(g));
	print_message("%d numbers over %d restarts; %d fds, %ld kB\n", atomic_load(&n->next),
	    restarts, relay_fds(g), relay_memory_kb(g));
	relay_kill(g);
	check_record(record, atomic_load(&n->next));
}

/* The same as a service of four instances, of which two are replaced at a time: every
 * connection moves, some of them while others move, and some while others are asked. */
static void
two_at_a_time_lose_and_repeat_no_number(void **state)
{
	enum { INSTANCES = 4, RESTARTS = 5 };
	const char *record = tempdir_path(tempdir_new(), "record");
	struct numbers *n = talloc_zero(harness_mem(), struct numbers);
	uint16_t port = port_free(INSTANCES);
	char exe[4096] = "";
	struct baton b;

	(void)state;
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	b = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service web]\ncommand = %s %s\ninstances = %d\nlisten = %s\nsurge = 2\n", exe,
		record, INSTANCES, port_address(port))});
	baton_wait_ready(&b, INSTANCES);
	for (int i = 0; i < CLIENTS; i++)
		n->c[i] = client_open((uint16_t)(port + i % INSTANCES));
	assert_int_equal(pthread_create(&n->thread, NULL, ask, n), 0);
	for (int i = 0; i < RESTARTS && n->wrong[0] == '\0'; i++) {
		int before = atomic_load(&n->answered);

		wait_until("some are answered",
		    atomic_load(&n->answered) > before + 50 || n->wrong[0] != '\0');
		baton_restart(&b);
	}
	atomic_store(&n->stop, true);
	pthread_join(n->thread, NULL);
	if (n->wrong[0] != '\0')
		harness_fail("%s", n->wrong);
	for (int i = 0; i < CLIENTS; i++)
		client_close(n->c[i]);
	baton_stop(&b);
	check_record(record, atomic_load(&n->next));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(no_number_is_lost_or_executed_twice),
	    e2e_test(two_at_a_time_lose_and_repeat_no_number),
	};

	if (argc == 2)
		return serve(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
