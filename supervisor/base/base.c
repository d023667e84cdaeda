/* SPDX-License-Identifier: MIT */
/* Makes the loop, the clock and the output that the whole program shares. */
#include "supervisor/base/base.h"

bool
base_start(struct base *base, TALLOC_CTX *mem)
{
	base->started_ms = timer_now_ms();
	base->ev = tevent_context_init(mem);
	base->timers = base->ev == NULL ? NULL : timers_new(mem, base->ev);
	base->out = base->ev == NULL ? NULL : output_new(mem, base->ev, 1, 2);
	base->logfiles = base->out == NULL ? NULL : logfiles_new(mem, base->out);
	return base->timers != NULL && base->logfiles != NULL;
}
