/* SPDX-License-Identifier: MIT */
/* Sockets that baton is given by its manager: which of them it uses, and as what. */
#include "tests/e2e/daemon/under_manager.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A listening socket of the manager's own. */
static int
listening(uint16_t port)
{
	const struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void
sockets_of_a_socket_unit_are_used_by_address_and_name(void **state)
{
	struct stage *s = stage_new("");
	struct manager *m = manager_new();
	uint16_t port = port_free(4);

	(void)state;
	/* In another order than in the configuration, and with one that nobody wants. */
	manager_put(m, "other", listening(port + 3));
	manager_put(m, "byname", listening(port + 2));
	manager_put(m, "unit.socket", listening(port + 1));
	manager_put(m, "unit.socket", listening(port));
	write_conf(
	    s, service(s, "w",
		   talloc_asprintf(harness_mem(),
		       "instances = 2\nlisten.web = 127.0.0.1:%u\n[service n]\ncommand = %s %s\n"
		       "listen.byname = 127.0.0.1:0\n",
		       port, harness_built("tests/fixtures/worker"), s->mode)));
	s->baton = manager_run(m, RUN(s), NULL);
	proc_expect(s->baton, PROC_ERR,
	    talloc_asprintf(
		harness_mem(), "^baton: was given a socket on 127.0.0.1:%u \\(other\\)", port + 3));
	proc_expect(s->baton, PROC_OUT, "^sockets from the service manager: 3$");
	manager_expect(m, "READY=1\n");
	assert_int_equal(m->stored, 4); /* none of them was sent back */
	assert_int_equal(stage_ask(port).instance, 0);
	assert_string_equal(stage_ask(port + 1).names, "web");
	assert_string_equal(stage_ask(port + 2).service, "n");
	/* They are not baton's to shut: a client waits until the service is back. */
	proc_finish(stage_cli(s, "stop", "n"), 0);
	assert_int_equal(client_try(port + 2), 0);
	proc_finish(stage_cli(s, "start", "n"), 0);
	assert_string_equal(stage_ask(port + 2).service, "n");
	/* A reload that begins to want one has it. */
	write_conf(
	    s, service(s, "o", talloc_asprintf(harness_mem(), "listen = 127.0.0.1:%u", port + 3)));
	proc_finish(stage_cli(s, "reload"), 0);
	assert_string_equal(stage_ask(port + 3).service, "o");
	stage_stop(s);
}

/* Connects without waiting for an answer; -1 if that is refused. */
static int
dial(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What the worker answers, which is who it is. */
static const char *
answer(int fd)
{
	char *text = talloc_zero_size(harness_mem(), 1024);
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, "GET /\r\n\r\n", 9, MSG_NOSIGNAL), 9);
	for (size_t at = 0; (n = recv(fd, text + at, 1023 - at, 0)) > 0;)
		at += (size_t)n;
	close(fd);
	return text;
}

static void
a_unix_socket_keeps_its_file(void **state)
{
	struct stage *s = stage_new("");
	struct manager *m = manager_new();
	const char *path = tempdir_path(s->dir, "u"), *unit = tempdir_path(s->dir, "unit");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct stat before, after;
	int fd, end;

	(void)state;
	/* One of a socket unit … */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", unit);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 16), 0);
	manager_put(m, "unit.socket", fd);
	/* … and one of baton's own, in the place of a stale one, so that it is renamed. */
	end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(bind(end, (struct sockaddr *)&un, sizeof(un)), 0);
	close(end);
	write_conf(s, service(s, "w",
			  talloc_asprintf(harness_mem(), "listen = unix:%s\nlisten.unit = unix:%s",
			      path, unit)));
	s->baton = manager_run(m, RUN(s), NULL);
	manager_wait_stored(m, 2);
	manager_expect(m, "READY=1\n");
	assert_non_null(strstr(answer(dial(path)), "w 0 1 "));
	assert_non_null(strstr(answer(dial(unit)), "w 0 1 "));
	assert_int_equal(stat(path, &before), 0);
	stage_stop(s);
	fd = dial(path); /* waits */
	end = dial(unit);
	write_conf(
	    s, service(s, "w",
		   talloc_asprintf(harness_mem(),
		       "listen = unix:%s\nlisten.unit = unix:%s\nsocket_mode = 0640", path, unit)));
	s->baton = manager_run(m, RUN(s), NULL);
	assert_non_null(strstr(answer(fd), "w 0 1 "));
	assert_non_null(strstr(answer(end), "w 0 1 "));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode & 0777, 0640);
	/* For good: the file goes, and that of the manager stays. */
	write_conf(s, service(s, "w", ""));
	proc_finish(stage_cli(s, "reload"), 0);
	manager_wait_stored(m, 1);
	assert_int_not_equal(access(path, F_OK), 0);
	stage_stop(s);
	assert_int_equal(access(unit, F_OK), 0);
}

static void
sockets_for_another_process_are_left_alone(void **state)
{
	struct stage *s = stage_new("");
	int fd = listening(s->port);

	(void)state;
	s->baton = proc_start(&(struct proc_spec){.argv = RUN(s),
	    .env = (const char *const[]){"LISTEN_FDS=1", "LISTEN_PID=1", NULL},
	    .fds = &fd,
	    .fds_n = 1});
	proc_expect(s->baton, PROC_ERR, "Address already in use");
	proc_finish(s->baton, 1);
	close(fd);
}

static void
socket_activation_starts_it(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	harness_need("/usr/bin/systemd-socket-activate");
	p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"/usr/bin/systemd-socket-activate", "-E", "ASAN_OPTIONS",
		"-l", port_address(s->port), "-l", port_address(s->port + 1), "--fdname=w:w",
		harness_built("baton"), "run", "-c", s->conf, NULL}});
	proc_expect(p, PROC_ERR, "Listening on .*");
	proc_expect(p, PROC_ERR, "Listening on .*");
	/* The very first request waits for it. */
	assert_int_equal(stage_ask(s->port + 1).instance, 1);
	assert_int_equal(stage_ask(s->port).instance, 0);
	proc_expect(p, PROC_OUT, "^sockets from the service manager: 2$");
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(sockets_of_a_socket_unit_are_used_by_address_and_name),
	    e2e_test(a_unix_socket_keeps_its_file),
	    e2e_test(sockets_for_another_process_are_left_alone),
	    e2e_test(socket_activation_starts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
