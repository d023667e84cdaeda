/* SPDX-License-Identifier: MIT */
/* baton as somebody's service: what it tells its manager, and what it does with its sockets. */
#include "tests/e2e/daemon/under_manager.h"

#include <sys/stat.h>
#include <unistd.h>

static ino_t
inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void
it_hears_of_every_phase(void **state)
{
	struct stage *s = stage_new("");
	struct manager *m = manager_new();
	long long usec = 0;

	(void)state;
	s->baton = manager_run(m, RUN(s), NULL);
	assert_string_equal(
	    manager_hear(m), talloc_asprintf(harness_mem(), "MAINPID=%d\nSTATUS=starting\n",
				 (int)proc_pid(s->baton)));
	assert_string_equal(manager_hear(m), "READY=1\nSTATUS=running\n");
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(
	    sscanf(manager_hear(m), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reading", &usec), 1);
	assert_true(usec / 1000 <= harness_now_ms() && usec / 1000 > harness_now_ms() - 600000);
	assert_string_equal(manager_hear(m), "READY=1\nSTATUS=running\n");
	write_conf(s, "nonsense\n");
	proc_signal(s->baton, SIGHUP);
	assert_int_equal(strncmp(manager_hear(m), "RELOADING=1\n", 12), 0);
	assert_int_equal(
	    strncmp(manager_hear(m), "READY=1\nSTATUS=running; the last reload failed", 46), 0);
	proc_signal(s->baton, SIGTERM);
	assert_string_equal(manager_hear(m), "STOPPING=1\nSTATUS=stopping\n");
	proc_finish(s->baton, 0);
}

static void
it_is_fed_if_it_asks_for_that(void **state)
{
	struct stage *s = stage_new("");
	struct manager *m = manager_new();

	(void)state;
	s->baton = manager_run(m, RUN(s), (const char *const[]){"WATCHDOG_USEC=50000", NULL});
	manager_expect(m, "READY=1\n");
	for (int i = 0; i < 5; i++)
		assert_string_equal(manager_hear(m), "WATCHDOG=1\n");
	proc_signal(s->baton, SIGTERM);
	manager_expect(m, "STOPPING=1\n");
	proc_finish(s->baton, 0);
	/* It asks somebody else. */
	s->baton = manager_run(
	    m, RUN(s), (const char *const[]){"WATCHDOG_USEC=1000", "WATCHDOG_PID=1", NULL});
	while (strstr(manager_hear(m), "READY=1\n") == NULL)
		; /* what the first one still said */
	proc_finish(stage_cli(s, "restart"), 0);
	proc_signal(s->baton, SIGTERM);
	assert_string_equal(manager_hear(m), "STOPPING=1\nSTATUS=stopping\n");
	proc_finish(s->baton, 0);
}

/* `systemctl restart`: between the two batons the manager alone has the sockets. */
static void
a_restart_of_baton_refuses_nobody(void **state)
{
	struct stage *s = stage_new("");
	struct manager *m = manager_new();
	struct load *l;
	struct load_result r;
	const char *where;

	(void)state;
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service h]\ncommand = %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%u\nlisten.any = 127.0.0.1:0\n",
	    s->control, harness_built("hello"), s->port);
	s->baton = manager_run(m, RUN(s), NULL);
	manager_expect(m, "READY=1\n");
	manager_wait_stored(m, 4);
	where = stage_status(s);
	l = load_start(&(struct load_spec){.port = s->port, .ports = 2, .oneshot = 4, .gap_ms = 1});
	for (int i = 0; i < 3; i++) {
		ino_t before = inode(m->store[0].fd);

		load_wait_ok(l, 50);
		proc_signal(s->baton, SIGTERM);
		proc_finish(s->baton, 0);
		s->baton = manager_run(m, RUN(s), NULL);
		proc_expect(s->baton, PROC_OUT, "^sockets from the service manager: 4$");
		manager_expect(m, "READY=1\n");
		assert_int_equal(m->stored, 4);
		assert_int_equal(inode(m->store[0].fd), before);
		load_wait_ok(l, 50);
	}
	r = load_stop(l);
	load_assert_clean(&r);
	/* Ports that the kernel chose are the same, too. */
	for (const char *at = where; (at = strstr(at, "http://")) != NULL; at++) {
		const char *url = talloc_strndup(harness_mem(), at, strcspn(at, " \n"));

		assert_non_null(strstr(stage_status(s), url));
	}
	stage_stop(s);
}

static void
what_is_closed_for_good_leaves_the_store(void **state)
{
	struct stage *s = stage_new("");
	struct manager *m = manager_new();

	(void)state;
	s->baton = manager_run(m, RUN(s), NULL);
	manager_wait_stored(m, 2);
	manager_expect(m, "READY=1\n");
	proc_finish(stage_cli(s, "scale", "w=1"), 0);
	manager_wait_stored(m, 1);
	assert_true(stage_matches(m->store[0].name, "^w\\.0\\.w\\.[0-9]+$"));
	proc_finish(stage_cli(s, "scale", "w=2"), 0);
	manager_wait_stored(m, 2);
	/* Another address for one of two services, while baton runs … */
	write_conf(s,
	    talloc_asprintf(harness_mem(), "%s%s",
		service(s, "w", talloc_asprintf(harness_mem(), "listen = 127.0.0.1:%u", s->port)),
		service(s, "x", "listen = 127.0.0.1:0")));
	proc_finish(stage_cli(s, "reload"), 0);
	while (m->stored != 2 || !stage_matches(m->store[1].name, "^x\\.0\\.x\\."))
		manager_wait_stored(m, m->stored == 2 ? 3 : 2);
	stage_stop(s);
	manager_expect(m, "STOPPING=1\n");
	/* … and while it does not. */
	write_conf(
	    s, service(s, "w", talloc_asprintf(harness_mem(), "listen = 127.0.0.1:%u", s->port)));
	s->baton = manager_run(m, RUN(s), NULL);
	manager_wait_stored(m, 1);
	assert_true(stage_matches(m->store[0].name, "^w\\.0\\.w\\."));
	manager_expect(m, "READY=1\n");
	assert_int_equal(stage_ask(s->port).instance, 0);
	stage_stop(s);
}

/* The new program in the old process knows what the manager has, and feeds it on. */
static void
its_own_upgrade_changes_nothing(void **state)
{
	struct stage *s = stage_new("");
	struct manager *m = manager_new();

	(void)state;
	s->baton = manager_run(m, RUN(s), (const char *const[]){"WATCHDOG_USEC=50000", NULL});
	manager_wait_stored(m, 2);
	manager_expect(m, "READY=1\n");
	proc_finish(stage_cli(s, "upgrade"), 0);
	for (int i = 0; i < 3; i++)
		manager_expect(m, "WATCHDOG=1\n");
	proc_finish(stage_cli(s, "scale", "w=1"), 0);
	manager_wait_stored(m, 1);
	assert_true(stage_matches(m->store[0].name, "^w\\.0\\.w\\.[0-9]+$"));
	proc_finish(stage_cli(s, "reload"), 0);
	manager_expect(m, "RELOADING=1\n");
	manager_expect(m, "READY=1\n");
	proc_signal(s->baton, SIGTERM);
	manager_expect(m, "STOPPING=1\n");
	proc_finish(s->baton, 0);
	assert_int_equal(m->stored, 1); /* the reload found nothing new in the file */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(it_hears_of_every_phase),
	    e2e_test(it_is_fed_if_it_asks_for_that),
	    e2e_test(a_restart_of_baton_refuses_nobody),
	    e2e_test(what_is_closed_for_good_leaves_the_store),
	    e2e_test(its_own_upgrade_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
