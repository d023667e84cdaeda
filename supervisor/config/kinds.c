/* SPDX-License-Identifier: MIT */
/* The table of kinds, and those kinds whose values are a number, a word, a text or some words. */
#include "supervisor/config/kinds.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/words.h"

#define TEXT_MAX_BYTES 4095
#define PATH_MAX_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static void *
field_of(void *object, const struct key *k)
{
	return (char *)object + k->offset;
}

static const void *
const_field_of(const void *object, const struct key *k)
{
	return (const char *)object + k->offset;
}

/* --- numbers: a long --------------------------------------------------------------------------- */

static int
parse_number(long *to, const struct key *k, const char *value, int base)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, base);
	if (errno != 0 || end == value || *end != '\0' || value[0] == ' ' || n < k->min ||
	    n > k->max)
		return -EINVAL;
	*to = n;
	return 0;
}

static int
number_parse(void *object, const struct key *k, struct key_line *line)
{
	return parse_number(field_of(object, k), k, line->value, 10);
}

static int
octal_parse(void *object, const struct key *k, struct key_line *line)
{
	return parse_number(field_of(object, k), k, line->value, 8);
}

static bool
long_same(const struct key *k, const void *a, const void *b)
{
	return *(const long *)const_field_of(a, k) == *(const long *)const_field_of(b, k);
}

static void
number_state(struct state *s, const struct key *k, void *object)
{
	long *at = field_of(object, k);
	int64_t n = *at;

	state_number(s, k->name, &n);
	if (!state_saving(s) && state_ok(s) && (n < k->min || n > k->max))
		state_fail(s, k->name, "expected a number from %ld to %ld, found %lld", k->min,
		    k->max, (long long)n);
	else
		*at = (long)n;
}

static char *
number_range(TALLOC_CTX *mem, const struct key *k)
{
	return talloc_asprintf(mem, "a number%s from %ld to %ld",
	    strcmp(k->unit, "ms") == 0 ? " of milliseconds" : "", k->min, k->max);
}

static char *
octal_range(TALLOC_CTX *mem, const struct key *k)
{
	return talloc_asprintf(mem, "an octal number from %lo to %lo", k->min, k->max);
}

/* --- one of a few words: a long ---------------------------------------------------------------- */

static const struct state_word answers[] = {{"yes", 1, 1}, {"no", 0, 0}};
static const struct state_word ports[] = {{"each", 0, 0}, {"shared", 1, 1}};

static const struct state_word lifetimes[] = {
    {"permanent", LIFETIME_PERMANENT, 0},
    {"transient", LIFETIME_TRANSIENT, 1},
    {"temporary", LIFETIME_TEMPORARY, 2},
};

static const struct state_word strategies[] = {
    {"one_for_one", STRATEGY_ONE_FOR_ONE, 0},
    {"one_for_all", STRATEGY_ONE_FOR_ALL, 1},
    {"rest_for_one", STRATEGY_REST_FOR_ONE, 2},
};

/* Those by which programs are told to end well. The kernel numbers them, and always the same on one
 * machine. */
static const struct state_word signals[] = {
    {"HUP", SIGHUP, SIGHUP},
    {"INT", SIGINT, SIGINT},
    {"QUIT", SIGQUIT, SIGQUIT},
    {"TERM", SIGTERM, SIGTERM},
    {"USR1", SIGUSR1, SIGUSR1},
    {"USR2", SIGUSR2, SIGUSR2},
    {"WINCH", SIGWINCH, SIGWINCH},
};

static int
parse_word(void *object, const struct key *k, const char *value)
{
	const struct kind *kind = &kinds[k->kind];

	for (size_t i = 0; i < kind->nwords; i++) {
		if (strcmp(kind->words[i].name, value) != 0)
			continue;
		*(long *)field_of(object, k) = (long)kind->words[i].value;
		return 0;
	}
	return -EINVAL;
}

static int
word_parse(void *object, const struct key *k, struct key_line *line)
{
	return parse_word(object, k, line->value);
}

static int
signal_parse(void *object, const struct key *k, struct key_line *line)
{
	return parse_word(object, k, line->value + (strncmp(line->value, "SIG", 3) == 0 ? 3 : 0));
}

static void
word_state(struct state *s, const struct key *k, void *object)
{
	const struct kind *kind = &kinds[k->kind];
	long *at = field_of(object, k);

	*at = state_word(s, k->name, (unsigned)*at, kind->words, kind->nwords);
}

/* --- text: a char * ---------------------------------------------------------------------------- */

