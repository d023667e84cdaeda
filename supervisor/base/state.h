/* SPDX-License-Identifier: MIT */
/*
 * What baton knows while it runs, as one JSON document, so that another baton can go on from
 * there (`baton upgrade`). The same functions write it and read it: each struct has a table of
 * its plain fields, and one function for what it owns beside them. So a new field is one line.
 *
 * What a document has and the reader does not know is ignored; what is missing keeps the value
 * that the reader had put there before. Errors stick: after the first one nothing more is done,
 * and state_error tells it, with the place in the document.
 */
#ifndef SUPERVISOR_STATE_H
#define SUPERVISOR_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/*
 * A document of another major number is not read, but for 1: that was baton 0.1's, and had numbers
 * where now there are words.
 */
#define STATE_FORMAT        "baton-state"
#define STATE_MAJOR         2
#define STATE_MAJOR_NUMBERS 1
#define STATE_MINOR         0

/* As many signals as the kernel has: 1 to this. */
#define STATE_SIGNALS 64

struct state_doc;
struct timer;

/* One object of the document, and the way to it. */
struct state {
	struct state_doc *doc;
	json_t *at;
	const struct state *up; /* NULL: the document itself */
	const char *name;       /* within it */
	int index;              /* in the array of that name; -1: it is no element of one */
};

/* --- state.c: the document, its objects and values -------------------------------------- */

/* An empty one to write to. NULL: no memory. */
struct state_doc *state_doc_new(TALLOC_CTX *mem);
/* One to read from. If TEXT is none, that is its error. NULL: no memory. */
struct state_doc *state_doc_parse(TALLOC_CTX *mem, const char *text, size_t len);
/* The text, in MEM; NULL if the document has an error. */
char *state_doc_text(TALLOC_CTX *mem, struct state_doc *doc);
/* Whether nothing was left out for want of memory, silently; else that is its error. */
bool state_complete(struct state_doc *doc);
/* What is wrong, in one line; NULL: nothing. */
const char *state_error(const struct state_doc *doc);

