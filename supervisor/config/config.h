/* SPDX-License-Identifier: MIT */
/*
 * The face of config/: what a file or the command line asks for, checked as far as the text alone
 * allows, and ready to use. Every room above reads it. It never looks at programs, users, sockets
 * or processes: what a start would meet is instance/preflight.h.
 */
#ifndef SUPERVISOR_CONFIG_H
#define SUPERVISOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <talloc.h>

#include "supervisor/config/address.h"
#include "supervisor/config/keys.h"

/* Errors beyond this many are counted, not told. */
#define CONFIG_ERRORS_MAX 20

/* The maxima of keep_good and crashes_max. */
#define GOOD_MAX    8
#define CRASHES_MAX 64

/* Where baton looks when no -c is given, in this order. */
#define CONFIG_DEFAULT_HERE   "./baton.conf"
#define CONFIG_DEFAULT_SYSTEM "/etc/baton.conf"

/* One `listen` line: instance n listens on the port of base + n, or on the path with n for %i. */
struct listen_config {
	struct address base;
	char *name;  /* for LISTEN_FDNAMES */
	char *where; /* "FILE:LINE" or "--listen", for errors when binding */
};

/* After which ends a process is started again: all, only those that say failure, none. */
enum lifetime { LIFETIME_PERMANENT, LIFETIME_TRANSIENT, LIFETIME_TEMPORARY };

/* What a crash of one instance means for the others of its service (deploy/strategy.c). */
enum strategy_kind { STRATEGY_ONE_FOR_ONE, STRATEGY_ONE_FOR_ALL, STRATEGY_REST_FOR_ONE };

/* The longest path that baton asks a service for. */
#define HTTP_PATH_MAX_BYTES 1024

/* How a process shows that it is ready. */
enum ready_kind { READY_NOTIFY, READY_FD, READY_HTTP, READY_DELAY };

/* 0 to 2 are what every process has. */
#define READY_FD_MIN 3

struct ready_config {
	enum ready_kind kind;
	long fd;       /* its number in the process, from READY_FD_MIN; 0: baton chooses */
	long delay_ms; /* after the start */
	char *path;    /* that answers */
};

struct limit_config {
	int resource; /* as setrlimit(2) numbers it */
	struct rlimit value;
};

/* One file of a control group and what is written into it: "memory.max" and "512M". */
struct cgroup_config {
	char *name;
	char *value;
};

/* Who may connect to a Unix socket. */
struct socket_owner {
	mode_t mode;
	uid_t uid; /* -1: baton's own */
	gid_t gid;
};

struct service_config {
	char *name;
	int line;       /* of its section header */
	char **command; /* argv, NULL-terminated */
	struct listen_config *listens;
	size_t nlistens;
	long instances;
	long shared;                      /* all instances have the same sockets */
	long backlog;                     /* for listen(2) */
	long socket_mode;                 /* of Unix sockets' files */
	char *socket_user, *socket_group; /* of these files; NULL: baton's own */
	struct socket_owner owner;        /* socket_user and socket_group, looked up */
	bool owner_known;                 /* they have been looked up */
	long surge;                       /* how many instances a roll replaces at a time */
	long canary;                      /* yes or no: a roll pauses after the first instance */
	long canary_time_ms;              /* how long it pauses; 0: until somebody says so */
	struct ready_config ready;
	long start_timeout_ms;
	long drain_timeout_ms;
	long backoff_first_ms;
	long backoff_max_ms;
	long quiet_time_ms;
	long crashes_max;
	long crashes_time_ms;
	long refuse_after_ms;
	long watchdog_ms; /* 0: none */
	char *health;     /* a path; NULL: no checks */
	long health_interval_ms, health_timeout_ms, health_failures;
	long spares;        /* warm processes that take the place of crashed ones */
	long lifetime;      /* enum lifetime */
	long strategy;      /* enum strategy_kind */
	char *user, *group; /* NULL: baton's own */
	char *out, *err;    /* "lines", "inherit", or a path with a slash */
	char *directory;    /* NULL: baton's own */
	long umask;         /* -1: baton's own */
	long nice;          /* added to baton's own */
	long no_new_privs;  /* yes or no */
	long env_inherit;   /* yes or no */
	char *env_file;     /* NULL: none */
	char **env;         /* "NAME=value", a talloc array */
	struct limit_config *limits;
	size_t nlimits;
	struct cgroup_config *cgroups;
	size_t ncgroups;
	long cgroup_optional; /* where they cannot be had, it runs without them */
	long die_with_supervisor;
	long stop_signal;
	long probation_time_ms;
	long keep_good;     /* copies of executables */
	int seen[KEYS_MAX]; /* the line on which each key of keys.h was set; 0: not set */
};

