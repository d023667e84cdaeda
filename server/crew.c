/* SPDX-License-Identifier: MIT */
/*
 * The threads and their roles. One leads; one spare is parked to lead next; workers run what
 * is handed out. A leader whose handler takes long is taken over: the spare leads, and the
 * thread becomes a worker when its handler is done. Workers have a raised nice value, so that
 * handlers that compute give way to the loop; as an unprivileged process cannot lower it
 * again, a worker never leads, and a new spare is made for each takeover.
 *
 * Leader and workers never wait for each other: what goes to workers goes through a ring with
 * a semaphore, what comes back through a list without a lock. A worker that is preempted at
 * any point holds nothing that the leader needs.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "server/crew.h"

/* Workers that may sit idle; others end. */
#define IDLE_WORKERS 64

/* When the system refuses a thread: until the next attempt, and between two lines of log. */
#define RETRY_MS    100
#define COMPLAIN_MS 10000

static int
wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void
enter_role(struct crew *c, const char *name, bool nice)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "baton/%s", name);
	pthread_setname_np(pthread_self(), text);
	if (nice)
		setpriority(PRIO_PROCESS, (id_t)gettid(), c->worker_nice);
}

/* ---- Making threads -------------------------------------------------------------------------- */

static void
thread_refused(struct crew *c, int err)
{
	int64_t now = loop_now_ms(), last = atomic_load(&c->complained_ms);

	atomic_store(&c->rest_until_ms, now + RETRY_MS);
	if ((last == 0 || now - last >= COMPLAIN_MS) &&
	    atomic_compare_exchange_strong(&c->complained_ms, &last, now))
		log_line(LOG_ERR, "cannot make a thread: %s; requests wait for one, trying again",
		    strerror(err));
}

static int
crew_spawn(struct crew *c, void *(*run)(void *))
{
	int64_t rest = atomic_load(&c->rest_until_ms);
	pthread_t thread;
	int err;

	if (rest != 0 && loop_now_ms() < rest)
		return -EAGAIN;
	if (atomic_fetch_add(&c->threads, 1) >= c->threads_max || atomic_load(&c->over)) {
		atomic_fetch_sub(&c->threads, 1);
		return -EUSERS;
	}
	atomic_fetch_add(&c->made, 1);
	err = pthread_create(&thread, &c->attr, run, c);
	if (err != 0) {
		atomic_fetch_sub(&c->made, 1);
		atomic_fetch_sub(&c->threads, 1);
		thread_refused(c, err);
		return -err;
	}
	atomic_store(&c->rest_until_ms, 0);
	return 0;
}

static void
thread_begins(struct crew *c)
{
	if (c->server->thread_start != NULL)
		c->server->thread_start(c->server->thread_data);
}

/* The last that a thread does: when all have, the crew may be freed. */
static void
thread_ends(struct crew *c)
{
	if (c->server->thread_end != NULL)
		c->server->thread_end(c->server->thread_data);
	atomic_fetch_sub(&c->threads, 1);
	sem_post(&c->gone);
}

/* ---- Workers --------------------------------------------------------------------------------- */

static void *run_worker(void *arg);

/*
 * Makes one worker if requests outnumber idle ones. Whoever is made makes the next before its
 * own work: so a burst costs the leader one thread, and the others are made at low priority.
 */
static void
grow(struct crew *c)
{
	while (atomic_load(&c->slack) < 0 && !atomic_exchange(&c->growing, true)) {
		if (atomic_load(&c->slack) >= 0) {
			atomic_store(&c->growing, false);
			continue; /* look again: a request may have come in between */
		}
		atomic_fetch_add(&c->slack, 1);
		if (crew_spawn(c, run_worker) == 0)
			return; /* the new one goes on */
		atomic_fetch_sub(&c->slack, 1);
		atomic_store(&c->growing, false);
		monitor_wake(c); /* it tries again */
		return;
	}
}

/* Takes one from a count, if there is any. */
static bool
take_one(atomic_int *count)
{
	int n = atomic_load(count);

	while (n > 0)
		if (atomic_compare_exchange_weak(count, &n, n - 1))
			return true;
	return false;
}

static struct http_request *
take(struct crew *c)
{
	if (atomic_load(&c->over) || wait_for(&c->work) != 0 || atomic_load(&c->over))
		return NULL;
	if (take_one(&c->dismissed))
		return NULL;
	/* The semaphore says there is one, and single places are taken by single threads. */
	return atomic_exchange(&c->ring[atomic_fetch_add(&c->tail, 1) & (c->ring_size - 1)], NULL);
}

