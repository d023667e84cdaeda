/* SPDX-License-Identifier: MIT */
/* What a byte of a head may be part of: the table. */
#include "server/http/octet.h"

#define TR  (OCTET_TOKEN | OCTET_REG_NAME)
#define ANY (OCTET_TOKEN | OCTET_REG_NAME | OCTET_LITERAL)

const unsigned char octet_classes[256] = {
    ['!'] = TR,
    ['#'] = OCTET_TOKEN,
    ['$'] = TR,
    ['%'] = OCTET_TOKEN | OCTET_LITERAL,
    ['&'] = TR,
    ['\''] = TR,
    ['*'] = TR,
    ['+'] = TR,
    ['-'] = ANY,
    ['.'] = ANY,
    ['^'] = OCTET_TOKEN,
    ['_'] = ANY,
    ['`'] = OCTET_TOKEN,
    ['|'] = OCTET_TOKEN,
    ['~'] = ANY,
    ['('] = OCTET_REG_NAME,
    [')'] = OCTET_REG_NAME,
    [','] = OCTET_REG_NAME,
    [';'] = OCTET_REG_NAME,
    ['='] = OCTET_REG_NAME,
    [':'] = OCTET_LITERAL,
    ['0' ... '9'] = ANY | OCTET_DIGIT,
    ['A' ... 'Z'] = ANY,
    ['a' ... 'z'] = ANY,
};
