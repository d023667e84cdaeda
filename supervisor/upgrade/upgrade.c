/* SPDX-License-Identifier: MIT */
/*
 * `baton upgrade`, in the program that is replaced: it has the new one asked, beside everything
 * else, and executes what it has asked. Until the exec nothing has changed.
 */
#include "supervisor/upgrade/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/control/control.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/asker.h"
#include "supervisor/deploy/deploy.h"
#include "supervisor/process/program.h"
#include "supervisor/upgrade/state_tree.h"

struct upgrade {
	struct supervisor *sup;
	char *path;
	int program_fd; /* of the new program: the same file is asked and executed */
	struct answer *asked;
};

static int
upgrade_close(struct upgrade *up)
{
	if (up->program_fd >= 0)
		close(up->program_fd);
	return 0;
}

void
upgrade_refused(struct supervisor *sup, struct asker *asker, const char *why)
{
	output_warn(sup->base.out, "upgrade failed: nothing has changed: %s", why);
	event_emit(
	    &sup->all, NULL, NULL, "upgrade", json_pack("{s:b}", "ok", 0), "failed: %s", why);
	asker_error(asker, "nothing has changed: %s", why);
}

/* Frees UP, which may be NULL. */
static void
refuse(struct supervisor *sup, struct upgrade *up, const char *why)
{
	sup->upgrade.attempt = NULL; /* first: the asker may ask for another at once */
	upgrade_refused(sup, sup->upgrade.asker, why);
	talloc_free(up);
}

static const char *
or_no_memory(const char *why)
{
	return why != NULL ? why : "there is no memory";
}

/* Why baton cannot be upgraded now, in MEM; NULL: it can. */
static const char *
not_now(const struct supervisor *sup, TALLOC_CTX *mem)
{
	char *why = NULL;

	if (sup->all.phase == SUP_STOPPING || sup->all.phase == SUP_DONE)
		return "baton is stopping";
	if (sup->deploy->reload != NULL)
		return "a reload is under way; ask again later";
	if (deploy_busy(sup->deploy, mem, &why))
		return or_no_memory(why);
	if (sup->deploy->roll != NULL)
		return or_no_memory(talloc_asprintf(
		    mem, "a restart is under way (%s); ask again later", roll_where(sup->deploy)));
	if (!LIST_EMPTY(&sup->deploy->jobs))
		return "instances are being started or stopped; ask again later";
	return NULL;
}

/* Writes the state as it is now to a sealed memfd, and to DOC which descriptors it names. Returns the
 * memfd, or -1 with *WHY set. */
static int
write_state(struct supervisor *sup, struct state_doc *doc, TALLOC_CTX *mem, const char **why)
{
	char *text;
	int fd;

	state_save(doc, sup);
	text = state_doc_text(mem, doc);
	if (text == NULL) {
		*why = or_no_memory(
		    talloc_asprintf(mem, "the state cannot be written: %s", state_error(doc)));
		return -1;
	}
	fd = state_memfd_write(text);
	talloc_free(text);
	if (fd < 0)
		*why = or_no_memory(
		    talloc_asprintf(mem, "the state cannot be written: %s", strerror(-fd)));
	return fd < 0 ? -1 : fd;
}

/* Returns only if the exec has failed: then everything is as it was. */
static int
replace(struct upgrade *up, const struct upgrade_question *q)
{
	/* By descriptor, as the file may have another name by now, or none; it must survive the exec. */
	int error, before_fd = open("/proc/self/exe", O_PATH);
	char *variable = talloc_asprintf(
	    up, "%d:%d:%d:%d", (int)getpid(), q->state_fd, q->program_fd, before_fd);

	error = variable == NULL || setenv(UPGRADE_ENV, variable, 1) < 0
		    ? -ENOMEM
		    : upgrade_execute(q, up->sup->upgrade.argv);
	unsetenv(UPGRADE_ENV);
	if (before_fd >= 0)
		close(before_fd);
	return error;
}

static void
execute(void *data)
{
	struct upgrade *up = talloc_get_type_abort(data, struct upgrade);
	struct state_doc *doc = state_doc_new(up);
	struct upgrade_question q = {.program_fd = up->program_fd, .doc = doc};
	const char *why;
	int error;

	/* Whoever waits for the status is answered now: after the exec nobody could. This comes before
	 * the checks, because what they ask for next may be a restart. */
	status_tell_all(up->sup->control);
	why = not_now(up->sup, up);
	if (why == NULL && doc == NULL)
		why = or_no_memory(NULL);
	if (why == NULL)
		control_dismiss(up->sup->control, up->sup->upgrade.asker);
	if (why == NULL && (q.state_fd = write_state(up->sup, doc, up, &why)) >= 0) {
		error = replace(up, &q);
		close(q.state_fd);
		why = talloc_asprintf(up, "%s: %s", up->path, strerror(-error));
	}
	refuse(up->sup, up, or_no_memory(why));
}

