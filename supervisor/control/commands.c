/* SPDX-License-Identifier: MIT */
/*
 * What clients may ask for. A command is what a request has as "command": one row here, which names
 * every other member that it takes, and who does it.
 */
#include <string.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/control/control_internal.h"
#include "supervisor/deploy/deploy.h"

struct request {
	const char *service; /* "service", NULL if not given */
	long instances;      /* "instances" */
	long lines;          /* "lines", how many of the last ones */
	bool follow;         /* "follow" */
	bool canary, now;    /* "canary", "now" */
};

/* Members that a command takes, and those that it must have. */
enum { SERVICE = 1, INSTANCES = 2, MUST_SERVICE = 4 | SERVICE, FOLLOW = 8, ROLL = 16 };

/* Of events or lines, if a request that takes "lines" does not say. */
#define LINES_DEFAULT 10

struct command {
	const char *name;
	unsigned takes;
	/* Answers the client as an asker, at once or later. */
	void (*serve)(struct control *c, struct client *client, const struct request *r);
};

static void
serve_status(struct control *c, struct client *client, const struct request *r)
{
	(void)r;
	status_tell(c, &client->asker);
}

static void
roll(struct control *c, struct client *client, const struct roll_task *task)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why;

	if (roll_start(c->deploy, task, &client->asker, tmp, &why) < 0)
		asker_error(&client->asker, "%s", why);
	talloc_free(tmp);
}

static void
serve_restart(struct control *c, struct client *client, const struct request *r)
{
	roll(c, client,
	    &(struct roll_task){
		.what = "restart", .target = r->service, .canary = r->canary, .now = r->now});
}

static void
serve_rollback(struct control *c, struct client *client, const struct request *r)
{
	roll(
	    c, client, &(struct roll_task){.what = "rollback", .target = r->service, .back = true});
}

static void
serve_continue(struct control *c, struct client *client, const struct request *r)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why;

	if (roll_continue(c->deploy, r->service, tmp, &why) < 0)
		asker_error(&client->asker, "%s", why);
	else
		asker_result(&client->asker, json_pack("{s:b}", "ok", 1));
	talloc_free(tmp);
}

static void
serve_stop(struct control *c, struct client *client, const struct request *r)
{
	if (r->service != NULL) {
		job_stop(c->deploy, r->service, &client->asker);
		return;
	}
	client->request = CLIENT_STOPS;
	asker_progress(&client->asker, "ending in good order");
	sequence_stop(c->deploy);
}

static void
serve_start(struct control *c, struct client *client, const struct request *r)
{
	renew_sockets(c->deploy);
	job_start(c->deploy, r->service, &client->asker);
}

static void
serve_reset(struct control *c, struct client *client, const struct request *r)
{
	job_reset(c->deploy, r->service, &client->asker);
}

static void
serve_scale(struct control *c, struct client *client, const struct request *r)
{
	scale_service(c->deploy, r->service, r->instances, &client->asker);
}

static void
serve_reload(struct control *c, struct client *client, const struct request *r)
{
	(void)r;
	c->calls->reload(c->data, &client->asker);
}

static void
serve_upgrade(struct control *c, struct client *client, const struct request *r)
{
	(void)r;
	c->calls->upgrade(c->data, &client->asker);
}

static void
serve_events(struct control *c, struct client *client, const struct request *r)
{
	follow_events(c, client, r->service, r->lines, r->follow);
}

static void
serve_logs(struct control *c, struct client *client, const struct request *r)
{
	follow_logs(c, client, r->service, r->lines, r->follow);
}

