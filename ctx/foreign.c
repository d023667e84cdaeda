/* SPDX-License-Identifier: MIT */
/* Contexts whose behaviour is given by callbacks. Making them needs context.c only: the files that
 * ask, watch and end them (context.c, node.c, cancel.c) call these callbacks themselves. */
#include "ctx/context.h"

const struct ctx *
ctx_foreign(TALLOC_CTX *mem, const struct ctx *parent, const struct ctx_type *type, void *data)
{
	struct ctxi_foreign *f;
	bool watched;

	ctxi_check(parent, __func__, "NULL parent");
	if (type == NULL || type->name == NULL)
		ctxi_misuse(__func__, "NULL type, or one without a name");
	watched = type->watch != NULL;
	if (watched != (type->unwatch != NULL) ||
	    (!watched && (type->err != NULL || type->deadline != NULL)))
		ctxi_misuse(__func__, "type lacks watch or unwatch");
	f = (struct ctxi_foreign *)ctxi_new(mem, parent, CTX_FOREIGN, sizeof(*f), "ctx_foreign");
	if (f == NULL)
		return NULL;
	f->under = parent;
	f->type = type;
	f->data = data;
	if (type->value != NULL)
		f->ctx.parent = NULL; /* values: see find() in context.c */
	if (watched)
		f->ctx.canceler = &f->ctx;
	return &f->ctx;
}
