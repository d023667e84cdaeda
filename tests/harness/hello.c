/* SPDX-License-Identifier: MIT */
/* The example program `hello` under test, alone (see hello.h). */
#include "tests/harness/hello.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#undef hello_start
#undef hello_port
#undef hello_stop

#define ON_PORT " on port "

uint16_t
hello_port(struct proc *p, const char *name)
{
	const char *regex = talloc_asprintf(harness_mem(), "listening: %s" ON_PORT, name);
	const char *line = (proc_expect)(p, PROC_ERR, regex);

	return (uint16_t)strtoul(strstr(line, ON_PORT) + strlen(ON_PORT), NULL, 10);
}

struct hello
hello_start(const char *const *env)
{
	struct hello h;

	h.proc = (proc_start)(&(struct proc_spec){
	    .argv = (const char *const[]){"hello", "--listen", "127.0.0.1:0", NULL},
	    .env = env,
	});
	h.port = hello_port(h.proc, "web");
	return h;
}

void
hello_stop(struct hello *h)
{
	proc_signal(h->proc, SIGTERM);
	(proc_finish)(h->proc, 0);
}
