/* SPDX-License-Identifier: MIT */
/*
 * The environment of an instance: baton's own, without what was meant for baton or for
 * another process; then what the configuration sets; then what this generation is to know.
 * What comes later replaces what came before.
 */
#include "supervisor/process/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/trusted_path.h"
#include "supervisor/config/config.h"
#include "supervisor/process/credentials.h"
#include "supervisor/protocol.h"

/* Of an env_file; a process could not be given much more (execve(2)). */
#define FILE_MAX_BYTES (1024L * 1024)

struct list {
	char **entries; /* NULL-terminated */
	unsigned count;
};

/* Whether both are of the same variable. */
static bool
same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strncmp(a, b, len) == 0 && b[len] == '=';
}

/* ENTRY is "NAME=value"; NULL (no memory for it) makes the whole list NULL. */
static void
put(struct list *l, char *entry)
{
	char **grown;

	if (l->entries == NULL)
		return;
	for (unsigned i = 0; entry != NULL && i < l->count; i++) {
		if (same_name(entry, l->entries[i])) {
			l->entries[i] = entry;
			return;
		}
	}
	grown = entry == NULL ? NULL : talloc_realloc(NULL, l->entries, char *, l->count + 2);
	if (grown == NULL) {
		TALLOC_FREE(l->entries);
		return;
	}
	l->entries = grown;
	l->entries[l->count++] = entry;
	l->entries[l->count] = NULL;
}

static void
put_inherited(struct list *l, const struct service_config *c)
{
	for (char **e = environ; *e != NULL; e++) {
		char name[64];
		size_t len = strcspn(*e, "=");

		snprintf(name, sizeof(name), "%.*s", (int)(len < 63 ? len : 63), *e);
		if ((*e)[len] != '=' || config_variable_is_batons(name))
			continue;
		if (c->env_inherit || strcmp(name, "PATH") == 0)
			put(l, *e);
	}
}

/* Takes quotes away that enclose all of it, and white space around it. */
static char *
plain_value(char *value)
{
	size_t len;

	value += strspn(value, " \t");
	len = strlen(value);
	while (len > 0 && strchr(" \t\r\n", value[len - 1]) != NULL)
		value[--len] = '\0';
	if (len >= 2 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0]) {
		value[len - 1] = '\0';
		value++;
	}
	return value;
}

static bool
is_name(const char *name, size_t len)
{
	return len > 0 && (name[0] < '0' || name[0] > '9') &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
		   len;
}

/* Only what is read to its end at once: a FIFO that nobody writes to, or a terminal, would hold
 * up whoever reads it, and a device may have no end. The service's user may own the directory, and
 * must not get to see what root may read. Returns 0, or -errno, perhaps with *WHY set. */
static int
open_regular(TALLOC_CTX *mem, const char *file, FILE **out, const char **why)
{
	int fd = trusted_open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0), error = -EINVAL;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		*why = talloc_asprintf(mem, "%s: expected a regular file, found a %s", file,
		    S_ISFIFO(st.st_mode)  ? "FIFO"
		    : S_ISDIR(st.st_mode) ? "directory"
					  : "device");
	} else if (st.st_size > FILE_MAX_BYTES) {
		*why = talloc_asprintf(
		    mem, "%s: expected at most %ld bytes, found more", file, FILE_MAX_BYTES);
	} else {
		*out = fdopen(fd, "r");
		error = *out == NULL ? -errno : 0;
	}
	if (error < 0)
		close(fd);
	return error;
}

static int
read_lines(TALLOC_CTX *mem, FILE *f, const char *file, struct list *l, const char **why)
{
	char *line = NULL;
	size_t size = 0;
	int error = 0;

	for (int n = 1; error == 0 && getline(&line, &size, f) > 0; n++) {
		char *start = line + strspn(line, " \t\r\n");
		size_t len = strcspn(start, "=");

		if (*start == '\0' || *start == '#')
			continue;
		if (start[len] != '=' || !is_name(start, len)) {
			*why = talloc_asprintf(mem, "%s:%d: expected NAME=value", file, n);
			error = -EINVAL;
		} else {
			start[len] = '\0';
			put(l, talloc_asprintf(mem, "%s=%s", start, plain_value(start + len + 1)));
		}
	}
	free(line);
	return error;
}

