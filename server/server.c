/* SPDX-License-Identifier: MIT */
/*
 * The server as its user sees it: set-up with sticky errors, then run, or start, drain and
 * wait.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "server/internal.h"

/* Handlers whose context was cancelled at the drain deadline have this long to end. */
#define HANDLERS_END_MS 1000

static int
server_destroy(struct http_server *s)
{
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	return 0;
}

struct http_server *
http_server_new(TALLOC_CTX *mem)
{
	struct http_server *s = talloc_zero(mem, struct http_server);

	if (s == NULL)
		return NULL;
	settings_defaults(&s->set);
	TAILQ_INIT(&s->listeners);
	STAILQ_INIT(&s->ready);
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->offered);
	TAILQ_INIT(&s->held);
	s->give_fd = s->take_fd = -1;
	TAILQ_INIT(&s->busy);
	s->away_look_ms = INT64_MAX;
	TAILQ_INIT(&s->hups);
	TAILQ_INIT(&s->lingers);
	TAILQ_INIT(&s->away);
	TAILQ_INIT(&s->waiting);
	s->epoll_fd = -1;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	talloc_set_destructor(s, server_destroy);
	s->router = router_new(s);
	s->unrouted = load_new(s, "(none)");
	if (s->router == NULL || s->unrouted == NULL || s->wake_fd < 0) {
		talloc_free(s);
		return NULL;
	}
	return s;
}

