/* SPDX-License-Identifier: MIT */
/*
 * Contexts and the registry beside Go's, in one run: rounds of both by turns, and the median
 * of each. Go's part is ctx.go; where Go is not installed it is left out with a notice.
 * Contexts are made in a talloc pool and freed, as a request's are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <baton/ctx.h>
#include <baton/registry.h>

enum { ROUNDS = 5, LIVE = 400000, KEPT = 100000 };

CTX_KEY(key_a, int);
CTX_KEY(key_b, int);

static TALLOC_CTX *pool;
static int value;
#define SINK(x) __asm__ volatile("" : : "r"(x) : "memory")

static void
free_ctx(const struct ctx *c)
{
	talloc_free((void *)(uintptr_t)c);
}

static const struct ctx *deep;
static struct ctx *root;
static struct ctx_registry *registry;
static char requests[1000][8];

static void
with_value(int n)
{
	while (n-- > 0)
		free_ctx(ctx_with_value(pool, ctx_background(), &key_a, &value));
}

static void
value_depth_1(int n)
{
	while (n-- > 0)
		SINK(ctx_value(deep, &key_b));
}

static void
value_depth_10(int n)
{
	while (n-- > 0)
		SINK(ctx_value(deep, &key_a));
}

static void
with_cancel_child(int n)
{
	while (n-- > 0) {
		struct ctx *c = ctx_with_cancel(pool, root);

		ctx_cancel(c);
		talloc_free(c);
	}
}

static void
with_cancel(int n)
{
	while (n-- > 0) {
		struct ctx *c = ctx_with_cancel(pool, ctx_background());

		ctx_cancel(c);
		talloc_free(c);
	}
}

static void
err(int n)
{
	while (n-- > 0)
		SINK(ctx_err(root));
}

static void
request(int n)
{
	while (n-- > 0) {
		struct ctx *c = ctx_with_cancel(pool, ctx_background());
		const struct ctx *d = ctx_with_value(pool, c, &key_a, &value);

		SINK(ctx_with_value(pool, d, &key_b, &value));
		ctx_cancel(c);
		talloc_free_children(pool);
	}
}

static void
with_timeout(int n)
{
	while (n-- > 0) {
		struct ctx *c = ctx_with_timeout(pool, ctx_background(), 3600000);

		ctx_cancel(c);
		talloc_free(c);
	}
}

static void
registry_cycle(int n)
{
	while (n-- > 0) {
		ctx_registry_set(registry, &value, &key_a, &value);
		SINK(ctx_registry_get(registry, &value, &key_a));
		ctx_registry_clear(registry, &value);
	}
}

static void
registry_get(int n)
{
	while (n-- > 0)
		SINK(ctx_registry_get(registry, requests[n % 8], &key_a));
}

static const struct row {
	const char *name, *text;
	void (*f)(int n);
	int n;
} rows[] = {
    {"with_value", "with_value", with_value, 2000000},
    {"value_depth_1", "value at depth 1", value_depth_1, 10000000},
    {"value_depth_10", "value at depth 10", value_depth_10, 5000000},
    {"with_cancel_child", "with_cancel + cancel, cancellable parent", with_cancel_child, 1000000},
    {"with_cancel", "with_cancel + cancel, under background", with_cancel, 1000000},
    {"request", "with_cancel + 2 with_value + cancel", request, 1000000},
    {"err", "err", err, 20000000},
    {"with_timeout", "with_timeout (1 h) + cancel", with_timeout, 1000000},
    {"timeout_400k", "the same beside 400 000 live ones", with_timeout, 500000},
    {"registry_cycle", "registry set + get + clear", registry_cycle, 1000000},
    {"registry_get", "registry get", registry_get, 5000000},
    {"bytes_value", "bytes of a value context", NULL, 0},
    {"bytes_cancel", "bytes of a cancellable context", NULL, 0},
    {"bytes_timeout", "bytes of one with a deadline (+ 16 in a heap)", NULL, 0},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static double ours[ROWS][ROUNDS], theirs[ROWS][ROUNDS];

static double
measure(const struct row *row)
{
	int64_t begin;

	row->f(row->n / 10);
	begin = ctx_now_ns();
	row->f(row->n);
	return (double)(ctx_now_ns() - begin) / row->n;
}

/* Bytes a context takes in a pool, with talloc's header. */
static double
size(const char *name)
{
	char *mem = talloc_pool(NULL, KEPT * 256UL), *first = NULL, *last = NULL;
	double bytes;

	for (int i = 0; i < KEPT; i++) {
		if (strcmp(name, "bytes_value") == 0)
			last = (char *)(uintptr_t)ctx_with_value(mem, root, &key_a, &value);
		else if (strcmp(name, "bytes_cancel") == 0)
			last = (char *)ctx_with_cancel(mem, root);
		else
			last = (char *)ctx_with_timeout(mem, root, 3600000);
		first = first == NULL ? last : first;
	}
	bytes = (double)(last - first) / (KEPT - 1);
	talloc_free(mem);
	return bytes;
}

