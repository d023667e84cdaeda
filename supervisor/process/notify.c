/* SPDX-License-Identifier: MIT */
/*
 * sd_notify(3) messages. The receiving sockets have abstract names that the kernel chooses
 * (autobind): no file to clean up, no name that another user could occupy beforehand.
 */
#include "supervisor/process/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/protocol.h"

struct notify {
	int fd;
	struct tevent_fd *fde;
	char path[32];
	uid_t uid;
	pid_t pid;
	notify_fn *fn;
	notify_uid_fn *ask; /* NULL: nobody knows more than uid says */
	void *data;
	unsigned refused;
};

/* The digits of VALUE, all of it, as a number; -1: it is none, or too large. */
static int64_t
parse_number(const char *value)
{
	size_t digits = strspn(value, "0123456789");

	return digits == 0 || digits > 18 || value[digits] != '\0' ? -1 : strtoll(value, NULL, 10);
}

/* Whether LINE is one of the X_BATON_ counts, well formed; it is put into M then. */
static bool
parse_count(const char *line, struct notify_message *m)
{
	const struct {
		const char *key;
		int64_t *to;
	} counts[] = {
	    {BATON_NOTIFY_MOVED, &m->counts.moved},
	    {BATON_NOTIFY_FINISHED, &m->counts.finished},
	    {BATON_NOTIFY_ENDED, &m->counts.ended},
	    {BATON_NOTIFY_CUT, &m->counts.cut},
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		size_t len = strlen(counts[i].key);
		int64_t n;

		if (strncmp(line, counts[i].key, len) != 0)
			continue;
		n = parse_number(line + len);
		if (n < 0)
			return false;
		*counts[i].to = n;
		m->drained = true;
		return true;
	}
	return false;
}

static bool
parse_watchdog_usec(const char *line, struct notify_message *m)
{
	int64_t usec = strncmp(line, "WATCHDOG_USEC=", 14) == 0 ? parse_number(line + 14) : -1;

	if (usec >= 0)
		m->watchdog_usec = usec;
	return usec >= 0;
}

unsigned
notify_parse(char *text, struct notify_message *out)
{
	struct notify_message m = {.watchdog_usec = -1};
	unsigned known = 0;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		known++;
		if (strcmp(line, "READY=1") == 0)
			m.ready = true;
		else if (strcmp(line, BATON_NOTIFY_SPARE) == 0)
			m.spare = true;
		else if (strcmp(line, "STOPPING=1") == 0)
			m.stopping = true;
		else if (strcmp(line, "WATCHDOG=1") == 0)
			m.watchdog = true;
		else if (strcmp(line, "WATCHDOG=trigger") == 0)
			m.trigger = true;
		else if (strncmp(line, "STATUS=", 7) == 0)
			m.status = line + 7;
		else if (!parse_count(line, &m) && !parse_watchdog_usec(line, &m))
			known--;
	}
	*out = m;
	return known;
}

/* Any descriptors that came along (FDSTORE=1, BARRIER=1) are closed: closing is what the
 * sender of a barrier waits for, and nothing else is kept. Returns the sender. */
static struct ucred
take_ancillary(struct msghdr *mh)
{
	struct ucred who = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(c), sizeof(who));
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			close(fd);
		}
	}
	return who;
}

/* A sender that has ended and been reaped cannot be asked for its session; the socket's
 * name was given to this generation alone, so its uid decides. */
static bool
may_speak(struct notify *n, const struct ucred *who)
{
	pid_t session;

	if (n->uid == NOTIFY_UID_UNKNOWN && n->ask != NULL)
		n->uid = n->ask(n->data);
	if (n->uid == NOTIFY_UID_UNKNOWN)
		return false; /* its program does not run yet */
	if (who->uid != n->uid && who->uid != 0)
		return false;
	if (who->pid == n->pid)
		return true;
	session = who->pid > 0 ? getsid(who->pid) : -1;
	return session == n->pid || session < 0;
}

