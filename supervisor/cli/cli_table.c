/* SPDX-License-Identifier: MIT */
/* The table that `baton status` prints: one line a process, columns as wide as they need. */
#include <locale.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "supervisor/cli/cli.h"
#include "supervisor/daemon/supervisor.h"

enum {
	SERVICE,
	INSTANCE,
	GENERATION,
	PID,
	STATE, /* the column that has colours */
	ADDRESS,
	UPTIME,
	RESTARTS,
	CONNECTIONS,
	MEMORY,
	CPU,
	LAST_EXIT,
	COLUMNS
};

static const char *const titles[COLUMNS] = {"SERVICE", "INSTANCE", "GEN", "PID", "STATE", "ADDRESS",
    "UPTIME", "RESTARTS", "CONNS", "MEMORY", "CPU", "LAST EXIT"};

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

static char *
memory(TALLOC_CTX *mem, const json_t *object)
{
	static const char units[] = "KMGT";
	const json_t *bytes = json_object_get(object, "memory_bytes");
	double n = (double)json_integer_value(bytes) / 1024;
	size_t unit = 0;

	if (!json_is_integer(bytes))
		return talloc_strdup(mem, "-");
	for (; n >= 1000 && units[unit + 1] != '\0'; unit++)
		n /= 1024;
	return talloc_asprintf(mem, "%.1f%c", n, units[unit]);
}

/* What an earlier status says of the process PID; NULL: nothing. */
static const json_t *
process_of(const json_t *status, json_int_t pid)
{
	const json_t *services = json_object_get(status, "services"), *found = NULL;

	for (size_t i = 0; i < json_array_size(services) && found == NULL; i++) {
		const json_t *instances = json_object_get(json_array_get(services, i), "instances");

		for (size_t k = 0; k < json_array_size(instances); k++) {
			const json_t *list =
			    json_object_get(json_array_get(instances, k), "generations");

			for (size_t n = 0; n < json_array_size(list); n++) {
				const json_t *g = json_array_get(list, n);

				if (json_integer_value(json_object_get(g, "pid")) == pid)
					found = g;
			}
		}
	}
	return found;
}

static json_int_t
since(const json_t *now, const json_t *then, const char *key)
{
	return json_integer_value(json_object_get(now, key)) -
	       json_integer_value(json_object_get(then, key));
}

/* Of one processor: since the earlier status if there is one, else since its start. */
static char *
cpu(TALLOC_CTX *mem, const json_t *object, const json_t *before)
{
	const json_t *then = process_of(before, json_integer_value(json_object_get(object, "pid")));
	json_int_t ms = since(object, then, "uptime_ms");

	if (!json_is_integer(json_object_get(object, "cpu_ms")))
		return talloc_strdup(mem, "-");
	return talloc_asprintf(mem, "%.1f%%",
	    100.0 * (double)since(object, then, "cpu_ms") / (double)(ms > 0 ? ms : 1));
}

/* The state, and whether it runs a copy instead of the file. */
static char *
state(TALLOC_CTX *mem, const json_t *instance)
{
	const json_t *first = json_array_get(json_object_get(instance, "generations"), 0);
	bool back = json_is_true(json_object_get(first, "rolled_back"));

	return talloc_asprintf(mem, "%s%s", str(instance, "state"), back ? ", rolled back" : "");
}

/* The instance, then a line for each further process that it has at the moment. */
static void
add_instance(TALLOC_CTX *mem, struct rows *rows, const char *service, const json_t *instance,
    const json_t *before)
{
	const json_t *generations = json_object_get(instance, "generations");
	struct row *r = add_row(rows);

	*r = (struct row){
	    .cell = {talloc_strdup(mem, service), talloc_strdup(mem, str(instance, "name")),
		number(mem, instance, "generation"), number(mem, instance, "pid"),
		state(mem, instance), addresses(mem, instance), uptime(mem, instance),
		number(mem, instance, "restarts"), number(mem, instance, "connections"),
		memory(mem, instance), cpu(mem, instance, before),
		talloc_strdup(mem, str(instance, "last_exit"))}};
	for (size_t i = 0; i < json_array_size(generations); i++) {
		const json_t *g = json_array_get(generations, i);

		if (json_equal(
			json_object_get(g, "generation"), json_object_get(instance, "generation")))
			continue;
		r = add_row(rows);
		r->cell[GENERATION] = number(mem, g, "generation");
		r->cell[PID] = number(mem, g, "pid");
		r->cell[STATE] = talloc_strdup(mem, str(g, "state"));
		r->cell[UPTIME] = uptime(mem, g);
		r->cell[MEMORY] = memory(mem, g);
		r->cell[CPU] = cpu(mem, g, before);
	}
}

/* A process that serves and is sick: why, below the table. */
static void
print_sick(const json_t *instance, FILE *to)
{
	const json_t *generations = json_object_get(instance, "generations");

	for (size_t i = 0; i < json_array_size(generations); i++) {
		const json_t *g = json_array_get(generations, i);
		const char *why = json_string_value(json_object_get(g, "sick"));

		if (why != NULL)
			fprintf(to, "%s: generation %lld %s\n", str(instance, "name"),
			    (long long)json_integer_value(json_object_get(g, "generation")), why);
	}
}

