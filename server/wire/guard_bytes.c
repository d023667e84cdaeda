/* SPDX-License-Identifier: MIT */
/*
 * How the bytes of a request lay in the parser's buffer. libmicrohttpd 0.9.75 takes a lone LF
 * for the end of a line, anything after a NUL for nothing, and a folded line for a part of the
 * field's name (RFC 9112 sections 2.2, 3 and 5.2 say what that can lead to). It cuts lines in
 * place: the colon, CR and LF become NUL, and what it hands out points into the buffer. So in
 * a well-formed head each line begins where the one before it ended, plus two; any other
 * distance means that there was something else. Chunk lines are not cut, and can be read.
 *
 * Out of sight: NUL LF at the end of a line (as CR LF there), and a chunk's line that was read
 * without any of the chunk's data. guard_selftest.c checks that all of this holds.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "server/wire/guard.h"

#define VERSION_LEN 8 /* "HTTP/1.1", which the parser insists on */

void
guard_bytes_begin(struct guard_bytes *g, const char *method, const char *target, size_t target_len,
    const char *version)
{
	g->next = version + VERSION_LEN + 2;
	g->why = NULL;
	if (method + strlen(method) + 1 != target || target + target_len + 1 != version)
		g->why = "malformed request line";
	else if (version[VERSION_LEN] != '\0' || version[VERSION_LEN + 1] != '\0')
		g->why = "a line that does not end in CR LF";
}

/* The trailer lies where the parser put the content before. */
void
guard_bytes_begin_trailer(struct guard_bytes *g, const char *begin)
{
	g->next = g->begin = begin;
	g->why = NULL;
}

/* If the trailer came in pieces, the parser counts the last field of the head to it. */
void
guard_bytes_trailer_field(
    struct guard_bytes *g, const char *name, size_t name_len, const char *value, size_t value_len)
{
	const char *why;

	if (name < g->begin)
		return;
	why = guard_field(name, value);
	guard_bytes_field(g, name, name_len, value, value_len);
	if (why != NULL)
		g->why = why;
}

void
guard_bytes_field(
    struct guard_bytes *g, const char *name, size_t name_len, const char *value, size_t value_len)
{
	if (name != g->next || value[value_len] != '\0' || value[value_len + 1] != '\0')
		g->why = "folded line, NUL, or a line that does not end in CR LF";
	/* The parser compares white space and all, and would not take it for chunked. */
	if (name_len == strlen("Transfer-Encoding") && value_len > 0 &&
	    (value[value_len - 1] == ' ' || value[value_len - 1] == '\t') &&
	    strncasecmp(name, "Transfer-Encoding", name_len) == 0)
		g->why = "white space after Transfer-Encoding";
	g->next = value + value_len + 2;
}

/* `end` is where the head ends, NULL if that is not known. */
const char *
guard_bytes_end(const struct guard_bytes *g, const char *end)
{
	if (g->why != NULL)
		return g->why;
	if ((end != NULL && g->next + 2 != end) || g->next[0] != '\0' || g->next[1] != '\0')
		return "folded line, NUL, or a line that does not end in CR LF";
	return NULL;
}

/*
 * What stands before a chunk's data, back to `begin`, where the parser's buffer does (NULL if that
 * is unknown): its line, and before that the end of another chunk.
 */
bool
guard_bytes_chunk(const char *begin, const char *data)
{
	const char *p = data, *end = data - 2;

	if (begin == NULL || p <= begin)
		return true; /* more of a chunk, or its line came before and is gone */
	if (p - begin < 2 || p[-1] != '\n' || p[-2] != '\r')
		return false;
	for (p -= 2; p > begin && p[-1] != '\n'; p--) {
		unsigned char c = (unsigned char)p[-1];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	if (p > begin && (p - begin < 2 || p[-2] != '\r'))
		return false;
	while (p < end && isxdigit((unsigned char)*p))
		p++;
	return guard_extensions_valid(p, (size_t)(end - p));
}
