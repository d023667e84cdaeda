/* SPDX-License-Identifier: MIT */
/* Fuzz target: queries. The first line is the name that is asked for. */
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t name_len = end == NULL ? 0 : (size_t)(end - data);
	char *name = fuzz_text(data, name_len);
	char *query =
	    fuzz_text(end == NULL ? data : end + 1, end == NULL ? size : size - name_len - 1);
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *value = target_query(mem, query, name);

	must(value == NULL || strlen(value) <= strlen(query));
	must(value == NULL || strlen(name) <= strlen(query));
	talloc_free(mem);
	free(query);
	free(name);
	return 0;
}
