/* SPDX-License-Identifier: MIT */
/*
 * Clients that follow what happens, or what instances write. A follower owns nothing but its
 * place in a list; it goes with its client. One that does not read is no trouble to anybody:
 * of events it is cut off (a gap would be worse), of lines it misses some, and is told so.
 */
#include <string.h>

#include "supervisor/control/control.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/asker.h"

struct follower {
	LIST_ENTRY(follower) entry; /* in supervisor.followers */
	struct client *client;
	struct asker *asker; /* it, until it has its result */
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
follower_new(struct supervisor *sup, struct client *client, bool logs)
{
	struct follower *f = talloc_zero(client, struct follower);

	if (f == NULL)
		return NULL;
	f->logs = logs;
	LIST_INSERT_HEAD(&sup->followers, f, entry);
	talloc_set_destructor(f, follower_unlink);
	f->client = client;
	asker_later(client_asker(client), &f->asker);
	client_follows(client);
	return f;
}

static void
follow(struct supervisor *sup, struct client *client, const char *name, bool logs)
{
	struct follower *f = follower_new(sup, client, logs);

	if (f != NULL)
		f->name = name == NULL ? NULL : talloc_strdup(f, name);
	/* Without the name it would follow everything. */
	if (f == NULL || (name != NULL && f->name == NULL)) {
		asker_error(client_asker(client), "there is no memory");
		talloc_free(f);
	}
}

static bool
is_known(struct supervisor *sup, struct client *client, const char *name)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct instance **list;
	bool known = name == NULL || instances_select(&sup->all, name, tmp, &list) > 0;

	if (!known)
		asker_error(client_asker(client), "%s", instances_no_such(tmp, &sup->all, name));
	talloc_free(tmp);
	return known;
}

void
follow_events(struct supervisor *sup, struct client *client, const char *name, long count, bool on)
{
	json_t *list, *event;
	size_t i;

	if (!is_known(sup, client, name))
		return;
	list = event_list(&sup->all, name, count);
	json_array_foreach(list, i, event)
	{
		client_line(client, "event", json_copy(event));
	}
	json_decref(list);
	if (on)
		follow(sup, client, name, false);
	else
		asker_result(client_asker(client), json_pack("{s:b}", "ok", 1));
}

void
follow_logs(struct supervisor *sup, struct client *client, const char *name, long count, bool on)
{
	if (!is_known(sup, client, name))
		return;
	client_line(
	    client, "lines", json_pack("{s:o}", "lines", recent_list(&sup->all, name, count)));
	if (on)
		follow(sup, client, name, true);
	else
		asker_result(client_asker(client), json_pack("{s:b}", "ok", 1));
}

void
follow_event(struct supervisor *sup, json_t *event)
{
	struct follower *f;

	LIST_FOREACH(f, &sup->followers, entry) {
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
follow_line(struct instance *inst, bool err, const char *text, size_t len)
{
	struct follower *f;

	recent_add(inst, err, text, len);
	LIST_FOREACH(f, &inst->sup->followers, entry) {
		if (f->logs && (f->name == NULL || strcmp(f->name, inst->name) == 0 ||
				   strcmp(f->name, inst->service->config->name) == 0))
			send_line(f, inst, err, text, len);
	}
}

void
follow_end(struct supervisor *sup)
{
	struct follower *f;

	while ((f = LIST_FIRST(&sup->followers)) != NULL) {
		/* Its client may be freed by the result, and it must not go with it yet. */
		talloc_steal(sup, f);
		asker_result(f->asker, json_pack("{s:b}", "ok", 1));
		talloc_free(f);
	}
}
