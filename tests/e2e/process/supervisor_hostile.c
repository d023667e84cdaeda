/* SPDX-License-Identifier: MIT */
/*
 * A service's user owns the directories that its logs, its environment and its socket are in, and
 * places symbolic links there: baton, which is root, is not led to other files.
 */
#include "tests/e2e/supervisor_stage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOMEBODY 65534

struct scene {
	struct stage *s;
	const char *home;   /* the user's */
	const char *victim; /* root's own, and nobody else's */
};

static void
write_conf(struct scene *x, const char *lines)
{
	tempdir_write(x->s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s/worker %s\nuser = nobody\n"
	    "listen = 127.0.0.1:%d\n%s\n",
	    x->s->control, x->s->dir, x->s->mode, x->s->port, lines);
}

/* Not started yet. */
static struct scene
scene_new(void)
{
	struct scene x = {.s = stage_new("")};

	if (geteuid() != 0) {
		print_message("skipped: only root's baton has more rights than its services\n");
		harness_skip("it takes root");
	}
	assert_int_equal(chmod(x.s->dir, 0755), 0);
	x.home = tempdir_path(x.s->dir, "home");
	assert_int_equal(mkdir(x.home, 0755), 0);
	assert_int_equal(chown(x.home, SOMEBODY, SOMEBODY), 0);
	x.victim = tempdir_write(x.s->dir, "victim", "SECRET=root's\n");
	assert_int_equal(chmod(x.victim, 0600), 0);
	return x;
}

static void
start(struct scene *x)
{
	stage_run(x->s);
	proc_expect(x->s->baton, PROC_OUT, "^Ctrl-C ");
}

static const char *
at(const struct scene *x, const char *name)
{
	return tempdir_path(x->home, name);
}

/* As the user would do it. */
static void
lead(const struct scene *x, const char *name, uid_t uid)
{
	unlink(at(x, name));
	assert_int_equal(symlink(x->victim, at(x, name)), 0);
	assert_int_equal(lchown(at(x, name), uid, uid), 0);
}

static void
assert_untouched(const struct scene *x)
{
	struct stat st;

	assert_int_equal(stat(x->victim, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_string_equal(tempdir_read(x->victim), "SECRET=root's\n");
}

#define LINES(format, ...) talloc_asprintf(harness_mem(), format, __VA_ARGS__)

static void
logs_do_not_go_where_a_link_leads(void **state)
{
	struct scene x = scene_new();
	struct proc *p;

	(void)state;
	stage_mode(x.s, "halves");
	write_conf(&x, LINES("stdout = %s", at(&x, "out.log")));
	start(&x);
	/* Rotated, and in its place a link. */
	assert_int_equal(rename(at(&x, "out.log"), at(&x, "out.log.1")), 0);
	lead(&x, "out.log", SOMEBODY);
	proc_signal(x.s->baton, SIGUSR1);
	proc_expect(x.s->baton, PROC_ERR,
	    "^baton: SIGUSR1: .*/out.log: a symbolic link of another user .* is in the way; .*; "
	    "the file that is open is written on$");
	stage_ask(x.s->port);
	wait_until(
	    "the line is in the file that was open", strlen(tempdir_read(at(&x, "out.log.1"))) > 0);
	assert_untouched(&x);
	/* A name for it is none either. */
	unlink(at(&x, "out.log"));
	assert_int_equal(link(x.victim, at(&x, "out.log")), 0);
	proc_signal(x.s->baton, SIGUSR1);
	proc_expect(x.s->baton, PROC_ERR, "out.log: the file has another name");
	/* Nor does a reload follow one, or a start. */
	lead(&x, "err.log", SOMEBODY);
	write_conf(&x, LINES("stdout = lines\nstderr = %s", at(&x, "err.log")));
	p = proc_finish(stage_cli(x.s, "reload"), 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "nothing has changed: cannot open the log file .*symbolic"));
	stage_stop(x.s);
	stage_run(x.s);
	proc_finish(x.s->baton, 1);
	assert_untouched(&x);
	/* One that root has placed is as good as a path. */
	lead(&x, "err.log", 0);
	start(&x);
	stage_stop(x.s);
}

static void
the_environment_is_not_read_where_a_link_leads(void **state)
{
	struct scene x = scene_new();
	struct proc *p;

	(void)state;
	tempdir_write(x.home, "env", "A=1\n");
	write_conf(&x, LINES("env_file = %s", at(&x, "env")));
	start(&x);
	lead(&x, "env", SOMEBODY);
	p = proc_finish(stage_cli(x.s, "restart"), 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "env_file: .*/env: a symbolic link of another user"));
	assert_int_equal(stage_ask(x.s->port).generation, 1);
	stage_stop(x.s);
}

/* The directory above is the user's as well: nothing is made, or removed, behind its link. */
static void
sockets_are_not_made_where_a_link_leads(void **state)
{
	struct scene x = scene_new();
	const char *elsewhere = tempdir_path(x.s->dir, "elsewhere");
	struct proc *p;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(elsewhere, 0700), 0);
	assert_int_equal(mkdir(at(&x, "run"), 0755), 0);
	assert_int_equal(chown(at(&x, "run"), SOMEBODY, SOMEBODY), 0);
	write_conf(&x, LINES("listen.u = unix:%s", at(&x, "run/u")));
	start(&x);
	assert_int_equal(lstat(at(&x, "run/u"), &st), 0);
	/* Its file goes away, and a link leads to others of the same name. */
	tempdir_write(elsewhere, "u", "root's\n");
	assert_int_equal(rename(at(&x, "run"), at(&x, "was")), 0);
	assert_int_equal(symlink(elsewhere, at(&x, "run")), 0);
	assert_int_equal(lchown(at(&x, "run"), SOMEBODY, SOMEBODY), 0);
	write_conf(&x,
	    LINES("listen.u = unix:%s\nsocket_mode = 0600\nsocket_user = nobody", at(&x, "run/u")));
	proc_wait(stage_cli(x.s, "reload"));
	stage_stop(x.s);
	assert_int_equal(lstat(tempdir_path(elsewhere, "u"), &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	/* And not a new one either. */
	unlink(tempdir_path(elsewhere, "u"));
	stage_run(x.s);
	p = proc_finish(x.s->baton, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "cannot listen on unix:.*symbolic link"));
	assert_int_equal(lstat(tempdir_path(elsewhere, "u"), &st), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(logs_do_not_go_where_a_link_leads),
	    e2e_test(the_environment_is_not_read_where_a_link_leads),
	    e2e_test(sockets_are_not_made_where_a_link_leads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