static const struct command commands[] = {
    {"status", 0, serve_status},
    {"restart", SERVICE | ROLL, serve_restart},
    {"continue", SERVICE, serve_continue},
    {"start", MUST_SERVICE, serve_start},
    {"stop", SERVICE, serve_stop},
    {"reset", SERVICE, serve_reset},
    {"reload", 0, serve_reload},
    {"scale", MUST_SERVICE | INSTANCES, serve_scale},
    {"upgrade", 0, serve_upgrade},
    {"events", SERVICE | FOLLOW, serve_events},
    {"logs", SERVICE | FOLLOW, serve_logs},
    {"rollback", SERVICE, serve_rollback},
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
		    !((command->takes & INSTANCES) != 0 && strcmp(key, "instances") == 0) &&
		    !((command->takes & ROLL) != 0 &&
			(strcmp(key, "canary") == 0 || strcmp(key, "now") == 0)) &&
		    !((command->takes & FOLLOW) != 0 &&
			(strcmp(key, "lines") == 0 || strcmp(key, "follow") == 0)))
			return key;
	}
	return NULL;
}

static void
serve_object(struct control *c, struct client *client, json_t *object)
{
	const char *name = json_string_value(json_object_get(object, "command"));
	const json_t *service = json_object_get(object, "service");
	const struct command *command = name == NULL ? NULL : find(name);
	const json_t *instances = json_object_get(object, "instances");
	const json_t *lines = json_object_get(object, "lines");
	const json_t *follow = json_object_get(object, "follow");
	const json_t *canary = json_object_get(object, "canary");
	const json_t *now = json_object_get(object, "now");
	const struct request r = {.service = json_string_value(service),
	    .instances = (long)json_integer_value(instances),
	    .lines = lines == NULL ? LINES_DEFAULT : (long)json_integer_value(lines),
	    .follow = json_is_true(follow),
	    .canary = json_is_true(canary),
	    .now = json_is_true(now)};
	const char *stray;
	char names[256] = "";

	for (size_t i = 0; i < NCOMMANDS; i++) {
		strcat(names, i == 0 ? "" : ", ");
		strcat(names, commands[i].name);
	}
	if (name == NULL) {
		asker_error(
		    &client->asker, "a request needs a member \"command\" that is a string");
	} else if (command == NULL) {
		asker_error(&client->asker, "unknown command \"%s\"; expected %s", name, names);
	} else if ((stray = stray_member(object, command)) != NULL) {
		asker_error(&client->asker, "%s takes no \"%s\"", name, stray);
	} else if ((command->takes & MUST_SERVICE) == MUST_SERVICE && service == NULL) {
		asker_error(&client->asker, "%s needs a \"service\"", name);
	} else if ((command->takes & INSTANCES) != 0 && !json_is_integer(instances)) {
		asker_error(&client->asker, "%s needs \"instances\", a number", name);
	} else if (canary != NULL && !json_is_boolean(canary)) {
		asker_error(&client->asker, "\"canary\" is neither true nor false");
	} else if (now != NULL && !json_is_boolean(now)) {
		asker_error(&client->asker, "\"now\" is neither true nor false");
	} else if (service != NULL && r.service == NULL) {
		asker_error(&client->asker, "\"service\" is not a string");
	} else if (lines != NULL && (!json_is_integer(lines) || r.lines < 0)) {
		asker_error(&client->asker, "\"lines\" is not a number, or less than 0");
	} else if (follow != NULL && !json_is_boolean(follow)) {
		asker_error(&client->asker, "\"follow\" is neither true nor false");
	} else {
		command->serve(c, client, &r);
	}
}

bool
command_serve(struct control *c, struct client *client, const char *line, size_t len)
{
	json_error_t error;
	bool no_memory;
	json_t *object = json_memory_loadb(line, len, &error, &no_memory);

	if (no_memory) {
		asker_error(&client->asker, "there is no memory");
		return false;
	}
	if (!json_is_object(object)) {
		asker_error(&client->asker, "a request is one JSON object a line%s%s",
		    object == NULL ? ": " : "", object == NULL ? error.text : "");
		json_decref(object);
		return false;
	}
	serve_object(c, client, object);
	json_decref(object);
	return true;
}
