/* SPDX-License-Identifier: MIT */
/* A blocking HTTP/1.1 client for tests (see client.h). */
#include "tests/harness/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#undef client_open
#undef client_open_unix
#undef client_send
#undef client_read_any
#undef client_read
#undef client_get
#undef client_request
#undef client_wait_end
#undef client_read_line
#undef client_fetch

struct client {
	int fd;
	char *data; /* received and not yet used */
	size_t len;
	bool eof;   /* the server's end was read */
	bool reset; /* or an error */
	char *name; /* whom it talks to */
	struct answer answer;
};

static int
client_free(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	return 0;
}

static struct client *
client_new(int fd, char *name)
{
	struct client *c = talloc_zero(harness_mem(), struct client);

	c->fd = fd;
	c->name = name;
	c->data = talloc_strdup(c, "");
	talloc_set_destructor(c, client_free);
	return c;
}

static int
connect_port(uint16_t port, int *fd)
{
	const struct sockaddr_in to = {
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return errno;
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (connect(*fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	return errno;
}

struct client *
client_open(uint16_t port)
{
	int fd, error = connect_port(port, &fd);

	if (error != 0)
		harness_fail("cannot connect to port %u: %s", port, strerror(error));
	return client_new(fd, talloc_asprintf(harness_mem(), "port %u", port));
}

struct client *
client_of(int fd)
{
	return client_new(fd, talloc_asprintf(harness_mem(), "fd %d", fd));
}

struct client *
client_open_unix(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(to.sun_path))
		harness_fail("too long for a socket's path: %s", path);
	strcpy(to.sun_path, path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		harness_fail("cannot connect to %s: %m", path);
	return client_new(fd, talloc_strdup(harness_mem(), path));
}

int
client_try(uint16_t port)
{
	int fd, error = connect_port(port, &fd);

	if (fd >= 0)
		close(fd);
	return error;
}

int
client_try_unix(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

	if (fd < 0 || strlen(path) >= sizeof(to.sun_path))
		harness_fail("no socket to try %s with: %m", path);
	strcpy(to.sun_path, path);
	error = connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
	close(fd);
	return error;
}

void
client_close(struct client *c)
{
	talloc_free(c);
}

int
client_fd(const struct client *c)
{
	return c->fd;
}

void
client_send_bytes(struct client *c, const void *data, size_t len)
{
	const int64_t deadline = harness_now_ms() + PATIENCE_MS;
	const char *at = data;

	while (len > 0) {
		struct pollfd pfd = {.fd = c->fd, .events = POLLOUT};
		ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN) {
			return; /* the answer, if there is one, is still worth reading */
		} else if (poll(&pfd, 1, harness_left_ms(deadline)) == 0) {
			harness_fail("%s does not take the rest of %zu bytes", c->name, len);
		}
	}
}

void
client_send(struct client *c, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = talloc_vasprintf(c, format, ap);
	va_end(ap);
	client_send_bytes(c, text, strlen(text));
	talloc_free(text);
}

void
client_shutdown(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
}

/* Takes what has come; false if nothing comes in that time. */
static bool
receive(struct client *c, int timeout_ms)
{
	struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
	char block[65536];
	ssize_t n;

	if (c->eof || c->reset)
		return true;
	if (poll(&pfd, 1, timeout_ms) <= 0)
		return false;
	n = recv(c->fd, block, sizeof(block), MSG_DONTWAIT);
	if (n == 0) {
		c->eof = true;
	} else if (n < 0) {
		c->reset = errno != EAGAIN && errno != EINTR;
	} else {
		c->data = talloc_realloc(c, c->data, char, c->len + (size_t)n + 1);
		memcpy(c->data + c->len, block, (size_t)n);
		c->len += (size_t)n;
		c->data[c->len] = '\0';
	}
	return true;
}

static void
drop(struct client *c, size_t len)
{
	memmove(c->data, c->data + len, c->len - len + 1);
	c->len -= len;
}

const struct answer *
client_read_any(struct client *c, const char *method)
{
	const int64_t deadline = harness_now_ms() + PATIENCE_MS;
	const bool head = strcmp(method, "HEAD") == 0;
	struct answer *a = &c->answer;

	while (answer_parse(a, c->data, c->len, head, c->eof) == ANSWER_PARTIAL) {
		if (c->reset)
			a->state = ANSWER_RESET;
		else if (receive(c, harness_left_ms(deadline)))
			continue;
		else
			a->state = ANSWER_LATE;
		break;
	}
	if (a->state == ANSWER_COMPLETE) {
		answer_copy(a, c, c->data);
		drop(c, a->used);
	}
	return a;
}

const struct answer *
client_read(struct client *c, const char *method)
{
	const struct answer *a = client_read_any(c, method);

	if (a->state != ANSWER_COMPLETE)
		harness_fail("no answer from %s: %s%s%s, after %zu bytes:\n%.2000s", c->name,
		    answer_state_text(a->state), a->why != NULL ? ": " : "",
		    a->why != NULL ? a->why : "", c->len, c->data);
	return a;
}

const struct answer *
client_request(
    struct client *c, const char *method, const char *target, const char *fields, const char *body)
{
	client_send(
	    c, "%s %s HTTP/1.1\r\nHost: test\r\n%s", method, target, fields != NULL ? fields : "");
	if (body != NULL)
		client_send(c, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	else
		client_send(c, "\r\n");
	return client_read(c, method);
}

const struct answer *
client_get(struct client *c, const char *target)
{
	return client_request(c, "GET", target, NULL, NULL);
}

enum client_end
client_wait_end(struct client *c)
{
	const int64_t deadline = harness_now_ms() + PATIENCE_MS;

	while (c->len == 0 && !c->eof && !c->reset)
		if (!receive(c, harness_left_ms(deadline)))
			harness_fail("%s does not close the connection", c->name);
	return c->len > 0 ? CLIENT_DATA : c->eof ? CLIENT_EOF : CLIENT_RESET;
}

bool
client_is_quiet(struct client *c, int for_ms)
{
	return c->len == 0 && !c->eof && !c->reset && !receive(c, for_ms);
}

const char *
client_read_line(struct client *c)
{
	const int64_t deadline = harness_now_ms() + PATIENCE_MS;
	const char *end;
	char *line;

	while ((end = memchr(c->data, '\n', c->len)) == NULL && !c->eof && !c->reset)
		if (!receive(c, harness_left_ms(deadline)))
			harness_fail("%s sends no line; so far: %.2000s", c->name, c->data);
	if (end == NULL)
		return NULL;
	line = talloc_strndup(harness_mem(), c->data, (size_t)(end - c->data));
	drop(c, strlen(line) + 1);
	return line;
}

static bool
is_taken(struct client *c, const char *bytes)
{
	const struct answer *a;
	bool taken;

	client_send_bytes(c, bytes, strlen(bytes));
	a = client_read_any(c, "POST");
	taken = a->state == ANSWER_COMPLETE && a->status == 200;
	client_close(c);
	return taken;
}

bool
client_extensions_taken(struct client *c, const char *path)
{
	return is_taken(c, talloc_asprintf(harness_mem(),
			       "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			       "1;a=b\r\nx\r\n0\r\n\r\n",
			       path));
}

bool
client_empty_lines_taken(struct client *c)
{
	return is_taken(c, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

const char *
client_fetch(uint16_t port, const char *target)
{
	struct client *c = client_open(port);
	const struct answer *a = client_get(c, target);
	const char *body = talloc_steal(harness_mem(), a->body);

	if (a->status != 200)
		harness_fail("GET %s of port %u: status %d: %s", target, port, a->status, body);
	client_close(c);
	return body;
}
