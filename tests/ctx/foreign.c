/* SPDX-License-Identifier: MIT */
/*
 * Contexts of foreign types as parents. After CustomContext… in Go's src/context, with the
 * difference that no helper thread is ever started for them.
 */
#include "tests/ctx/support.h"

#include <dirent.h>

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

static const struct ctx_type job_type = {
    .name = "job", .err = job_err, .watch = job_watch, .unwatch = job_unwatch};
static const struct ctx_type plain_type = {.name = "plain"};

static int
threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
custom_context_goroutines(void **state)
{
	struct job *job = new_job(*state), *inner = new_job(*state);
	const struct ctx *bg = ctx_background(), *c2;
	struct ctx *c1, *c3, *c4, *c5;
	int before;

	/* The one thread for deadlines; from now on there must come no more. */
	talloc_free(ctx_with_timeout(*state, bg, LONG_MS));
	before = threads();

	ctx_cancel(ctx_with_cancel(*state, ctx_foreign(*state, bg, &job_type, job)));
	ctx_cancel(ctx_with_timeout(*state, ctx_foreign(*state, bg, &job_type, job), LONG_MS));
	c1 = ctx_with_cancel(*state, bg);
	c2 = ctx_foreign(*state, c1, &plain_type, NULL);
	c3 = ctx_with_cancel(*state, c2);
	ctx_with_cancel(*state, ctx_foreign(*state, c2, &job_type, inner));
	c4 = ctx_with_timeout(*state, c3, LONG_MS);
	c5 = ctx_with_cancel(*state, c4);
	ctx_cancel(c5);
	ctx_cancel(ctx_with_timeout(*state, c5, LONG_MS));
	ctx_cancel(c1);
	assert_ended(c3, -ECANCELED, &ctx_canceled);
	assert_ended(ctx_with_cancel(*state, c5), -ECANCELED, &ctx_canceled);
	assert_int_equal(inner->watches, 1); /* c1 does not answer for a type that does itself */
	assert_int_equal(threads(), before);
}

static const struct ctx_cause because = {-EPIPE, "because"};

static void
custom_context_propagation(void **state)
{
	/* Its end is its own; err and cause are its parent's. */
	static const struct ctx_type done_type = {
	    .name = "done", .watch = job_watch, .unwatch = job_unwatch};
	struct job *job = new_job(*state);
	struct ctx *c1 = ctx_with_cancel(*state, ctx_background());
	const struct ctx *c2 = ctx_foreign(*state, c1, &done_type, job);
	struct ctx *c3 = ctx_with_cancel(*state, c2);

	ctx_cancel_cause(c1, &because);
	assert_ended(c2, -ECANCELED, &because);
	assert_alive(c3); /* not told yet */
	job_end(job, ctx_err(c2), ctx_cause(c2));
	wait_end(c3);
	assert_ended(c3, -ECANCELED, &because);
}

static void
custom_context_cause(void **state)
{
	struct job *ended = new_job(*state), *job = new_job(*state), *last = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, ended);
	struct ctx *child;

	/* A type that gives no cause gets the one for its err. */
	job_end(ended, -ECANCELED, NULL);
	assert_ended(c, -ECANCELED, &ctx_canceled);
	assert_ended(ctx_with_cancel(*state, c), -ECANCELED, &ctx_canceled);

	/* The child's own cause stays, and is not its parent's. */
	c = ctx_foreign(*state, ctx_background(), &job_type, job);
	child = ctx_with_cancel(*state, c);
	ctx_cancel_cause(child, &because);
	assert_ended(child, -ECANCELED, &because);
	assert_int_equal(ctx_err(c), 0);
	assert_null(ctx_cause(c));
	job_end(job, -ECANCELED, NULL);
	assert_ended(child, -ECANCELED, &because);
	assert_ended(c, -ECANCELED, &ctx_canceled);

	c = ctx_foreign(*state, ctx_background(), &job_type, last);
	child = ctx_with_cancel(*state, c);
	job_end(last, -ETIMEDOUT, NULL);
	assert_ended(child, -ETIMEDOUT, &ctx_deadline_exceeded);
	assert_ended(c, -ETIMEDOUT, &ctx_deadline_exceeded);
}

static void
custom_context_after_func_cancel(void **state)
{
	struct job *job = new_job(*state);
	struct ctx *c =
	    ctx_with_cancel(*state, ctx_foreign(*state, ctx_background(), &job_type, job));

	assert_alive(c);
	job_end(job, -ECANCELED, &because);
	assert_ended(c, -ECANCELED, &because);
}

static void
custom_context_after_func_timeout(void **state)
{
	struct job *job = new_job(*state);
	struct ctx *c = ctx_with_timeout(
	    *state, ctx_foreign(*state, ctx_background(), &job_type, job), LONG_MS);

	job_end(job, -ECANCELED, NULL);
	assert_ended(c, -ECANCELED, &ctx_canceled);
}

static void
custom_context_after_func_after_func(void **state)
{
	struct job *job = new_job(*state);
	struct event called = EVENT;
	struct ctx_after *a = ctx_after_func(
	    *state, ctx_foreign(*state, ctx_background(), &job_type, job), event_raise, &called);

	job_end(job, -ECANCELED, NULL);
	event_wait(&called, 1);
	assert_false(ctx_after_stop(a));
	ctx_after_wait(a);
}

