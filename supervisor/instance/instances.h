/* SPDX-License-Identifier: MIT */
/*
 * The face of instance/: all instances of a baton, with what they have in common. This room starts
 * processes, watches them, and decides what follows from their ends. daemon/ puts it together and
 * says who hears of what happens here (hearers) and who decides what this room cannot (policy);
 * deploy/ gives instances orders by instance_event; control/ and upgrade/ read them. It never knows
 * who asked for anything: no clients, no restart that is under way, no order of services.
 *
 * Its floors, from the top; each file uses those below it, and what happens to a process comes up
 * by struct generation_events alone:
 *   instance.c                  what becomes of an instance when something happens to a process
 *   sick.c places.c             replacing what does not serve; how many spares there are
 *   instance_orders.c           asks the table, and carries out what it orders
 *   spare.c refuse.c            a spare takes a role; when sockets refuse
 *   generation.c                one process from its start to its end
 *   start.c                     what is opened and looked up for it
 *   ready.c                     how it shows that it is ready
 *   health.c watchdog.c         whether it still serves
 *   check.c sharing.c generation_output.c    asking it, its sockets, its lines
 *   recent.c event.c            what is kept of lines and of what happened
 *   instances.c report.c        instances by name; words for people
 *   life.c                      the table, which knows nothing but itself
 * preflight.c and notes.c stand beside them: what a start would meet, and what may be a surprise
 * later, before there is any instance.
 */
#ifndef SUPERVISOR_INSTANCES_H
#define SUPERVISOR_INSTANCES_H

#include "supervisor/base/base.h"
#include "supervisor/instance/generation.h"
#include "supervisor/instance/instance.h"
#include "supervisor/instance/life.h"
#include "supervisor/instance/service.h"

/* What is kept of what happened. */
#define EVENTS_KEPT 200

struct events;
struct accepted_by_queue;

/* Who hears of what happens to an instance. G is the process that it is about, or NULL; it lives
 * until all have heard. */
struct instance_hearer {
	const char *name;
	void (*news)(struct instance *inst, struct generation *g, enum instance_news news);
};

/* Of all of them; whoever orders them moves it on. */
enum instances_phase {
	SUP_STARTING, /* instance by instance, in order */
	SUP_RUNNING,
	SUP_STOPPING, /* service by service, in reverse order */
	SUP_DONE,
};

/* What the rooms above decide, or hear, while something happens here. */
struct instance_policy {
	/* An event, or a line that an instance has written; both are kept already. */
	void (*event)(struct instances *all, json_t *event);
	void (*line)(struct instance *inst, bool err, const char *text, size_t len);
	/* INST is down by a crash, and waits for its next start or has failed. */
	void (*crashed)(struct instance *inst);
	/* G, which is to serve, does not do so well: WHY, such as "does not answer". */
	void (*failing)(struct generation *g, const char *why);
	/* The copy that S is to be started from, instead of the file, with the file of which it is
	 * one in *EXE; -1: from the file, and *EXE stays. */
	int (*copy)(const struct service *s, struct executable *exe);
	/* Whether a spare may serve, by what it was started from. */
	bool (*fits)(const struct generation *spare);
	/* Whether S is in a restart that had begun at SINCE_MS: what was started then may be what
	 * that brings. */
	bool (*restarted_since)(const struct service *s, int64_t since_ms);
	/* Whether a restart is under way, of whatever service; whether anybody waits for news. */
	bool (*restarting)(const struct instances *all);
	bool (*waited_for)(const struct instances *all);
};

struct instances {
	void *owner; /* for the policy: what it finds its own things by */
	enum instances_phase phase;
	bool killing;                          /* told twice to end */
	struct base *base;                     /* loop, clock, and baton's own output */
	struct sockets *sockets;               /* of all of them */
	struct accepted_by_queue *accepted_by; /* who has accepted the connections of checks */
	struct service **services;
	size_t nservices;
	LIST_HEAD(, generation) generations; /* every process that has not been reaped */
	struct events *events;
	uint64_t lines;           /* that they have written */
	size_t recent_long_bytes; /* recent.c: what all its long lines take */
	const char *argv0;        /* as baton was called, for lines that say what to type */
	bool by_hand;             /* the services are those of the command line: there is no file */
	bool keeps_sockets;       /* baton has a manager, which keeps them for the next one */
	const struct instance_policy *policy;
	const struct generation_events *generation_events; /* instances_listen sets it */
	const struct instance_hearer *hearers; /* in their order; the last one has no name */
};

/* --- instance.c: what becomes of an instance when something happens to one of its processes ----- */

/* Before the first process is started: this room hears what happens to them. */
void instances_listen(struct instances *all);

/* --- instances.c: an instance among all of them ---------------------------------------------- */

/* One of SERVICE; it has no sockets yet. NULL: no memory. */
struct instance *instance_new(struct service *service, unsigned index);
/* Tells all who hear, one after the other. */
void instance_news(struct instance *inst, struct generation *g, enum instance_news news);
/* Appends the places of all spares of S to *LIST of *N instances, in MEM. */
void instances_append_spares(
    const struct service *s, TALLOC_CTX *mem, struct instance ***list, size_t *n);
/* Finds the instance's process among generations by pid, NULL if it is none of ours. */
struct generation *instances_generation(struct instances *all, pid_t pid);
/* The instances of the service NAME with its spares behind them, or the one instance of that
 * name, or all for NULL, as an array in MEM. Returns how many there are. */
size_t
instances_select(struct instances *all, const char *name, TALLOC_CTX *mem, struct instance ***list);
/* "there is no service …", with those that there are. */
char *instances_no_such(TALLOC_CTX *mem, const struct instances *all, const char *name);

/* --- event.c: what has happened ------------------------------------------------------- */

struct events *events_new(TALLOC_CTX *mem);
void event_state(struct state *s, struct events *e);
/* WHAT ("ready", "reload") happened to INST and G, which may be NULL. FORMAT makes a text for
 * people that does not name the instance; MORE (taken over; NULL: nothing) adds members. */
void event_emit(struct instances *all, const struct instance *inst, const struct generation *g,
    const char *what, json_t *more, const char *format, ...) __attribute__((format(printf, 6, 7)));
void event_news(struct instance *inst, struct generation *g, enum instance_news news);
/* Whether it is about that service or instance (NULL: any), or about baton as a whole. */
bool event_is_about(const json_t *event, const char *name);
/* The last COUNT of them, as an array. */
json_t *event_list(const struct instances *all, const char *name, long count);

/* --- report.c: what people read while baton runs ---------------------------------------- */

void report_news(struct instance *inst, struct generation *g, enum instance_news news);
/* "4.2 s", "3 min", "2 h": durations for people. */
char *report_duration(TALLOC_CTX *mem, int64_t ms);

/* "http://127.0.0.1:8080" or several, or "-". */
char *report_urls(TALLOC_CTX *mem, const struct instance *inst);
/* "12 connections moved, 3 requests finished, 0 connections ended, 0 cut". */
char *report_drained(TALLOC_CTX *mem, const struct notify_drained *d);
/* Its last lines on stderr, for a verdict; none if G is NULL. */
json_t *report_tail_json(const struct generation *g);
/* {"moved":12,…} */
json_t *report_drained_json(const struct notify_drained *d);

#endif