static int
put_file(struct list *l, const char *file, TALLOC_CTX *mem, const char **why)
{
	FILE *f = NULL;
	int error;

	*why = NULL;
	error = open_regular(mem, file, &f, why);
	if (error < 0) {
		if (*why == NULL)
			*why = talloc_asprintf(mem, "%s: %s", file, trusted_text(error));
		return error;
	}
	error = read_lines(mem, f, file, l, why);
	fclose(f);
	return error;
}

int
environment_check_file(TALLOC_CTX *mem, const char *file, const char **why)
{
	struct list l = {.entries = talloc_zero_array(mem, char *, 1)};
	int error = put_file(&l, file, mem, why);

	talloc_free(l.entries);
	return error;
}

static void
put_credentials(struct list *l, const struct credentials *id, TALLOC_CTX *mem)
{
	if (!id->other || id->name == NULL)
		return;
	put(l, talloc_asprintf(mem, "USER=%s", id->name));
	put(l, talloc_asprintf(mem, "LOGNAME=%s", id->name));
	put(l, talloc_asprintf(mem, "HOME=%s", id->home));
	put(l, talloc_asprintf(mem, "SHELL=%s", id->shell));
}

static void
put_protocol(struct list *l, const struct environment *e, TALLOC_CTX *mem)
{
	put(l, talloc_asprintf(mem, BATON_ENV_SERVICE "=%s", e->config->name));
	put(l,
	    talloc_asprintf(mem, BATON_ENV_INSTANCE "=%s%u", e->spare ? "spare." : "", e->index));
	put(l, talloc_asprintf(mem, BATON_ENV_GENERATION "=%u", e->generation));
	put(l, talloc_asprintf(mem, BATON_ENV_NOTIFY_SOCKET "=%s", e->notify_path));
	if (e->spare)
		put(l, talloc_asprintf(mem, BATON_ENV_SPARE "=%d", e->give_number));
	else
		put(l, talloc_asprintf(
			   mem, BATON_ENV_HANDOVER "=%d,%d", e->give_number, e->take_number));
	if (e->ready_number >= 0)
		put(l, talloc_asprintf(mem, BATON_ENV_READY_FD "=%d", e->ready_number));
	if (e->watchdog_ms > 0) {
		put(l, talloc_asprintf(mem, "WATCHDOG_USEC=%lld000", (long long)e->watchdog_ms));
		put(l, talloc_asprintf(mem, "WATCHDOG_PID=%d", (int)getpid()));
	}
	if (e->nsockets == 0)
		return;
	put(l, talloc_asprintf(mem, BATON_ENV_LISTEN_FDS "=%zu", e->nsockets));
	put(l, talloc_asprintf(mem, BATON_ENV_LISTEN_FDNAMES "=%s", e->socket_names));
	put(l, talloc_asprintf(mem, BATON_ENV_LISTEN_PID "=%d", (int)getpid()));
}

int
environment_build(TALLOC_CTX *mem, const struct environment *e, char ***out, const char **why)
{
	const struct service_config *c = e->config;
	struct list l = {.entries = talloc_zero_array(NULL, char *, 1)};
	const char *wrong = NULL;
	int error = 0;

	put_inherited(&l, c);
	put_credentials(&l, e->credentials, mem);
	if (c->env_file != NULL)
		error = put_file(&l, c->env_file, mem, &wrong);
	if (wrong != NULL)
		*why = talloc_asprintf(mem, "env_file: %s", wrong);
	for (size_t i = 0; i < talloc_array_length(c->env); i++)
		put(&l, c->env[i]);
	put_protocol(&l, e, mem);
	if (error == 0 && l.entries == NULL)
		error = -ENOMEM;
	if (error < 0)
		talloc_free(l.entries);
	else
		*out = talloc_steal(mem, l.entries);
	return error;
}
