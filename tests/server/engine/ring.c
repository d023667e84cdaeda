/* SPDX-License-Identifier: MIT */
/*
 * The ring that hands requests to workers: whatever moment a taker is preempted at, everything is
 * taken once. RING_HAND_OUTS is how many are handed out to each number of takers.
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "server/engine/ring.h"
#include "tests/server/holding.h"

#define TAKERS_MAX 8

static int things[64];

/* A taker has seen one, and sleeps until the ring has come round to the same slot. */
static void
who_sleeps_in_the_middle_takes_what_is_due(void **state)
{
	struct ring r;
	size_t place;

	(void)state;
	assert_int_equal(ring_init(&r, harness_mem(), 4), 0);
	ring_put(&r, &things[0]);
	assert_ptr_equal(ring_see(&r, &place), &things[0]);
	for (int i = 1; i <= 4; i++) {
		assert_ptr_equal(ring_take(&r), &things[i - 1]);
		ring_put(&r, &things[i]); /* the fourth is in the slot that the sleeper saw */
	}
	assert_false(ring_claim(&r, place));
	assert_ptr_equal(ring_take(&r), &things[4]);
	assert_null(ring_take(&r));
}

static void
what_was_put_first_is_taken_first(void **state)
{
	struct ring r;

	(void)state;
	assert_int_equal(ring_init(&r, harness_mem(), 5), 0);
	assert_null(ring_take(&r));
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 5; i++)
			ring_put(&r, &things[i]);
		for (int i = 0; i < 5; i++)
			assert_ptr_equal(ring_take(&r), &things[i]);
		assert_null(ring_take(&r));
	}
}

/* ---- Takers that are preempted anywhere ------------------------------------------------------- */

static struct {
	struct ring ring;
	sem_t work; /* how much there is */
	atomic_bool over;
	atomic_int out; /* put, and not come back yet */
	atomic_uchar *taken;
} stress;

/* The thread loses its processor here, wherever here is, while the others take theirs. */
static void
preempted(int sig)
{
	static const struct timespec moment = {.tv_nsec = 50000};
	int saved = errno;

	(void)sig;
	nanosleep(&moment, NULL);
	errno = saved;
}

/* The number of an item, 1 for the first, in the place of its address. */
static void *
run_taker(void *arg)
{
	void *item;

	(void)arg;
	for (;;) {
		while (sem_wait(&stress.work) != 0)
			;
		if (atomic_load(&stress.over))
			break;
		item = ring_take(&stress.ring);
		atomic_fetch_add(&stress.taken[(uintptr_t)item], 1);
		atomic_fetch_sub(&stress.out, 1);
	}
	return NULL;
}

static void *
run_disturber(void *arg)
{
	static const struct timespec moment = {.tv_nsec = 100000};
	const pthread_t *takers = arg;
	unsigned seed = 1;

	while (!atomic_load(&stress.over)) {
		for (int i = 0; i < TAKERS_MAX; i++)
			if (takers[i] != 0 && rand_r(&seed) % 2)
				pthread_kill(takers[i], SIGUSR1);
		nanosleep(&moment, NULL);
	}
	return NULL;
}

/* What is lost never comes back. */
static bool
wait_for_room(int most)
{
	int64_t end_ms = 0;

	while (atomic_load(&stress.out) > most) {
		if (end_ms == 0)
			end_ms = harness_now_ms() + PATIENCE_MS;
		else if (harness_now_ms() > end_ms)
			return false;
		sched_yield();
	}
	return true;
}

/* As the leader does it: never more out than there are takers. */
static bool
hand_out(uintptr_t many, int takers)
{
	for (uintptr_t i = 1; i <= many; i++) {
		if (!wait_for_room(takers - 1))
			return false;
		atomic_fetch_add(&stress.out, 1);
		ring_put(&stress.ring, (void *)i);
		sem_post(&stress.work);
	}
	return wait_for_room(0);
}

static void
hand_out_among(uintptr_t many, int takers)
{
	pthread_t thread[TAKERS_MAX + 1] = {0}, disturber;
	cpu_set_t before = pin();
	bool done;

	assert_int_equal(ring_init(&stress.ring, harness_mem(), (size_t)takers), 0);
	sem_init(&stress.work, 0, 0);
	stress.taken = talloc_zero_array(harness_mem(), atomic_uchar, (unsigned)many + 1);
	assert_non_null(stress.taken);
	atomic_store(&stress.over, false);
	atomic_store(&stress.out, 0);
	for (int i = 0; i < takers; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, run_taker, NULL), 0);
	assert_int_equal(pthread_create(&disturber, NULL, run_disturber, thread), 0);
	done = hand_out(many, takers);
	atomic_store(&stress.over, true);
	pthread_join(disturber, NULL);
	for (int i = 0; i < takers; i++)
		sem_post(&stress.work);
	for (int i = 0; i < takers; i++)
		pthread_join(thread[i], NULL);
	sem_destroy(&stress.work);
	unpin(before);
	for (uintptr_t i = 1; i <= many; i++)
		if (stress.taken[i] > 1 || (done && stress.taken[i] == 0))
			harness_fail("%d takers: the %juth was taken %d times", takers,
			    (uintmax_t)i, stress.taken[i]);
	if (!done)
		harness_fail("%d takers: one was lost", takers);
	talloc_free(stress.taken);
}

static void
everything_is_taken_once_by_threads_that_are_preempted_anywhere(void **state)
{
	const char *wanted = getenv("RING_HAND_OUTS");
	uintptr_t many = wanted != NULL ? strtoul(wanted, NULL, 10) : 30000;
	struct sigaction act = {.sa_handler = preempted, .sa_flags = SA_RESTART};

	(void)state;
	sigaction(SIGUSR1, &act, NULL);
	for (int takers = 2; takers <= TAKERS_MAX; takers *= 2)
		hand_out_among(many, takers);
	signal(SIGUSR1, SIG_DFL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(who_sleeps_in_the_middle_takes_what_is_due),
	    e2e_test(what_was_put_first_is_taken_first),
	    e2e_test(everything_is_taken_once_by_threads_that_are_preempted_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
