/* SPDX-License-Identifier: MIT */
/* Which bytes are a character that can be shown. */
#include "supervisor/base/utf8.h"

/* Well-formed is what RFC 3629 says. */
size_t
utf8_character(const char *text, size_t n)
{
	static const struct {
		unsigned char first, last, low, high, len;
	} rows[] = {
	    {0xc2, 0xdf, 0x80, 0xbf, 2},
	    {0xe0, 0xe0, 0xa0, 0xbf, 3},
	    {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3},
	    {0xee, 0xef, 0x80, 0xbf, 3},
	    {0xf0, 0xf0, 0x90, 0xbf, 4},
	    {0xf1, 0xf3, 0x80, 0xbf, 4},
	    {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	const unsigned char *s = (const unsigned char *)text;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (s[0] < rows[i].first || s[0] > rows[i].last)
			continue;
		if (n < rows[i].len || s[1] < rows[i].low || s[1] > rows[i].high)
			return 0;
		for (size_t k = 2; k < rows[i].len; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		}
		/* U+0080–U+009F are control characters as well: terminals obey some. */
		return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : rows[i].len;
	}
	return 0;
}