static int
parse_text(void *object, const struct key *k, const char *value, size_t max)
{
	char **to = field_of(object, k);

	if (value[0] == '\0' || strlen(value) > max)
		return -EINVAL;
	*to = talloc_strdup(object, value);
	return *to == NULL ? -ENOMEM : 0;
}

static int
text_parse(void *object, const struct key *k, struct key_line *line)
{
	return parse_text(object, k, line->value, TEXT_MAX_BYTES);
}

static int
path_parse(void *object, const struct key *k, struct key_line *line)
{
	return parse_text(object, k, line->value, PATH_MAX_BYTES);
}

static int
output_parse(void *object, const struct key *k, struct key_line *line)
{
	if (strcmp(line->value, "lines") != 0 && strcmp(line->value, "inherit") != 0 &&
	    strchr(line->value, '/') == NULL)
		return -EINVAL;
	return text_parse(object, k, line);
}

static bool
text_same(const struct key *k, const void *a, const void *b)
{
	const char *x = *(char *const *)const_field_of(a, k);
	const char *y = *(char *const *)const_field_of(b, k);

	return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

static void
text_state(struct state *s, const struct key *k, void *object)
{
	state_text(s, k->name, object, field_of(object, k));
}

/* --- a command: a char ** with NULL at its end --------------------------------------------------- */

static int
command_parse(void *object, const struct key *k, struct key_line *line)
{
	return words_split(object, line->value, field_of(object, k), &line->why);
}

static bool
command_same(const struct key *k, const void *a, const void *b)
{
	char *const *x = *(char **const *)const_field_of(a, k);
	char *const *y = *(char **const *)const_field_of(b, k);

	for (; *x != NULL && *y != NULL; x++, y++) {
		if (strcmp(*x, *y) != 0)
			return false;
	}
	return *x == *y;
}

static void
command_state(struct state *s, const struct key *k, void *object)
{
	char ***at = field_of(object, k);
	size_t n = 0;

	while (state_saving(s) && (*at)[n] != NULL)
		n++;
	*at = state_texts(s, k->name, object, *at, n, 1);
	if (state_ok(s) && *at == NULL)
		state_fail(s, k->name, "expected a program");
}

/* ----------------------------------------------------------------------------------------------- */

#define NUMBERS(parse, range)                                        \
	{                                                            \
		parse, long_same, number_state, NULL, 0, range, NULL \
	}
#define TEXT(parse, text)                                         \
	{                                                         \
		parse, text_same, text_state, NULL, 0, NULL, text \
	}
#define WORDS(parse, words)                                                                    \
	{                                                                                      \
		parse, long_same, word_state, words, sizeof(words) / sizeof((words)[0]), NULL, \
		    NULL                                                                       \
	}
#define OWN(parse, same, state, text)                   \
	{                                               \
		parse, same, state, NULL, 0, NULL, text \
	}

/* clang-format off */
const struct kind kinds[KEY_KINDS] = {
	[KEY_NUMBER]   = NUMBERS(number_parse, number_range),
	[KEY_OCTAL]    = NUMBERS(octal_parse, octal_range),
	[KEY_YES_NO]   = WORDS(word_parse, answers),
	[KEY_SIGNAL]   = WORDS(signal_parse, signals),
	[KEY_LIFETIME] = WORDS(word_parse, lifetimes),
	[KEY_STRATEGY] = WORDS(word_parse, strategies),
	[KEY_PORTS]    = WORDS(word_parse, ports),
	[KEY_TEXT]     = TEXT(text_parse, "1 to 4095 bytes of text"),
	[KEY_PATH]     = TEXT(path_parse, "a path of at most 107 bytes"),
	[KEY_OUTPUT]   = TEXT(output_parse, "lines, inherit, or a path with a slash"),
	[KEY_HEALTH]   = TEXT(health_parse, "http:/PATH"),
	[KEY_COMMAND]  = OWN(command_parse, command_same, command_state,
	    "a program and its arguments"),
	[KEY_READY]    = OWN(ready_parse, ready_same, ready_state,
	    "notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none"),
	[KEY_LISTEN]   = OWN(listen_parse, listen_same, listen_state, ADDRESS_FORMS),
	[KEY_ENV]      = OWN(env_parse, env_same, env_state, "env.NAME with a value"),
	/* It becomes a variable too, and env_state takes them all along. */
	[KEY_HTTP]     = OWN(http_parse, env_same, NULL, "http.NAME with a value"),
	[KEY_LIMIT]    = OWN(limit_parse, limit_same, limit_state,
	    "N or SOFT:HARD, numbers or \"unlimited\""),
	[KEY_CGROUP]   = OWN(cgroup_parse, cgroup_same, cgroup_state, "cgroup.NAME with a value"),
};
/* clang-format on */
