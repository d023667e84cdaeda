/* SPDX-License-Identifier: MIT */
/*
 * Reloads in which an address that baton listens on already goes to somebody else: its socket
 * goes with it. Where that cannot be, the true reason is told, and nothing has changed.
 */
#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT(...) talloc_asprintf(harness_mem(), __VA_ARGS__)

/* [service NAME] of the worker, with those lines. */
static const char *
service(struct stage *s, const char *name, const char *lines)
{
	return TEXT("[service %s]\ncommand = %s/worker %s\n%s\n", name, s->dir, s->mode, lines);
}

static const char *
on_port(struct stage *s, const char *name, int port, const char *more)
{
	return service(s, name, TEXT("listen = 127.0.0.1:%d\n%s", port, more));
}

static void
write_conf(struct stage *s, const char *a, const char *b)
{
	tempdir_write(s->dir, "conf", "[supervisor]\ncontrol = %s\n%s%s", s->control, a, b);
}

static struct stage *
start_with(const char *(*conf)(struct stage *s, bool after))
{
	struct stage *s = stage_new("");

	s->port = port_free(3);
	write_conf(s, conf(s, false), "");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

/* ---- What moves -------------------------------------------------------------------------------- */

static const char *
renamed(struct stage *s, bool after)
{
	return on_port(s, after ? "new" : "old", s->port, "");
}

static const char *
goes_to_another(struct stage *s, bool after)
{
	return after ? on_port(s, "b", s->port, "")
		     : TEXT("%s%s", on_port(s, "a", s->port, ""), on_port(s, "b", s->port + 1, ""));
}

static const char *
swapped(struct stage *s, bool after)
{
	return TEXT(
	    "%s%s", on_port(s, "a", s->port + after, ""), on_port(s, "b", s->port + !after, ""));
}

static const char *
shifted(struct stage *s, bool after)
{
	return on_port(s, "a", s->port + after, "instances = 2\n");
}

/* One instance less, and its port is somebody else's. */
static const char *
given_away(struct stage *s, bool after)
{
	return after ? TEXT("%s%s", on_port(s, "a", s->port, ""), on_port(s, "b", s->port + 1, ""))
		     : on_port(s, "a", s->port, "instances = 2\n");
}

static const char *
shared_by_all(struct stage *s, bool after)
{
	return on_port(s, after ? "new" : "old", s->port, "instances = 2\nports = shared\n");
}

static const struct {
	const char *what;
	const char *(*conf)(struct stage *s, bool after);
	const char *who[3]; /* on the three ports then; NULL: nobody */
} moves[] = {
    {"a service is renamed", renamed, {"new"}},
    {"a port goes to another service", goes_to_another, {"b"}},
    {"two services swap their ports", swapped, {"b", "a"}},
    {"all instances move up by one", shifted, {NULL, "a", "a"}},
    {"an instance less, a service more", given_away, {"a", "b"}},
    {"a service that shares is renamed", shared_by_all, {"new"}},
};

/* Where nobody is to be, nobody is asked: the socket may be about to go. */
static bool
is_answered_by(uint16_t port, const char *who)
{
	if (who == NULL || client_try(port) != 0)
		return who == NULL && client_try(port) == ECONNREFUSED;
	return strcmp(stage_ask(port).service, who) == 0;
}

static bool
everybody_is_where_he_is_to_be(struct stage *s, size_t row)
{
	bool all = true;

	for (int i = 0; i < 3; i++)
		all = all && is_answered_by((uint16_t)(s->port + i), moves[row].who[i]);
	return all;
}

static void
the_socket_goes_to_whoever_has_the_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		struct stage *s = start_with(moves[i].conf);

		print_message("%s\n", moves[i].what);
		write_conf(s, moves[i].conf(s, true), "");
		proc_finish(stage_cli(s, "reload"), 0);
		/* Those who had it before end meanwhile, and take nothing with them. */
		wait_until(moves[i].what, everybody_is_where_he_is_to_be(s, i));
		wait_until("who was to go has gone", !stage_matches(stage_status(s), " stopping "));
		assert_true(everybody_is_where_he_is_to_be(s, i));
		proc_finish(stage_cli(s, "restart"), 0);
		assert_true(everybody_is_where_he_is_to_be(s, i));
		stage_stop(s);
		for (int k = 0; k < 3; k++)
			assert_int_equal(client_try((uint16_t)(s->port + k)), ECONNREFUSED);
	}
}

