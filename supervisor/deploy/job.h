/* SPDX-License-Identifier: MIT */
/* Jobs that others in this room give, about instances that are there already. */
#ifndef SUPERVISOR_JOB_H
#define SUPERVISOR_JOB_H

#include "supervisor/deploy/deploy.h"

/* Instances that were made already, with sockets and all; ASKER may be NULL. They are started in
 * any case: without memory all at once, and the asker is told so. */
void job_start_list(struct deploy *d, struct instance **list, size_t count, struct asker *asker);
/* Stops them for good: who waits for their start is told. When nothing of them lives any more,
 * THEN(DATA) is called from the loop. False: no memory, nothing happens, and ASKER has not been
 * told. */
typedef void job_then_fn(void *data);
bool job_stop_list(struct deploy *d, struct instance **list, size_t count, struct asker *asker,
    job_then_fn *then, void *data);
/* They are about to be freed. */
void job_forget(struct deploy *d, struct instance **list, size_t count);
/* The supervisor stops: whoever waits is told. */
void job_cancel_all(struct deploy *d, const char *why);

/* --- scale.c -------------------------------------------------------------------------------- */

/* Stops and removes the instances from KEEP on, or all with the service; nobody waits. */
void scale_shrink(struct service *s, unsigned keep);
void scale_remove(struct service *s);

#endif
