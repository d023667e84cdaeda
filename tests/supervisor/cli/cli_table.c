/* SPDX-License-Identifier: MIT */
/* The table of `baton status`: its columns stand below each other, whatever is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/cli/cli.h"

/* The first N lines of the table of instances that listen on ADDRESSES. */
static char *
table_of(const char *const *addresses, bool color, unsigned n)
{
	json_t *instances = json_array();
	json_t *status;
	char *text = NULL, *end;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (int i = 0; addresses[i] != NULL; i++)
		json_array_append_new(
		    instances, json_pack("{s:s s:s s:i s:[{s:s}]}", "name", "web.0", "state",
				   "ready", "pid", 100 + i, "sockets", "address", addresses[i]));
	status = json_pack("{s:{s:s s:s s:s} s:[{s:s s:o}]}", "baton", "version", "x", "state",
	    "running", "control", "c", "services", "name", "web", "instances", instances);
	assert_non_null(status);
	cli_table(NULL, status, NULL, color, f);
	fclose(f);
	json_decref(status);
	for (end = text; n > 0; n--)
		end = strchr(end, '\n') + 1;
	*end = '\0';
	return text;
}
#define TABLE(color, n, ...) table_of((const char *const[]){__VA_ARGS__, NULL}, color, n)

/* The second has 3 characters beyond ASCII, of which 2 are wide: 23 bytes in 20 columns. The third
 * has an accent that takes no column. */
static void
columns_are_counted_not_bytes(void **state)
{
	char *text = TABLE(false, 4, "127.0.0.1:8080",
	    "unix:/run/\xc3\xa4\xe6\x97\xa5\xe6\x9c\xac.sock", "unix:/e\xcc\x81");

	(void)state;
	assert_string_equal(text,
	    "SERVICE  INSTANCE  GEN  PID  STATE  ADDRESS               UPTIME  RESTARTS  CONNS  "
	    "MEMORY  CPU  LAST EXIT\n"
	    "web      web.0     -    100  ready  127.0.0.1:8080        -       -         -      "
	    "-       -    -\n"
	    "web      web.0     -    101  ready  unix:/run/\xc3\xa4\xe6\x97\xa5\xe6\x9c\xac.sock  -       "
	    "-         -      -       -    -\n"
	    "web      web.0     -    102  ready  unix:/e\xcc\x81               -       -         -      "
	    "-       -    -\n");
	free(text);
}

static void
colours_take_no_column(void **state)
{
	char *text = TABLE(true, 2, "127.0.0.1:8080");

	(void)state;
	assert_non_null(strstr(text, "\033[32mready\033[0m  127.0.0.1:8080  -  "));
	assert_non_null(strstr(text, "\033[1mADDRESS\033[0m         \033[1mUPTIME\033[0m"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(columns_are_counted_not_bytes),
	    cmocka_unit_test(colours_take_no_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
