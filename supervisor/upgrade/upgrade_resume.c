/* SPDX-License-Identifier: MIT */
/* `baton upgrade`, in the new program: it is asked whether it could go on, and does. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/asker.h"
#include "supervisor/upgrade/state_tree.h"
#include "supervisor/upgrade/upgrade.h"

/* Room for the reason why it cannot go on, which must be there however little memory there is. */
#define WHY_MAX_BYTES 1024

bool
upgrade_inherited(struct upgrade_inherited *out)
{
	const char *value = getenv(UPGRADE_ENV);
	struct upgrade_inherited in = {.state_fd = -1, .before_fd = -1};
	int pid = 0, program_fd = -1, end = 0;

	if (value != NULL &&
	    sscanf(value, "%d:%d:%d:%d%n", &pid, &in.state_fd, &program_fd, &in.before_fd, &end) ==
		4 &&
	    value[end] == ':')
		in.why = value + end + 1;
	/* As with LISTEN_PID: what was meant for another process means nothing here. */
	if (pid != (int)getpid() || in.state_fd <= STDERR_FILENO || program_fd <= STDERR_FILENO) {
		unsetenv(UPGRADE_ENV);
		return false;
	}
	close(program_fd);
	fcntl(in.state_fd, F_SETFD, FD_CLOEXEC);
	if (in.before_fd >= 0)
		fcntl(in.before_fd, F_SETFD, FD_CLOEXEC);
	*out = in;
	return true;
}

struct loaded {
	struct supervisor *sup; /* NULL: nothing may be freed, state.h says why */
	struct state_doc *doc;  /* NULL: nothing was read */
	const char *why;
	const char *version; /* whose state it is */
};

static struct loaded
load(TALLOC_CTX *mem, int fd)
{
	struct loaded l = {.why = "there is no memory", .version = "?"};
	struct state root;
	size_t len;
	char *text = state_memfd_read(mem, fd, &len, &l.why);

	if (text == NULL)
		return l;
	l.doc = state_doc_parse(mem, text, len);
	talloc_free(text);
	if (l.doc == NULL)
		return l;
	if (state_error(l.doc) == NULL)
		l.sup = state_load(mem, l.doc);
	l.why = state_error(l.doc);
	root = state_root(l.doc);
	state_text(&root, "version", mem, (char **)&l.version);
	return l;
}

int
upgrade_check_main(void)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const struct loaded l = load(mem, STDIN_FILENO);
	const bool good = l.sup != NULL;

	if (good)
		dprintf(STDOUT_FILENO, "%s%s\n", UPGRADE_YES, BATON_VERSION);
	else
		dprintf(
		    STDERR_FILENO, "baton %s cannot go on from here: %s\n", BATON_VERSION, l.why);
	_exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
}

static unsigned
count_kept(const struct supervisor *sup)
{
	unsigned n = 0;

	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned k = 0; k < sup->all.services[i]->ninstances; k++)
			n += sup->all.services[i]->instances[k]->life.alive != 0;
	}
	return n;
}

static void
tell(struct supervisor *sup, const char *from)
{
	unsigned n = count_kept(sup);
	char *text = talloc_asprintf(sup, "from %s to %s, pid %d, %u instance%s kept", from,
	    BATON_VERSION, (int)getpid(), n, n == 1 ? "" : "s");

	output_say(sup->base.out, "baton was upgraded %s", text == NULL ? "" : text);
	event_emit(&sup->all, NULL, NULL, "upgrade", json_pack("{s:b}", "ok", 1), "%s",
	    text == NULL ? "done" : text);
	talloc_free(text);
	asker_result(
	    sup->upgrade.asker, json_pack("{s:b s:s s:s s:i s:i}", "ok", 1, "from", from, "to",
				    BATON_VERSION, "pid", (int)getpid(), "instances", (int)n));
}

/* The program that was replaced goes on, from the same state. Returns only if there is none, or
 * it cannot be executed: with the reason. */
static const char *
go_back(const struct upgrade_inherited *in, const struct loaded *l, const char *why, char **argv)
{
	static char variable[WHY_MAX_BYTES];
	const struct upgrade_question q = {
	    .doc = l->doc, .state_fd = in->state_fd, .program_fd = in->before_fd};

	if (in->why != NULL)
		return "this is the old program already";
	if (in->before_fd < 0)
		return "the old program is not open";
	/* The variable is in the environment still, so putenv(3) takes no memory. */
	snprintf(variable, sizeof(variable),
	    UPGRADE_ENV "=%d:%d:%d:-1:baton %s was asked and could go on, and then could not: %s",
	    (int)getpid(), in->state_fd, in->before_fd, BATON_VERSION, why);
	if (putenv(variable) != 0)
		return strerrordesc_np(errno);
	return strerrordesc_np(-upgrade_execute(&q, argv));
}

static void __attribute__((noreturn))
fail(const struct upgrade_inherited *in, const struct loaded *l, const char *why, char **argv)
{
	const char *no_way_back = go_back(in, l, why, argv);

	fprintf(stderr,
	    "baton: the upgrade failed after it had begun: %s; there is no way back: %s; baton ends "
	    "here, its instances go on without it\n",
	    why, no_way_back);
	_exit(EXIT_FAILURE);
}

int
upgrade_resume_main(const struct upgrade_inherited *in, char **argv)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const struct loaded l = load(mem, in->state_fd);
	struct supervisor *sup = l.sup;
	int error = sup == NULL ? -EINVAL : signals_start(sup);

	if (error < 0)
		fail(in, &l, l.why != NULL ? l.why : strerrordesc_np(-error), argv);
	unsetenv(UPGRADE_ENV);
	talloc_free(l.doc);
	close(in->state_fd);
	if (in->before_fd >= 0)
		close(in->before_fd);
	/* ps(1) would call a program that was executed by a descriptor by that number. */
	prctl(PR_SET_NAME, program_invocation_short_name);
	sup->upgrade.argv = argv;
	upgrade_install(sup);
	manager_complain(sup);
	if (in->why == NULL)
		tell(sup, l.version);
	else
		upgrade_refused(sup, sup->upgrade.asker, in->why);
	/* Processes that ended meanwhile are zombies now, and the program before may have taken the
	 * SIGCHLD that tells of them. */
	signals_reap(sup);
	error = supervisor_run(sup);
	talloc_free(mem);
	return error;
}
