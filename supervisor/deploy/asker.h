/* SPDX-License-Identifier: MIT */
/*
 * Whoever has asked for a start, a stop, a deploy: it hears of progress and, once, of the result.
 * What it is, deploy/ does not know; where it comes from (control/) fills in the calls. It may go
 * away at any time, so who answers later holds it by a pointer that is NULL from then on. Each
 * function does nothing with an ASKER that is NULL, for which nobody waits.
 */
#ifndef SUPERVISOR_ASKER_H
#define SUPERVISOR_ASKER_H

#include <jansson.h>
#include <stdbool.h>

struct asker_calls {
	void (*progress)(void *data, const char *text);
	void (*result)(void *data, json_t *result); /* takes RESULT over */
};

struct asker {
	const struct asker_calls *calls;
	void *data;
	struct asker **where; /* of asker_later; NULL: nobody answers later */
};

/* The answer comes later: *WHERE is set to ASKER now, and to NULL when it is gone or has been given
 * its result. */
void asker_later(struct asker *asker, struct asker **where);
/* For those who fill one in: it goes, nothing more is told. */
void asker_release(struct asker *asker);

void asker_progress(struct asker *asker, const char *text);
/* The answer, and the end: takes RESULT over. What comes with it may ask for more at once. */
void asker_result(struct asker *asker, json_t *result);
/* {"ok":false,"error":TEXT} */
void
asker_error(struct asker *asker, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
