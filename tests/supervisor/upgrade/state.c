/* SPDX-License-Identifier: MIT */
/*
 * The state as a document: what is written and read comes out the same, and whatever is wrong
 * with a document is refused with a word. Reading takes descriptors over, so it is done in
 * children, which have copies of all of them.
 */
#include "tests/supervisor/upgrade/state_stage.h"

enum { LOADED, REFUSED };

/* What a child has to say; shared with it. */
enum { SAID_MAX = 4 * 1024 * 1024 };
static char *said;

static void
say(const char *text)
{
	snprintf(said, SAID_MAX, "%s", text == NULL ? "" : text);
}

/* Reads TEXT as the new program would; says what it would write itself, or why it cannot. */
static int
load(const char *text, size_t len)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct state_doc *doc = state_doc_parse(mem, text, len), *again = state_doc_new(mem);
	struct supervisor *sup = state_error(doc) == NULL ? state_load(mem, doc) : NULL;

	say(state_error(doc));
	if (sup == NULL)
		return REFUSED;
	state_save(again, sup);
	say(state_error(again) != NULL ? state_error(again) : state_doc_text(mem, again));
	return LOADED;
}

/* FN in a child, which has copies of all descriptors; its result. */
static int
in_child(int (*fn)(void *data), void *data)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(data));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > REFUSED)
		fail_msg("status %x: %.300s", status, said);
	return WEXITSTATUS(status);
}

static int
load_text(void *text)
{
	return load(text, strlen(text));
}

static int
load_in_child(char *text)
{
	say("");
	return in_child(load_text, text);
}

static void
written_read_and_written_again_it_is_the_same(void **state)
{
	const struct stage *st = *state;
	json_t *before = json_loads(st->text, 0, NULL), *after;
	int64_t pid = getpid();

	if (load_in_child(st->text) != LOADED)
		fail_msg("%s", said);
	after = json_loads(said, 0, NULL);
	assert_non_null(after);
	json_object_set_new(after, "pid", json_integer(pid));
	if (!json_equal(before, after)) {
		print_error("%s\n%s\n", st->text, said);
		fail_msg("it is not the same");
	}
	json_decref(before);
	json_decref(after);
}

static void
a_document_that_is_cut_off_is_refused(void **state)
{
	const struct stage *st = *state;

	for (size_t len = 0; len < st->len; len++) {
		TALLOC_CTX *mem = talloc_new(NULL);

		assert_non_null(state_error(state_doc_parse(mem, st->text, len)));
		talloc_free(mem);
	}
}

/* The objects below AT, all of them. */
static void
collect(json_t *at, json_t *objects)
{
	const char *name;
	json_t *value;
	size_t i;

	if (json_is_object(at))
		json_array_append(objects, at);
	json_array_foreach(at, i, value) collect(value, objects);
	json_object_foreach(at, name, value) collect(value, objects);
}

struct spoiling {
	json_t *root, *object;
};

/* It is read, for what is missing has a default; or refused, with a word. */
static int
try_spoiled(const struct spoiling *sp, const char *name, int how)
{
	char *text = json_dumps(sp->root, JSON_COMPACT);
	int result;

	result = load(text, strlen(text));
	free(text);
	if (strlen(said) > 5)
		return LOADED;
	snprintf(said, SAID_MAX, "%s, way %d: refused (%d) without a word", name, how, result);
	return REFUSED;
}

/* Each member of one object, in each way. */
static int
spoil(void *data)
{
	struct spoiling *sp = data;
	json_t *copy = json_deep_copy(sp->object), *value;
	const char *name;

	json_object_foreach(copy, name, value)
	{
		json_t *instead[] = {NULL, json_string("rubbish"), json_integer(-7), json_object()};

		for (int i = 0; i < 4; i++) {
			if (instead[i] == NULL)
				json_object_del(sp->object, name);
			else
				json_object_set_new(sp->object, name, instead[i]);
			if (try_spoiled(sp, name, i) == REFUSED)
				return REFUSED;
		}
		json_object_set(sp->object, name, value);
	}
	return LOADED;
}

static void
whatever_member_is_spoiled_it_is_read_or_refused(void **state)
{
	const struct stage *st = *state;
	json_t *root = json_loads(st->text, 0, NULL), *objects = json_array();
	size_t i;

	collect(root, objects);
	assert_true(json_array_size(objects) > 20);
	for (i = 0; i < json_array_size(objects); i++) {
		struct spoiling sp = {root, json_array_get(objects, i)};

		if (in_child(spoil, &sp) != LOADED)
			fail_msg("%s", said);
	}
	json_decref(objects);
	json_decref(root);
}

