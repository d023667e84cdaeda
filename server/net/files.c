/* SPDX-License-Identifier: MIT */
/*
 * The limit of open files. The given soft limit is for programs that use select(2), so it may be
 * raised by whoever does not; but programs that handlers start inherit it as it is then. So it is
 * raised only while more connections are open than half of it has room for. A child made by fork
 * has the given one even then; posix_spawn, popen and system have nothing that could set it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/net/net.h"

/* For so many descriptors there is room from the beginning: 64 KiB of the kernel's memory. */
#define FDS_AT_START 8192

/* The limit is the process's, which may have several servers. */
static struct {
	pthread_mutex_t lock; /* held by leaders, for a system call or two */
	int raisers;          /* servers that need more than was given */
	rlim_t given, raised; /* while there are any */
} files = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool
set_soft(rlim_t soft)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return false;
	lim.rlim_cur = soft;
	return setrlimit(RLIMIT_NOFILE, &lim) == 0;
}

/* No lock: there is one thread, which was in the middle of a fork. */
static void
in_child(void)
{
	if (files.raisers > 0)
		(void)set_soft(files.given);
	files.raisers = 0;
	pthread_mutex_init(&files.lock, NULL);
}

static void
guard_fork(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

/*
 * Once there are threads, whoever needs a larger table of descriptors waits in the kernel until
 * no processor uses the old one (RCU), often for 10 ms and more: that would be the leader, in
 * the middle of a crowd of newcomers. Before there are threads, it costs nothing.
 */
static void
widen_table(int any_fd, const struct rlimit *lim)
{
	rlim_t room = lim->rlim_max < FDS_AT_START ? lim->rlim_max : FDS_AT_START;
	bool raised = lim->rlim_cur < room && set_soft(room);
	int fd = fcntl(any_fd, F_DUPFD_CLOEXEC,
	    (int)(raised || lim->rlim_cur >= room ? room : lim->rlim_cur) - 1);

	if (fd >= 0)
		close(fd);
	if (raised)
		(void)set_soft(lim->rlim_cur);
}

void
files_open(struct net *net, int any_fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct rlimit lim;

	pthread_once(&once, guard_fork);
	net->files_given = SIZE_MAX;
	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return;
	net->files_given = (size_t)lim.rlim_cur;
	widen_table(any_fd, &lim);
}

bool
files_raise(struct net *net)
{
	struct rlimit lim = {0};
	bool more;

	pthread_mutex_lock(&files.lock);
	more = getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max &&
	       set_soft(lim.rlim_max);
	if (more && files.raisers == 0)
		files.given = lim.rlim_cur;
	if (more)
		files.raised = lim.rlim_max;
	if (!net->files_raised && (more || files.raisers > 0)) {
		files.raisers++;
		net->files_raised = true;
	}
	pthread_mutex_unlock(&files.lock);
	return more;
}

static void
lower(struct net *net)
{
	struct rlimit lim;

	pthread_mutex_lock(&files.lock);
	/* Unless the program has set it meanwhile. */
	if (--files.raisers == 0 && getrlimit(RLIMIT_NOFILE, &lim) == 0 &&
	    lim.rlim_cur == files.raised)
		(void)set_soft(files.given);
	net->files_raised = false;
	pthread_mutex_unlock(&files.lock);
}

void
files_fit(struct net *net)
{
	size_t open =
	    net->conns_n + net->in_n[CONN_LIST_HELD] + net->in_n[CONN_LIST_GIVEN] + net->lingers_n;

	if (!net->files_raised && open >= net->files_given / 2) {
		if (!files_raise(net) && !net->files_raised)
			net->files_given = SIZE_MAX; /* it is as high as it may be */
	} else if (net->files_raised && open < net->files_given / 4) {
		lower(net);
	}
}

void
files_close(struct net *net)
{
	if (net->files_raised)
		lower(net);
}
