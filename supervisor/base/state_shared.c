/* SPDX-License-Identifier: MIT */
/* What has several holders: in the document it stands once, and they name its place. */
#include "supervisor/base/state_internal.h"

/* The list of that kind, made if there is none; NULL: no memory. */
static struct state_shared_list *
list_of(struct state_doc *doc, const struct state_shared_kind *kind)
{
	struct state_shared_list *l;

	SLIST_FOREACH(l, &doc->shared, entry) {
		if (l->kind == kind)
			return l;
	}
	l = talloc_zero(doc, struct state_shared_list);
	if (l == NULL)
		return NULL;
	l->kind = kind;
	SLIST_INSERT_HEAD(&doc->shared, l, entry);
	return l;
}

/* The place of OBJECT, -1 if there is no memory for one more. */
static int64_t
place_of(struct state_shared_list *l, void *object)
{
	size_t n = talloc_array_length(l->objects);
	void **grown;

	for (size_t i = 0; i < n; i++) {
		if (l->objects[i] == object)
			return (int64_t)i;
	}
	grown = talloc_realloc(l, l->objects, void *, (unsigned)n + 1);
	if (grown == NULL)
		return -1;
	l->objects = grown;
	grown[n] = object;
	return (int64_t)n;
}

void *
state_shared(struct state *s, const char *name, const struct state_shared_kind *kind, void *object)
{
	struct state_shared_list *l = list_of(s->doc, kind);
	int64_t place = -1;

	if (state_saving(s) && object == NULL)
		return NULL;
	if (state_saving(s) && l != NULL)
		place = place_of(l, object);
	if (l == NULL || (state_saving(s) && place < 0)) {
		state_fail(s, name, "there is no memory");
		return object;
	}
	state_number(s, name, &place);
	if (state_saving(s) || !state_ok(s) || place == -1)
		return object;
	if (place < 0 || (size_t)place >= talloc_array_length(l->objects)) {
		state_fail(s, name, "there is nothing at %lld of %s", (long long)place, kind->name);
		return object;
	}
	kind->ref(l->objects[place]);
	return l->objects[place];
}

void
state_shared_all(struct state *s, const struct state_shared_kind *kind)
{
	struct state_shared_list *l = list_of(s->doc, kind);
	unsigned n = l == NULL ? 0 : state_array(s, kind->name, talloc_array_length(l->objects));

	if (!state_saving(s) && n > 0)
		l->objects = talloc_zero_array(l, void *, n);
	if (l == NULL || (n > 0 && l->objects == NULL)) {
		state_fail(s, kind->name, "there is no memory");
		return;
	}
	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state sub = state_element(s, kind->name, i);

		l->objects[i] = kind->transfer(&sub, l->objects[i]);
		if (l->objects[i] == NULL)
			state_fail(s, kind->name, "there is no memory");
	}
}

void
state_shared_done(struct state_doc *doc)
{
	struct state_shared_list *l;

	SLIST_FOREACH(l, &doc->shared, entry) {
		for (size_t i = 0; i < talloc_array_length(l->objects); i++)
			l->kind->unref(l->objects[i]);
		TALLOC_FREE(l->objects);
	}
}
