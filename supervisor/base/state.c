/* SPDX-License-Identifier: MIT */
/* The document, and the objects and arrays in it. */
#include "supervisor/base/state.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/base/state_internal.h"

static int
doc_close(struct state_doc *doc)
{
	json_decref(doc->root);
	return 0;
}

static struct state_doc *
doc_new(TALLOC_CTX *mem, bool saving)
{
	struct state_doc *doc = talloc_zero(mem, struct state_doc);

	if (doc == NULL)
		return NULL;
	json_memory_watch();
	*doc = (struct state_doc){.failures = json_memory_failures(), .saving = saving};
	talloc_set_destructor(doc, doc_close);
	return doc;
}

bool
state_complete(struct state_doc *doc)
{
	if (doc->error == NULL && json_memory_failures() != doc->failures)
		doc->error = "there is no memory";
	return doc->error == NULL;
}

struct state_doc *
state_doc_new(TALLOC_CTX *mem)
{
	struct state_doc *doc = doc_new(mem, true);

	if (doc != NULL)
		doc->root = json_object(); /* NULL is found by what is put there */
	return doc;
}

struct state_doc *
state_doc_parse(TALLOC_CTX *mem, const char *text, size_t len)
{
	struct state_doc *doc = doc_new(mem, false);
	json_error_t error;
	bool no_memory;

	if (doc == NULL)
		return NULL;
	doc->root = json_memory_loadb(text, len, &error, &no_memory);
	if (state_complete(doc) && !json_is_object(doc->root)) {
		const char *where = doc->root != NULL
					? "it is no JSON object"
					: talloc_asprintf(doc, "line %d, column %d: %s", error.line,
					      error.column, error.text);

		doc->error = where == NULL ? "there is no memory" : where;
	}
	return doc;
}

char *
state_doc_text(TALLOC_CTX *mem, struct state_doc *doc)
{
	char *text = state_complete(doc) ? json_memory_dumps(doc->root) : NULL;
	char *copy = text == NULL ? NULL : talloc_strdup(mem, text);

	if (copy == NULL && doc->error == NULL)
		doc->error = "there is no memory";
	free(text);
	return copy;
}

const char *
state_error(const struct state_doc *doc)
{
	return doc->error;
}

struct state
state_root(struct state_doc *doc)
{
	return (struct state){.doc = doc, .at = doc->root, .index = -1};
}

bool
state_saving(const struct state *s)
{
	return s->doc->saving;
}

bool
state_ok(const struct state *s)
{
	return s->doc->error == NULL;
}

/* "services[0].instances[1].current.": the way to S. */
static char *
way_to(TALLOC_CTX *mem, const struct state *s)
{
	char *before = s->up == NULL ? NULL : way_to(mem, s->up);

	if (s->up == NULL)
		return talloc_strdup(mem, "");
	return s->index < 0 ? talloc_asprintf(mem, "%s%s.", before == NULL ? "" : before, s->name)
			    : talloc_asprintf(mem, "%s%s[%d].", before == NULL ? "" : before,
				  s->name, s->index);
}

void
state_fail(const struct state *s, const char *name, const char *format, ...)
{
	char *what, *way;
	va_list ap;

	if (s->doc->error != NULL)
		return;
	way = way_to(s->doc, s);
	va_start(ap, format);
	what = talloc_vasprintf(s->doc, format, ap);
	va_end(ap);
	s->doc->error = way == NULL || what == NULL
			    ? NULL
			    : talloc_asprintf(s->doc, "%s%s: %s", way, name, what);
	if (s->doc->error == NULL)
		s->doc->error = "there is no memory";
}

/* Takes VALUE; NULL stands for a lack of memory. */
void
state_put(struct state *s, const char *name, json_t *value)
{
	if (!state_ok(s))
		json_decref(value);
	else if (value == NULL || json_object_set_new(s->at, name, value) < 0)
		state_fail(s, name, "there is no memory");
}

json_t *
state_get(const struct state *s, const char *name)
{
	json_t *value = state_ok(s) ? json_object_get(s->at, name) : NULL;

	return json_is_null(value) ? NULL : value;
}

bool
state_has(const struct state *s, const char *name)
{
	return state_get(s, name) != NULL;
}

struct state
state_object(struct state *s, const char *name)
{
	struct state sub = {.doc = s->doc, .up = s, .name = name, .index = -1};

	if (s->doc->saving)
		state_put(s, name, json_object());
	sub.at = state_get(s, name);
	if (!json_is_object(sub.at))
		state_fail(s, name, "expected an object");
	return sub;
}

unsigned
state_array(struct state *s, const char *name, size_t n)
{
	const json_t *array;

	if (s->doc->saving)
		state_put(s, name, json_array());
	array = state_get(s, name);
	if (!state_ok(s) || (!s->doc->saving && array == NULL))
		return 0;
	if (!json_is_array(array)) {
		state_fail(s, name, "expected an array");
		return 0;
	}
	return s->doc->saving ? (unsigned)n : (unsigned)json_array_size(array);
}

void
state_append(struct state *s, const char *name, json_t *value)
{
	if (!state_ok(s))
		json_decref(value);
	else if (value == NULL || json_array_append_new(state_get(s, name), value) < 0)
		state_fail(s, name, "there is no memory");
}

struct state
state_element(struct state *s, const char *name, unsigned i)
{
	struct state sub = {.doc = s->doc, .up = s, .name = name, .index = (int)i};

	if (s->doc->saving)
		state_append(s, name, json_object());
	sub.at = json_array_get(state_get(s, name), i);
	if (!json_is_object(sub.at))
		state_fail(s, name, "expected objects in it");
	return sub;
}