/* The document with one thing changed is refused with that word. */
static void
refused_with(const struct stage *st, const char *format, const char *value, const char *word)
{
	char *text = strstr(st->text, format);
	char *changed;

	assert_non_null(text);
	changed = talloc_asprintf(
	    st->mem, "%.*s%s%s", (int)(text - st->text), st->text, value, text + strlen(format));
	assert_int_equal(load_in_child(changed), REFUSED);
	if (strstr(said, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", said, word);
}

static void
other_versions_and_unknown_keys_are_refused(void **state)
{
	const struct stage *st = *state;

	refused_with(st, "\"major\":2", "\"major\":3", "baton 0");
	refused_with(st, "\"major\":2", "\"major\":3", "knows the formats 1 and 2 only");
	refused_with(st, "\"format\":\"baton-state\"", "\"format\":\"x\"", "format: expected");
	refused_with(st, "\"backlog\":17", "\"backlog\":17,\"color\":\"red\"",
	    "supervisor.services[0].keys.color: this baton does not know that key");
	refused_with(st, "\"backlog\":17", "\"backlog\":0",
	    "supervisor.services[0].keys.backlog: expected a number from 1 to 65535, found 0");
}

/* What is only new is not known, and harms nobody. */
static void
what_a_newer_one_adds_is_ignored(void **state)
{
	const struct stage *st = *state;
	char *changed = talloc_strdup(st->mem, "{\"news\":[{\"x\":1}],");

	changed = talloc_asprintf_append(changed, "%s", st->text + 1);
	if (load_in_child(changed) != LOADED)
		fail_msg("%s", said);
}

/* Descriptors, one after the other: closed, and another file. */
static void
each_descriptor_must_be_what_it_was(void **state)
{
	const struct stage *st = *state;
	struct state_doc *doc = state_doc_new(st->mem);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int *fds;
	size_t n;

	state_save(doc, st->sup);
	fds = state_descriptors(doc, &n);
	assert_true(n >= 18);
	for (size_t i = 0; i < n; i++) {
		int kept = fcntl(fds[i], F_DUPFD_CLOEXEC, 200);
		char word[64];

		assert_true(kept >= 200);
		/* The loop's own may get that number in the child: then it is another file. */
		close(fds[i]);
		assert_int_equal(load_in_child(st->text), REFUSED);
		snprintf(word, sizeof(word), "descriptor %d is ", fds[i]);
		assert_non_null(strstr(said, word));
		assert_int_equal(dup3(null, fds[i], O_CLOEXEC), fds[i]);
		assert_int_equal(load_in_child(st->text), REFUSED);
		snprintf(word, sizeof(word), "descriptor %d is another file than it was", fds[i]);
		assert_non_null(strstr(said, word));
		assert_int_equal(dup3(kept, fds[i], O_CLOEXEC), fds[i]);
		close(kept);
	}
	close(null);
	talloc_free(doc);
	assert_int_equal(load_in_child(st->text), LOADED);
}

/* --- no memory for JSON -------------------------------------------------------------------- */

static long allocations_left;

static void *
scarce(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void
without_memory_it_is_not_written_and_says_so(void **state)
{
	const struct stage *st = *state;
	bool written = false;

	for (long n = 0; !written; n += 1 + n / 16) {
		TALLOC_CTX *mem = talloc_new(NULL);
		struct state_doc *doc;
		char *text;

		json_set_alloc_funcs(scarce, free);
		allocations_left = n;
		doc = state_doc_new(mem);
		state_save(doc, st->sup);
		text = state_doc_text(mem, doc);
		written = allocations_left >= 0;
		if (!written) {
			assert_null(text);
			assert_non_null(strstr(state_error(doc), "memory"));
		}
		allocations_left = 1L << 40;
		talloc_free(mem);
		json_set_alloc_funcs(malloc, free);
	}
}

static void
without_memory_it_is_not_read_and_says_so(void **state)
{
	const struct stage *st = *state;
	int how = REFUSED;

	for (long n = 0; how == REFUSED; n += 1 + n / 16) {
		allocations_left = n;
		json_set_alloc_funcs(scarce, free);
		how = load_in_child(st->text);
		json_set_alloc_funcs(malloc, free);
		assert_true(how == LOADED || strlen(said) > 5);
	}
}

#define staged(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    staged(written_read_and_written_again_it_is_the_same),
	    staged(a_document_that_is_cut_off_is_refused),
	    staged(whatever_member_is_spoiled_it_is_read_or_refused),
	    staged(other_versions_and_unknown_keys_are_refused),
	    staged(what_a_newer_one_adds_is_ignored),
	    staged(each_descriptor_must_be_what_it_was),
	    staged(without_memory_it_is_not_written_and_says_so),
	    staged(without_memory_it_is_not_read_and_says_so),
	};

	said = mmap(NULL, SAID_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
