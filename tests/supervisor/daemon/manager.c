/* SPDX-License-Identifier: MIT */
/* A manager that does not read for a while: nobody waits for it, and it misses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/daemon/supervisor.h"

/* More than the kernel queues for a socket, whatever net.unix.max_dgram_qlen says. */
#define MESSAGES 3000

static int manager;

static struct supervisor *
new_supervisor(void)
{
	struct config *c = config_new(NULL, NULL);
	struct supervisor *sup;

	config_set(c, config_service(c, "web", 1, true), "test", 1, "command", "true");
	config_finish(c);
	sup = supervisor_new(NULL, c, "baton");
	talloc_steal(sup, c);
	manager_start(sup);
	return sup;
}

static int
begin(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(un);
	char name[128];

	(void)state;
	alarm(60);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(manager, (struct sockaddr *)&un, sizeof(sa_family_t)) < 0 ||
	    getsockname(manager, (struct sockaddr *)&un, &len) < 0)
		return -1;
	snprintf(name, sizeof(name), "@%.*s",
	    (int)(len - offsetof(struct sockaddr_un, sun_path)) - 1, un.sun_path + 1);
	return setenv("NOTIFY_SOCKET", name, 1);
}

static int
end(void **state)
{
	(void)state;
	close(manager);
	return unsetenv("NOTIFY_SOCKET");
}

/* Reads one, if it is there; returns its text's number, or -1. */
static int
hear(int *passed)
{
	char text[128];
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(manager, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int number = -1;

	*passed = -1;
	if (n < 0)
		return -1;
	text[n] = '\0';
	if (CMSG_FIRSTHDR(&mh) != NULL)
		memcpy(passed, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
	assert_int_equal(sscanf(text, "STATUS=%d\n", &number), 1);
	return number;
}

static void
nothing_is_lost_and_nobody_waits(void **state)
{
	struct supervisor *sup = new_supervisor();
	struct stat ours, theirs;
	int passed, fd = dup(0);

	(void)state;
	assert_int_equal(fstat(0, &ours), 0);
	for (int i = 0; i < MESSAGES; i++) {
		if (i == MESSAGES - 1)
			sup->all.sockets->calls->tell(sup->all.sockets->calls_data,
			    talloc_asprintf(sup, "STATUS=%d\n", i), fd);
		else
			manager_say(sup, "STATUS=%d\n", i);
	}
	close(fd); /* it has a duplicate */
	for (int i = 0; i < MESSAGES; i++) {
		int n;

		while ((n = hear(&passed)) < 0)
			assert_int_equal(tevent_loop_once(sup->base.ev), 0);
		assert_int_equal(n, i);
		assert_int_equal(passed >= 0, i == MESSAGES - 1);
	}
	assert_int_equal(fstat(passed, &theirs), 0);
	assert_int_equal(theirs.st_ino, ours.st_ino);
	close(passed);
	talloc_free(sup);
}

/* A second one has its name before everything was told to the first. */
static void
one_that_is_started_anew_is_told_the_rest(void **state)
{
	struct supervisor *sup = new_supervisor();
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	int passed, n = -1;

	(void)state;
	for (int i = 0; i < MESSAGES; i++)
		manager_say(sup, "STATUS=%d\n", i);
	assert_int_equal(getsockname(manager, (struct sockaddr *)&un, &len), 0);
	close(manager);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&un, len), 0);
	while (n < MESSAGES - 1) {
		int next = hear(&passed);

		if (next < 0)
			assert_int_equal(tevent_loop_once(sup->base.ev), 0);
		else if (n >= 0)
			assert_int_equal(next, n + 1);
		n = next < 0 ? n : next;
	}
	talloc_free(sup);
}

static void
one_that_goes_away_ends_nobody(void **state)
{
	struct supervisor *sup = new_supervisor();
	int passed;

	(void)state;
	for (int i = 0; i < MESSAGES; i++)
		manager_say(sup, "STATUS=%d\n", i);
	shutdown(manager, SHUT_RD);
	while (hear(&passed) >= 0)
		;
	close(manager);
	manager = -1;
	/* The queue is given up, in the loop. */
	assert_int_equal(tevent_loop_once(sup->base.ev), 0);
	manager_say(sup, "STATUS=%d\n", MESSAGES);
	talloc_free(sup);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(nothing_is_lost_and_nobody_waits, begin, end),
	    cmocka_unit_test_setup_teardown(one_that_is_started_anew_is_told_the_rest, begin, end),
	    cmocka_unit_test_setup_teardown(one_that_goes_away_ends_nobody, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