/* OF has a member that says which of its configurations counts. Whether a later one does not. */
static bool
print_refused(const json_t *of, const char *name, FILE *to)
{
	const json_t *c = json_object_get(of, "configuration");
	time_t read = (time_t)(json_integer_value(json_object_get(c, "read_unix_ms")) / 1000);
	time_t refused = (time_t)(json_integer_value(json_object_get(c, "refused_unix_ms")) / 1000);
	char since[32] = "?", at[32] = "?";
	struct tm tm;

	if (!json_is_string(json_object_get(c, "refused_why")))
		return false;
	if (localtime_r(&read, &tm) != NULL)
		strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &tm);
	if (localtime_r(&refused, &tm) != NULL)
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(to, "%s: what was read %s counts; what the file said %s was refused: %s\n", name,
	    since, at, str(c, "refused_why"));
	return true;
}

/* What the table has no place for. */
static bool
print_notes(const json_t *service, FILE *to)
{
	const json_t *list = json_object_get(service, "instances");
	const json_t *all = json_object_get(service, "connections");

	for (size_t k = 0; k < json_array_size(list); k++)
		print_sick(json_array_get(list, k), to);
	if (json_is_integer(all) && json_array_size(list) > 1 &&
	    json_is_null(json_object_get(json_array_get(list, 0), "connections")))
		fprintf(to, "%s: %lld connections on the sockets that its instances share\n",
		    str(service, "name"), (long long)json_integer_value(all));
	if (json_is_true(json_object_get(service, "rolled_back")) &&
	    json_is_string(json_object_get(service, "rollback_why")))
		fprintf(to, "%s is rolled back: %s\n", str(service, "name"),
		    str(service, "rollback_why"));
	return print_refused(service, str(service, "name"), to);
}

/* SGR parameters: a colour that says how well it is, or NULL. */
static const char *
color_of(unsigned row, size_t column, const char *text)
{
	static const struct {
		const char *state, *color;
	} states[] = {{"ready", "32"}, {"failed", "31"}, {"killed", "31"}, {"down", "2"}};

	if (row == 0)
		return "1"; /* the titles: bold */
	if (column != STATE || text[0] == '\0')
		return NULL;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(states[i].state, text) == 0)
			return states[i].color;
	}
	return "33"; /* on its way from one to another */
}

/* How many columns of a terminal TEXT takes: addresses may be paths, in any language. */
static size_t
columns_of(const char *text)
{
	mbstate_t state = {0};
	size_t n = 0, len;
	wchar_t c;

	for (; *text != '\0'; text += len) {
		len = mbrtowc(&c, text, strlen(text), &state);
		if (len == (size_t)-1 || len == (size_t)-2) {
			state = (mbstate_t){0}; /* no character: shown somehow */
			len = 1;
			n++;
		} else {
			int width = wcwidth(c);

			n += width > 0 ? (size_t)width : 0;
		}
	}
	return n;
}

static void
print_cell(const char *text, size_t width, const char *color, FILE *to)
{
	size_t len = columns_of(text);

	if (color != NULL)
		fprintf(to, "\033[%sm%s\033[0m", color, text);
	else
		fputs(text, to);
	if (width > len)
		fprintf(to, "%*s", (int)(width - len), "");
}

static void
print_rows(const struct rows *rows, bool color, FILE *to)
{
	/* JSON is UTF-8, whatever the locale of whoever asks. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), had = uselocale(utf8);
	size_t width[COLUMNS] = {0};

	for (unsigned i = 0; i < rows->count; i++) {
		for (size_t k = 0; k < COLUMNS; k++) {
			size_t len = columns_of(rows->row[i].cell[k]);

			width[k] = len > width[k] ? len : width[k];
		}
	}
	for (unsigned i = 0; i < rows->count; i++) {
		size_t last = COLUMNS - 1;

		while (last > 0 && rows->row[i].cell[last][0] == '\0')
			last--;
		for (size_t k = 0; k <= last; k++) {
			const char *cell = rows->row[i].cell[k];

			print_cell(cell, k < last ? width[k] + 2 : 0,
			    color ? color_of(i, k, cell) : NULL, to);
		}
		fputc('\n', to);
	}
	uselocale(had);
	if (utf8 != (locale_t)0)
		freelocale(utf8);
}

void
cli_table(TALLOC_CTX *mem, const json_t *status, const json_t *before, bool color, FILE *to)
{
	const json_t *baton = json_object_get(status, "baton");
	const json_t *services = json_object_get(status, "services");
	const char *restart = json_string_value(json_object_get(status, "restart"));
	bool refused = false;
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
			    tmp, &rows, str(service, "name"), json_array_get(instances, k), before);
		for (size_t k = 0; k < json_array_size(json_object_get(service, "spares")); k++)
			add_instance(tmp, &rows, str(service, "name"),
			    json_array_get(json_object_get(service, "spares"), k), before);
	}
	print_rows(&rows, color, to);
	fprintf(to, "\nbaton %s, pid %s, %s for %s, memory %s, control %s\n", str(baton, "version"),
	    number(tmp, baton, "pid"), str(baton, "state"), uptime(tmp, baton), memory(tmp, baton),
	    str(baton, "control"));
	for (size_t i = 0; i < json_array_size(services); i++)
		refused = print_notes(json_array_get(services, i), to) || refused;
	if (!refused)
		print_refused(status, "configuration", to);
	if (restart != NULL)
		fprintf(to, "a restart is under way: %s\n", restart);
	talloc_free(rows.row);
	talloc_free(tmp);
}
