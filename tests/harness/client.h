/* SPDX-License-Identifier: MIT */
/*
 * A blocking HTTP/1.1 client for tests: it sends exactly the bytes it is given, reads one
 * answer at a time, and never retries. Every call has PATIENCE_MS; then the test fails.
 */
#ifndef BATON_TESTS_CLIENT_H
#define BATON_TESTS_CLIENT_H

#include "tests/harness/answer.h"
#include "tests/harness/harness.h"

struct client;

enum client_end {
	CLIENT_EOF,   /* the server closed in order */
	CLIENT_RESET, /* or by a reset */
	CLIENT_DATA   /* it sent something instead: see client_read */
};

/* Connects to a port of 127.0.0.1, or to a Unix socket; fails the test if that is refused. */
struct client *client_open(uint16_t port);
#define client_open(...) HARNESS_HERE(client_open(__VA_ARGS__))
struct client *client_open_unix(const char *path);
#define client_open_unix(...) HARNESS_HERE(client_open_unix(__VA_ARGS__))

/* Of a connected socket, which it takes over. */
struct client *client_of(int fd);

/* 0, or the errno of connecting; the connection is closed at once. */
int client_try(uint16_t port);
/* The same, without waiting for room in a queue. */
int client_try_unix(const char *path);

void client_close(struct client *c);
int client_fd(const struct client *c);

/* Bytes as they are. What cannot be sent (the server has closed) is no failure yet. */
void client_send_bytes(struct client *c, const void *data, size_t len);
void client_send(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define client_send(...) HARNESS_HERE(client_send(__VA_ARGS__))

/* The client's side is finished; it still reads. */
void client_shutdown(struct client *c);

/*
 * One answer, 1xx included, whatever became of it: see its state. `method` tells whether a
 * body is due. Never NULL; it belongs to the client.
 */
const struct answer *client_read_any(struct client *c, const char *method);
#define client_read_any(...) HARNESS_HERE(client_read_any(__VA_ARGS__))

/* The same, and the test fails unless it is complete. */
const struct answer *client_read(struct client *c, const char *method);
#define client_read(...) HARNESS_HERE(client_read(__VA_ARGS__))

/* Sends a request with Host (and Content-Length, if there is a body); reads the answer. */
const struct answer *client_get(struct client *c, const char *target);
#define client_get(...) HARNESS_HERE(client_get(__VA_ARGS__))
const struct answer *client_request(
    struct client *c, const char *method, const char *target, const char *fields, const char *body);
#define client_request(...) HARNESS_HERE(client_request(__VA_ARGS__))

/* Waits for the server to end the connection. */
enum client_end client_wait_end(struct client *c);
#define client_wait_end(...) HARNESS_HERE(client_wait_end(__VA_ARGS__))

/* Whether nothing has come from the server (no data, no end) for that long. */
bool client_is_quiet(struct client *c, int for_ms);

/* One line without its newline, or NULL if the connection ends; for control sockets. */
const char *client_read_line(struct client *c);
#define client_read_line(...) HARNESS_HERE(client_read_line(__VA_ARGS__))

/* What some version of libmicrohttpd refuses, although it is valid: chunk extensions, by 1.0.1; more
 * than one empty line before a request, by 1.0. Whether it is answered with 200 here; the
 * connection is closed. `path` takes a POST. */
bool client_extensions_taken(struct client *c, const char *path);
bool client_empty_lines_taken(struct client *c);

/* One GET on a connection of its own, which must be answered with 200: its body. */
const char *client_fetch(uint16_t port, const char *target);
#define client_fetch(...) HARNESS_HERE(client_fetch(__VA_ARGS__))

#endif
