/* SPDX-License-Identifier: MIT */
/*
 * The rolling restart without processes: instances that are said to be ready, and a program
 * that cannot be started, so that every step but success is decided in the loop alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/deploy.h"

static struct supervisor *sup;
static const struct roll_task all = {.what = "restart"};

/* A service of four instances. */
static struct service_config *
add_service(struct config *c, const char *name)
{
	struct service_config *s = config_service(c, name, 1, true);

	config_set(c, s, "test", 1, "command", "/no/such/program");
	config_set(c, s, "test", 1, "instances", "4");
	return s;
}

static int
begin(void **state)
{
	struct config *c = config_new(NULL, NULL);

	(void)state;
	alarm(60); /* a loop that waits for nothing must not wait for ever */
	config_set(c, add_service(c, "web"), "test", 1, "surge", "3");
	add_service(c, "db");
	config_finish(c);
	sup = supervisor_new(NULL, c, "baton");
	talloc_steal(sup, c);
	sup->all.phase = SUP_RUNNING;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	talloc_free(sup);
	return 0;
}

static void
say_that_all_are_ready(void)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned k = 0; k < sup->all.services[i]->ninstances; k++) {
			sup->all.services[i]->instances[k]->life.state = LIFE_READY;
			sup->all.services[i]->instances[k]->life.alive = LIFE_CURRENT;
		}
	}
}

static struct instance *
instance(int service, int index)
{
	return sup->all.services[service]->instances[index];
}

static void
run_to_the_end(void)
{
	while (sup->deploy->roll != NULL)
		assert_int_equal(tevent_loop_once(sup->base.ev), 0);
}

static int
start(const struct roll_task *task, char **why)
{
	return roll_start(sup->deploy, task, NULL, sup, why);
}

static const char *
verdict(const char *member)
{
	return json_string_value(json_object_get(sup->deploy->last_restart, member));
}

static int
number(const char *member)
{
	return (int)json_integer_value(json_object_get(sup->deploy->last_restart, member));
}

static void
what_is_not_to_run_is_left_alone(void **state)
{
	char *why;

	(void)state;
	assert_int_equal(start(&all, &why), 0);
	/* The verdict comes from the loop, never from within. */
	assert_non_null(sup->deploy->roll);
	run_to_the_end();
	assert_true(json_is_true(json_object_get(sup->deploy->last_restart, "ok")));
	assert_int_equal(number("restarted"), 0);
	assert_int_equal(number("of"), 8);
	assert_int_equal(instance(0, 0)->last_number, 0);
}

static void
as_many_as_surge_says_are_begun(void **state)
{
	char *why;

	(void)state;
	say_that_all_are_ready();
	assert_int_equal(start(&all, &why), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(instance(0, i)->last_number, i < 3 ? 1 : 0);
	run_to_the_end();
	assert_int_equal(instance(0, 3)->last_number, 0);
	assert_int_equal(instance(1, 0)->last_number, 0);
	assert_false(json_is_true(json_object_get(sup->deploy->last_restart, "ok")));
	assert_string_equal(verdict("instance"), "web.0");
	assert_non_null(strstr(verdict("reason"), "cannot start /no/such/program"));
	for (int i = 0; i < 3; i++)
		assert_non_null(strstr(verdict("error"), instance(0, i)->name));
	assert_non_null(strstr(verdict("error"), "; 0 of 8 instances restarted"));
	assert_int_equal(number("restarted"), 0);
}

static void
only_the_same_joins(void **state)
{
	static const struct roll_task others[] = {{.what = "restart", .target = "web"},
	    {.what = "restart", .target = "web.1"}, {.what = "reload"},
	    {.what = "restart", .why = "it crashes"}, {.what = "restart", .canary = true}};
	char *why;

	(void)state;
	say_that_all_are_ready();
	assert_int_equal(start(&all, &why), 0);
	assert_int_equal(start(&all, &why), 0);
	assert_int_equal(instance(0, 0)->last_number, 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(start(&others[i], &why), -EBUSY);
		assert_non_null(strstr(why, "a restart is under way already ("));
	}
	assert_int_equal(
	    start(&(struct roll_task){.what = "restart", .target = "no"}, &why), -ENOENT);
	roll_cancel(sup->deploy, "baton was told to stop");
	assert_null(sup->deploy->roll);
	assert_string_equal(verdict("error"), "baton was told to stop");
	/* The name is a copy: a request's own is gone long before. */
	assert_int_equal(start(&others[0], &why), 0);
	assert_int_equal(start(&all, &why), -EBUSY);
	assert_non_null(strstr(why, "a restart of web is under way already ("));
	run_to_the_end();
}

static void
a_reason_is_told(void **state)
{
	static const struct roll_task task = {.what = "rollback", .why = "web.1 crashed"};
	char *why;

	(void)state;
	say_that_all_are_ready();
	assert_int_equal(start(&task, &why), 0);
	run_to_the_end();
	assert_string_equal(verdict("what"), "rollback");
	assert_string_equal(verdict("why"), "web.1 crashed");
}

static void
a_canary_goes_alone(void **state)
{
	static const struct roll_task task = {.what = "restart", .canary = true};
	char *why;

	(void)state;
	say_that_all_are_ready();
	assert_int_equal(start(&task, &why), 0);
	assert_int_equal(instance(0, 0)->last_number, 1);
	assert_int_equal(instance(0, 1)->last_number, 0);
	assert_int_equal(roll_continue(sup->deploy, NULL, sup, &why), -EINVAL);
	assert_non_null(strstr(why, "nothing is paused; a restart is under way ("));
	run_to_the_end();
	assert_string_equal(verdict("instance"), "web.0");
	assert_int_equal(instance(0, 1)->last_number, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_not_to_run_is_left_alone, begin, end),
	    cmocka_unit_test_setup_teardown(as_many_as_surge_says_are_begun, begin, end),
	    cmocka_unit_test_setup_teardown(only_the_same_joins, begin, end),
	    cmocka_unit_test_setup_teardown(a_reason_is_told, begin, end),
	    cmocka_unit_test_setup_teardown(a_canary_goes_alone, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