/* False if enough are idle already: then it shall end. */
static bool
become_idle(struct crew *c)
{
	if (atomic_fetch_add(&c->slack, 1) < IDLE_WORKERS)
		return true;
	atomic_fetch_sub(&c->slack, 1);
	grow(c); /* whoever counted on this one finds another */
	return false;
}

static void
work(struct crew *c)
{
	struct http_request *req;

	while ((req = take(c)) != NULL) {
		work_in_worker(c->server, req);
		if (!become_idle(c))
			break;
	}
}

static void *
run_worker(void *arg)
{
	struct crew *c = arg;

	enter_role(c, "worker", true);
	atomic_store(&c->growing, false);
	grow(c);
	thread_begins(c);
	work(c);
	thread_ends(c);
	return NULL;
}

void
crew_give(struct crew *c, struct http_request *req)
{
	/* Only the leader gives, and no more than the ring holds (crew_size). */
	atomic_store(&c->ring[c->head++ & (c->ring_size - 1)], req);
	sem_post(&c->work);
	if (atomic_fetch_sub(&c->slack, 1) <= 0)
		grow(c);
}

void
crew_retry(struct crew *c)
{
	grow(c);
}

void
crew_give_back(struct crew *c, struct http_request *req)
{
	struct http_request *first = atomic_load(&c->done);

	do
		req->next_done = first;
	while (!atomic_compare_exchange_weak(&c->done, &first, req));
	if (first == NULL)
		loop_wake(c->server);
}

struct http_request *
crew_take_back(struct crew *c)
{
	return atomic_exchange(&c->done, NULL);
}

unsigned
crew_size(const struct crew *c)
{
	/* All but the leader and a spare. */
	return (unsigned)c->threads_max - 2;
}

/* ---- Leading --------------------------------------------------------------------------------- */

uint64_t
crew_begin(struct crew *c)
{
	uint64_t mine = (atomic_load_explicit(&c->lead, memory_order_relaxed) + 2) | 1;

	/* Only the leader writes here while nothing runs. Sequentially consistent: either the
	 * monitor sees this before it falls asleep, or we see that it sleeps. */
	atomic_store(&c->lead, mine);
	if (atomic_load(&c->monitor_asleep))
		monitor_wake(c);
	return mine;
}

pid_t
crew_leader(const struct crew *c)
{
	return c->leader;
}

bool
crew_end(struct crew *c, uint64_t mine)
{
	uint64_t lead = mine;

	return atomic_compare_exchange_strong(&c->lead, &lead, mine & ~UINT64_C(1));
}

/* Called by the monitor: the handler begun as `seen` has taken too long. */
bool
crew_take_over(struct crew *c, uint64_t seen)
{
	if (atomic_load(&c->spares) == 0)
		return false;
	if (!atomic_compare_exchange_strong(&c->lead, &seen, (seen + 2) & ~UINT64_C(1)))
		return false; /* it has just ended */
	atomic_fetch_sub(&c->spares, 1);
	sem_post(&c->spare);
	return true;
}

static void
finish(struct crew *c)
{
	int threads;

	atomic_store(&c->over, true);
	threads = atomic_load(&c->threads); /* whoever comes now sees that it is over */
	for (int i = 0; i < threads; i++) {
		sem_post(&c->work);
		sem_post(&c->spare);
	}
	sem_post(&c->monitor_sem);
	sem_post(&c->led);
}

static void
lead(struct crew *c)
{
	pid_t before = c->leader;

	enter_role(c, "leader", false);
	c->leader = gettid();
	if (before == 0) {
		take_hello(c->server); /* before READY=1, on which the other is told to stop */
		notify_send(c->server->notify, "READY=1\nSTATUS=serving");
	} else {
		/* It computes or blocks; either way it is a worker from now on. */
		setpriority(PRIO_PROCESS, (id_t)before, c->worker_nice);
		work_taken_over(c->server);
	}
	if (loop_run(c->server))
		finish(c);
}

/* Leads, and when it was taken over and its handler is done, works. */
static void
lead_then_work(struct crew *c)
{
	lead(c);
	if (!atomic_load(&c->over)) {
		enter_role(c, "worker", true);
		if (become_idle(c))
			work(c);
	}
}

/* The first leader. */
static void *
run_leader(void *arg)
{
	struct crew *c = arg;

	thread_begins(c);
	lead_then_work(c);
	thread_ends(c);
	return NULL;
}

