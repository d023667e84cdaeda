/* SPDX-License-Identifier: MIT */
/* What an instance finds in its environment, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/deploy.h"

/* The value of NAME, NULL if it is not there; it must not be there twice. */
static const char *
value(char *const *env, const char *name)
{
	const char *found = NULL;
	size_t len = strlen(name);

	for (; *env != NULL; env++) {
		if (strncmp(*env, name, len) != 0 || (*env)[len] != '=')
			continue;
		assert_null(found);
		found = *env + len + 1;
	}
	return found;
}

static void
ignore_message(const struct notify_message *m, void *data)
{
	(void)m;
	(void)data;
}

static struct generation *
generation_of(struct supervisor *sup, unsigned nlisteners)
{
	static struct listener listeners[] = {
	    {.fd = -1, .name = "web"}, {.fd = -1, .name = "admin"}};
	struct instance *inst = instance_new(sup->all.services[0], 3);
	struct generation *g = talloc_zero(inst, struct generation);

	inst->sockets->listeners = listeners;
	inst->sockets->nlisteners = nlisteners;
	g->instance = inst;
	g->number = 17;
	g->notify = notify_new(g, sup->base.ev, 0, ignore_message, NULL);
	start_number(g);
	return g;
}

static struct supervisor *
supervisor_of(const char *name)
{
	struct config *c = config_new(NULL, NULL);
	struct supervisor *sup;

	config_set(c, config_service(c, name, 1, true), "test", 1, "command", "true");
	config_finish(c);
	sup = supervisor_new(NULL, c, "baton");
	talloc_steal(sup, c);
	return sup;
}

static void
it_is_built_anew_for_each_generation(void **state)
{
	struct supervisor *sup = supervisor_of("front");
	struct generation *g = generation_of(sup, 2);
	TALLOC_CTX *mem = talloc_new(sup);
	const struct credentials nobody = {.other = false};
	char **env;
	const char *why;

	(void)state;
	/* What was meant for baton itself, or comes from a baton around this one. */
	setenv("LISTEN_FDS", "77", 1);
	setenv("LISTEN_PID", "77", 1);
	setenv("LISTEN_FDNAMES", "wrong", 1);
	setenv("NOTIFY_SOCKET", "/wrong", 1);
	setenv("WATCHDOG_USEC", "77", 1);
	setenv("WATCHDOG_PID", "77", 1);
	setenv("BATON_INSTANCE", "77", 1);
	setenv("BATON_GENERATION", "77", 1);
	setenv("BATON_SERVICE", "wrong", 1);
	setenv("BATON_HANDOVER", "8,9", 1);
	setenv("BATON_SPARE", "8", 1);
	setenv("BATON_HTTP_BODY_MAX_BYTES", "5", 1);
	assert_int_equal(start_environment(mem, g, &nobody, &env, &why), 0);
	assert_string_equal(value(env, "LISTEN_FDS"), "2");
	assert_string_equal(value(env, "LISTEN_FDNAMES"), "web:admin");
	assert_int_equal(atoi(value(env, "LISTEN_PID")), getpid());
	assert_string_equal(value(env, "NOTIFY_SOCKET"), notify_path(g->notify));
	assert_string_equal(value(env, "BATON_SERVICE"), "front");
	assert_string_equal(value(env, "BATON_INSTANCE"), "3");
	assert_string_equal(value(env, "BATON_GENERATION"), "17");
	assert_null(value(env, "WATCHDOG_USEC"));
	assert_null(value(env, "WATCHDOG_PID"));
	assert_null(value(env, "BATON_SPARE"));
	/* After the two sockets; there is nobody to take from. */
	assert_string_equal(value(env, "BATON_HANDOVER"), "5,-1");
	assert_string_equal(value(env, "BATON_HTTP_BODY_MAX_BYTES"), "5");
	assert_string_equal(value(env, "PATH"), getenv("PATH"));
	talloc_free(sup);
}

static void
what_is_configured_replaces_what_was_there(void **state)
{
	struct supervisor *sup = supervisor_of("front");
	struct generation *g = generation_of(sup, 0);
	struct service_config *c = sup->deploy->config->services[0];
	TALLOC_CTX *mem = talloc_new(sup);
	const struct credentials www = {
	    .other = true, .name = "www", .home = "/srv/www", .shell = "/bin/false"};
	const char *file = "/tmp/baton-test-environment", *why = NULL;
	char **env;
	FILE *f = fopen(file, "we");

	(void)state;
	fputs("# comment\n\nA=1\n B = \"two words\"\nHOME=/from/file\nC=\n", f);
	fclose(f);
	setenv("A", "0", 1);
	setenv("OTHER", "x", 1);
	config_set(sup->deploy->config, c, "t", 2, "env_file", file);
	config_set(sup->deploy->config, c, "t", 3, "env.C", "a=b");
	config_set(sup->deploy->config, c, "t", 4, "http.body_max_bytes", "7");
	assert_int_equal(sup->deploy->config->nerrors, 0);
	assert_int_equal(start_environment(mem, g, &www, &env, &why), -EINVAL);
	assert_string_equal(why, "env_file: /tmp/baton-test-environment:4: expected NAME=value");
	f = fopen(file, "we");
	fputs("# comment\n\nA=1\nB= \"two words\"\nHOME=/from/file\nC=\n", f);
	fclose(f);
	assert_int_equal(start_environment(mem, g, &www, &env, &why), 0);
	unlink(file);
	assert_string_equal(value(env, "A"), "1");
	assert_string_equal(value(env, "B"), "two words");
	assert_string_equal(value(env, "C"), "a=b");
	assert_string_equal(value(env, "HOME"), "/from/file");
	assert_string_equal(value(env, "USER"), "www");
	assert_string_equal(value(env, "OTHER"), "x");
	assert_string_equal(value(env, "BATON_HTTP_BODY_MAX_BYTES"), "7");
	c->env_inherit = 0;
	c->env_file = NULL;
	assert_int_equal(start_environment(mem, g, &www, &env, &why), 0);
	assert_null(value(env, "OTHER"));
	assert_string_equal(value(env, "PATH"), getenv("PATH"));
	assert_string_equal(value(env, "HOME"), "/srv/www");
	/* It cannot be read: the start fails, and says which file. */
	c->env_file = "/nowhere/at/all";
	assert_int_equal(start_environment(mem, g, &www, &env, &why), -ENOENT);
	assert_string_equal(why, "env_file: /nowhere/at/all: No such file or directory");
	talloc_free(sup);
}

