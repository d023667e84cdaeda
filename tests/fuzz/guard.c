/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the guard, on bytes that were cut as libmicrohttpd cuts them. A head that it
 * lets through is held against a slow and simple reading of the grammar on the bytes as they
 * were sent. Chunk lines too: the input's last line, as if data came behind it.
 */
#include <ctype.h>
#include <strings.h>

#include "server/wire/guard.h"
#include "tests/fuzz/fuzz.h"

enum { FIELDS_MAX = 64 };

struct head {
	char *raw; /* as sent */
	char *cut; /* as the parser leaves it */
	size_t size;
	char *url, *version;
	struct http_field fields[FIELDS_MAX];
	size_t fields_n;
};

/* The end of the line at p: its length without the ending, which becomes NUL. NULL: none. */
static char *
cut_line(char *p, const char *end)
{
	for (; p < end; p++) {
		if (p[0] == '\n') {
			p[0] = '\0';
			return p + 1;
		}
		if (p[0] == '\r' && p + 1 < end && p[1] == '\n') {
			p[0] = p[1] = '\0';
			return p + 2;
		}
	}
	return NULL;
}

/* parse_initial_message_line of 0.9.75 */
static bool
cut_request_line(struct head *h, char *next)
{
	size_t len = (size_t)(next - h->cut);
	char *space;

	/* Its length is that of the line, NULs inside included, without the ending. */
	len -= len >= 2 && h->raw[len - 2] == '\r' ? 2 : 1;
	space = memchr(h->cut, ' ', len);
	if (space == NULL || space == h->cut)
		return false;
	*space = '\0';
	for (h->url = space + 1; *h->url == ' ' && h->url < h->cut + len; h->url++)
		;
	h->version = h->cut + len;
	while (h->version > h->url && h->version[-1] != ' ')
		h->version--;
	if (h->version <= h->url + 1 || h->cut + len - h->version != 8 ||
	    strncmp(h->version, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)h->version[7]))
		return false;
	h->version[-1] = '\0';
	return true;
}

/* process_header_line; folded lines are cut as if they were none, and lead to nothing good */
static bool
cut_field(struct head *h, char *line)
{
	char *colon = strchr(line, ':');
	struct http_field *f = &h->fields[h->fields_n];

	if (colon == NULL || h->fields_n == FIELDS_MAX ||
	    strcspn(line, " \t") < (size_t)(colon - line))
		return false;
	*colon++ = '\0';
	f->name = line;
	f->value = colon + strspn(colon, " \t");
	h->fields_n++;
	return true;
}

static bool
cut_head(struct head *h, size_t size)
{
	char *end = h->cut + size, *line = h->cut, *next = cut_line(line, end);

	if (next == NULL || h->cut[0] == '\0' || !cut_request_line(h, next))
		return false;
	for (line = next; (next = cut_line(line, end)) != NULL; line = next) {
		if (line[0] == '\0') {
			h->size = (size_t)(next - h->cut);
			return true;
		}
		if (!cut_field(h, line))
			return false;
	}
	return false;
}

/*
 * What was let through must be this, to the letter: lines end in CR LF, no line begins with
 * white space, and there is no other control character than a tab. A line's end with a NUL in
 * it that is as long as CR LF is a limit we know.
 */
static void
must_be_well_formed(const struct head *h)
{
	const char *end = h->raw + h->size, *p = h->raw;

	while (p < end) {
		const char *run = p;

		while (p < end && (*p == '\r' || *p == '\n' || *p == '\0'))
			p++;
		if (p == run) {
			must(*p == '\t' || (unsigned char)*p >= 0x20);
			p++;
			continue;
		}
		must(p - run == (p == end ? 4 : 2));
		must(p == end || (*p != ' ' && *p != '\t'));
		must(memchr(run, '\0', (size_t)(p - run)) != NULL ||
		     memcmp(run, "\r\n\r\n", (size_t)(p - run)) == 0);
	}
	must(end[-1] == '\n');
}

static void
must_be_clear(const struct http_request *req)
{
	unsigned hosts = 0, lengths = 0, encodings = 0;

	for (size_t i = 0; i < req->fields_n; i++) {
		must(field_name_valid(req->fields[i].name));
		must(field_value_valid(req->fields[i].value));
		hosts += strcasecmp(req->fields[i].name, "host") == 0;
		lengths += strcasecmp(req->fields[i].name, "content-length") == 0;
		encodings += strcasecmp(req->fields[i].name, "transfer-encoding") == 0;
	}
	must(hosts <= 1 && encodings <= 1 && (encodings == 0 || lengths == 0));
	must(req->chunked == (encodings == 1));
	must((req->announced >= 0) == (lengths > 0));
}

static void
check_head(struct head *h)
{
	struct http_request *req = request_new(NULL, h->url);
	struct guard_bytes bytes;
	const char *why;

	must(req != NULL);
	guard_bytes_begin(&bytes, h->cut, h->url, strlen(h->url), h->version);
	for (size_t i = 0; i < h->fields_n; i++)
		guard_bytes_field(&bytes, h->fields[i].name, strlen(h->fields[i].name),
		    h->fields[i].value, strlen(h->fields[i].value));
	if (guard_bytes_end(&bytes, h->cut + h->size) == NULL) {
		must(request_set_head(req, h->cut, h->version, h->fields, h->fields_n) == 0);
		if (guard_check(req, &why) == 0) {
			must_be_well_formed(h);
			must_be_clear(req);
		}
	}
	request_free(req);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct head h = {.raw = fuzz_text(data, size), .cut = fuzz_text(data, size)};

	(void)guard_bytes_chunk(h.raw, h.raw + size);
	if (cut_head(&h, size))
		check_head(&h);
	free(h.raw);
	free(h.cut);
	return 0;
}
