/* SPDX-License-Identifier: MIT */
/* A context as text, for logs and debuggers. At the top; uses node.c and clock.c. */
#include "ctx/node.h"

static char *
append(char *text, const struct ctx *c)
{
	int64_t left_ms;

	switch ((enum ctx_kind)c->kind) {
	case CTX_BACKGROUND:
		return talloc_strdup_append_buffer(text, "ctx_background");
	case CTX_TODO:
		return talloc_strdup_append_buffer(text, "ctx_todo");
	case CTX_VALUE:
		return talloc_asprintf_append_buffer(text, ".with_value(%s %s%s)", c->key->type,
		    c->key->name, c->value == NULL ? " = NULL" : "");
	case CTX_CANCEL:
		return talloc_strdup_append_buffer(text, ".with_cancel");
	case CTX_DEADLINE:
		left_ms = (ctxi_node(c)->deadline_ns - ctx_now_ns()) / 1000000;
		return talloc_asprintf_append_buffer(
		    text, ".with_deadline(%+lld ms)", (long long)left_ms);
	case CTX_WITHOUT:
		return talloc_strdup_append_buffer(text, ".without_cancel");
	case CTX_FOREIGN:
		return talloc_asprintf_append_buffer(text, ".%s", ctxi_foreign(c)->type->name);
	}
	return text;
}

static const struct ctx *
above(const struct ctx *c)
{
	return c->kind == CTX_FOREIGN ? ctxi_foreign(c)->under : c->parent;
}

char *
ctx_text(TALLOC_CTX *mem, const struct ctx *ctx)
{
	const struct ctx **chain, *c;
	size_t depth = 0;
	char *text;

	CTXI_CHECK(ctx);
	for (c = ctx; c != NULL; c = above(c))
		depth++;
	chain = talloc_array(NULL, const struct ctx *, depth);
	text = chain == NULL ? NULL : talloc_strdup(chain, "");
	depth = 0;
	for (c = ctx; c != NULL && text != NULL; c = above(c))
		chain[depth++] = c;
	while (depth > 0 && text != NULL)
		text = append(text, chain[--depth]);
	text = talloc_steal(mem, text);
	talloc_free(chain);
	return text;
}
