/* SPDX-License-Identifier: MIT */
/* What a byte of a head may be part of. */
#ifndef BATON_HTTP_OCTET_H
#define BATON_HTTP_OCTET_H

#include <stddef.h>

enum octet_class {
	OCTET_TOKEN = 1,    /* RFC 9110 section 5.6.2 */
	OCTET_REG_NAME = 2, /* RFC 3986 section 3.2.2, "%" with two digits apart */
	OCTET_LITERAL = 4,  /* what stands in the brackets of an IP literal, zone included */
	OCTET_DIGIT = 8,
};

extern const unsigned char octet_classes[256] __attribute__((visibility("hidden")));

/* How far bytes of these classes go. */
static inline size_t
octet_span(const char *text, unsigned classes)
{
	const unsigned char *p = (const unsigned char *)text;

	while ((octet_classes[*p] & classes) != 0)
		p++;
	return (size_t)(p - (const unsigned char *)text);
}

#endif
