/* SPDX-License-Identifier: MIT */
/* Durations as people write them, for the example program: "250ms", "1.5s", "2s500ms". */
#ifndef BATON_HELLO_DURATION_H
#define BATON_HELLO_DURATION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NS_PER_S        1000000000ll
#define DURATION_MAX_NS (60 * NS_PER_S)
#define DURATION_HINT   "such as 250ms, 1.5s or 1m, which is the most"

struct duration {
	int64_t ns;
	char text[32]; /* as it was written */
};

/* The unit's length in nanoseconds, and how many characters it took; 0 for no unit. */
static inline int64_t
unit_ns(const char *text, size_t *len)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
	    {"ns", 1},
	    {"us", 1000},
	    {"\xc2\xb5s", 1000}, /* the micro sign */
	    {"ms", 1000000},
	    {"s", NS_PER_S},
	    {"m", 60 * NS_PER_S},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		*len = strlen(units[i].name);
		if (strncmp(text, units[i].name, *len) == 0)
			return units[i].ns;
	}
	return 0;
}

/* One "1.5s" at the front of *text: adds it, or says what is wrong with it. */
static inline const char *
add_part(const char **text, int64_t *ns)
{
	const char *at = *text;
	int64_t scale = 0, fraction = 0, number = 0, unit;
	size_t len;
	bool digits = false;

	for (; *at >= '0' && *at <= '9'; at++, digits = true)
		if ((number = number * 10 + (*at - '0')) > DURATION_MAX_NS)
			return "too long";
	if (*at == '.')
		for (at++, scale = 1; *at >= '0' && *at <= '9'; at++, digits = true)
			if (scale < NS_PER_S) { /* further digits are below a nanosecond */
				fraction = fraction * 10 + (*at - '0');
				scale *= 10;
			}
	if (!digits)
		return "not a number with a unit";
	unit = unit_ns(at, &len);
	if (unit == 0)
		return *at == '\0' ? "the unit is missing" : "an unknown unit";
	if (number > DURATION_MAX_NS / unit)
		return "too long";
	*ns += number * unit;
	if (scale > 0)
		*ns += (int64_t)((double)fraction / (double)scale * (double)unit);
	*text = at + len;
	return NULL;
}

/*
 * "250ms", "1.5s", "2s500ms", "0": as Go's time.ParseDuration, without signs and hours. NULL if
 * it is good, else what is wrong with it.
 */
static inline const char *
parse_duration(const char *text, struct duration *d)
{
	const char *at = text, *wrong = NULL;

	if (*text == '\0')
		return "empty";
	if (strlen(text) >= sizeof(d->text))
		return "too many characters";
	d->ns = 0;
	if (strcmp(text, "0") != 0)
		while (*at != '\0' && wrong == NULL)
			wrong = add_part(&at, &d->ns);
	if (wrong == NULL && d->ns > DURATION_MAX_NS)
		wrong = "too long";
	if (wrong == NULL)
		strcpy(d->text, text);
	return wrong;
}

#endif
