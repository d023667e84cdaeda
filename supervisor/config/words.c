/* SPDX-License-Identifier: MIT */
/* Command lines by wordexp(3), as libc knows quoting better than one more splitter would; and how
 * near two words are. */
#include "supervisor/config/words.h"

#include <errno.h>
#include <string.h>
#include <wordexp.h>

static const char *
explain(int error)
{
	switch (error) {
	case WRDE_BADCHAR:
		return "one of | & ; < > ( ) { } stands outside of quotes; no shell runs here";
	case WRDE_BADVAL:
		return "a variable is named that is not set";
	case WRDE_CMDSUB:
		return "a command substitution; no shell runs here";
	case WRDE_SYNTAX:
		return "a quote or a brace is not closed";
	default:
		return "cannot be split into words";
	}
}

static char **
copy_words(TALLOC_CTX *mem, const wordexp_t *we)
{
	char **words = talloc_zero_array(mem, char *, we->we_wordc + 1);

	for (size_t i = 0; words != NULL && i < we->we_wordc; i++) {
		words[i] = talloc_strdup(words, we->we_wordv[i]);
		if (words[i] == NULL)
			TALLOC_FREE(words);
	}
	return words;
}

int
words_split(TALLOC_CTX *mem, const char *text, char ***words, const char **why)
{
	wordexp_t we = {.we_wordc = 0};
	int error = wordexp(text, &we, WRDE_NOCMD | WRDE_UNDEF);
	char **copy;

	if (error == WRDE_NOSPACE) {
		wordfree(&we);
		return -ENOMEM;
	}
	if (error != 0) {
		*why = explain(error);
		return -EINVAL;
	}
	if (we.we_wordc == 0 || we.we_wordv[0][0] == '\0') {
		wordfree(&we);
		*why = "it is empty";
		return -EINVAL;
	}
	copy = copy_words(mem, &we);
	wordfree(&we);
	if (copy == NULL)
		return -ENOMEM;
	*words = copy;
	return 0;
}

unsigned
words_distance(const char *a, const char *b)
{
	unsigned row[64];
	size_t la = strlen(a), lb = strlen(b);

	if (la >= 64 || lb >= 64)
		return 99;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned change = diagonal + (a[i - 1] != b[j - 1]);
			unsigned remove = row[j] + 1, insert = row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < remove ? change : remove;
			row[j] = row[j] < insert ? row[j] : insert;
		}
	}
	return row[lb];
}
