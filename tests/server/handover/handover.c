/* SPDX-License-Identifier: MIT */
/* The handover channel: messages of every kind. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "server/handover/channel.h"
#include "tests/server/serving.h"

/* ---- Messages ------------------------------------------------------------------------------------ */

struct pair {
	int fd[2];
};

static int
pair_close(struct pair *p)
{
	close(p->fd[0]);
	close(p->fd[1]);
	return 0;
}

static struct pair *
pair_new(void)
{
	struct pair *p = talloc(harness_mem(), struct pair);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->fd), 0);
	talloc_set_destructor(p, pair_close);
	return p;
}

static struct baton_handover_state
some_state(void)
{
	struct baton_handover_state s = {
	    .used_bytes = 12345, .requests = 67, .opened_unix_ms = 89, .peer_size = 16};

	strcpy(s.listener, "web");
	memset(s.peer, 7, s.peer_size);
	return s;
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

static void
an_offer_arrives_as_it_was_sent(void **state)
{
	struct pair *p = pair_new();
	struct baton_handover_state s = some_state();
	struct handover_message m;

	(void)state;
	assert_int_equal(handover_receive(p->fd[1], &m), -EAGAIN);
	assert_int_equal(handover_send(p->fd[0], BATON_HANDOVER_OFFER, 42, &s, p->fd[0]), 0);
	assert_int_equal(handover_send(p->fd[0], BATON_HANDOVER_YOURS, 42, NULL, -1), 0);
	assert_int_equal(handover_receive(p->fd[1], &m), 1);
	assert_int_equal(m.type, BATON_HANDOVER_OFFER);
	assert_int_equal(m.id, 42);
	assert_memory_equal(&m.state, &s, sizeof(s));
	assert_true(same_file(m.fd, p->fd[0]));
	assert_int_equal(fcntl(m.fd, F_GETFD), FD_CLOEXEC);
	close(m.fd);
	assert_int_equal(handover_receive(p->fd[1], &m), 1);
	assert_int_equal(m.type, BATON_HANDOVER_YOURS);
	assert_int_equal(m.fd, -1);
	assert_int_equal(handover_receive(p->fd[1], &m), -EAGAIN);
}

/* A packet by hand: a head, so many bytes of state, so many fds. */
static void
send_raw(int to, struct baton_handover_head head, const void *state_bytes, size_t len, int fd,
    size_t fds)
{
	char packet[4096];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};
	struct iovec iov = {packet, sizeof(head) + len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(packet, &head, sizeof(head));
	if (len > 0)
		memcpy(packet + sizeof(head), state_bytes, len);
	if (fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds * sizeof(int));
		for (size_t i = 0; i < fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(to, &msg, 0), (ssize_t)iov.iov_len);
}

static struct baton_handover_head
head(unsigned type, size_t size)
{
	return (struct baton_handover_head){
	    .version = 1, .type = (uint16_t)type, .size = (uint32_t)size, .id = 5};
}

static void
versions_understand_what_both_know(void **state)
{
	struct pair *p = pair_new();
	struct baton_handover_state s = some_state();
	struct handover_message m;
	char longer[900] = {0};

	(void)state;
	memcpy(longer, &s, sizeof(s));
	memset(longer + sizeof(s), 'x', sizeof(longer) - sizeof(s));
	send_raw(p->fd[0], head(BATON_HANDOVER_OFFER, sizeof(longer)), longer, sizeof(longer),
	    p->fd[0], 1);
	assert_int_equal(handover_receive(p->fd[1], &m), 1);
	assert_memory_equal(&m.state, &s, sizeof(s));
	close(m.fd);
	/* cut off at any place: the rest is zero */
	for (size_t len = 0; len < sizeof(s); len++) {
		send_raw(p->fd[0], head(BATON_HANDOVER_OFFER, len), &s, len, p->fd[0], 1);
		assert_int_equal(handover_receive(p->fd[1], &m), 1);
		assert_memory_equal(&m.state, &s, len);
		for (size_t i = len; i < sizeof(s); i++)
			assert_int_equal(((char *)&m.state)[i], 0);
		close(m.fd);
	}
	/* a type that is not known yet, with whatever it carries */
	send_raw(p->fd[0], head(200, 10), longer, 10, p->fd[0], 1);
	assert_int_equal(handover_receive(p->fd[1], &m), 1);
	assert_int_equal(m.type, 200);
	close(m.fd);
}

static int
open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* It is skipped, and nothing of it stays open. */
static void
garbage_is_told_apart(void **state)
{
	struct pair *p = pair_new();
	struct baton_handover_state s = some_state(), bad = s;
	struct handover_message m;
	char large[2000] = {0};
	int before = open_fds();
	int a = p->fd[0];

	(void)state;
	memset(bad.listener, 'x', sizeof(bad.listener));
	for (size_t n = 0; n < sizeof(struct baton_handover_head); n++)
		assert_int_equal(send(a, large, n, 0), (ssize_t)n);
	send_raw(a, (struct baton_handover_head){0}, NULL, 0, -1, 0);
	send_raw(a, head(BATON_HANDOVER_OFFER, sizeof(s)), &bad, sizeof(bad), a, 1);
	bad = s;
	bad.peer_size = sizeof(bad.peer) + 1;
	send_raw(a, head(BATON_HANDOVER_OFFER, sizeof(s)), &bad, sizeof(bad), a, 1);
	send_raw(a, head(BATON_HANDOVER_OFFER, sizeof(s)), &s, sizeof(s) - 1, a, 1);
	send_raw(a, head(BATON_HANDOVER_OFFER, sizeof(s) - 1), &s, sizeof(s), a, 1);
	send_raw(a, head(BATON_HANDOVER_OFFER, sizeof(s)), &s, sizeof(s), a, 2);
	send_raw(a, head(BATON_HANDOVER_OFFER, sizeof(s)), &s, sizeof(s), a, 4);
	send_raw(a, head(BATON_HANDOVER_OFFER, sizeof(large)), large, sizeof(large), a, 1);
	send_raw(a, head(BATON_HANDOVER_YOURS, 0), NULL, 0, a, 1);
	for (size_t n = 0; n < sizeof(struct baton_handover_head) + 9; n++)
		assert_int_equal(handover_receive(p->fd[1], &m), -EBADMSG);
	assert_int_equal(handover_receive(p->fd[1], &m), -EAGAIN);
	assert_int_equal(open_fds(), before);
	/* and the channel works */
	assert_int_equal(handover_send(a, BATON_HANDOVER_END, 0, NULL, -1), 0);
	assert_int_equal(handover_receive(p->fd[1], &m), 1);
}

/* The other side had not read all, so its end is a reset; what it said before is read. */
static void
what_was_said_before_the_end_is_read(void **state)
{
	(void)state;
	for (int unread = 0; unread < 2; unread++) {
		struct pair *p = pair_new();
		struct handover_message m;

		handover_send(p->fd[0], BATON_HANDOVER_YOURS, 1, NULL, -1);
		handover_send(p->fd[0], BATON_HANDOVER_YOURS, 2, NULL, -1);
		if (unread > 0)
			handover_send(p->fd[1], BATON_HANDOVER_HAVE, 1, NULL, -1);
		close(p->fd[0]);
		p->fd[0] = -1;
		assert_int_equal(handover_receive(p->fd[1], &m), 1);
		assert_int_equal(handover_receive(p->fd[1], &m), 1);
		assert_int_equal(m.id, 2);
		assert_int_equal(handover_receive(p->fd[1], &m), 0);
		assert_int_equal(handover_receive(p->fd[1], &m), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(an_offer_arrives_as_it_was_sent),
	    e2e_test(versions_understand_what_both_know),
	    e2e_test(garbage_is_told_apart),
	    e2e_test(what_was_said_before_the_end_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
