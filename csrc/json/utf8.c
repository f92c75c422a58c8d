/* SPDX-License-Identifier: MIT */
/* UTF-8 by the table of well-formed sequences in the Unicode Standard. Any
 * thread. */
#include "json/utf8.h"

#include <string.h>

/* Bytes of the well-formed sequence at |p|, of which |n_left| > 0 are
 * readable, or 0 (The Unicode Standard, table 3-7). */
static size_t
utf8_sequence_len(const unsigned char *p, size_t n_left)
{
    unsigned char first = p[0];
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    size_t len = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (n_left < len)
        return 0;
    /* The second byte is what excludes overlong forms, surrogates and code
     * points above U+10FFFF. */
    unsigned char lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < lowest || p[1] > highest)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

size_t
fq_utf8_find_invalid(fq_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        uint64_t word;
        if (s.len - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size_t len = utf8_sequence_len(p + i, s.len - i);
        if (len == 0)
            return i;
        i += len;
    }
    return s.len;
}

bool
fq_utf8_is_valid(fq_str s)
{
    return fq_utf8_find_invalid(s) == s.len;
}

fq_str
fq_utf8_truncate(fq_str s, size_t max_len)
{
    if (s.len <= max_len)
        return s;
    size_t len = max_len;
    while (len > 0 && ((unsigned char)s.ptr[len] & 0xC0) == 0x80)
        len--;
    return fq_str_make(s.ptr, len);
}

size_t
fq_utf8_encode(uint32_t code_point, char *out)
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xC0 | (code_point >> 6));
        out[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xE0 | (code_point >> 12));
        out[1] = (char)(0x80 | ((code_point >> 6) & 0x3F));
        out[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (code_point >> 18));
    out[1] = (char)(0x80 | ((code_point >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((code_point >> 6) & 0x3F));
    out[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}
