/* SPDX-License-Identifier: MIT */
/*
 * A spare: everything is set up but the sockets, and nobody is served, until the supervisor
 * says whose place it is to take and hands over the sockets (supervisor/protocol.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "server/handover/handover.h"

#define FDS_MAX (BATON_SPARE_SOCKETS_MAX + 2)

/* A packet as it came; the descriptors are its reader's to keep or close. */
struct word {
	struct baton_spare_message m;
	char *names;
	int fds[FDS_MAX];
	size_t fds_n;
};

void
spare_inherit(struct handover *h)
{
	const char *value = getenv(BATON_ENV_SPARE);
	int type = 0, fd = value == NULL ? -1 : (int)strtol(value, NULL, 10);
	socklen_t len = sizeof(type);

	unsetenv(BATON_ENV_SPARE);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    type != SOCK_SEQPACKET)
		return;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	h->spare_fd = fd;
}

bool
spare_waits(const struct handover *h)
{
	return h->spare_fd >= 0;
}

int
spare_watch(struct handover *h)
{
	return source_watch(h->net->epoll_fd, h->spare_fd, &h->source_spare);
}

void
spare_announce(struct handover *h)
{
	if (spare_waits(h)) {
		notify_send(h->notify, "READY=1\n" BATON_NOTIFY_SPARE "\nSTATUS=warm");
		return;
	}
	take_hello(h); /* before READY=1, on which the other is told to stop */
	notify_send(h->notify, "READY=1\nSTATUS=serving");
}

/* ---- The word ------------------------------------------------------------------------------ */

static void
word_close(struct word *w)
{
	for (size_t i = 0; i < w->fds_n; i++)
		close(w->fds[i]);
	w->fds_n = 0;
}

static void
keep_fds(struct msghdr *msg, struct word *w)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len && w->fds_n < FDS_MAX;
		     at += sizeof(int))
			memcpy(&w->fds[w->fds_n++], (char *)c + at, sizeof(int));
	}
}

static bool
well_formed(const struct word *w, size_t size, int flags)
{
	return (flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && size >= sizeof(w->m) &&
	       w->m.version != 0 && size - sizeof(w->m) == w->m.names_size &&
	       (w->m.names_size == 0 || w->names[w->m.names_size - 1] == '\0') && w->m.ends <= 2 &&
	       w->fds_n == (size_t)w->m.sockets + w->m.ends;
}

/* 1: it is BECOME, and good; 0: there is no supervisor any more; or a negative errno. */
static int
word_receive(int channel, struct word *w, TALLOC_CTX *mem)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
	ssize_t n = recv(channel, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	size_t room = n > (ssize_t)sizeof(w->m) ? (size_t)n - sizeof(w->m) : 0;
	struct iovec iov[2] = {{&w->m, sizeof(w->m)}};
	struct msghdr msg = {.msg_iov = iov,
	    .msg_iovlen = 2,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};

	memset(w, 0, sizeof(*w));
	if (n <= 0)
		return n == 0 || errno == ECONNRESET ? 0 : -errno;
	w->names = talloc_zero_array(mem, char, room + 1);
	if (w->names == NULL)
		return -ENOMEM;
	iov[1] = (struct iovec){w->names, room};
	n = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	keep_fds(&msg, w);
	if (well_formed(w, (size_t)n, msg.msg_flags) && w->m.type == BATON_SPARE_BECOME)
		return 1;
	word_close(w);
	return -EBADMSG;
}

/* ---- Becoming an instance ------------------------------------------------------------------ */

/* No handler has run yet, and the variables are there already, so that only their values are
 * replaced: a thread of the program's own that looks meanwhile sees the one or the other. */
static void
change_identity(const struct baton_spare_message *m)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", m->instance);
	setenv(BATON_ENV_INSTANCE, text, 1);
	snprintf(text, sizeof(text), "%u", m->generation);
	setenv(BATON_ENV_GENERATION, text, 1);
}

static int
open_listeners(struct handover *h, struct word *w, char **why)
{
	struct inherited *in = talloc_zero_array(h->mem, struct inherited, w->m.sockets);
	char *names = w->names;
	int err;

	if (in == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->m.sockets; i++) {
		size_t len = strcspn(names, ":");
		bool more = names[len] == ':';

		names[len] = '\0';
		in[i] = (struct inherited){.fd = w->fds[i], .name = names[0] ? names : "unknown"};
		names += len + more;
		fcntl(in[i].fd, F_SETFL, fcntl(in[i].fd, F_GETFL) | O_NONBLOCK);
	}
	err = listener_open_all(h->net, in, w->m.sockets, why);
	talloc_free(in);
	return err;
}

static int
become(struct handover *h, struct word *w)
{
	char *why = NULL;
	int err;

	change_identity(&w->m);
	h->give_fd = w->m.ends > 0 ? w->fds[w->m.sockets] : -1;
	h->take_fd = w->m.ends > 1 ? w->fds[w->m.sockets + 1] : -1;
	err = open_listeners(h, w, &why);
	if (err == 0)
		err = handover_watch(h);
	if (err != 0) {
		log_line(LOG_ERR, "cannot become instance %u: %s", w->m.instance,
		    why != NULL ? why : strerror(-err));
		return err;
	}
	accept_begin(h->net);
	log_line(
	    LOG_INFO, "instance %u, generation %u, from now on", w->m.instance, w->m.generation);
	listener_announce(h->net);
	return 0;
}

void
spare_close(struct handover *h)
{
	source_unwatch(h->net->epoll_fd, h->spare_fd);
	close(h->spare_fd);
	h->spare_fd = -1;
}

enum spare_word
spare_read(struct handover *h, int *err)
{
	struct word *w = talloc_zero(h->mem, struct word);
	int got = w == NULL ? -ENOMEM : word_receive(h->spare_fd, w, w);
	enum spare_word told = SPARE_WAITS;

	if (got == -EBADMSG)
		log_line(LOG_WARNING, "spare: malformed message from the supervisor");
	if (got == 0) {
		log_line(LOG_INFO, "spare: the supervisor is gone; there is nothing to wait for");
		told = SPARE_ALONE;
	}
	if (got == 1 && h->drain != DRAIN_NO)
		word_close(w); /* it was told to end, and does so */
	if (got == 1 && h->drain == DRAIN_NO) {
		*err = become(h, w);
		told = *err == 0 ? SPARE_SERVES : SPARE_FAILED;
	}
	talloc_free(w);
	return told;
}