/* Who is in the queue then is answered by the new owner. */
static void
nobody_in_the_queue_is_lost(void **state)
{
	struct stage *s = stage_new("");
	struct client *waits;
	struct proc *p;

	(void)state;
	stage_mode(s, TEXT("hold %s/go", s->dir));
	write_conf(s, on_port(s, "old", s->port, ""), "");
	stage_run(s);
	wait_until("it listens", client_try(s->port) == 0);
	tempdir_write(s->dir, "go", "now\n");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	unlink(tempdir_path(s->dir, "go"));
	write_conf(s, on_port(s, "new", s->port, ""), "");
	p = stage_cli(s, "reload");
	stage_wait_status(s, "^new +new\\.0 .* starting ");
	wait_until("the old one is gone", !stage_matches(stage_status(s), "^old "));
	waits = client_open(s->port);
	client_send(waits, "GET / HTTP/1.0\r\n\r\n");
	tempdir_write(s->dir, "go", "now\n");
	assert_non_null(strstr(client_read(waits, "GET")->body, "new 0 1 "));
	client_close(waits);
	proc_finish(p, 0);
	stage_stop(s);
}

static const char *
with_path(struct stage *s, bool after)
{
	return service(s, after ? "new" : "old",
	    TEXT("listen = unix:%s/w\nsocket_mode = %s", s->dir, after ? "0640" : "0600"));
}

static void
a_path_keeps_its_file(void **state)
{
	struct stage *s = start_with(with_path);
	const char *path = tempdir_path(s->dir, "w");
	struct stat before, after;
	struct client *c;

	(void)state;
	assert_int_equal(stat(path, &before), 0);
	write_conf(s, with_path(s, true), "");
	proc_finish(stage_cli(s, "reload"), 0);
	wait_until("the old one is gone", !stage_matches(stage_status(s), "^old "));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & 07777, 0640); /* … and is as its new service wants it */
	c = client_open_unix(path);
	client_send(c, "GET / HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(client_read(c, "GET")->body, "new 0 1 "));
	client_close(c);
	stage_stop(s);
	assert_int_equal(lstat(path, &after), -1);
}

static void
what_a_failed_reload_moved_comes_back(void **state)
{
	struct stage *s = start_with(swapped);

	(void)state;
	tempdir_write(s->dir, "bad", "exit 3\n");
	write_conf(s, on_port(s, "a", s->port + 1, ""),
	    TEXT("[service b]\ncommand = %s/worker %s/bad\nlisten = 127.0.0.1:%d\n", s->dir, s->dir,
		s->port));
	proc_finish(stage_cli(s, "reload"), 1);
	wait_until("all are where they were",
	    is_answered_by(s->port, "a") && is_answered_by((uint16_t)(s->port + 1), "b"));
	kill(stage_ask(s->port).pid, SIGKILL);
	wait_until("the socket is a's", is_answered_by(s->port, "a"));
	stage_stop(s);
}

/* ---- What blocks ----------------------------------------------------------------------------- */

/* Says whether its socket blocks, sets it non-blocking, and lives as the worker does. */
static const char *
teller(struct stage *s)
{
	return tempdir_write(s->dir, "teller",
	    "#!/usr/bin/env python3\n"
	    "import fcntl, os, sys\n"
	    "f = fcntl.fcntl(3, fcntl.F_GETFL)\n"
	    "print('GEN', os.environ['BATON_GENERATION'], 'blocks' if not f & os.O_NONBLOCK else "
	    "'does not', flush=True)\n"
	    "fcntl.fcntl(3, fcntl.F_SETFL, f | os.O_NONBLOCK)\n"
	    "os.execv(sys.argv[1], sys.argv[1:])\n");
}

