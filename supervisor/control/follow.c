/* SPDX-License-Identifier: MIT */
/*
 * Clients that follow what happens, or what instances write. A follower owns nothing but its
 * place in a list; it goes with its client. One that does not read is no trouble to anybody:
 * of events it is cut off (a gap would be worse), of lines it misses some, and is told so.
 */
#include <string.h>

#include "supervisor/control/control_internal.h"
#include "supervisor/instance/instances.h"

struct follower {
	LIST_ENTRY(follower) entry; /* in control.followers */
	struct client *client;
	struct asker *asker; /* the client's, until it has its result */
	bool logs;           /* lines of output, else events */
	char *name;          /* a service or an instance; NULL: all */
	uint64_t missed;     /* lines, of which it has not been told */
};

static int
follower_unlink(struct follower *f)
{
	LIST_REMOVE(f, entry);
	return 0;
}

static struct follower *
follower_new(struct control *c, struct client *client, bool logs)
{
	struct follower *f = talloc_zero(client, struct follower);

	if (f == NULL)
		return NULL;
	f->logs = logs;
	LIST_INSERT_HEAD(&c->followers, f, entry);
	talloc_set_destructor(f, follower_unlink);
	f->client = client;
	asker_later(&client->asker, &f->asker);
	client->request = CLIENT_FOLLOWS;
	return f;
}

static void
follow(struct control *c, struct client *client, const char *name, bool logs)
{
	struct follower *f = follower_new(c, client, logs);

	if (f != NULL)
		f->name = name == NULL ? NULL : talloc_strdup(f, name);
	/* Without the name it would follow everything. */
	if (f == NULL || (name != NULL && f->name == NULL)) {
		asker_error(&client->asker, "there is no memory");
		talloc_free(f);
	}
}

static bool
is_known(struct control *c, struct client *client, const char *name)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct instance **list;
	bool known = name == NULL || instances_select(c->all, name, tmp, &list) > 0;

	if (!known)
		asker_error(&client->asker, "%s", instances_no_such(tmp, c->all, name));
	talloc_free(tmp);
	return known;
}

void
follow_events(struct control *c, struct client *client, const char *name, long count, bool on)
{
	json_t *list, *event;
	size_t i;

	if (!is_known(c, client, name))
		return;
	list = event_list(c->all, name, count);
	json_array_foreach(list, i, event)
	{
		client_line(client, "event", json_copy(event));
	}
	json_decref(list);
	if (on)
		follow(c, client, name, false);
	else
		asker_result(&client->asker, json_pack("{s:b}", "ok", 1));
}

void
follow_logs(struct control *c, struct client *client, const char *name, long count, bool on)
{
	if (!is_known(c, client, name))
		return;
	client_line(client, "lines", json_pack("{s:o}", "lines", recent_list(c->all, name, count)));
	if (on)
		follow(c, client, name, true);
	else
		asker_result(&client->asker, json_pack("{s:b}", "ok", 1));
}

void
follow_event(struct control *c, json_t *event)
{
	struct follower *f;

	LIST_FOREACH(f, &c->followers, entry) {
		if (!f->logs && event_is_about(event, f->name))
			client_line(f->client, "event", json_copy(event));
	}
}

static void
send_line(struct follower *f, const struct instance *inst, bool err, const char *text, size_t len)
{
	if (!client_has_room(f->client)) {
		f->missed++;
		return;
	}
	if (f->missed > 0)
		client_line(
		    f->client, "missed", json_pack("{s:I}", "lines", (json_int_t)f->missed));
	f->missed = 0;
	client_line(f->client, "lines",
	    json_pack("{s:[o]}", "lines", recent_line_json(inst->name, err, text, len)));
}

void
follow_line(struct control *c, const struct instance *inst, bool err, const char *text, size_t len)
{
	struct follower *f;

	LIST_FOREACH(f, &c->followers, entry) {
		if (f->logs && (f->name == NULL || strcmp(f->name, inst->name) == 0 ||
				   strcmp(f->name, inst->service->config->name) == 0))
			send_line(f, inst, err, text, len);
	}
}

void
follow_end(struct control *c)
{
	struct follower *f;

	while ((f = LIST_FIRST(&c->followers)) != NULL) {
		/* The result may free the client, and the follower must not go with it yet. */
		talloc_steal(c, f);
		asker_result(f->asker, json_pack("{s:b}", "ok", 1));
		talloc_free(f);
	}
}
