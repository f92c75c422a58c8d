/* SPDX-License-Identifier: MIT */
/* UTF-8 checks and cuts. Plain functions: any thread. */
#ifndef FQ_JSON_UTF8_H
#define FQ_JSON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* True when |s| is well-formed UTF-8 (RFC 3629: no surrogates, no overlong
 * forms, nothing above U+10FFFF). */
bool
fq_utf8_is_valid(fq_str s);

/* The offset of the first byte that is not part of such a sequence, or s.len
 * when all of |s| is well-formed. */
size_t
fq_utf8_find_invalid(fq_str s);

/* The longest prefix of |s| of at most |max_len| bytes that does not cut a
 * character. |s| is valid UTF-8. Used for close reasons (RFC 6455 5.5: 123
 * bytes). */
fq_str
fq_utf8_truncate(fq_str s, size_t max_len);

/* Writes |code_point| (surrogates allowed: that is WTF-8) to |out| of at
 * least 4 bytes; returns how many were written. */
size_t
fq_utf8_encode(uint32_t code_point, char *out);

#endif