static void
a_socket_blocks_if_nobody_else_has_it(void **state)
{
	struct stage *s = stage_new("");
	const char *conf;

	(void)state;
	if (system("python3 -c 0 2>/dev/null") != 0)
		harness_skip("there is no python3");
	assert_int_equal(chmod(teller(s), 0755), 0);
	conf = TEXT("[service w]\ncommand = %s/teller %s/worker %s\nlisten = 127.0.0.1:%d\n",
	    s->dir, s->dir, s->mode, s->port);
	write_conf(s, conf, "");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "GEN 1 blocks");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	proc_finish(stage_cli(s, "stop", "w"), 0);
	proc_finish(stage_cli(s, "start", "w"), 0);
	proc_expect(s->baton, PROC_OUT, "GEN 2 blocks");
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_expect(s->baton, PROC_OUT, "GEN 3 blocks");
	proc_expect(s->baton, PROC_OUT, "ready in");
	/* The predecessor, which is an event loop, relies on the mark. */
	proc_finish(stage_cli(s, "restart"), 0);
	proc_expect(s->baton, PROC_OUT, "GEN 4 does not");
	assert_int_equal(stage_ask(s->port).generation, 4);
	/* Of another service: who is gone has it until it has ended. */
	wait_until("the one before is gone", !stage_matches(stage_status(s), "draining"));
	write_conf(s, conf, "ports = shared\ninstances = 2\n");
	proc_finish(stage_cli(s, "reload"), 0);
	proc_expect(s->baton, PROC_OUT, "w\\.1 \\| GEN 1 does not");
	stage_stop(s);
}

/* ---- What cannot be ---------------------------------------------------------------------------- */

static const struct {
	const char *before, *after;
} overlaps[] = {
    {"127.0.0.1:%d", "0.0.0.0:%d"},
    {"0.0.0.0:%d", "127.0.0.1:%d"},
    {"127.0.0.1:%d", ":%d"},
    {":%d", "127.0.0.1:%d"},
};

static const char *
line(struct stage *s, const char *format)
{
	char address[64];

	snprintf(address, sizeof(address), format, s->port);
	return TEXT("listen = %s", address);
}

static void
an_address_that_overlaps_is_refused_and_can_be_had_after_a_stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
		struct stage *s = stage_new("");
		struct proc *p;
		int pid;

		write_conf(s, service(s, "w", line(s, overlaps[i].before)), "");
		stage_run(s);
		proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
		pid = stage_ask(s->port).pid;
		write_conf(s, service(s, "w", line(s, overlaps[i].after)), "");
		p = proc_finish(stage_cli(s, "reload"), 1);
		assert_true(stage_matches(proc_text(p, PROC_ERR),
		    "nothing has changed: w\\.0 of service w: cannot listen on .*: Address already "
		    "in use: w\\.0 of this baton listens on .*, and both at a time cannot be; "
		    "change the address, or stop it \\(`baton stop w`\\), reload, and start it again "
		    "\\(.*conf:5\\)$"));
		assert_int_equal(stage_ask(s->port).pid, pid);
		/* As it says. */
		proc_finish(stage_cli(s, "stop", "w"), 0);
		proc_finish(stage_cli(s, "reload"), 0);
		assert_int_equal(client_try(s->port), ECONNREFUSED);
		proc_finish(stage_cli(s, "start", "w"), 0);
		assert_string_equal(stage_ask(s->port).service, "w");
		stage_stop(s);
	}
}

