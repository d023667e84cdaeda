/* SPDX-License-Identifier: MIT */
/* `baton upgrade`, in the new program: it is asked whether it could go on, and does. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "supervisor/cli.h"
#include "supervisor/control.h"
#include "supervisor/state.h"
#include "supervisor/supervisor.h"
#include "supervisor/upgrade.h"

int
upgrade_inherited(void)
{
	const char *value = getenv(UPGRADE_ENV);
	int pid = 0, state_fd = -1, program_fd = -1;
	bool mine = value != NULL && sscanf(value, "%d:%d:%d", &pid, &state_fd, &program_fd) == 3 &&
		    pid == (int)getpid();

	/* As with LISTEN_PID: what was meant for another process means nothing here. */
	unsetenv(UPGRADE_ENV);
	if (!mine || state_fd <= STDERR_FILENO || program_fd <= STDERR_FILENO)
		return -1;
	close(program_fd);
	fcntl(state_fd, F_SETFD, FD_CLOEXEC);
	return state_fd;
}

/* NULL with *WHY set: nothing may be freed then, state.h says why. */
static struct supervisor *
load(TALLOC_CTX *mem, int fd, const char **version, const char **why)
{
	struct supervisor *sup;
	struct state_doc *doc;
	struct state root;
	size_t len;
	char *text = state_memfd_read(mem, fd, &len, why);

	if (text == NULL)
		return NULL;
	doc = state_doc_parse(mem, text, len);
	sup = doc == NULL || state_error(doc) != NULL ? NULL : state_load(mem, doc);
	*why = doc == NULL ? "there is no memory" : state_error(doc);
	talloc_free(text);
	if (sup == NULL)
		return NULL;
	root = state_root(doc);
	state_text(&root, "version", sup, (char **)version);
	talloc_free(doc);
	return sup;
}

int
upgrade_check_main(void)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *why = NULL, *version;

	bool good = load(mem, STDIN_FILENO, &version, &why) != NULL;

	if (good)
		dprintf(STDOUT_FILENO, "%s%s\n", UPGRADE_YES, BATON_VERSION);
	else
		dprintf(STDERR_FILENO, "baton %s cannot go on from here: %s\n", BATON_VERSION, why);
	_exit(good ? CLI_OK : CLI_FAILED);
}

static unsigned
count_kept(const struct supervisor *sup)
{
	unsigned n = 0;

	for (size_t i = 0; i < sup->nservices; i++) {
		for (unsigned k = 0; k < sup->services[i]->ninstances; k++)
			n += sup->services[i]->instances[k]->life.alive != 0;
	}
	return n;
}

static void
tell(struct supervisor *sup, const char *from)
{
	unsigned n = count_kept(sup);
	char *text = talloc_asprintf(sup, "from %s to %s, pid %d, %u instance%s kept", from,
	    BATON_VERSION, (int)getpid(), n, n == 1 ? "" : "s");

	output_say(sup->out, "baton was upgraded %s", text == NULL ? "" : text);
	event_emit(sup, NULL, NULL, "upgrade", json_pack("{s:b}", "ok", 1), "%s",
	    text == NULL ? "done" : text);
	talloc_free(text);
	if (sup->upgrader != NULL)
		client_result(
		    sup->upgrader, json_pack("{s:b s:s s:s s:i s:i}", "ok", 1, "from", from, "to",
				       BATON_VERSION, "pid", (int)getpid(), "instances", (int)n));
	if (sup->control != NULL)
		control_answer_lost(sup->control);
}

int
upgrade_resume_main(int fd, char **argv)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *why = NULL, *from = "?";
	struct supervisor *sup = load(mem, fd, &from, &why);
	int error = sup == NULL ? -EINVAL : signals_start(sup);

	if (error < 0) {
		fprintf(stderr,
		    "baton: the upgrade failed after it had begun: %s; baton ends here, its "
		    "instances go on without it\n",
		    why != NULL ? why : strerror(-error));
		_exit(CLI_FAILED);
	}
	close(fd);
	/* Executed by a descriptor it would be called by that number, in ps(1). */
	prctl(PR_SET_NAME, program_invocation_short_name);
	sup->argv = argv;
	tell(sup, from);
	error = supervisor_resume(sup);
	talloc_free(mem);
	return error;
}
