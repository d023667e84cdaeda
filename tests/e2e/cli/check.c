/* SPDX-License-Identifier: MIT */
/* `baton check` finds what a start would fail at: as the user who starts it, or as another one. */
#include "tests/e2e/supervisor_stage.h"

#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* A configuration in a directory that NOBODY may look at; @ in LINES stands for the directory. The
 * first line of LINES is the sixth of the file. */
struct place {
	const char *dir, *baton, *worker, *conf;
};

static const char *
fill(const char *text, const char *dir)
{
	char *out = talloc_strdup(harness_mem(), "");

	for (; *text != '\0'; text++)
		out = *text == '@' ? talloc_asprintf_append(out, "%s", dir)
				   : talloc_asprintf_append(out, "%c", *text);
	return out;
}

static struct place
place_new(const char *lines)
{
	struct place p = {.dir = tempdir_new()};

	assert_int_equal(chmod(p.dir, 0755), 0);
	p.baton = tempdir_copy(p.dir, "baton", harness_built("baton"));
	p.worker = tempdir_copy(p.dir, "worker", harness_built("tests/fixtures/worker"));
	assert_int_equal(mkdir(tempdir_path(p.dir, "closed"), 0700), 0);
	tempdir_copy(tempdir_path(p.dir, "closed"), "worker", p.worker);
	p.conf = tempdir_write(p.dir, "conf", "[supervisor]\ncontrol = %s\n\n[service w]\n%s\n",
	    tempdir_path(p.dir, "control"), fill(lines, p.dir));
	assert_int_equal(chmod(p.conf, 0644), 0);
	return p;
}

static struct proc *
check(const struct place *p, uid_t uid)
{
	struct proc *proc = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){p->baton, "check", "-c", p->conf, NULL},
	    .cwd = p->dir,
	    .uid = uid,
	});

	proc_wait(proc);
	return proc;
}

static void
assert_says(struct proc *p, int stream, const struct place *place, const char *regex)
{
	if (!stage_matches(proc_text(p, stream), fill(regex, place->dir)))
		harness_fail("%s\ndoes not match %s", proc_text(p, stream), regex);
}

static const struct {
	const char *lines, *error;
	bool as_root; /* only where the test may be another user */
} wrong[] = {
    {"command = @/worker\nstdout = /nowhere/log\n",
	"^baton: @/conf:6: \\[service w\\] stdout: the log file /nowhere/log cannot be opened or "
	"made: No such file or directory$",
	false},
    {"command = @/worker\nstderr = @/closed\n",
	":6: \\[service w\\] stderr: the log file @/closed cannot be opened or made: Is a directory$",
	false},
    {"command = @/worker\nlisten = 127.0.0.1:0\nlisten.x = unix:/nowhere/socket\n",
	":7: \\[service w\\] listen: unix:/nowhere/socket cannot be made there: its directory: No "
	"such file or directory$",
	false},
    {"command = @/worker\nlimit.core = 0\nlimit.nofile = 100:unlimited\n",
	":7: \\[service w\\] limit: expected a hard limit\\.nofile of at most [0-9]+, which is the "
	"kernel's own",
	false},
    {"command = @/worker\nhttp.log_level = loud\n",
	":6: \\[service w\\] http\\.log_level: expected .* it is error or warning or info or debug$",
	false},
    {"command = @/closed/worker\nuser = 65534\n",
	":5: \\[service w\\] command: expected a program that [a-z0-9]+ may execute, found "
	"\"@/closed/worker\": @/closed is closed to this user$",
	true},
    {"command = @/worker\nuser = 65534\ndirectory = @/closed\n",
	":7: \\[service w\\] directory: expected a directory that [a-z0-9]+ may enter, found "
	"\"@/closed\": @/closed is closed to this user$",
	true},
};

static void
what_a_start_would_fail_at_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct place p = place_new(wrong[i].lines);
		struct proc *proc;

		if (wrong[i].as_root && geteuid() != 0)
			continue;
		proc = check(&p, 0);
		proc_finish(proc, 2);
		assert_says(proc, PROC_ERR, &p, wrong[i].error);
	}
}

static void
the_control_socket_needs_its_directory(void **state)
{
	struct place p = place_new("command = @/worker\n");
	struct proc *proc;

	(void)state;
	tempdir_write(p.dir, "conf",
	    "[supervisor]\n\ncontrol = nowhere/control\n[service w]\ncommand = %s\n", p.worker);
	proc = proc_finish(check(&p, 0), 2);
	assert_says(proc, PROC_ERR, &p,
	    "^baton: @/conf:3: \\[supervisor\\] control: @/nowhere/control cannot be made there: its "
	    "directory: No such file or directory$");
}

/* Nothing is made or changed by looking. */
static void
what_is_good_passes_and_stays_as_it_was(void **state)
{
	struct place p = place_new("command = @/worker\nstdout = @/log\nlisten = unix:@/socket\n"
				   "directory = @\nlimit.nofile = 64:128\n");
	struct proc *proc = proc_finish(check(&p, 0), 0);

	(void)state;
	assert_says(proc, PROC_OUT, &p, "^@/conf: good: 1 service, 1 instance$");
	assert_string_equal(proc_text(proc, PROC_ERR), "");
	assert_int_equal(access(tempdir_path(p.dir, "log"), F_OK), -1);
	assert_int_equal(access(tempdir_path(p.dir, "socket"), F_OK), -1);
}

/* Who is not root may look at a configuration for root; what he cannot judge is noted. */
static void
root_is_not_needed_to_judge_another_user(void **state)
{
	struct place p;
	struct proc *proc;

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	p = place_new("command = @/worker\nuser = 12\nstdout = @/closed/log\nlisten = 127.0.0.1:7\n"
		      "nice = -5\n");
	proc = proc_finish(check(&p, NOBODY), 0);
	assert_says(proc, PROC_OUT, &p,
	    "^@/conf:6: \\[service w\\] user: note: not judged: only root may start programs");
	assert_says(
	    proc, PROC_OUT, &p, "^@/conf:7: \\[service w\\] stdout: note: not judged: the log");
	assert_says(proc, PROC_OUT, &p,
	    ":8: \\[service w\\] listen: note: not judged: only root.* port 7$");
	assert_says(proc, PROC_OUT, &p, "^@/conf: good: 1 service, 1 instance$");
	/* Who there is can be judged by anybody, and so can the modes of files. */
	p = place_new("command = @/worker\nuser = nobody-of-that-name\n");
	proc = proc_finish(check(&p, NOBODY), 2);
	assert_says(proc, PROC_ERR, &p, ":6: .* user: there is no user \"nobody-of-that-name\"$");
	p = place_new("command = @/worker\nuser = 12\ndirectory = @/closed\n");
	proc = proc_finish(check(&p, NOBODY), 2);
	assert_says(proc, PROC_ERR, &p, ":7: .* @/closed is closed to this user$");
	/* Without another user he is the one who will start it. */
	p = place_new("command = @/worker\nstdout = @/closed/log\nnice = -5\n");
	proc = proc_finish(check(&p, NOBODY), 2);
	assert_says(proc, PROC_ERR, &p, ":6: .* stdout: the log file @/closed/log cannot be");
	assert_says(proc, PROC_ERR, &p, ":7: .* nice: expected 0 or more, found -5: only root");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(what_a_start_would_fail_at_is_found),
	    e2e_test(the_control_socket_needs_its_directory),
	    e2e_test(what_is_good_passes_and_stays_as_it_was),
	    e2e_test(root_is_not_needed_to_judge_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