static void
without_sockets_none_are_spoken_of(void **state)
{
	struct supervisor *sup = supervisor_of("front");
	struct generation *g = generation_of(sup, 0);
	TALLOC_CTX *mem = talloc_new(sup);
	const struct credentials nobody = {.other = false};
	char **env;
	const char *why;

	(void)state;
	setenv("LISTEN_FDS", "77", 1);
	start_number(g);
	assert_int_equal(start_environment(mem, g, &nobody, &env, &why), 0);
	assert_null(value(env, "BATON_READY_FD"));
	assert_null(value(env, "LISTEN_FDS"));
	assert_null(value(env, "LISTEN_PID"));
	assert_null(value(env, "LISTEN_FDNAMES"));
	assert_string_equal(value(env, "BATON_HANDOVER"), "3,-1");
	g->takes = channel_new();
	start_number(g);
	assert_int_equal(start_environment(mem, g, &nobody, &env, &why), 0);
	assert_string_equal(value(env, "BATON_HANDOVER"), "3,4");
	channel_unref(&g->takes);
	talloc_free(sup);
}

/* A program that does not know spares must find nothing to serve. */
static void
a_spare_has_neither_sockets_nor_a_predecessor(void **state)
{
	struct supervisor *sup = supervisor_of("front");
	struct generation *g = generation_of(sup, 0);
	TALLOC_CTX *mem = talloc_new(sup);
	const struct credentials nobody = {.other = false};
	char **env;
	const char *why;

	(void)state;
	g->instance->spare = true;
	assert_int_equal(start_environment(mem, g, &nobody, &env, &why), 0);
	assert_string_equal(value(env, "BATON_SPARE"), "3");
	assert_string_equal(value(env, "BATON_INSTANCE"), "spare.3");
	assert_string_equal(value(env, "BATON_GENERATION"), "17");
	assert_null(value(env, "BATON_HANDOVER"));
	assert_null(value(env, "LISTEN_FDS"));
	assert_null(value(env, "LISTEN_PID"));
	assert_null(value(env, "LISTEN_FDNAMES"));
	talloc_free(sup);
}

static const struct {
	const char *ready;
	bool takes;
	const char *handover, *number; /* with two sockets, 3 and 4 */
} numbers[] = {
    {"notify", true, "5,6", NULL},
    {"fd", false, "5,-1", "6"},
    {"fd", true, "5,6", "7"},
    {"fd:5", true, "6,7", "5"},
    {"fd:6", true, "5,7", "6"},
    {"fd:7", true, "5,6", "7"},
    {"fd:5", false, "6,-1", "5"},
    {"fd:200", true, "5,6", "200"},
};

static void
a_given_number_is_kept_and_the_others_make_way(void **state)
{
	struct supervisor *sup = supervisor_of("front");
	struct generation *g = generation_of(sup, 2);
	const struct credentials nobody = {.other = false};
	char **env;
	const char *why;

	(void)state;
	g->takes = channel_new();
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct channel *takes = g->takes;

		config_set(sup->deploy->config, sup->deploy->config->services[0], "test", 0,
		    "ready", numbers[i].ready);
		g->ready = sup->deploy->config->services[0]->ready;
		g->takes = numbers[i].takes ? takes : NULL;
		start_number(g);
		assert_int_equal(start_environment(sup, g, &nobody, &env, &why), 0);
		assert_string_equal(value(env, "BATON_HANDOVER"), numbers[i].handover);
		if (numbers[i].number == NULL)
			assert_null(value(env, "BATON_READY_FD"));
		else
			assert_string_equal(value(env, "BATON_READY_FD"), numbers[i].number);
		g->takes = takes;
	}
	channel_unref(&g->takes);
	talloc_free(sup);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_built_anew_for_each_generation),
	    cmocka_unit_test(what_is_configured_replaces_what_was_there),
	    cmocka_unit_test(without_sockets_none_are_spoken_of),
	    cmocka_unit_test(a_spare_has_neither_sockets_nor_a_predecessor),
	    cmocka_unit_test(a_given_number_is_kept_and_the_others_make_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