static bool
has_v6(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool
answers_v6(uint16_t port)
{
	struct sockaddr_in6 in6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* [::]:PORT is IPv6 alone, and :PORT is both: they are not the same. */
static void
families_are_not_taken_for_each_other(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	if (!has_v6())
		harness_skip("there is no IPv6");
	write_conf(s, service(s, "w", line(s, "[::]:%d")), "");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	write_conf(s, service(s, "w", line(s, ":%d")), "");
	proc_finish(stage_cli(s, "reload"), 1);
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	proc_finish(stage_cli(s, "stop", "w"), 0);
	proc_finish(stage_cli(s, "reload"), 0);
	proc_finish(stage_cli(s, "start", "w"), 0);
	assert_int_equal(client_try(s->port), 0);
	assert_true(answers_v6(s->port));
	/* And nothing changes where nothing is to change. */
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
who_is_scaled_does_not_get_a_neighbours_port(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	s->port = port_free(3);
	write_conf(s, on_port(s, "a", s->port, ""), on_port(s, "b", s->port + 1, ""));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	p = proc_finish(stage_cli(s, "scale", "a=2"), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "a\\.1 of service a: cannot listen on .*: Address already in use: b\\.0 of this baton "
	    "listens there; change one of both"));
	/* Nor does another one get what was scaled. */
	write_conf(s, on_port(s, "a", s->port, ""), "");
	proc_finish(stage_cli(s, "reload"), 0);
	wait_until("b is gone", client_try((uint16_t)(s->port + 1)) == ECONNREFUSED);
	wait_until("b is gone", !stage_matches(stage_status(s), "^b "));
	proc_finish(stage_cli(s, "scale", "a=2"), 0);
	write_conf(s, on_port(s, "a", s->port, ""), on_port(s, "b", s->port + 1, ""));
	p = proc_finish(stage_cli(s, "reload"), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "nothing has changed: .*conf:9: listen: a\\.1 has 127.0.0.1:[0-9]+, as a was scaled to 2 "
	    "instances; `baton scale a=1` first, or change the address$"));
	assert_string_equal(stage_ask((uint16_t)(s->port + 1)).service, "a");
	proc_finish(stage_cli(s, "scale", "a=1"), 0);
	proc_finish(stage_cli(s, "reload"), 0);
	assert_string_equal(stage_ask((uint16_t)(s->port + 1)).service, "b");
	stage_stop(s);
}

/* ---- Who does not run ---------------------------------------------------------------------------- */

static void
who_is_stopped_refuses_at_new_addresses_too(void **state)
{
	struct stage *s = stage_new("");
	const char *w = tempdir_path(s->dir, "w");

	(void)state;
	s->port = port_free(3);
	write_conf(s, on_port(s, "a", s->port, ""), on_port(s, "b", s->port + 1, ""));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	proc_finish(stage_cli(s, "stop", "a"), 0);
	/* Its own new ones, and b's. */
	write_conf(s, on_port(s, "a", s->port + 1, TEXT("listen.u = unix:%s", w)),
	    on_port(s, "b", s->port + 2, ""));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	assert_int_equal(client_try((uint16_t)(s->port + 1)), ECONNREFUSED);
	assert_int_equal(client_try_unix(w), ECONNREFUSED);
	assert_string_equal(stage_ask((uint16_t)(s->port + 2)).service, "b");
	/* What refused takes connections at once where it goes to one that runs. */
	write_conf(s, on_port(s, "a", s->port, ""), on_port(s, "b", s->port + 1, ""));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_string_equal(stage_ask((uint16_t)(s->port + 1)).service, "b");
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	proc_finish(stage_cli(s, "start", "a"), 0);
	assert_string_equal(stage_ask(s->port).service, "a");
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_socket_goes_to_whoever_has_the_address),
	    e2e_test(nobody_in_the_queue_is_lost),
	    e2e_test(a_path_keeps_its_file),
	    e2e_test(what_a_failed_reload_moved_comes_back),
	    e2e_test(a_socket_blocks_if_nobody_else_has_it),
	    e2e_test(an_address_that_overlaps_is_refused_and_can_be_had_after_a_stop),
	    e2e_test(families_are_not_taken_for_each_other),
	    e2e_test(who_is_scaled_does_not_get_a_neighbours_port),
	    e2e_test(who_is_stopped_refuses_at_new_addresses_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
