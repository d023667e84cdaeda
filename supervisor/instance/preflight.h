/* SPDX-License-Identifier: MIT */
/* What a start of a configuration's services would meet, found out before anything is changed. */
#ifndef SUPERVISOR_PREFLIGHT_H
#define SUPERVISOR_PREFLIGHT_H

struct config;

/* Before a start or reload: adds an error for each program, user, directory or file that it would
 * miss. */
void preflight_start(struct config *c);
/* For `baton check`, where nothing is started: the same, and all else that can be judged, such as
 * log files that could not be made. A note for what this user cannot judge. CONTROL is the path of
 * the control socket, if the configuration sets it, or NULL. */
void preflight_check(struct config *c, const char *control);

/* --- notes.c: what may be a surprise one day ------------------------------------------------------- */

/* Adds a note if crashes_max cannot be reached, as the waits before restarts are too long; … */
void notes_crashes(struct config *c);
/* … and one for each command that cannot be rolled back. */
void notes_rollback(struct config *c);

#endif
