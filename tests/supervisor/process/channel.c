/* SPDX-License-Identifier: MIT */
/* The handover channel in the supervisor's hands: holders, and the news of a death. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/process/channel.h"
#include "supervisor/protocol.h"

static int
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* The type of the next message, 0 at the end, or -errno. */
static int
next_message(int fd)
{
	struct baton_handover_head head;
	ssize_t n = recv(fd, &head, sizeof(head), MSG_DONTWAIT);

	if (n <= 0)
		return n == 0 ? 0 : -errno;
	assert_int_equal(n, sizeof(head));
	assert_int_equal(head.version, BATON_HANDOVER_VERSION);
	assert_int_equal(head.size, 0);
	return head.type;
}

/* As an instance would: an offer with a descriptor, or a bare message. */
static void
send_message(int fd, int type, int with)
{
	struct baton_handover_head head = {.version = 1, .type = (uint16_t)type, .id = 7};
	struct iovec iov = {.iov_base = &head, .iov_len = sizeof(head)};
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (with >= 0) {
		struct cmsghdr *c;

		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &with, sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &mh, MSG_DONTWAIT), sizeof(head));
}

static void
the_last_holder_closes_it(void **state)
{
	int before = open_descriptors();
	struct channel *c = channel_new(), *second = channel_ref(c);

	(void)state;
	assert_ptr_equal(c, second);
	assert_int_equal(open_descriptors(), before + 2);
	assert_true((fcntl(channel_give_fd(c), F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(channel_take_fd(c), F_GETFD) & FD_CLOEXEC) != 0);
	channel_unref(&c);
	assert_null(c);
	assert_int_equal(open_descriptors(), before + 2);
	channel_unref(&second);
	channel_unref(&second);
	assert_int_equal(open_descriptors(), before);
}

static void
a_dead_takers_answers_are_never_heard(void **state)
{
	struct channel *c = channel_new();
	int before;

	(void)state;
	send_message(channel_give_fd(c), BATON_HANDOVER_OFFER, 0);
	send_message(channel_give_fd(c), BATON_HANDOVER_OFFER, 0);
	send_message(channel_take_fd(c), BATON_HANDOVER_REFUSE, -1);
	send_message(channel_take_fd(c), BATON_HANDOVER_HAVE, -1);
	before = open_descriptors();
	assert_int_equal(channel_taker_gone(c), 0);
	assert_int_equal(channel_called_off(c), 0);
	assert_int_equal(next_message(channel_give_fd(c)), BATON_HANDOVER_TAKER_GONE);
	assert_int_equal(next_message(channel_give_fd(c)), BATON_HANDOVER_CALLED_OFF);
	assert_int_equal(next_message(channel_give_fd(c)), -EAGAIN);
	assert_int_equal(next_message(channel_take_fd(c)), -EAGAIN);
	/* What the giver offered before it heard the news is no concern of the next one. */
	send_message(channel_give_fd(c), BATON_HANDOVER_OFFER, 0);
	assert_true(channel_has_unread(c));
	channel_renew(c);
	assert_false(channel_has_unread(c));
	assert_int_equal(open_descriptors(), before);
	channel_unref(&c);
}

/* The giver may be told to end before it has read it: without it, it would close its doors. */
static void
a_dead_takers_hello_stays(void **state)
{
	struct channel *c = channel_new();

	(void)state;
	send_message(channel_take_fd(c), BATON_HANDOVER_HELLO, -1);
	assert_int_equal(channel_taker_gone(c), 0);
	assert_int_equal(next_message(channel_give_fd(c)), BATON_HANDOVER_HELLO);
	assert_int_equal(next_message(channel_give_fd(c)), BATON_HANDOVER_TAKER_GONE);
	channel_unref(&c);
}

static void
a_dead_givers_offers_stay_to_be_read(void **state)
{
	struct channel *c = channel_new();

	(void)state;
	assert_false(channel_has_unread(c));
	send_message(channel_give_fd(c), BATON_HANDOVER_OFFER, -1);
	channel_giver_gone(c);
	assert_int_equal(channel_give_fd(c), -1);
	assert_true(channel_has_unread(c));
	assert_int_equal(next_message(channel_take_fd(c)), BATON_HANDOVER_OFFER);
	/* The news itself is nothing that had to be kept for another. */
	assert_false(channel_has_unread(c));
	assert_int_equal(next_message(channel_take_fd(c)), BATON_HANDOVER_GIVER_GONE);
	assert_int_equal(next_message(channel_take_fd(c)), 0);
	channel_unref(&c);
}

/* A full window of offers, and the words about them, leave room for the supervisor's own. */
static void
a_full_channel_takes_the_news(void **state)
{
	struct channel *c = channel_new();
	char state_bytes[sizeof(struct baton_handover_head) + sizeof(struct baton_handover_state)];
	int type = 1;

	(void)state;
	memset(state_bytes, 0, sizeof(state_bytes));
	for (int i = 0; i < 256; i++)
		assert_int_equal(
		    send(channel_give_fd(c), state_bytes, sizeof(state_bytes), MSG_DONTWAIT),
		    sizeof(state_bytes));
	channel_giver_gone(c);
	for (int i = 0; i < 256; i++)
		assert_int_equal(recv(channel_take_fd(c), state_bytes, sizeof(state_bytes), 0),
		    sizeof(state_bytes));
	type = next_message(channel_take_fd(c));
	assert_int_equal(type, BATON_HANDOVER_GIVER_GONE);
	channel_unref(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_last_holder_closes_it),
	    cmocka_unit_test(a_dead_takers_answers_are_never_heard),
	    cmocka_unit_test(a_dead_takers_hello_stays),
	    cmocka_unit_test(a_dead_givers_offers_stay_to_be_read),
	    cmocka_unit_test(a_full_channel_takes_the_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