/* WHY is NULL if the new program has understood the state. It is executed from the loop, because
 * whoever calls this is in the middle of reaping children. */
static void
answered(const char *why, void *data)
{
	struct upgrade *up = talloc_get_type_abort(data, struct upgrade);

	if (why == NULL && timer_after(up, up->sup->base.timers, 0, execute, up) == NULL)
		why = "there is no memory";
	if (why != NULL)
		refuse(up->sup, up, why);
}

/* Has the new program asked. Returns NULL, or why that cannot be done. */
static const char *
try_it(struct upgrade *up)
{
	struct supervisor *sup = up->sup;
	struct upgrade_question q;
	struct state_doc *doc;
	const char *what, *why = NULL;
	int error;

	if (program_find(up, sup->upgrade.program, &up->path, &what) < 0)
		return or_no_memory(
		    talloc_asprintf(up, "%s: %s", sup->upgrade.program, or_no_memory(what)));
	up->program_fd = open(up->path, O_PATH | O_CLOEXEC);
	if (up->program_fd < 0)
		return or_no_memory(talloc_asprintf(up, "%s: %s", up->path, strerror(errno)));
	doc = state_doc_new(up);
	q = (struct upgrade_question){.program_fd = up->program_fd, .doc = doc};
	if (doc == NULL)
		return or_no_memory(NULL);
	q.state_fd = write_state(sup, doc, up, &why);
	if (q.state_fd < 0)
		return why;
	error = upgrade_ask(up, sup, up->path, &q, answered, up, &up->asked);
	close(q.state_fd);
	talloc_free(doc);
	return error == 0 ? NULL
			  : or_no_memory(talloc_asprintf(up, "%s: %s", up->path, strerror(-error)));
}

static struct upgrade *
upgrade_new(struct supervisor *sup)
{
	struct upgrade *up = talloc_zero(sup, struct upgrade);

	if (up == NULL)
		return NULL;
	up->sup = sup;
	up->program_fd = -1;
	talloc_set_destructor(up, upgrade_close);
	return up;
}

static void
ask(struct supervisor *sup, struct asker *asker)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *why = not_now(sup, tmp);

	if (why == NULL && sup->upgrade.attempt != NULL)
		why = "an upgrade is under way already";
	if (why != NULL) {
		upgrade_refused(sup, asker, why);
		talloc_free(tmp);
		return;
	}
	talloc_free(tmp);
	asker_later(asker, &sup->upgrade.asker);
	sup->upgrade.attempt = upgrade_new(sup);
	why = sup->upgrade.attempt == NULL ? or_no_memory(NULL) : try_it(sup->upgrade.attempt);
	if (why != NULL)
		refuse(sup, sup->upgrade.attempt, why);
}

static void
cancel(struct supervisor *sup, const char *why)
{
	if (sup->upgrade.attempt != NULL)
		refuse(sup, sup->upgrade.attempt, why);
}

static bool
child_ended(struct supervisor *sup, pid_t pid)
{
	return sup->upgrade.attempt != NULL && sup->upgrade.attempt->asked != NULL &&
	       upgrade_ask_child(sup->upgrade.attempt->asked, pid);
}

static const struct upgrade_calls calls = {
    .ask = ask, .cancel = cancel, .child_ended = child_ended};

void
upgrade_install(struct supervisor *sup)
{
	sup->upgrade.calls = &calls;
}

const char *
upgrade_program(TALLOC_CTX *mem, const char *argv0)
{
	struct stat named, runs;
	char link[4096], *path;
	const char *why;
	ssize_t n;

	if (program_find(mem, argv0, &path, &why) == 0 && stat(path, &named) == 0 &&
	    stat("/proc/self/exe", &runs) == 0 && named.st_dev == runs.st_dev &&
	    named.st_ino == runs.st_ino)
		return argv0;
	/* It was called by another name than its own: by a script, or a test. */
	n = readlink("/proc/self/exe", link, sizeof(link));
	return n < 0 || n == sizeof(link) ? argv0 : talloc_strndup(mem, link, (size_t)n);
}
