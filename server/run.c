/* SPDX-License-Identifier: MIT */
/*
 * The server's run, from its start to its end: everything is opened in order and closed in
 * reverse.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "server/internal.h"

/* Handlers whose context was cancelled at the drain deadline have this long to end. */
#define HANDLERS_END_MS 1000
/* A spare gets its sockets when it is told which instance it is. */
static int
open_listeners(struct http_server *s, char **why)
{
	struct inherited *in = NULL;
	size_t n = 0;
	int err = spare_waits(&s->handover) ? 0 : notify_inherit(s, &in, &n);

	return err != 0 || spare_waits(&s->handover) ? err : listener_open_all(&s->net, in, n, why);
}

static int
open_all(struct http_server *s)
{
	char *why = NULL;
	int err = s->setup_errno;

	if (err != 0) {
		why = s->setup_error;
	} else if (handover_inherit(&s->handover) != 0 ||
		   (s->wire.store = request_store_new(s)) == NULL) {
		err = -ENOMEM;
	} else {
		files_open(&s->net, s->wake_fd);
		spare_inherit(&s->handover);
		s->debug = s->sched.debug = crew_debugging();
		if (s->debug)
			notify_no_watchdog(s->handover.notify);
		err = settings_from_environment(&s->set, s, &why);
		settings_warn_unknown();
		log_set_level(s->set.log_level);
		if (err == 0)
			err = open_listeners(s, &why);
		if (err == 0 && s->set.connections_per_address_max > 0)
			err = address_start(&s->net);
		if (err == 0)
			err = parser_probe(&s->wire, s, &why);
		if (err == 0)
			err = parser_start(&s->wire);
		if (err == 0)
			err = loop_open(s);
	}
	if (err != 0)
		log_line(LOG_ERR, "cannot serve: %s", why != NULL ? why : strerror(-err));
	return err;
}

static void
close_all(struct http_server *s)
{
	take_close(&s->handover);
	/* To stop it would shut down what was given away. */
	if (s->wire.mhd != NULL &&
	    !(s->net.in_n[CONN_LIST_GIVEN] == 0 && s->net.in_n[CONN_LIST_OFFERED] == 0))
		parser_abandon(&s->wire);
	parser_stop(&s->wire);
	files_close(&s->net);
	loop_close(s);
	net_close(&s->net);
	TALLOC_FREE(s->wire.store);
	handover_close(&s->handover);
}

/* ---- What the crew of threads does ---------------------------------------------------------- */

static void
run_job(void *data, struct crew_job *job)
{
	struct http_server *s = data;

	work_in_worker(&s->sched, job);
}

static bool
lead(void *data)
{
	struct http_server *s = data;

	if (!s->announced)
		spare_announce(&s->handover);
	s->announced = true;
	return loop_run(s);
}

static void
taken_over(void *data)
{
	struct http_server *s = data;

	work_taken_over(&s->sched);
}

static void
wake(void *data)
{
	loop_wake(data);
}

static const struct crew_jobs jobs = {
    .run = run_job, .lead = lead, .taken_over = taken_over, .wake = wake};

static int
start_crew(struct http_server *s)
{
	struct crew_config *config = &s->threads;

	config->threads_max = (int)s->set.threads_max;
	config->worker_nice = (int)s->set.worker_nice;
	config->takeover_after_us = s->set.takeover_after_us;
	config->stack_bytes = (size_t)s->set.stack_bytes;
	config->debug = s->debug;
	config->jobs = &jobs;
	config->data = s;
	return crew_start(s, config, &s->sched.crew);
}

/* ---- In threads of its own ------------------------------------------------------------------ */

static int
start(struct http_server *s)
{
	int err;

	if (s->used) {
		log_line(LOG_ERR, "cannot serve: this server has been started before");
		return -EALREADY;
	}
	err = open_all(s);
	if (err == 0 && !spare_waits(&s->handover))
		listener_announce(&s->net);
	if (err == 0 && (err = start_crew(s)) != 0)
		log_line(LOG_ERR, "cannot serve: no thread: %s", strerror(-err));
	if (err != 0) {
		close_all(s);
		return err;
	}
	(void)ctxi_soon_start(); /* without it, ends are told from the loop */
	s->used = s->started = true;
	return 0;
}

int
http_server_start(struct http_server *s)
{
	sigset_t given;

	if (s == NULL) {
		log_line(LOG_ERR, "cannot serve: out of memory");
		return -ENOMEM;
	}
	pthread_sigmask(SIG_SETMASK, NULL, &given);
	signals_masks(s, &given);
	return start(s);
}

void
http_server_drain(struct http_server *s)
{
	if (s == NULL)
		return; /* it has never been started */
	loop_drain(s);
}

int
http_server_wait(struct http_server *s)
{
	int left;

	if (s == NULL)
		return -ENOMEM;
	if (!s->started)
		return -ESRCH;
	left = crew_join(s->sched.crew, HANDLERS_END_MS);
	if (left > 0) {
		log_line(LOG_ERR, "%d handlers are still running after the drain deadline", left);
		return -EBUSY;
	}
	s->started = false;
	ctxi_soon_stop();
	watch_drop(&s->sched);
	TALLOC_FREE(s->sched.crew);
	close_all(s);
	return s->failed;
}

/* ---- With signals ---------------------------------------------------------------------------- */

int
http_server_run(struct http_server *s)
{
	int err;

	if (s == NULL) {
		log_line(LOG_ERR, "cannot serve: out of memory");
		return EXIT_FAILURE;
	}
	if (!signals_take(s)) {
		log_line(
		    LOG_ERR, "cannot serve: http_server_run is running; use http_server_start");
		return EXIT_FAILURE;
	}
	err = start(s);
	if (err == 0)
		err = http_server_wait(s);
	/* Ending the ordinary way would take memory and locks from under those who still run. */
	if (err == -EBUSY)
		_exit(EXIT_FAILURE);
	signals_release();
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