struct state state_root(struct state_doc *doc);
bool state_saving(const struct state *s);
bool state_ok(const struct state *s);
/* Makes it the document's error, if it has none yet. */
void state_fail(const struct state *s, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The object NAME in S: a new one, or the one that must be there. */
struct state state_object(struct state *s, const char *name);
/* When reading: whether there is something of that name. */
bool state_has(const struct state *s, const char *name);
/* An array NAME of N elements; returns how many there are: N, or what is read. */
unsigned state_array(struct state *s, const char *name, size_t n);
/* Its element I, an object; when writing, in order. */
struct state state_element(struct state *s, const char *name, unsigned i);
/* Its element I, a text: returns it, when reading as a copy in MEM. */
char *
state_text_element(struct state *s, const char *name, unsigned i, TALLOC_CTX *mem, char *text);

/* One element of a list; what it owns belongs to OWNER. */
typedef void state_element_fn(struct state *s, void *owner, void *element);
/* An array NAME of objects, each by ONE: the N structs of SIZE bytes at LIST. When reading, that
 * many zeroed ones are made, in OWNER, and N is set. Returns where they are; NULL: there is none. */
void *state_list(struct state *s, const char *name, void *owner, void *list, size_t *n, size_t size,
    state_element_fn *one);
/* An array NAME of texts, N of them at LIST; when reading, a new talloc array, in MEM, with MORE
 * NULLs at its end. Returns where they are; LIST, if nothing is read. */
char **
state_texts(struct state *s, const char *name, TALLOC_CTX *mem, char **list, size_t n, size_t more);

enum state_kind { STATE_SIGNED, STATE_UNSIGNED, STATE_BOOL, STATE_TEXT, STATE_FILE };

struct state_field {
	const char *name;
	enum state_kind kind;
	bool needed; /* a text or descriptor without which the document is refused */
	size_t offset, size;
};

#define STATE_FIELD(kind_, needed_, type, field)                                              \
	{                                                                                     \
#field, (kind_), (needed_), offsetof(type, field), sizeof(((type *)0)->field) \
	}
#define STATE_NUMBER(type, field)                                                                  \
	STATE_FIELD((__typeof__(((type *)0)->field))-1 < 1 ? STATE_SIGNED : STATE_UNSIGNED, false, \
	    type, field)
#define STATE_FLAG(type, field)          STATE_FIELD(STATE_BOOL, false, type, field)
/* Any bytes, NUL-terminated, or NULL; when read it belongs to the object. */
#define STATE_STRING(type, field)        STATE_FIELD(STATE_TEXT, false, type, field)
#define STATE_NEEDED_STRING(type, field) STATE_FIELD(STATE_TEXT, true, type, field)
/* As state_fd has it. */
#define STATE_FD(type, field)            STATE_FIELD(STATE_FILE, false, type, field)
#define STATE_NEEDED_FD(type, field)     STATE_FIELD(STATE_FILE, true, type, field)

/* What is read of OBJECT belongs to OWNER: itself, or the array that it is an element of. */
void state_fields(
    struct state *s, void *owner, void *object, const struct state_field *fields, size_t nfields);
#define STATE_FIELDS_OF(s, owner, object, fields) \
	state_fields((s), (owner), (object), (fields), sizeof(fields) / sizeof((fields)[0]))
#define STATE_FIELDS(s, object, fields) STATE_FIELDS_OF(s, object, object, fields)

void state_number(struct state *s, const char *name, int64_t *value);
/* Exactly N of them. */
void state_numbers(struct state *s, const char *name, int64_t *values, size_t n);
/* When it is due, on the monotonic clock; -1 for none. When reading, T means nothing. */
int64_t state_timer(struct state *s, const char *name, const struct timer *t);
void state_text(struct state *s, const char *name, TALLOC_CTX *mem, char **text);
/* USED bytes of BUF; returns how many there are now, at most MAX. */
size_t state_bytes(struct state *s, const char *name, void *buf, size_t used, size_t max);
/* Any JSON, which must not change while the document is used; when read, the caller's reference,
 * or NULL. */
void state_json(struct state *s, const char *name, json_t **value);
/* A descriptor above 2, or -1. One that is read is the caller's from then on, close-on-exec, and
 * is still the file that it was; else it is -1, and the document has an error. */
void state_fd(struct state *s, const char *name, int *fd);
/* All that were written, or read, so far. */
const int *state_descriptors(const struct state_doc *doc, size_t *n);

/* --- state_words.c ------------------------------------------------------------------------ */

/* One value of an enumeration. Its name in documents is for ever, whatever the enumerator is called
 * or counts by then; NUMBER is what a document of the first format has instead of it. */
struct state_word {
	const char *name;
	unsigned value;
	int number; /* -1: the first format did not have it */
};

/* One of N words: returns VALUE, or when reading what stands there (VALUE, if nothing does). */
unsigned state_word(
    struct state *s, const char *name, unsigned value, const struct state_word *words, size_t n);
/* Any of N words, an array, whose values are bits, as their numbers are. */
unsigned state_words(
    struct state *s, const char *name, unsigned bits, const struct state_word *words, size_t n);
#define STATE_WORD(s, name, value, words) \
	state_word((s), (name), (unsigned)(value), (words), sizeof(words) / sizeof((words)[0]))
#define STATE_WORDS(s, name, bits, words) \
	state_words((s), (name), (unsigned)(bits), (words), sizeof(words) / sizeof((words)[0]))

/* --- state_head.c -------------------------------------------------------------------------- */

/* The format, and who has written it: a document of a format that is not known is refused. */
void state_head(struct state *root);

/* --- state_shared.c ----------------------------------------------------------------------- */

/* What may have several holders. In the document each such object stands once, in an array of its
 * kind, and its holders name it by its place there. */
struct state_shared_kind {
	const char *name; /* of the array */
	/* Writes OBJECT, or reads one, which has one holder then: the document. NULL: no memory. */
	void *(*transfer)(struct state *s, void *object);
	void (*ref)(void *object);
	void (*unref)(void *object);
};

/* A holder's reference, or NULL; returns it, when reading with one holder more. */
void *
state_shared(struct state *s, const char *name, const struct state_shared_kind *kind, void *object);
/* All of them: written when their holders have been, read before these. */
void state_shared_all(struct state *s, const struct state_shared_kind *kind);
/* Lets go of all that were read: their holders have them. */
void state_shared_done(struct state_doc *doc);

/* --- state_memfd.c ------------------------------------------------------------------------ */

/* TEXT in a sealed memfd, close-on-exec: the descriptor, or -errno. */
int state_memfd_write(const char *text);
/* Its text, in MEM; NULL with *WHY set if it is no such memfd. */
char *state_memfd_read(TALLOC_CTX *mem, int fd, size_t *len, const char **why);

#endif
