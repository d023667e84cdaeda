/* SPDX-License-Identifier: MIT */
/*
 * One HTTP/1.1 answer, as a strict client reads it. It is parsed anew from all the bytes that
 * came so far, so that nobody needs to keep a state between reads.
 */
#ifndef BATON_TESTS_ANSWER_H
#define BATON_TESTS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum answer_state {
	ANSWER_COMPLETE,
	ANSWER_PARTIAL, /* more bytes are needed */
	ANSWER_BROKEN,  /* not HTTP/1.x: `why` says where */
	/* and, said by those who read from a connection: */
	ANSWER_EOF,   /* the server closed before the answer's end */
	ANSWER_RESET, /* the connection was reset before the answer's end */
	ANSWER_LATE   /* the deadline passed */
};

struct answer {
	enum answer_state state;
	const char *why;  /* static text for ANSWER_BROKEN */
	int status;       /* 200 */
	int minor;        /* HTTP/1.minor */
	bool close;       /* the connection ends after this answer, and the server said so */
	bool chunked;     /* how the body came */
	size_t head_len;  /* from the status line to the empty line */
	size_t used;      /* all of it: where the next answer begins */
	size_t body_len;  /* bytes of the body, decoded */
	const char *head; /* by answer_copy: the head, ended by NUL */
	const char *body; /* by answer_copy: the body, decoded, ended by NUL */
};

/*
 * Looks at the bytes received. Sets all but head and body. `head_request`: the answer to HEAD
 * has no body; `eof`: no more bytes will come (ends a body without a length).
 */
enum answer_state
answer_parse(struct answer *a, const char *data, size_t len, bool head_request, bool eof);

/* Compares the (decoded) body of a complete answer in its raw bytes. */
bool answer_body_is(const struct answer *a, const char *data, const char *body, size_t len);

/* Copies head and body of a complete answer out of its raw bytes into `mem` (talloc). */
void answer_copy(struct answer *a, const void *mem, const char *data);

/* The value of a header field (the first of that name), in harness_mem(); NULL if absent. */
const char *answer_field(const struct answer *a, const char *name);

/* For messages: "complete", "reset", … */
const char *answer_state_text(enum answer_state state);

#endif
