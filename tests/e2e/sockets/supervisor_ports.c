/* SPDX-License-Identifier: MIT */
/* What services listen on: IPv6, both families, several named sockets, and their queues. */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"

#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A service "w" of the worker, with these lines. */
static struct baton
worker(const char *lines)
{
	return baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(), "[service w]\ncommand = %s\n%s\n",
		harness_built("tests/fixtures/worker"), lines),
	});
}

static bool
has_ipv6(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Over ::1: 0, or an errno. */
static int
connect_v6(uint16_t port, int *fd)
{
	struct sockaddr_in6 in6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	*fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(*fd, (struct sockaddr *)&in6, sizeof(in6)) < 0 ? errno : 0;
}

static struct who
ask_v6(uint16_t port)
{
	struct client *c;
	struct who w;
	int fd;

	assert_int_equal(connect_v6(port, &fd), 0);
	c = client_of(fd);
	client_send(c, "GET / HTTP/1.0\r\n\r\n");
	if (sscanf(client_read(c, "GET")->body, "%39s %d %d %d %199s", w.service, &w.instance,
		&w.generation, &w.pid, w.names) != 5)
		harness_fail("odd answer");
	client_close(c);
	return w;
}

static void
end(struct baton *b)
{
	proc_signal(b->proc, SIGTERM);
	proc_finish(b->proc, 0);
}

/* An address in brackets is IPv6 only, be it the wildcard; a port alone is both. */
static void
families_are_as_written(void **state)
{
	static const struct {
		const char *host, *url;
		bool v4;
	} rows[] = {{"[::1]", "http://\\[::1\\]:", false}, {"[::]", "http://\\[::1\\]:", false},
	    {"", "http://127\\.0\\.0\\.1:", true}};

	(void)state;
	if (!has_ipv6())
		harness_skip("there is no IPv6");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint16_t port = port_free(2);
		struct baton b = worker(talloc_asprintf(
		    harness_mem(), "instances = 2\nlisten = %s:%d", rows[i].host, port));

		for (int n = 0; n < 2; n++)
			proc_expect(b.proc, PROC_OUT,
			    talloc_asprintf(harness_mem(), "^w\\.%d  %s%d  pid [0-9]+  ready in ",
				n, rows[i].url, port + n));
		for (int n = 0; n < 2; n++) {
			assert_int_equal(ask_v6((uint16_t)(port + n)).instance, n);
			assert_int_equal(
			    client_try((uint16_t)(port + n)), rows[i].v4 ? 0 : ECONNREFUSED);
		}
		end(&b);
	}
}

/* A second IPv6 service can have the port for which IPv4 has another one. */
static void
families_do_not_collide(void **state)
{
	uint16_t port = port_free(1);
	struct baton b;

	(void)state;
	if (!has_ipv6())
		harness_skip("there is no IPv6");
	b = worker(talloc_asprintf(harness_mem(),
	    "listen.four = 127.0.0.1:%d\nlisten.six = [::1]:%d\n[service x]\ncommand = %s\n"
	    "listen = 127.0.0.2:%d",
	    port, port, harness_built("tests/fixtures/worker"), port));
	baton_wait_ready(&b, 2);
	assert_string_equal(ask_v6(port).service, "w");
	assert_string_equal(stage_ask(port).service, "w");
	assert_string_equal(stage_ask(port).names, "four:six");
	end(&b);
}

/* IPv6 connections of hello live through restarts as well. */
static void
ipv6_connections_move(void **state)
{
	uint16_t port = port_free(1);
	struct client *c;
	struct baton b;
	int fd, pid, now;

	(void)state;
	if (!has_ipv6())
		harness_skip("there is no IPv6");
	b = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service s]\ncommand = %s\nlisten = [::1]:%d\n", harness_built("hello"), port)});
	baton_wait_ready(&b, 1);
	assert_int_equal(connect_v6(port, &fd), 0);
	c = client_of(fd);
	assert_int_equal(sscanf(client_get(c, "/pid")->body, "pid %d", &pid), 1);
	baton_restart(&b);
	assert_int_equal(sscanf(client_get(c, "/pid")->body, "pid %d", &now), 1);
	assert_int_not_equal(now, pid);
	baton_stop(&b);
}

/* In the order of the file, whatever their kind; the program finds them by name. */
static void
sockets_come_in_order_with_their_names(void **state)
{
	uint16_t port = port_free(6);
	struct baton b = worker(talloc_asprintf(harness_mem(),
	    "instances = 2\nlisten.web = 127.0.0.1:%d\nlisten = 127.0.0.1:%d\n"
	    "listen.local = unix:l%%i\nlisten.web = 127.0.0.1:%d",
	    port, port + 2, port + 4));

	(void)state;
	baton_wait_ready(&b, 2);
	for (int i = 0; i < 6; i++) {
		struct who w = stage_ask((uint16_t)(port + i));

		assert_int_equal(w.instance, i % 2);
		assert_string_equal(w.names, "web:w:local:web");
	}
	end(&b);
}

