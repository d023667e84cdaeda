/* SPDX-License-Identifier: MIT */
/* A new program that was asked, is executed, and then cannot go on: the old one does. */
#include "tests/e2e/upgrade/upgrade.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct stage *
start(const char **program)
{
	struct stage *s = stage_new("keep_good = 0\n"); /* a copy would be one descriptor more */

	*program = tempdir_copy(s->dir, "baton", harness_built("baton"));
	s->baton = proc_run(*program, "run", "-c", s->conf);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

/* It answers as a baton does. GOES_ON is what it does when it is executed, with the descriptors
 * of the state and of the program before in $state and $before. */
static void
put(struct stage *s, const char *program, const char *goes_on)
{
	const char *path = tempdir_write(s->dir, "new",
	    "#!/bin/bash\n"
	    "if test \"$1\" = upgrade-check; then exec %s upgrade-check; fi\n"
	    "IFS=: read -r pid state self before <<<\"$BATON_UPGRADE\"\n"
	    "%s\n",
	    harness_built("baton"), goes_on);

	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(rename(path, program), 0);
}

#define GO_BACK                                                            \
	"export BATON_UPGRADE=$pid:$state:$before:-1:'baton 9: not now'\n" \
	"eval \"exec $self>&-\"\n"                                         \
	"exec /proc/self/fd/$before \"$@\""

static int
count_descriptors(pid_t pid)
{
	struct proc *p =
	    proc_finish(proc_run("/bin/ls", talloc_asprintf(harness_mem(), "/proc/%d/fd", pid)), 0);
	int n = 0;

	for (const char *c = proc_text(p, PROC_OUT); *c != '\0'; c++)
		n += *c == '\n';
	return n;
}

/* The file of the old one is another by then. Whoever waits is told why, as if it had been
 * refused at once. */
static void
the_old_one_goes_on(void **state)
{
	const char *program;
	struct stage *s = start(&program);
	struct who w = stage_ask(s->port);
	struct proc *p;
	int before;

	(void)state;
	upgrade(s); /* what the first one has open is not what those after it have */
	put(s, program, GO_BACK);
	proc_finish(stage_cli(s, "upgrade"), 1);
	before = count_descriptors(proc_pid(s->baton));
	for (int i = 0; i < 3; i++) {
		p = proc_finish(stage_cli(s, "upgrade"), 1);
		assert_true(stage_matches(proc_text(p, PROC_ERR),
		    "^baton: upgrade failed: nothing has changed: baton 9: not now$"));
	}
	proc_signal(s->baton, SIGUSR2);
	for (int i = 0; i < 5; i++)
		proc_expect(s->baton, PROC_ERR, "^baton: upgrade failed: .* baton 9: not now$");
	wait_until("no more descriptors", count_descriptors(proc_pid(s->baton)) <= before);
	p = proc_finish(stage_cli(s, "events", "--no-follow"), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "upgrade +failed: baton 9: not now$"));
	assert_int_equal(stage_ask(s->port).pid, w.pid);
	kill(w.pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready .*was ended by signal 9");
	put(s, program, talloc_asprintf(harness_mem(), "exec %s \"$@\"", harness_built("baton")));
	upgrade(s);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 3);
	stage_stop(s);
}

/* What neither of the two can go on from: they do not execute each other for ever. */
static void
there_is_one_way_back(void **state)
{
	const char *program;
	struct stage *s = start(&program);
	struct who w[2];
	struct proc *p;

	(void)state;
	for (int i = 0; i < 2; i++)
		w[i] = stage_ask((uint16_t)(s->port + i));
	put(s, program,
	    talloc_asprintf(harness_mem(),
		"for n in {3..99}; do case $n in $state|$self|$before) ;; *) eval \"exec $n>&-\";; "
		"esac; done\nexec %s \"$@\"",
		harness_built("baton")));
	p = stage_cli(s, "upgrade");
	proc_finish(s->baton, 1);
	proc_finish(p, 3);
	assert_true(stage_matches(proc_text(s->baton, PROC_ERR),
	    "^baton: the upgrade failed after it had begun: .*descriptor [0-9]+ is not open; there "
	    "is no way back: this is the old program already; baton ends here, its instances go on "
	    "without it$"));
	/* They have no output any more, and no parent. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stage_ask((uint16_t)(s->port + i)).pid, w[i].pid);
		assert_int_equal(kill(w[i].pid, SIGKILL), 0);
		wait_until("it is gone, for nobody but us", waitpid(w[i].pid, NULL, WNOHANG) != 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_old_one_goes_on),
	    e2e_test(there_is_one_way_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
