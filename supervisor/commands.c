/* SPDX-License-Identifier: MIT */
/* What clients may ask for: one row a command, which names every member that it takes. */
#include <string.h>

#include "supervisor/control.h"
#include "supervisor/supervisor.h"

struct request {
	json_t *object;
	const char *service; /* "service", NULL if not given */
	long instances;      /* "instances" */
};

/* Members that a command takes, and those that it must have. */
enum { SERVICE = 1, INSTANCES = 2, MUST_SERVICE = 4 | SERVICE };

struct command {
	const char *name;
	unsigned takes;
	/* Answers by client_result or client_error, at once or later. */
	void (*serve)(struct supervisor *sup, struct client *c, const struct request *r);
};

static void
serve_status(struct supervisor *sup, struct client *c, const struct request *r)
{
	json_t *status = status_json(sup);

	(void)r;
	json_object_set_new(status, "ok", json_true());
	client_result(c, status);
}

static void
serve_restart(struct supervisor *sup, struct client *c, const struct request *r)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why;

	if (roll_start(sup, r->service, c, tmp, &why) < 0)
		client_error(c, "%s", why);
	talloc_free(tmp);
}

static void
serve_stop(struct supervisor *sup, struct client *c, const struct request *r)
{
	if (r->service != NULL) {
		op_stop(sup, r->service, c);
		return;
	}
	client_wait_for_stop(c);
	client_progress(c, "ending in good order");
	order_stop(sup);
}

static void
serve_start(struct supervisor *sup, struct client *c, const struct request *r)
{
	op_start(sup, r->service, c);
}

static void
serve_reset(struct supervisor *sup, struct client *c, const struct request *r)
{
	op_reset(sup, r->service, c);
}

static void
serve_scale(struct supervisor *sup, struct client *c, const struct request *r)
{
	op_scale(sup, r->service, r->instances, c);
}

static void
serve_reload(struct supervisor *sup, struct client *c, const struct request *r)
{
	(void)r;
	reload(sup, c);
}

static const struct command commands[] = {
    {"status", 0, serve_status},
    {"restart", SERVICE, serve_restart},
    {"start", MUST_SERVICE, serve_start},
    {"stop", SERVICE, serve_stop},
    {"reset", SERVICE, serve_reset},
    {"reload", 0, serve_reload},
    {"scale", MUST_SERVICE | INSTANCES, serve_scale},
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* The first member that the command does not take, NULL if there is none. */
static const char *
stray_member(const json_t *object, const struct command *command)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		if (strcmp(key, "command") != 0 &&
		    !((command->takes & SERVICE) != 0 && strcmp(key, "service") == 0) &&
		    !((command->takes & INSTANCES) != 0 && strcmp(key, "instances") == 0))
			return key;
	}
	return NULL;
}

static void
serve_object(struct supervisor *sup, struct client *c, json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "command"));
	const json_t *service = json_object_get(object, "service");
	const struct command *command = name == NULL ? NULL : find(name);
	const json_t *instances = json_object_get(object, "instances");
	struct request r = {.object = object,
	    .service = json_string_value(service),
	    .instances = (long)json_integer_value(instances)};
	const char *stray;
	char names[256] = "";

	for (size_t i = 0; i < NCOMMANDS; i++) {
		strcat(names, i == 0 ? "" : ", ");
		strcat(names, commands[i].name);
	}
	if (name == NULL) {
		client_error(c, "a request needs a member \"command\" that is a string");
	} else if (command == NULL) {
		client_error(c, "unknown command \"%s\"; expected %s", name, names);
	} else if ((stray = stray_member(object, command)) != NULL) {
		client_error(c, "%s takes no \"%s\"", name, stray);
	} else if ((command->takes & MUST_SERVICE) == MUST_SERVICE && service == NULL) {
		client_error(c, "%s needs a \"service\"", name);
	} else if ((command->takes & INSTANCES) != 0 && !json_is_integer(instances)) {
		client_error(c, "%s needs \"instances\", a number", name);
	} else if (service != NULL && r.service == NULL) {
		client_error(c, "\"service\" is not a string");
	} else {
		command->serve(sup, c, &r);
	}
}

bool
command_serve(struct supervisor *sup, struct client *c, const char *line, size_t len)
{
	json_error_t error;
	json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);

	if (!json_is_object(object)) {
		client_error(c, "a request is one JSON object a line%s%s",
		    object == NULL ? ": " : "", object == NULL ? error.text : "");
		json_decref(object);
		return false;
	}
	serve_object(sup, c, object);
	json_decref(object);
	return true;
}
