/* SPDX-License-Identifier: MIT */
/* Telling whoever has asked, as long as it is there. */
#include <stdarg.h>
#include <talloc.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/deploy/asker.h"

void
asker_later(struct asker *asker, struct asker **where)
{
	if (asker == NULL)
		return;
	asker->where = where;
	*where = asker;
}

void
asker_release(struct asker *asker)
{
	if (asker->where != NULL)
		*asker->where = NULL;
	asker->where = NULL;
}

void
asker_progress(struct asker *asker, const char *text)
{
	if (asker != NULL)
		asker->calls->progress(asker->data, text);
}

void
asker_result(struct asker *asker, json_t *result)
{
	if (asker == NULL) {
		json_decref(result);
		return;
	}
	asker_release(asker);
	asker->calls->result(asker->data, result);
}

void
asker_error(struct asker *asker, const char *format, ...)
{
	va_list ap;
	char *text;

	if (asker == NULL)
		return;
	va_start(ap, format);
	text = talloc_vasprintf(NULL, format, ap);
	va_end(ap);
	asker_result(
	    asker, json_pack("{s:b s:o}", "ok", 0, "error", json_text(text == NULL ? "?" : text)));
	talloc_free(text);
}