static void
custom_context_after_func_unregister_cancel(void **state)
{
	struct job *job = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, job);
	struct ctx *c1 = ctx_with_cancel(*state, c), *c2 = ctx_with_cancel(*state, c);

	assert_int_equal(job->watches, 2);
	ctx_cancel(c1);
	talloc_free(c2); /* is as good */
	assert_int_equal(job->watches, 0);
}

static void
custom_context_after_func_unregister_timeout(void **state)
{
	struct job *job = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, job);
	struct ctx *child = ctx_with_timeout(*state, c, LONG_MS);

	assert_int_equal(job->watches, 1);
	ctx_cancel(child);
	assert_int_equal(job->watches, 0);

	/* One that ended by its deadline goes on watching until it is freed. */
	child = ctx_with_timeout(*state, c, 1);
	wait_end(child);
	assert_int_equal(job->watches, 1);
	talloc_free(child);
	assert_int_equal(job->watches, 0);
}

static void
custom_context_after_func_unregister_after_func(void **state)
{
	struct job *job = new_job(*state);
	struct event never = EVENT;
	struct ctx_after *a = ctx_after_func(
	    *state, ctx_foreign(*state, ctx_background(), &job_type, job), event_raise, &never);

	assert_int_equal(job->watches, 1);
	assert_true(ctx_after_stop(a));
	assert_int_equal(job->watches, 0);
	job_end(job, -ECANCELED, NULL);
	assert_int_equal(event_count(&never), 0);
}

CTX_KEY(known, const char);
CTX_KEY(unknown, const char);

static bool
know_value(void *data, const struct ctx_key *key, const void **value)
{
	if (key != &known.key)
		return false;
	*value = data;
	return true;
}

static bool
know_deadline(void *data, int64_t *at_ns)
{
	(void)data;
	*at_ns = HOUR_NS * 24 * 365 * 100;
	return true;
}

static void
custom_context_values_and_deadline(void **state)
{
	static const struct ctx_type type = {.name = "knows", .value = know_value};
	static const struct ctx_type dated = {
	    .name = "dated", .deadline = know_deadline, .watch = job_watch, .unwatch = job_unwatch};
	struct job *job = new_job(*state);
	const struct ctx *c = ctx_with_value(*state, ctx_background(), &known, "below");
	int64_t at = 0;

	c = ctx_with_value(*state, c, &unknown, "parent's");
	c = ctx_foreign(*state, c, &type, (void *)(uintptr_t) "its own");
	c = ctx_with_cancel(*state, c);
	assert_string_equal(ctx_value(c, &known), "its own");
	assert_string_equal(ctx_value(c, &unknown), "parent's");
	assert_false(ctx_deadline(c, &at));
	c = ctx_without_cancel(*state, c); /* a foreign type's values are still there */
	assert_string_equal(ctx_value(c, &known), "its own");
	assert_string_equal(ctx_value(c, &unknown), "parent's");

	c = ctx_foreign(*state, ctx_background(), &dated, job);
	c = ctx_with_cancel(*state, ctx_with_deadline(*state, c, INT64_MAX));
	assert_true(ctx_deadline(c, &at));
	assert_int_equal(at, HOUR_NS * 24 * 365 * 100);
}

static void *
end_job(void *job)
{
	job_end(job, -ETIMEDOUT, &because);
	return NULL;
}

static void
custom_context_ends_sleep_and_poll(void **state)
{
	struct job *job = new_job(*state), *second = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, job);
	pthread_t t;

	assert_int_equal(ctx_done(c), -ENOTSUP);
	assert_int_equal(ctx_sleep(c, 1), 0);
	assert_int_equal(ctx_poll(c, NULL, 0, 1), 0);
	assert_int_equal(job->watches, 0);
	t = start(end_job, job);
	assert_int_equal(ctx_sleep(c, -1), -ETIMEDOUT);
	pthread_join(t, NULL);
	assert_int_equal(ctx_sleep(c, -1), -ETIMEDOUT);
	assert_int_equal(ctx_poll(c, NULL, 0, -1), -ETIMEDOUT);
	c = ctx_foreign(*state, ctx_background(), &job_type, second);
	t = start(end_job, second);
	assert_int_equal(ctx_poll(c, NULL, 0, -1), -ETIMEDOUT);
	pthread_join(t, NULL);
}

static int
setup(void **state)
{
	*state = talloc_new(NULL);
	return *state == NULL;
}

static int
teardown(void **state)
{
	return talloc_free(*state);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(custom_context_goroutines),
	    T(custom_context_propagation),
	    T(custom_context_cause),
	    T(custom_context_after_func_cancel),
	    T(custom_context_after_func_timeout),
	    T(custom_context_after_func_after_func),
	    T(custom_context_after_func_unregister_cancel),
	    T(custom_context_after_func_unregister_timeout),
	    T(custom_context_after_func_unregister_after_func),
	    T(custom_context_values_and_deadline),
	    T(custom_context_ends_sleep_and_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