static void *
run_spare(void *arg)
{
	struct crew *c = arg;

	enter_role(c, "spare", false);
	thread_begins(c);
	atomic_fetch_add(&c->spares, 1);
	atomic_store(&c->spare_coming, false);
	if (!atomic_load(&c->over) && wait_for(&c->spare) == 0 && !atomic_load(&c->over))
		lead_then_work(c);
	thread_ends(c);
	return NULL;
}

int
crew_spare(struct crew *c)
{
	int err;

	/* In this order: the spare is counted before it has come. */
	if (atomic_load(&c->spare_coming) || atomic_load(&c->spares) > 0)
		return 0;
	atomic_store(&c->spare_coming, true);
	err = crew_spawn(c, run_spare);
	if (err != 0)
		atomic_store(&c->spare_coming, false);
	/* There are as many threads as may be. If one of them is idle, it makes way. */
	if (err == -EUSERS && atomic_load(&c->dismissed) == 0 && take_one(&c->slack)) {
		atomic_fetch_add(&c->dismissed, 1);
		sem_post(&c->work);
	}
	return err;
}

/* ---- Start and end --------------------------------------------------------------------------- */

static int
crew_destroy(struct crew *c)
{
	pthread_attr_destroy(&c->attr);
	sem_destroy(&c->work);
	sem_destroy(&c->spare);
	sem_destroy(&c->gone);
	sem_destroy(&c->led);
	sem_destroy(&c->monitor_sem);
	return 0;
}

static struct crew *
crew_new(struct http_server *s)
{
	struct crew *c = talloc_zero(s, struct crew);

	if (c == NULL)
		return NULL;
	c->server = s;
	c->threads_max = (int)s->set.threads_max;
	/* Never before the loop, whatever the program itself was started with. */
	c->worker_nice = getpriority(PRIO_PROCESS, 0);
	if (c->worker_nice < (int)s->set.worker_nice)
		c->worker_nice = (int)s->set.worker_nice;
	for (c->ring_size = 4; c->ring_size < (size_t)c->threads_max;)
		c->ring_size *= 2;
	c->ring = talloc_zero_array(c, _Atomic(struct http_request *), (unsigned)c->ring_size);
	if (c->ring == NULL) {
		talloc_free(c);
		return NULL;
	}
	pthread_attr_init(&c->attr);
	pthread_attr_setdetachstate(&c->attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&c->attr, (size_t)s->set.stack_bytes);
	sem_init(&c->work, 0, 0);
	sem_init(&c->spare, 0, 0);
	sem_init(&c->gone, 0, 0);
	sem_init(&c->led, 0, 0);
	sem_init(&c->monitor_sem, 0, 0);
	talloc_set_destructor(c, crew_destroy);
	return c;
}

int
crew_start(struct http_server *s)
{
	struct crew *c = s->crew = crew_new(s);
	int err = c == NULL ? -ENOMEM : 0;

	if (err == 0 && !s->debug)
		err = monitor_start(c);
	if (err == 0)
		err = crew_spawn(c, run_leader);
	if (err != 0 && c != NULL) {
		finish(c);
		crew_join(s, 1000);
	}
	return err;
}

bool
crew_wait_until(sem_t *sem, const struct timespec *until)
{
	while (sem_clockwait(sem, CLOCK_MONOTONIC, until) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* What came back when nobody led any more, and what was never taken. */
static void
drop_late(struct crew *c)
{
	struct http_request *req, *next;

	for (req = crew_take_back(c); req != NULL; req = next) {
		next = req->next_done;
		request_unref(req);
	}
	for (size_t i = 0; i < c->ring_size; i++)
		if ((req = atomic_exchange(&c->ring[i], NULL)) != NULL)
			request_unref(req);
	work_drop(c->server);
}

int
crew_join(struct http_server *s, int grace_ms)
{
	struct crew *c = s->crew;
	struct timespec until;
	int64_t end_ms;

	if (c == NULL)
		return 0;
	wait_for(&c->led);
	sem_post(&c->led); /* one may come again */
	monitor_stop(c);
	end_ms = loop_now_ms() + grace_ms;
	until = (struct timespec){.tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000};
	/* Whoever makes a thread ends after it has: so when all made are gone, that is all. */
	for (; c->joined < atomic_load(&c->made); c->joined++)
		if (!crew_wait_until(&c->gone, &until))
			return atomic_load(&c->made) - c->joined;
	/* The last thing that each has written; it orders all before it, which sem_clockwait(3)
	 * does as well, but ThreadSanitizer does not know that function. */
	(void)atomic_load(&c->threads);
	drop_late(c);
	TALLOC_FREE(s->crew);
	return 0;
}