/* Returns false when nothing is left to read. */
static bool
receive(struct notify *n)
{
	char text[NOTIFY_MESSAGE_MAX_BYTES + 1];
	union {
		char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = text, .iov_len = NOTIFY_MESSAGE_MAX_BYTES};
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(n->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct notify_message m;
	struct ucred who;

	if (len < 0)
		return errno == EINTR;
	who = take_ancillary(&mh);
	text[len] = '\0';
	if ((mh.msg_flags & MSG_TRUNC) != 0 || !may_speak(n, &who))
		n->refused++;
	else if (notify_parse(text, &m) > 0)
		n->fn(&m, n->data);
	return true;
}

static void
readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	receive(talloc_get_type_abort(data, struct notify));
}

static int
notify_close(struct notify *n)
{
	TALLOC_FREE(n->fde);
	close(n->fd);
	return 0;
}

static int
open_socket(struct notify *n)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(un);
	const int on = 1;

	if (setsockopt(n->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    bind(n->fd, (struct sockaddr *)&un, sizeof(sa_family_t)) < 0 ||
	    getsockname(n->fd, (struct sockaddr *)&un, &len) < 0)
		return -errno;
	len -= offsetof(struct sockaddr_un, sun_path) + 1;
	if (len >= sizeof(n->path) - 1)
		return -ENAMETOOLONG;
	n->path[0] = '@';
	memcpy(n->path + 1, un.sun_path + 1, len);
	n->path[len + 1] = '\0';
	return 0;
}

struct notify *
notify_new(TALLOC_CTX *mem, struct tevent_context *ev, uid_t uid, notify_fn *fn, void *data)
{
	struct notify *n = talloc_zero(mem, struct notify);

	if (n == NULL)
		return NULL;
	n->uid = uid;
	n->fn = fn;
	n->data = data;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (n->fd < 0) {
		talloc_free(n);
		return NULL;
	}
	talloc_set_destructor(n, notify_close);
	if (open_socket(n) < 0) {
		talloc_free(n);
		return NULL;
	}
	n->fde = tevent_add_fd(ev, n, n->fd, TEVENT_FD_READ, readable, n);
	if (n->fde == NULL)
		TALLOC_FREE(n);
	return n;
}

static void
plain(struct state *s, struct notify *n)
{
	static const struct state_field fields[] = {
	    STATE_NUMBER(struct notify, uid),
	    STATE_NUMBER(struct notify, pid),
	    STATE_NUMBER(struct notify, refused),
	};
	size_t len = state_bytes(s, "path", n->path, strlen(n->path), sizeof(n->path) - 1);

	n->path[len] = '\0';
	STATE_FIELDS(s, n, fields);
	state_fd(s, "fd", &n->fd);
}

void
notify_save(struct state *s, struct notify *n)
{
	plain(s, n);
}

struct notify *
notify_load(struct state *s, TALLOC_CTX *mem, struct tevent_context *ev, notify_fn *fn, void *data)
{
	struct notify *n = talloc_zero(mem, struct notify);

	if (n == NULL)
		return NULL;
	n->fn = fn;
	n->data = data;
	plain(s, n);
	if (state_ok(s) && n->fd < 0)
		state_fail(s, "fd", "is missing");
	if (state_ok(s))
		n->fde = tevent_add_fd(ev, n, n->fd, TEVENT_FD_READ, readable, n);
	if (n->fde == NULL) {
		talloc_free(n); /* and the descriptor stays open */
		return NULL;
	}
	talloc_set_destructor(n, notify_close);
	return n;
}

void
notify_expect(struct notify *n, pid_t pid)
{
	n->pid = pid;
}

void
notify_ask_uid(struct notify *n, notify_uid_fn *fn)
{
	n->ask = fn;
}

const char *
notify_path(const struct notify *n)
{
	return n->path;
}

void
notify_drain(struct notify *n)
{
	/* Bounded: a survivor of the process that still sends must not keep us here. */
	for (int i = 0; i < 64 && receive(n); i++)
		;
}

unsigned
notify_refused(const struct notify *n)
{
	return n->refused;
}

int
notify_connect(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = path == NULL ? 0 : strlen(path);
	int fd, error;

	if (len == 0 || len > sizeof(un.sun_path) || (path[0] != '@' && path[0] != '/'))
		return -EINVAL;
	memcpy(un.sun_path, path, len);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&un,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int
notify_post(int fd, const char *text, int pass)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.space = {0}};
	struct iovec iov = {.iov_base = (char *)text, .iov_len = strlen(text)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (pass >= 0) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control.space);
		control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS,
		    .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(&control.align), &pass, sizeof(int));
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}
