/* SPDX-License-Identifier: MIT */
/* The supervisor under test (see baton.h). */
#include "tests/harness/baton.h"

#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/client.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

#undef baton_start
#undef baton_hello
#undef baton_serve
#undef baton_wait_ready
#undef baton_command
#undef baton_restart
#undef baton_stop
#undef baton_who

struct baton
baton_start(const struct baton_spec *spec)
{
	struct baton b = {.dir = spec->dir != NULL ? spec->dir : (tempdir_new)()};
	const char *program = spec->program != NULL ? spec->program : "baton";

	/* The build may lie where an ordinary user cannot look. */
	if (spec->uid != 0 && spec->program == NULL)
		program = tempdir_copy(b.dir, "baton", (harness_built)("baton"));
	b.control = tempdir_path(b.dir, "control.sock");
	b.config = tempdir_write(
	    b.dir, "baton.conf", "[supervisor]\ncontrol = %s\n%s", b.control, spec->services);
	if (spec->uid != 0)
		tempdir_own(b.dir, spec->uid);
	b.proc = (proc_start)(&(struct proc_spec){
	    .argv = (const char *const[]){program, "run", "-c", b.config, NULL},
	    .uid = spec->uid,
	    .cwd = b.dir,
	});
	return b;
}

void
baton_wait_ready(struct baton *b, int instances)
{
	for (int i = 0; i < instances; i++)
		(proc_expect)(b->proc, PROC_OUT, "ready in");
}

struct baton
baton_serve(uint16_t port, int instances, const char *command, const char *lines)
{
	struct baton b = (baton_start)(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service s]\ncommand = %s\ninstances = %d\nlisten = %s\n%s\n", command, instances,
		port_address(port), lines),
	});

	(baton_wait_ready)(&b, instances);
	return b;
}

struct baton
baton_hello(uint16_t port, int instances)
{
	return (baton_serve)(port, instances, harness_built("hello"), "");
}

struct proc *
baton_command(struct baton *b, const char *command, const char *arg)
{
	return (proc_start)(&(struct proc_spec){
	    .argv = (const char *const[]){"baton", command, "-c", b->config, arg, NULL},
	});
}

void
baton_restart(struct baton *b)
{
	(proc_finish)((baton_command)(b, "restart", NULL), 0);
}

/* The first line that matches, for a message; NULL if none does. */
static const char *
find_line(const char *text, const char *regex)
{
	regmatch_t match;
	regex_t re;
	int no;

	assert_int_equal(regcomp(&re, regex, REG_EXTENDED | REG_NEWLINE), 0);
	no = regexec(&re, text, 1, &match, 0);
	regfree(&re);
	return no ? NULL
		  : talloc_strndup(
			harness_mem(), text + match.rm_so, (size_t)(match.rm_eo - match.rm_so));
}

void
baton_stop(struct baton *b)
{
	const char *bad;

	proc_signal(b->proc, SIGTERM);
	(proc_finish)(b->proc, 0);
	if (harness_count_children() > 0)
		harness_fail(
		    "baton has ended and left %d processes behind", harness_count_children());
	bad = find_line(proc_text(b->proc, PROC_OUT), "^.*exited with status [^0].*$");
	if (bad == NULL) /* a sanitizer's report */
		bad = find_line(proc_text(b->proc, PROC_ERR), "^.*(Sanitizer|runtime error):.*$");
	if (bad != NULL)
		harness_fail(
		    "an instance has ended badly: %s\n%s", bad, proc_text(b->proc, PROC_ERR));
}

struct baton_who
baton_who(uint16_t port)
{
	struct baton_who w;
	const char *text = (client_fetch)(port, "/pid");

	if (sscanf(text, "pid %d instance %d generation %d", &w.pid, &w.instance, &w.generation) !=
	    3)
		harness_fail("port %u is not hello: %s", port, text);
	return w;
}
