/* SPDX-License-Identifier: MIT */
/* A service manager for tests (see manager.h). */
#include "tests/harness/manager.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/harness/tempdir.h"

#undef manager_new
#undef manager_hear
#undef manager_expect
#undef manager_wait_stored
#undef manager_run

static int
release(struct manager *m)
{
	for (int i = 0; i < m->stored; i++)
		close(m->store[i].fd);
	close(m->fd);
	return 0;
}

struct manager *
manager_new(void)
{
	struct manager *m = talloc_zero(harness_mem(), struct manager);
	const char *path = tempdir_path((tempdir_new)(), "notify");
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	talloc_set_destructor(m, release);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (bind(m->fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		harness_fail("cannot bind %s: %m", path);
	m->variable = talloc_asprintf(m, "NOTIFY_SOCKET=%s", path);
	return m;
}

/* Waits for a message; *PASSED is what came with it, or -1. */
static char *
receive(struct manager *m, int *passed)
{
	char *text = talloc_zero_size(harness_mem(), 4097);
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = text, .iov_len = 4096};
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	struct pollfd p = {.fd = m->fd, .events = POLLIN};

	*passed = -1;
	if (poll(&p, 1, PATIENCE_MS) != 1 || recvmsg(m->fd, &mh, MSG_CMSG_CLOEXEC) < 0)
		harness_fail("the service says nothing to its manager");
	if (CMSG_FIRSTHDR(&mh) != NULL)
		memcpy(passed, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
	return text;
}

void
manager_put(struct manager *m, const char *name, int fd)
{
	if (m->stored == MANAGER_FDS_MAX)
		harness_fail("more than %d descriptors in the store", MANAGER_FDS_MAX);
	snprintf(m->store[m->stored].name, sizeof(m->store[0].name), "%s", name);
	m->store[m->stored++].fd = fd;
}

static void
forget(struct manager *m, const char *name)
{
	int kept = 0;

	for (int i = 0; i < m->stored; i++) {
		if (strcmp(m->store[i].name, name) == 0)
			close(m->store[i].fd);
		else
			m->store[kept++] = m->store[i];
	}
	if (kept == m->stored)
		harness_fail("there is no %s to be removed from the store", name);
	m->stored = kept;
}

/* Returns true if it was about the store. */
static bool
obey(struct manager *m, const char *text, int passed)
{
	const char *line = strstr(text, "FDNAME=");
	char name[256];

	if (line == NULL || sscanf(line, "FDNAME=%255[^\n]", name) != 1)
		return false;
	if (strncmp(text, "FDSTORE=1\n", 10) == 0 && passed >= 0)
		manager_put(m, name, passed);
	else if (strncmp(text, "FDSTOREREMOVE=1\n", 16) == 0)
		forget(m, name);
	else
		harness_fail("odd message about the store: %s", text);
	return true;
}

const char *
manager_hear(struct manager *m)
{
	for (;;) {
		int passed;
		const char *text = receive(m, &passed);

		if (!obey(m, text, passed))
			return text;
	}
}

const char *
manager_expect(struct manager *m, const char *text)
{
	for (;;) {
		const char *heard = manager_hear(m);

		if (strstr(heard, text) != NULL)
			return heard;
	}
}

void
manager_wait_stored(struct manager *m, int count)
{
	while (m->stored != count) {
		int passed;
		const char *text = receive(m, &passed);

		obey(m, text, passed);
	}
}

struct proc *
manager_run(struct manager *m, const char *const *argv, const char *const *env)
{
	const char **all = talloc_zero_array(harness_mem(), const char *, 16);
	char *names = talloc_strdup(all, "LISTEN_FDNAMES=");
	int fds[MANAGER_FDS_MAX], n = 0;

	for (int i = 0; i < m->stored; i++) {
		fds[i] = m->store[i].fd;
		names = talloc_asprintf_append(names, "%s%s", i == 0 ? "" : ":", m->store[i].name);
	}
	all[n++] = m->variable;
	if (m->stored > 0) {
		all[n++] = talloc_asprintf(all, "LISTEN_FDS=%d", m->stored);
		all[n++] = "LISTEN_PID=0000000000";
		all[n++] = names;
	}
	for (size_t i = 0; env != NULL && env[i] != NULL && n < 15; i++)
		all[n++] = env[i];
	return (proc_start)(&(struct proc_spec){
	    .argv = argv, .env = all, .fds = fds, .fds_n = m->stored});
}
