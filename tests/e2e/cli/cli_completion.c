/* SPDX-License-Identifier: MIT */
/* etc/completion/baton in a real bash: what it offers for a command line. */
#include "tests/e2e/supervisor_stage.h"

/* What is offered for the last of WORDS (after `baton`), each followed by a blank. CONF, for
 * "-c", stands for the stage's configuration. */
static const char *
complete(const struct stage *s, const char *const *words)
{
	const char *argv[20] = {"/bin/bash", "--norc", "-c",
	    ". etc/completion/baton; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _baton;"
	    "printf '%s ' \"${COMPREPLY[@]}\"",
	    "bash", harness_built("baton")};
	struct proc *p;
	int n = 6;

	for (; *words != NULL; words++)
		argv[n++] = s != NULL && strcmp(*words, "CONF") == 0 ? s->conf : *words;
	p = proc_start(&(struct proc_spec){.argv = argv});
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_ERR), "");
	return proc_text(p, PROC_OUT);
}
#define COMPLETE(stage, ...) complete(stage, (const char *const[]){__VA_ARGS__, NULL})

static void
commands_and_options_are_completed(void **state)
{
	(void)state;
	assert_string_equal(COMPLETE(NULL, "sta"), "status start ");
	assert_string_equal(COMPLETE(NULL, "--v"), "--version ");
	assert_string_equal(COMPLETE(NULL, "nothing"), " ");
	assert_string_equal(COMPLETE(NULL, "help", "conf"), "config ");
	assert_string_equal(COMPLETE(NULL, "help", "relo"), "reload ");
	assert_string_equal(COMPLETE(NULL, "help", "config", "health_"),
	    "health_interval_ms health_timeout_ms health_failures ");
	assert_string_equal(COMPLETE(NULL, "help", "status", ""), " ");
	assert_string_equal(COMPLETE(NULL, "run", "--ready", ""), "notify fd none ");
	assert_string_equal(COMPLETE(NULL, "status", "--co"), "--config --control --color ");
	assert_string_equal(COMPLETE(NULL, "logs", "--f"), "--follow ");
	assert_string_equal(COMPLETE(NULL, "status", "--color", "a"), "auto always ");
	assert_string_equal(COMPLETE(NULL, "status", "--color", "=", "n"), "never ");
	assert_string_equal(COMPLETE(NULL, "status", "--color", "="), "auto always never ");
	assert_string_equal(COMPLETE(NULL, "run", "--re"), "--ready ");
	assert_string_equal(COMPLETE(NULL, "run", "--ready", "no"), "notify none ");
	assert_string_equal(COMPLETE(NULL, "check", "-c", "etc/baton.c"), "etc/baton.conf ");
	assert_string_equal(COMPLETE(NULL, "run", "etc/baton.c"), "etc/baton.conf ");
	assert_string_equal(COMPLETE(NULL, "logs", "-n", ""), " ");
}

static void
services_and_instances_are_completed(void **state)
{
	struct stage *s =
	    stage_new("listen.admin = 127.0.0.1:0\n[service web]\ncommand = sleep 600\n");

	(void)state;
	/* Nobody answers: nothing is offered, and nothing is said. */
	assert_string_equal(COMPLETE(s, "restart", "-c", "CONF", ""), " ");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^w\\.1 ");
	assert_string_equal(COMPLETE(s, "restart", "-c", "CONF", ""), "w w.0 w.1 web web.0 ");
	assert_string_equal(COMPLETE(s, "logs", "-f", "-c", "CONF", "w."), "w.0 w.1 ");
	assert_string_equal(COMPLETE(s, "stop", "--control", s->control, "we"), "web web.0 ");
	assert_string_equal(COMPLETE(s, "scale", "-c", "CONF", ""), "w= web= ");
	assert_string_equal(COMPLETE(s, "scale", "-c", "CONF", "w", "=", ""), " ");
	assert_string_equal(COMPLETE(s, "reload", "-c", "CONF", ""), " ");
	proc_signal(s->baton, SIGTERM);
	proc_finish(s->baton, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(commands_and_options_are_completed),
	    e2e_test(services_and_instances_are_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
