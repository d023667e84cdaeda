/* SPDX-License-Identifier: MIT */
/* A configuration from text, and what it was told, in which its file is named "f". */
#ifndef TESTS_SUPERVISOR_CONFIG_STAGE_H
#define TESTS_SUPERVISOR_CONFIG_STAGE_H

#include <string.h>

#include "supervisor/config/config.h"
#include "tests/harness/tempdir.h"

static inline struct config *
config_from(const char *text)
{
	return config_read(harness_mem(), tempdir_write(tempdir_new(), "f", "%s", text));
}

/* LINES are N; one a line. */
static inline const char *
config_told(const struct config *c, char *const *lines, unsigned n)
{
	char *all = talloc_strdup(harness_mem(), "");

	for (unsigned i = 0; i < n; i++)
		all = talloc_asprintf_append(all, "%s\n", lines[i]);
	for (char *at; (at = strstr(all, c->file)) != NULL;)
		memmove(at, at + strlen(c->file) - 1, strlen(at + strlen(c->file) - 1) + 1);
	return all;
}

static inline const char *
config_errors(const struct config *c)
{
	return config_told(
	    c, c->errors, c->nerrors < CONFIG_ERRORS_MAX ? c->nerrors : CONFIG_ERRORS_MAX);
}

static inline const char *
config_notes(const struct config *c)
{
	return config_told(c, c->notes, (unsigned)talloc_array_length(c->notes));
}

#endif
