/* SPDX-License-Identifier: MIT */
/* Which configuration counts when a reload has replaced processes, or has failed to. */
#ifndef SUPERVISOR_OUTCOME_H
#define SUPERVISOR_OUTCOME_H

#include "supervisor/deploy/roll.h"

/* For the status: what is in the file is not, or not all of it, what counts. */
void outcome_refused(struct deploy *d, const char *why);
/* The reload has failed before anything was replaced: all that was kept counts again. */
void outcome_refuse_all(struct deploy *d, const char *why);
/* R is over: if it has failed, services that it has not replaced altogether get the configuration
 * back that they had before the reload, and its error says so. */
void outcome_judge(struct roll *r);
/* … and gone: instances that waited for its outcome start or end; those that run what was refused
 * are replaced. */
void outcome_follow(struct deploy *d);

#endif