struct config {
	char *file;    /* NULL: from the command line */
	char *control; /* NULL: not set */
	struct service_config **services;
	size_t nservices;
	int seen[KEYS_MAX]; /* for the keys of [supervisor] */
	char *errors[CONFIG_ERRORS_MAX];
	unsigned nerrors; /* all of them, also those not kept */
	char **notes;     /* what is no error, but may be a surprise one day: a talloc array */
};

/* An empty configuration. FILE may be NULL. NULL for lack of memory. */
struct config *config_new(TALLOC_CTX *mem, const char *file);

/*
 * Reads FILE ("-" is standard input). Returns NULL only for lack of memory; whatever is wrong
 * stands in errors, so that a caller who needs one key of a broken file can have it.
 */
struct config *config_read(TALLOC_CTX *mem, const char *file);

/* The default file that exists, or NULL. */
const char *config_default_file(void);

/* For the command line, and the reader of files: a service by name, made if CREATE. NULL: that is
 * no good name (config_good_name), there is none, or no memory. */
struct service_config *config_service(struct config *c, const char *name, int line, bool create);

/*
 * Sets the key NAME (as written: "listen.web" too) of SERVICE, or of [supervisor] when SERVICE is NULL.
 * WHERE ("FILE:LINE" or an option) begins the error line if VALUE is not good; LINE is for
 * telling duplicates. Returns 0, -EINVAL or -ENOMEM.
 */
int config_set(struct config *c, struct service_config *service, const char *where, int line,
    const char *name, const char *value);

/* "nofile" of RLIMIT_NOFILE; what `limit` does not know is "?". (kind_limit.c) */
const char *config_limit_name(int resource);

/* Whether the environment variable NAME is one that only baton sets. (kind_env.c) */
bool config_variable_is_batons(const char *name);

/* 1 to 32 letters, digits, '-' and '_'. */
bool config_good_name(const char *name);

enum config_change {
	CONFIG_SAME,
	CONFIG_LIVE,          /* it counts at once, for processes that run too */
	CONFIG_NEEDS_PROCESS, /* only a new process will know */
};

/* What it takes to come from one to the other; both are finished. */
enum config_change
config_service_change(const struct service_config *a, const struct service_config *b);
/* A key of [supervisor] that differs though it cannot change while baton runs, or NULL. */
const struct key *config_fixed_change(const struct config *a, const struct config *b);

struct state;
/* What counts for a service, whatever the file says by now, to the document of state.h or from it.
 * What is read gets its defaults first. */
void config_service_state(struct state *s, struct service_config *c);
/* The word for KIND alone, as a member NAME. */
enum ready_kind ready_kind_state(struct state *s, const char *name, enum ready_kind kind);

/* Adds an error line. */
void config_error(struct config *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The line on which KEY of S was set, or if it was not, that of the section. */
int config_line(const struct service_config *s, const char *key);

/* --- config_http.c --- */

/* Whether baton's server library has the setting NAME and takes VALUE. Returns 0, or a negative
 * errno with *WHY (in MEM; NULL: no memory) set. */
int config_http_check(TALLOC_CTX *mem, const char *name, const char *value, const char **why);

/* Gives every key that was not set its default. Returns 0 or -ENOMEM. */
int config_defaults(struct service_config *s);

/* Defaults, then what can be seen only in the whole: missing keys, ports that overlap. */
void config_finish(struct config *c);

/* For such lines: "FILE:LINE"; and the section as it stands there, nothing for the command line. */
const char *config_place(TALLOC_CTX *mem, const struct config *c, int line);
const char *
config_section_text(TALLOC_CTX *mem, const struct config *c, const struct service_config *s);

/* Adds a line about what is no error, but may be a surprise one day; without memory there is none. */
void config_note(struct config *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
