/* SPDX-License-Identifier: MIT */
/*
 * State documents of released batons, as those wrote them: tests/supervisor/upgrade/documents/. They must
 * load for ever, and mean what they meant. The descriptors in them are long gone; a document is
 * given others of the same kind.
 *
 * To make one: replace baton's file by a script that copies /proc/self/fd/0, and ask for an upgrade.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/upgrade/state_tree.h"

#define DOCUMENTS "tests/supervisor/upgrade/documents/"

static json_t *
document(const char *name)
{
	json_error_t error;
	char path[256];
	json_t *root;

	snprintf(path, sizeof(path), DOCUMENTS "%s.json", name);
	root = json_load_file(path, 0, &error);
	if (root == NULL)
		fail_msg("%s: %s (run this at the top of the tree)", path, error.text);
	return root;
}

/* --- other descriptors ------------------------------------------------------------------------ */

/* One that stands for what NAME was. */
static int
descriptor(const char *name, unsigned type, pid_t process)
{
	int fds[2] = {-1, -1};

	if (strcmp(name, "pidfd") == 0)
		return pidfd_open(process, 0);
	if (type == S_IFSOCK)
		return socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (type == S_IFIFO && pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0)
		return fds[0];
	return memfd_create(name, MFD_CLOEXEC);
}

/* Gives all descriptors below AT, which is called NAME, a file that is open. */
static void
revive(json_t *at, const char *name, pid_t process)
{
	const char *key;
	struct stat st;
	json_t *value;
	size_t i;
	int fd;

	json_array_foreach(at, i, value) revive(value, name, process);
	json_object_foreach(at, key, value) revive(value, key, process);
	if (json_object_get(at, "inode") == NULL)
		return;
	fd = descriptor(name, (unsigned)json_integer_value(json_object_get(at, "type")), process);
	assert_int_equal(fstat(fd, &st), 0);
	json_object_set_new(at, "fd", json_integer(fd));
	json_object_set_new(at, "device", json_integer((json_int_t)st.st_dev));
	json_object_set_new(at, "inode", json_integer((json_int_t)st.st_ino));
	json_object_set_new(at, "type", json_integer((json_int_t)(st.st_mode & S_IFMT)));
}

/* --- the numbers of 0.1, whatever the enumerators are by now ----------------------------------- */

static const struct {
	const char *member;
	int number;
	const char *words; /* JSON */
	const char *in;    /* whose member it is; NULL: anybody else's */
} meanings[] = {
    {"phase", 0, "\"ending\"", "strategy"},
    {"phase", 0, "\"starting\"", NULL},
    {"phase", 1, "\"running\"", NULL},
    {"state", 0, "\"down\"", NULL},
    {"state", 1, "\"starting\"", NULL},
    {"state", 4, "\"ready\"", NULL},
    {"state", 5, "\"replacing\"", NULL},
    {"state", 9, "\"backoff\"", NULL},
    {"state", 10, "\"failed\"", NULL},
    {"state", 11, "\"held\"", NULL},
    {"alive", 0, "[]", NULL},
    {"alive", 1, "[\"current\"]", NULL},
    {"alive", 3, "[\"current\",\"successor\"]", NULL},
    {"sick", 0, "[]", NULL},
    {"sick", 2, "[\"unhealthy\"]", NULL},
    {"ready.kind", 0, "\"notify\"", NULL},
    {"ready.kind", 1, "\"fd\"", NULL},
    {"ready.kind", 2, "\"http\"", NULL},
    {"ready.kind", 3, "\"delay\"", NULL},
    {"kind", 1, "\"fd\"", NULL},
    {"kind", 2, "\"http\"", NULL},
    {"kind", 3, "\"delay\"", NULL},
    {"lifetime", 1, "\"transient\"", NULL},
    {"lifetime", 2, "\"temporary\"", NULL},
    {"strategy", 1, "\"one_for_all\"", NULL},
    {"strategy", 2, "\"rest_for_one\"", NULL},
    {"ports", 1, "\"shared\"", NULL},
    {"canary", 1, "\"yes\"", NULL},
    {"no_new_privs", 1, "\"yes\"", NULL},
    {"stop_signal", 2, "\"INT\"", NULL},
    {"resource", 4, "\"core\"", NULL},
    {"resource", 7, "\"nofile\"", NULL},
};
#define MEANINGS (sizeof(meanings) / sizeof(meanings[0]))

/* What AT, which is called IN, is to become when it is read and written. */
static void
translate(json_t *at, const char *in, bool *used)
{
	const char *key;
	json_t *value;
	void *next;
	size_t i;

	json_array_foreach(at, i, value) translate(value, in, used);
	json_object_foreach_safe(at, next, key, value)
	{
		translate(value, key, used);
		for (size_t m = 0; json_is_integer(value) && m < MEANINGS; m++) {
			bool there = meanings[m].in == NULL ? strcmp(in, "strategy") != 0
							    : strcmp(in, meanings[m].in) == 0;

			if (!there || strcmp(meanings[m].member, key) != 0 ||
			    json_integer_value(value) != meanings[m].number)
				continue;
			used[m] = true;
			json_object_set_new(
			    at, key, json_loads(meanings[m].words, JSON_DECODE_ANY, NULL));
			break;
		}
	}
}