/* Keeps the first error, with the call that made it. */
static int setup_failed(struct http_server *s, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
setup_failed(struct http_server *s, int err, const char *fmt, ...)
{
	va_list ap;

	if (s->setup_errno == 0) {
		s->setup_errno = err;
		va_start(ap, fmt);
		s->setup_error = talloc_vasprintf(s, fmt, ap);
		va_end(ap);
	}
	return err;
}

int
http_server_listen(struct http_server *s, const char *name, const char *address)
{
	struct listener *l;

	if (s == NULL)
		return -ENOMEM;
	TAILQ_FOREACH(l, &s->listeners, entry)
		if (strcmp(l->name, name) == 0)
			return setup_failed(s, -EEXIST,
			    "http_server_listen(\"%s\", \"%s\"): there is a listener of that name",
			    name, address);
	if (name[0] == '\0' || strchr(name, ':') != NULL)
		return setup_failed(s, -EINVAL,
		    "http_server_listen(\"%s\", \"%s\"): a name is not empty and has no colon",
		    name, address);
	l = talloc_zero(s, struct listener);
	if (l == NULL)
		return setup_failed(s, -ENOMEM, "http_server_listen: out of memory");
	l->source = SOURCE_LISTENER;
	l->fd = -1;
	l->port = -ENOENT;
	l->name = talloc_strdup(l, name);
	l->address = talloc_strdup(l, address);
	if (l->name == NULL || l->address == NULL)
		return setup_failed(s, -ENOMEM, "http_server_listen: out of memory");
	TAILQ_INSERT_TAIL(&s->listeners, l, entry);
	return 0;
}

int
http_server_port(const struct http_server *s, const char *name)
{
	const struct listener *l;

	TAILQ_FOREACH(l, &s->listeners, entry)
		if (strcmp(l->name, name) == 0)
			return l->port;
	return -ENOENT;
}

int
http_server_use(struct http_server *s, http_middleware *mw, void *data)
{
	struct middleware *all;

	if (s == NULL)
		return -ENOMEM;
	all = talloc_realloc(s, s->middleware, struct middleware, s->middleware_n + 1);
	if (all == NULL)
		return setup_failed(s, -ENOMEM, "http_server_use: out of memory");
	s->middleware = all;
	all[s->middleware_n++] = (struct middleware){.run = mw, .data = data};
	return 0;
}

int
http_server_handle(struct http_server *s, const char *pattern, http_handler *h, void *data)
{
	static const struct http_route_options none;

	return http_server_handle_with(s, pattern, h, data, &none);
}

static void
apply_options(struct load *load, const struct http_route_options *options)
{
	load->blocking = (options->flags & HTTP_BLOCKING) != 0;
	load->blocking_fixed = options->flags != 0;
	load->away_max = options->concurrent_max;
	load->timeout_ms = options->timeout_ms;
}

int
http_server_handle_with(struct http_server *s, const char *pattern, http_handler *h, void *data,
    const struct http_route_options *options)
{
	const struct route *with = NULL;
	const char *why;
	struct route *route;
	int err;

	if (s == NULL)
		return -ENOMEM;
	route = route_parse(s, pattern, &why);
	if (route == NULL)
		return setup_failed(s, -EINVAL, "http_server_handle(\"%s\"): %s", pattern, why);
	if (options->flags > HTTP_QUICK)
		return setup_failed(s, -EINVAL,
		    "http_server_handle(\"%s\"): HTTP_BLOCKING or HTTP_QUICK, not both", pattern);
	route->handler = h;
	route->data = data;
	route->load = load_new(route, route->pattern);
	if (route->load != NULL)
		apply_options(route->load, options);
	err = route->load == NULL ? -ENOMEM : router_add(s->router, route, &with);
	if (err == -EEXIST)
		setup_failed(s, err,
		    "http_server_handle(\"%s\"): conflicts with \"%s\": both match a common "
		    "request and neither is more specific",
		    pattern, with->pattern);
	else if (err != 0)
		setup_failed(s, err, "http_server_handle(\"%s\"): %s", pattern, strerror(-err));
	if (err != 0)
		talloc_free(route);
	return err;
}

int
http_server_thread_hooks(
    struct http_server *s, void (*start)(void *data), void (*end)(void *data), void *data)
{
	if (s == NULL)
		return -ENOMEM;
	s->thread_start = start;
	s->thread_end = end;
	s->thread_data = data;
	return 0;
}

int
http_server_set(struct http_server *s, const char *name, const char *value)
{
	int err = s == NULL ? -ENOMEM : settings_set(&s->set, name, value);

	if (err == -ENOENT)
		return setup_failed(
		    s, err, "http_server_set(\"%s\", \"%s\"): no such setting", name, value);
	if (err != 0 && s != NULL)
		return setup_failed(s, err, "http_server_set(\"%s\", \"%s\"): %s", name, value,
		    err == -ERANGE ? "out of range" : "expected a number");
	return err;
}

/* As many connections as the system allows: the soft limit is for programs that use select. */
static void
raise_nofile(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static void
announce(const struct http_server *s)
{
	const struct listener *l;

	TAILQ_FOREACH(l, &s->listeners, entry)
		log_line(LOG_INFO, "listening: %s on port %d%s", l->name, l->port,
		    l->address == NULL ? " (inherited)" : "");
}

static int
open_all(struct http_server *s)
{
	char *why = NULL;
	int err = s->setup_errno;

	if (err != 0) {
		why = s->setup_error;
	} else if ((s->notify = notify_new(s)) == NULL ||
		   (s->store = request_store_new(s)) == NULL) {
		err = -ENOMEM;
	} else {
		raise_nofile();
		handover_inherit(s);
		s->debug = monitor_debugging();
		err = settings_from_environment(&s->set, s, &why);
		log_set_level(s->set.log_level);
		if (err == 0)
			err = listener_open_all(s, &why);
		if (err == 0 && s->set.connections_per_address_max > 0)
			err = address_start(s);
		if (err == 0)
			err = guard_selftest(s, &why);
		if (err == 0)
			err = parser_start(s);
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
	struct listener *l;

	parser_stop(s);
	loop_close(s);
	TAILQ_FOREACH(l, &s->listeners, entry) {
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
	}
	if (s->give_fd >= 0)
		close(s->give_fd);
	if (s->take_fd >= 0)
		close(s->take_fd);
	s->give_fd = s->take_fd = -1;
	TALLOC_FREE(s->addresses);
	TALLOC_FREE(s->store);
	TALLOC_FREE(s->notify);
}

/* ---- In threads of its own ------------------------------------------------------------------ */

int
http_server_start(struct http_server *s)
{
	int err;

	if (s == NULL)
		return -ENOMEM;
	err = open_all(s);
	if (err == 0)
		announce(s);
	if (err == 0 && (err = crew_start(s)) != 0)
		log_line(LOG_ERR, "cannot serve: no thread: %s", strerror(-err));
	if (err != 0) {
		close_all(s);
		return err;
	}
	s->started = true;
	return 0;
}

void
http_server_drain(struct http_server *s)
{
	atomic_store(&s->drain_wanted, true);
	loop_wake(s);
}

int
http_server_wait(struct http_server *s)
{
	int left;

	if (!s->started)
		return -ESRCH;
	left = crew_join(s, HANDLERS_END_MS);
	if (left > 0) {
		log_line(LOG_ERR, "%d handlers are still running after the drain deadline", left);
		return -EBUSY;
	}
	s->started = false;
	close_all(s);
	return s->failed;
}

/* ---- With signals ---------------------------------------------------------------------------- */

static _Atomic(struct http_server *) signalled;
static atomic_int signals;

void
server_restarted(struct http_server *s)
{
	atomic_store(&s->drain_wanted, false);
	if (s == atomic_load(&signalled))
		atomic_store(&signals, 0);
}

/* The first signal drains, the second ends at once: also as PID 1, where the default would not. */
static void
on_stop(int sig)
{
	struct http_server *s = atomic_load(&signalled);

	if (s == NULL || atomic_fetch_add(&signals, 1) > 0)
		_exit(128 + sig);
	http_server_drain(s);
}

static void
on_dump(int sig)
{
	struct http_server *s = atomic_load(&signalled);

	(void)sig;
	if (s != NULL) {
		atomic_store(&s->dump_wanted, true);
		loop_wake(s);
	}
}

static const struct {
	int sig;
	void (*handler)(int);
} actions[] = {{SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGQUIT, on_dump}, {SIGPIPE, SIG_IGN}};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static int
run_with_signals(struct http_server *s)
{
	struct sigaction old[ACTIONS];
	int err;

	atomic_store(&signals, 0);
	for (size_t i = 0; i < ACTIONS; i++) {
		struct sigaction act = {.sa_handler = actions[i].handler, .sa_flags = SA_RESTART};

		sigaction(actions[i].sig, &act, &old[i]);
	}
	err = http_server_start(s);
	if (err == 0)
		err = http_server_wait(s);
	/* Ending the ordinary way would take memory and locks from under those who still run. */
	if (err == -EBUSY)
		_exit(EXIT_FAILURE);
	for (size_t i = 0; i < ACTIONS; i++)
		sigaction(actions[i].sig, &old[i], NULL);
	return err;
}

int
http_server_run(struct http_server *s)
{
	struct http_server *none = NULL;
	int err;

	if (s == NULL) {
		log_line(LOG_ERR, "cannot serve: out of memory");
		return EXIT_FAILURE;
	}
	if (!atomic_compare_exchange_strong(&signalled, &none, s)) {
		log_line(
		    LOG_ERR, "cannot serve: http_server_run is running; use http_server_start");
		return EXIT_FAILURE;
	}
	err = run_with_signals(s);
	atomic_store(&signalled, NULL);
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
