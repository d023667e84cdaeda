/* SPDX-License-Identifier: MIT */
/* The word to a spare: which instance it is, with the sockets and the ends of the handover. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/instance/instances.h"
#include "supervisor/protocol.h"

/* The sockets, then the ends of the handover. */
static unsigned
list_descriptors(const struct generation *g, int *fds)
{
	const struct instance *inst = g->instance;
	unsigned n = 0;

	for (size_t i = 0; i < inst->nlisteners; i++)
		fds[n++] = inst->listeners[i].fd;
	fds[n++] = channel_give_fd(g->gives);
	if (g->takes != NULL)
		fds[n++] = channel_take_fd(g->takes);
	return n;
}

static int
send_word(const struct generation *g, const char *names)
{
	int fds[BATON_SPARE_SOCKETS_MAX + 2];
	unsigned n = list_descriptors(g, fds);
	struct baton_spare_message m = {.version = BATON_SPARE_VERSION,
	    .type = BATON_SPARE_BECOME,
	    .instance = g->instance->index,
	    .generation = g->number,
	    .sockets = (uint32_t)g->instance->nlisteners,
	    .ends = n - (uint32_t)g->instance->nlisteners,
	    .names_size = (uint32_t)strlen(names) + 1};
	char control[CMSG_SPACE(sizeof(fds))] __attribute__((aligned(8))) = {0};
	struct iovec iov[2] = {{&m, sizeof(m)}, {(void *)names, m.names_size}};
	struct msghdr mh = {.msg_iov = iov,
	    .msg_iovlen = 2,
	    .msg_control = control,
	    .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	if (sendmsg(channel_give_fd(g->becomes), &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

int
become_tell(struct generation *g)
{
	char *names = start_socket_names(g, g->instance);
	int error = names == NULL ? -ENOMEM : start_channels(g);

	if (error == 0) {
		sharing_note(g);
		error = send_word(g, names);
	}
	talloc_free(names);
	return error;
}