/* hello takes its sockets by name, and serves those that it did not ask for, too. */
static void
hello_serves_on_all_its_sockets(void **state)
{
	uint16_t port = port_free(2);
	struct baton b = baton_start(
	    &(struct baton_spec){.services = talloc_asprintf(harness_mem(),
				     "[service s]\ncommand = %s\nlisten.admin = 127.0.0.1:%d\n"
				     "listen.web = 127.0.0.1:%d\nlisten.local = unix:l\n",
				     harness_built("hello"), port, port + 1)});
	struct client *local;

	(void)state;
	baton_wait_ready(&b, 1);
	for (int round = 1; round <= 2; round++) {
		assert_int_equal(baton_who(port).generation, round);
		assert_int_equal(baton_who((uint16_t)(port + 1)).generation, round);
		local = client_open_unix(tempdir_path(b.dir, "l"));
		assert_int_equal(client_get(local, "/pid")->status, 200);
		client_close(local);
		baton_restart(&b);
	}
	baton_stop(&b);
}

/* A socket unit of systemd may have bound it: its file is the manager's. */
static void
a_unix_socket_may_be_given(void **state)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const char *dir = tempdir_new(), *conf;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct client *c;
	struct proc *p;

	(void)state;
	strcpy(un.sun_path, tempdir_path(dir, "w"));
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 8), 0);
	conf = tempdir_write(dir, "conf",
	    "[supervisor]\ncontrol = %s/control\n[service w]\ncommand = %s\nlisten = unix:%s\n",
	    dir, harness_built("tests/fixtures/worker"), un.sun_path);
	p = proc_start(
	    &(struct proc_spec){.argv = (const char *const[]){"baton", "run", "-c", conf, NULL},
		.env = (const char *const[]){"LISTEN_FDS=1", "LISTEN_PID=00000000", NULL},
		.fds = &fd,
		.fds_n = 1});
	proc_expect(p, PROC_OUT, "^sockets from the service manager: 1$");
	proc_expect(p, PROC_OUT, "^w\\.0  unix:/.*/w  pid [0-9]+  ready in ");
	c = client_open_unix(un.sun_path);
	client_send(c, "GET / HTTP/1.0\r\n\r\n");
	assert_int_equal(client_read(c, "GET")->status, 200);
	client_close(c); /* for which the worker waits */
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
	assert_int_equal(access(un.sun_path, F_OK), 0);
	close(fd);
}

/* What the kernel says about the listening socket of that port: how many may wait. Looked at by
 * its owner's descriptor, which kernels that are asked to be strict do not let us have. */
static unsigned
queue_of(const struct baton *b, uint16_t port)
{
	int pidfd = pidfd_open(proc_pid(b->proc), 0);
	unsigned queue = 0;

	assert_true(pidfd >= 0);
	for (int n = 3; n < 64 && queue == 0; n++) {
		struct sockaddr_in in = {.sin_port = 0};
		socklen_t len = sizeof(in), info_len = sizeof(struct tcp_info);
		struct tcp_info info;
		int fd = pidfd_getfd(pidfd, n, 0);

		if (fd < 0 && errno == EPERM)
			harness_skip("it takes the right to look into a process");
		if (fd < 0)
			continue;
		/* Of a listening socket: what ss(8) shows as Send-Q. */
		if (getsockname(fd, (struct sockaddr *)&in, &len) == 0 &&
		    in.sin_family == AF_INET && ntohs(in.sin_port) == port &&
		    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) == 0)
			queue = info.tcpi_sacked;
		close(fd);
	}
	close(pidfd);
	return queue;
}

static void
the_queue_is_as_long_as_asked(void **state)
{
	uint16_t port = port_free(1);
	struct baton b =
	    worker(talloc_asprintf(harness_mem(), "backlog = 7\nlisten = 127.0.0.1:%d", port));
	struct who w;

	(void)state;
	baton_wait_ready(&b, 1);
	assert_int_equal(queue_of(&b, port), 7);
	/* … also after it has refused. */
	w = stage_ask(port);
	proc_finish(baton_command(&b, "stop", "w"), 0);
	stage_wait_gone(w.pid);
	assert_int_equal(client_try(port), ECONNREFUSED);
	proc_finish(baton_command(&b, "start", "w"), 0);
	assert_int_equal(queue_of(&b, port), 7);
	/* A reload changes it, and replaces nobody for that. */
	tempdir_write(b.dir, "baton.conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\nbacklog = 9\n"
	    "listen = 127.0.0.1:%d\n",
	    b.control, harness_built("tests/fixtures/worker"), port);
	w = stage_ask(port);
	proc_finish(baton_command(&b, "reload", NULL), 0);
	assert_int_equal(queue_of(&b, port), 9);
	assert_int_equal(stage_ask(port).pid, w.pid);
	end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(families_are_as_written),
	    e2e_test(families_do_not_collide),
	    e2e_test(ipv6_connections_move),
	    e2e_test(sockets_come_in_order_with_their_names),
	    e2e_test(hello_serves_on_all_its_sockets),
	    e2e_test(a_unix_socket_may_be_given),
	    e2e_test(the_queue_is_as_long_as_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