/* Every member that EXPECTED has is in FOUND, with the same value; WAY leads there. */
static void
assert_same(const json_t *expected, const json_t *found, const char *way)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(expected)) {
		json_object_foreach((json_t *)expected, key, value) assert_same(
		    value, json_object_get(found, key), talloc_asprintf(mem, "%s.%s", way, key));
	} else if (json_is_array(expected) && json_array_size(expected) > 0) {
		assert_int_equal(json_array_size(found), json_array_size(expected));
		json_array_foreach(expected, i, value) assert_same(
		    value, json_array_get(found, i), talloc_asprintf(mem, "%s[%zu]", way, i));
	} else if (!json_equal(expected, found)) {
		fail_msg("%s: expected %s, found %s", way, json_dumps(expected, JSON_ENCODE_ANY),
		    found == NULL ? "nothing" : json_dumps(found, JSON_ENCODE_ANY));
	}
	talloc_free(mem);
}

/* What baton 0.1 kept of clients, and of what instances have written, is not needed any more. */
static void
forget(json_t *at)
{
	static const char *const members[] = {
	    "turn", "moved_ms", "heard", "busy", "eof", "ending", "recent", "lines"};
	json_t *value;
	const char *key;
	size_t i;

	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_del(at, members[i]);
	json_object_foreach(at, key, value) forget(value);
	json_array_foreach(at, i, value) forget(value);
}

/* --- reading them ----------------------------------------------------------------------------- */

/* Reads ROOT in a child, as it takes descriptors over: what that writes, or why it cannot. */
static char *
read_and_write(const json_t *root)
{
	enum { MAX = 1 << 20 };
	char *said = mmap(NULL, MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *text = json_dumps(root, JSON_COMPACT), *copy;
	TALLOC_CTX *mem = talloc_new(NULL);
	pid_t pid = fork();

	if (pid == 0) {
		struct state_doc *doc = state_doc_parse(mem, text, strlen(text));
		struct state_doc *again = state_doc_new(mem);
		struct supervisor *sup = state_load(mem, doc);

		if (sup != NULL)
			state_save(again, sup);
		snprintf(said, MAX, "%s",
		    state_error(doc) != NULL     ? state_error(doc)
		    : state_error(again) != NULL ? state_error(again)
						 : state_doc_text(mem, again));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	copy = strdup(said);
	munmap(said, MAX);
	free(text);
	talloc_free(mem);
	return copy;
}

static void
they_load_and_mean_what_they_meant(void **state)
{
	static const char *const names[] = {"0.1-running", "0.1-starting"};
	bool used[MEANINGS] = {false};
	pid_t process = fork();

	(void)state;
	if (process == 0)
		for (;;)
			pause();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *before = document(names[i]), *after;
		char *said;

		revive(before, "", process);
		said = read_and_write(before);
		after = json_loads(said, 0, NULL);
		if (after == NULL)
			fail_msg("%s: %s", names[i], said);
		translate(before, "", used);
		json_object_set_new(before, "major", json_integer(STATE_MAJOR));
		json_object_set_new(before, "version", json_string(BATON_VERSION));
		json_object_del(before, "pid");
		forget(before);
		assert_same(before, after, names[i]);
		json_decref(before);
		json_decref(after);
		free(said);
	}
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	for (size_t m = 0; m < MEANINGS; m++) {
		if (!used[m])
			fail_msg("no document has %s %d", meanings[m].member, meanings[m].number);
	}
}

/* Words are for the second format: a number in it is no word that anybody knows. */
static void
what_is_not_known_is_refused(void **state)
{
	static const struct {
		const char *member;
		const char *value; /* JSON */
		const char *why;
	} cases[] = {
	    {"phase", "\"dreaming\"",
		"supervisor.phase: this baton does not know \"dreaming\", only starting, running"},
	    {"phase", "1",
		"supervisor.phase: expected one of starting, running, found the number 1"},
	    {"phase", "{}", "supervisor.phase: expected one of starting, running"},
	};
	pid_t process = fork();

	(void)state;
	if (process == 0)
		for (;;)
			pause();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *root = document("0.1-starting");
		char *said;

		revive(root, "", process);
		json_object_set_new(root, "major", json_integer(STATE_MAJOR));
		json_object_set_new(json_object_get(root, "supervisor"), cases[i].member,
		    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		said = read_and_write(root);
		assert_string_equal(said, cases[i].why);
		free(said);
		json_decref(root);
	}
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(they_load_and_mean_what_they_meant),
	    cmocka_unit_test(what_is_not_known_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
