/* SPDX-License-Identifier: MIT */
/* A foreign type of context for tests: a job, which ends when the test says so. */
#ifndef TESTS_CTX_JOB_H
#define TESTS_CTX_JOB_H

#include "tests/ctx/support.h"

/* A type of our own: it can end, and keeps a list of who watches. */
struct job {
	pthread_mutex_t lock;
	int err;
	const struct ctx_cause *cause;
	struct ctx_watch *first;
	int watches;
};

/* Made before the contexts under mem, it is freed after them. */
static struct job *
new_job(TALLOC_CTX *mem)
{
	struct job *j = talloc_zero(mem, struct job);

	assert_non_null(j);
	pthread_mutex_init(&j->lock, NULL);
	return j;
}

static int
job_err(void *data, const struct ctx_cause **cause)
{
	struct job *j = data;
	int err;

	pthread_mutex_lock(&j->lock);
	err = j->err;
	*cause = j->cause;
	pthread_mutex_unlock(&j->lock);
	return err;
}

static bool
job_watch(void *data, struct ctx_watch *w)
{
	struct job *j = data;
	bool alive;

	pthread_mutex_lock(&j->lock);
	alive = j->err == 0;
	if (alive) {
		*w = (struct ctx_watch){.next = j->first};
		if (j->first != NULL)
			j->first->prev = w;
		j->first = w;
		j->watches++;
	}
	pthread_mutex_unlock(&j->lock);
	return alive;
}

/* Under the lock. */
static void
take_off(struct job *j, struct ctx_watch *w)
{
	if (w->next != NULL)
		w->next->prev = w->prev;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		j->first = w->next;
	j->watches--;
}

static bool
is_watching(const struct job *j, const struct ctx_watch *w)
{
	const struct ctx_watch *have = j->first;

	while (have != NULL && have != w)
		have = have->next;
	return have != NULL;
}

static void
job_unwatch(void *data, struct ctx_watch *w)
{
	struct job *j = data;

	pthread_mutex_lock(&j->lock);
	if (is_watching(j, w))
		take_off(j, w);
	pthread_mutex_unlock(&j->lock);
}

static void
job_end(struct job *j, int err, const struct ctx_cause *cause)
{
	struct ctx_watch *w;

	pthread_mutex_lock(&j->lock);
	if (j->err == 0) {
		j->err = err;
		j->cause = cause;
	}
	while ((w = j->first) != NULL) {
		take_off(j, w);
		ctx_watch_fire(w, j->err, j->cause);
	}
	pthread_mutex_unlock(&j->lock);
}

UNUSED static const struct ctx_type job_type = {
    .name = "job", .err = job_err, .watch = job_watch, .unwatch = job_unwatch};

#endif
