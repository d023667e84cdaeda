/* SPDX-License-Identifier: MIT */
/*
 * What baton tells its own service manager, by sd_notify(3). Nothing waits for the manager:
 * what its socket does not take at once is queued, in order, and sent from the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/protocol.h"

/* A manager that does not read is told no more than so much later on. */
#define QUEUE_MAX 8192

struct message {
	STAILQ_ENTRY(message) entry;
	int fd; /* to pass, its own duplicate; -1: none */
	char *text;
};

struct manager {
	struct supervisor *sup;
	const char *path;
	int fd;                       /* connected; -1: it could not be … */
	int error;                    /* … and why, -errno */
	struct tevent_fd *fde;        /* there while something is queued */
	STAILQ_HEAD(, message) queue; /* in the order in which it was said */
	unsigned count;
	int64_t watchdog_ms; /* between two WATCHDOG=1; 0: not asked for */
};

static int
message_close(struct message *m)
{
	if (m->fd >= 0)
		close(m->fd);
	return 0;
}

static int
manager_close(struct manager *m)
{
	TALLOC_FREE(m->fde);
	if (m->fd >= 0)
		close(m->fd);
	return 0;
}

static void writable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data);

static void
watch(struct manager *m)
{
	if (m->fde == NULL)
		m->fde = tevent_add_fd(m->sup->base.ev, m, m->fd, TEVENT_FD_WRITE, writable, m);
}

/* It was started anew, perhaps. The loop must learn of the new socket: the kernel watches sockets,
 * not their numbers. */
static bool
reconnect(struct manager *m)
{
	int again = notify_connect(m->path);
	bool watched = m->fde != NULL;

	if (again < 0)
		return false;
	TALLOC_FREE(m->fde);
	close(m->fd);
	m->fd = again;
	if (watched)
		watch(m);
	return true;
}

/* Returns false when it must be tried again later. */
static bool
post(struct manager *m, const char *text, int fd)
{
	int error = notify_post(m->fd, text, fd);

	/* One more attempt, and then it is gone. */
	if ((error == -ECONNREFUSED || error == -ENOTCONN) && reconnect(m))
		error = notify_post(m->fd, text, fd);
	return error != -EAGAIN && error != -ENOBUFS && error != -ETOOMANYREFS;
}

static void
writable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct manager *m = talloc_get_type_abort(data, struct manager);

	(void)ev;
	(void)fde;
	(void)flags;
	for (struct message *first; (first = STAILQ_FIRST(&m->queue)) != NULL; m->count--) {
		if (!post(m, first->text, first->fd))
			return;
		STAILQ_REMOVE_HEAD(&m->queue, entry);
		talloc_free(first);
	}
	TALLOC_FREE(m->fde);
}

/* Takes FD over if it returns true. */
static bool
queue(struct manager *m, const char *text, int fd)
{
	struct message *new = m->count < QUEUE_MAX ? talloc_zero(m, struct message) : NULL;

	if (new == NULL)
		return false;
	new->text = talloc_strdup(new, text);
	watch(m);
	if (new->text == NULL || m->fde == NULL) {
		talloc_free(new);
		return false;
	}
	new->fd = fd;
	talloc_set_destructor(new, message_close);
	STAILQ_INSERT_TAIL(&m->queue, new, entry);
	m->count++;
	return true;
}

static void
queue_copy(struct manager *m, const char *text, int fd)
{
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if ((fd < 0 || own >= 0) && queue(m, text, own))
		return;
	if (own >= 0)
		close(own);
}

/* Lines, with a duplicate of FD (-1: none). */
static void
tell(void *data, const char *lines, int fd)
{
	struct manager *m = talloc_get_type_abort(data, struct manager);

	if (m->fd >= 0 && (!STAILQ_EMPTY(&m->queue) || !post(m, lines, fd)))
		queue_copy(m, lines, fd);
}

static const struct sockets_calls sockets_calls = {.tell = tell};

void
manager_say(struct supervisor *sup, const char *format, ...)
{
	va_list ap;
	char *text;

	if (sup->manager == NULL)
		return;
	va_start(ap, format);
	text = talloc_vasprintf(sup->manager, format, ap);
	va_end(ap);
	if (text != NULL)
		tell(sup->manager, text, -1);
	talloc_free(text);
}

/* The time lets the manager tell this reload from an earlier one. */
void
manager_reloading(struct supervisor *sup)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	manager_say(sup, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reading the configuration\n",
	    (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

static void
feed(void *data)
{
	struct manager *m = talloc_get_type_abort(data, struct manager);

	if (STAILQ_EMPTY(&m->queue)) /* else it is not read anyway */
		manager_say(m->sup, "WATCHDOG=1\n");
	timer_after(m, m->sup->base.timers, m->watchdog_ms, feed, m);
}

/* Half of the time that WATCHDOG_USEC allows; 0: nobody asks for it. */
static int64_t
watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long n = usec == NULL ? 0 : strtoll(usec, NULL, 10);

	if (n <= 0 || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return n < 2000 ? 1 : n / 2000;
}

bool
manager_start(struct supervisor *sup)
{
	const char *path = getenv(BATON_ENV_NOTIFY_SOCKET);
	struct manager *m;

	if (path == NULL || path[0] == '\0')
		return true;
	m = talloc_zero(sup, struct manager);
	if (m == NULL)
		return false;
	m->sup = sup;
	m->path = path;
	STAILQ_INIT(&m->queue);
	m->fd = notify_connect(path);
	talloc_set_destructor(m, manager_close);
	sup->manager = m;
	sup->all.keeps_sockets = true;
	sup->all.sockets->calls = &sockets_calls;
	sup->all.sockets->calls_data = m;
	if (m->fd < 0) {
		m->error = m->fd;
		m->fd = -1;
		return true;
	}
	m->watchdog_ms = watchdog_ms();
	return m->watchdog_ms == 0 || timer_after(m, sup->base.timers, 0, feed, m) != NULL;
}

void
manager_complain(const struct supervisor *sup)
{
	const struct manager *m = sup->manager;

	if (m != NULL && m->fd < 0)
		output_warn(sup->base.out,
		    "NOTIFY_SOCKET %s: %s; the service manager is told nothing", m->path,
		    strerror(-m->error));
}

/* What the manager has not taken yet. */
void
manager_state(struct state *s, struct supervisor *sup)
{
	struct manager *m = sup->manager;
	struct message *at = m == NULL || !state_saving(s) ? NULL : STAILQ_FIRST(&m->queue);
	unsigned n = state_array(s, "manager", m == NULL ? 0 : m->count);

	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state sub = state_element(s, "manager", i);
		struct message got = {.fd = -1};

		if (at != NULL)
			got = *at;
		state_text(&sub, "text", sup, &got.text);
		state_fd(&sub, "fd", &got.fd);
		if (at != NULL) {
			at = STAILQ_NEXT(at, entry);
			continue;
		}
		if (m == NULL || m->fd < 0 || got.text == NULL) {
			if (got.fd >= 0)
				close(got.fd);
		} else if (!queue(m, got.text, got.fd)) {
			state_fail(&sub, "text", "there is no memory");
		}
		talloc_free(got.text);
	}
}
