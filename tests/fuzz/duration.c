/* SPDX-License-Identifier: MIT */
/* Fuzz target: the example program's durations. */
#include "server/examples/hello_duration.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct duration d;

	if (parse_duration(text, &d) == NULL) {
		must(d.ns >= 0 && d.ns <= DURATION_MAX_NS);
		must(strcmp(d.text, text) == 0);
	}
	free(text);
	return 0;
}
