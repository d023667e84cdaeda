/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. Each is a program of libFuzzer's: it calls the function below
 * with made-up bytes, and whatever the sanitizers or `must` object to is a finding.
 */
#ifndef BATON_TESTS_FUZZ_H
#define BATON_TESTS_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "server/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* A copy in a block of its own size, so that one byte too far is noticed. Free with free(3). */
static inline char *
fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
