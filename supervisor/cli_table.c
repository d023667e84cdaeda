/* SPDX-License-Identifier: MIT */
/* The table that `baton status` prints: one line a process, columns as wide as they need. */
#include <string.h>

#include "supervisor/cli.h"
#include "supervisor/supervisor.h"

#define COLUMNS 9

static const char *const titles[COLUMNS] = {
    "SERVICE", "INSTANCE", "GEN", "PID", "STATE", "ADDRESS", "UPTIME", "RESTARTS", "LAST EXIT"};

struct row {
	char *cell[COLUMNS];
};

struct rows {
	struct row *row;
	unsigned count;
};

static struct row *
add_row(struct rows *rows)
{
	struct row *r;

	rows->row = talloc_realloc(NULL, rows->row, struct row, rows->count + 1);
	r = &rows->row[rows->count++];
	for (size_t i = 0; i < COLUMNS; i++)
		r->cell[i] = "";
	return r;
}

static const char *
str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s == NULL ? "-" : s;
}

static char *
number(TALLOC_CTX *mem, const json_t *object, const char *key)
{
	const json_t *n = json_object_get(object, key);

	return json_is_integer(n) ? talloc_asprintf(mem, "%lld", (long long)json_integer_value(n))
				  : talloc_strdup(mem, "-");
}

static char *
uptime(TALLOC_CTX *mem, const json_t *object)
{
	const json_t *ms = json_object_get(object, "uptime_ms");

	return json_is_integer(ms) ? report_duration(mem, json_integer_value(ms))
				   : talloc_strdup(mem, "-");
}

static char *
addresses(TALLOC_CTX *mem, const json_t *instance)
{
	const json_t *sockets = json_object_get(instance, "sockets");
	char *text = talloc_strdup(mem, json_array_size(sockets) == 0 ? "-" : "");

	for (size_t i = 0; i < json_array_size(sockets); i++)
		text = talloc_asprintf_append(
		    text, "%s%s", i == 0 ? "" : " ", str(json_array_get(sockets, i), "address"));
	return text;
}

/* The instance, then a line for each further process that it has at the moment. */
static void
add_instance(TALLOC_CTX *mem, struct rows *rows, const char *service, const json_t *instance)
{
	const json_t *generations = json_object_get(instance, "generations");
	struct row *r = add_row(rows);

	*r = (struct row){
	    .cell = {talloc_strdup(mem, service), talloc_strdup(mem, str(instance, "name")),
		number(mem, instance, "generation"), number(mem, instance, "pid"),
		talloc_strdup(mem, str(instance, "state")), addresses(mem, instance),
		uptime(mem, instance), number(mem, instance, "restarts"),
		talloc_strdup(mem, str(instance, "last_exit"))}};
	for (size_t i = 0; i < json_array_size(generations); i++) {
		const json_t *g = json_array_get(generations, i);

		if (json_equal(
			json_object_get(g, "generation"), json_object_get(instance, "generation")))
			continue;
		r = add_row(rows);
		r->cell[2] = number(mem, g, "generation");
		r->cell[3] = number(mem, g, "pid");
		r->cell[4] = talloc_strdup(mem, str(g, "state"));
		r->cell[6] = uptime(mem, g);
	}
}

static void
print_rows(const struct rows *rows, FILE *to)
{
	size_t width[COLUMNS] = {0};

	for (unsigned i = 0; i < rows->count; i++) {
		for (size_t k = 0; k < COLUMNS; k++) {
			size_t len = strlen(rows->row[i].cell[k]);

			width[k] = len > width[k] ? len : width[k];
		}
	}
	for (unsigned i = 0; i < rows->count; i++) {
		size_t last = COLUMNS - 1;

		while (last > 0 && rows->row[i].cell[last][0] == '\0')
			last--;
		for (size_t k = 0; k < last; k++)
			fprintf(to, "%-*s  ", (int)width[k], rows->row[i].cell[k]);
		fprintf(to, "%s\n", rows->row[i].cell[last]);
	}
}

void
cli_table(TALLOC_CTX *mem, const json_t *status, FILE *to)
{
	const json_t *baton = json_object_get(status, "baton");
	const json_t *services = json_object_get(status, "services");
	const char *restart = json_string_value(json_object_get(status, "restart"));
	TALLOC_CTX *tmp = talloc_new(mem);
	struct rows rows = {.count = 0};
	struct row *head = add_row(&rows);

	for (size_t k = 0; k < COLUMNS; k++)
		head->cell[k] = talloc_strdup(tmp, titles[k]);
	for (size_t i = 0; i < json_array_size(services); i++) {
		const json_t *service = json_array_get(services, i);
		const json_t *instances = json_object_get(service, "instances");

		for (size_t k = 0; k < json_array_size(instances); k++)
			add_instance(
			    tmp, &rows, str(service, "name"), json_array_get(instances, k));
	}
	print_rows(&rows, to);
	fprintf(to, "\nbaton %s, pid %s, %s for %s, control %s\n", str(baton, "version"),
	    number(tmp, baton, "pid"), str(baton, "state"), uptime(tmp, baton),
	    str(baton, "control"));
	if (restart != NULL)
		fprintf(to, "a restart is under way: %s\n", restart);
	talloc_free(rows.row);
	talloc_free(tmp);
}