static void
measure_ours(int round)
{
	TALLOC_CTX *live = NULL;

	for (int i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].name, "timeout_400k") == 0) {
			live = talloc_new(NULL);
			for (int n = 0; n < LIVE; n++)
				ctx_with_timeout(live, ctx_background(), 3600000);
		}
		ours[i][round] = rows[i].f != NULL ? measure(&rows[i]) : size(rows[i].name);
		if (strcmp(rows[i].name, "timeout_400k") == 0)
			talloc_free(live);
	}
}

/* The command that measures Go, under mem; NULL if there is no Go, or it does not build. */
static char *
build_theirs(TALLOC_CTX *mem)
{
	const char *build = getenv("BATON_BUILD");
	char *command =
	    talloc_asprintf(mem, "%s/tests/bench/ctx_go", build == NULL ? "build" : build);
	char *make = talloc_asprintf(mem,
	    "command -v go >/dev/null && GO111MODULE=off GOCACHE=$(realpath -m %s.cache) "
	    "go build -o %s tests/bench/ctx.go",
	    command, command);

	return system(make) == 0 ? command : NULL;
}

static void
measure_theirs(const char *command, int round)
{
	FILE *p = popen(command, "r");
	char name[64];
	double figure;

	while (p != NULL && fscanf(p, "%63s %lf", name, &figure) == 2) {
		for (int i = 0; i < ROWS; i++) {
			if (strcmp(name, rows[i].name) == 0)
				theirs[i][round] = figure;
		}
	}
	if (p != NULL)
		pclose(p);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *figures)
{
	qsort(figures, ROUNDS, sizeof(*figures), by_value);
	return figures[ROUNDS / 2];
}

static void
set_up(void)
{
	pool = talloc_pool(NULL, 8192);
	root = ctx_with_cancel(NULL, ctx_background());
	deep = ctx_with_value(NULL, ctx_background(), &key_a, &value);
	for (int i = 0; i < 9; i++)
		deep = ctx_with_value(NULL, deep, &key_b, &value);
	registry = ctx_registry_new(NULL, NULL);
	for (int i = 0; i < 1000; i++)
		ctx_registry_set(registry, requests[i], &key_a, &value);
}

int
main(void)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *go = build_theirs(mem);

	set_up();
	for (int round = 0; round < ROUNDS; round++) {
		measure_ours(round);
		if (go != NULL)
			measure_theirs(go, round);
	}
	printf("contexts: nanoseconds, median of %d rounds by turns\n", ROUNDS);
	printf("%-46s %8s %8s %8s\n", "", "baton", go ? "Go" : "", go ? "ratio" : "");
	for (int i = 0; i < ROWS; i++) {
		double mine = median(ours[i]), go_s = median(theirs[i]);

		printf("%-46s %8.1f", rows[i].text, mine);
		if (go != NULL)
			printf(" %8.1f %8.2f", go_s, mine / go_s);
		printf("\n");
	}
	if (go == NULL)
		printf("Go is not installed: measured alone\n");
	talloc_free(mem);
	return 0;
}
