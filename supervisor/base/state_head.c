/* SPDX-License-Identifier: MIT */
/* The document's own head: in which format it is, and which baton wrote it. */
#include <string.h>

#include "supervisor/base/state_internal.h"

void
state_head(struct state *s)
{
	static char format[] = STATE_FORMAT, version[] = BATON_VERSION;
	char *found = state_saving(s) ? format : NULL, *writer = version;
	int64_t major = state_saving(s) ? STATE_MAJOR : 0, minor = STATE_MINOR;

	state_text(s, "format", s->doc, &found);
	state_text(s, "version", s->doc, &writer);
	state_number(s, "major", &major);
	state_number(s, "minor", &minor);
	if (!state_ok(s))
		return;
	if (found == NULL || strcmp(found, STATE_FORMAT) != 0)
		state_fail(s, "format", "expected " STATE_FORMAT);
	else if (major != STATE_MAJOR && major != STATE_MAJOR_NUMBERS)
		state_fail(s, "major",
		    "the state of baton %s has the format %lld; baton " BATON_VERSION
		    " knows the formats %d and %d only",
		    writer, (long long)major, STATE_MAJOR_NUMBERS, STATE_MAJOR);
	s->doc->numbers = major == STATE_MAJOR_NUMBERS;
}
