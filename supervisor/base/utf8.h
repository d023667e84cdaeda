/* SPDX-License-Identifier: MIT */
/* Text that programs write is UTF-8, if it is anything. */
#ifndef SUPERVISOR_UTF8_H
#define SUPERVISOR_UTF8_H

#include <stddef.h>

/* The length of the printable character at TEXT, of which there are N bytes, N > 0; 0: those are
 * none. */
size_t utf8_character(const char *text, size_t n);

#endif
