/* SPDX-License-Identifier: MIT */
/* A borrowed slice of bytes: pointer and length, no terminator. Text is UTF-8
 * unless a comment says otherwise. Plain data: one thread at a time. */
#ifndef FQ_BASE_STR_H
#define FQ_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct fq_str {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;      /* bytes */
} fq_str;

/* A literal as fq_str, usable in initialisers. */
#define FQ_STR(literal) {"" literal, sizeof(literal) - 1}
#define FQ_STR_LIT(literal) ((fq_str)FQ_STR(literal))

/* For printf's "%.*s". */
#define FQ_STR_FMT(s) ((int)(s).len), ((s).ptr ? (s).ptr : "")

static inline fq_str
fq_str_make(const char *ptr, size_t len)
{
    fq_str s = {ptr, len};
    return s;
}

static inline fq_str
fq_str_of(const char *terminated)
{
    return fq_str_make(terminated, strlen(terminated));
}

static inline bool
fq_str_eq(fq_str a, fq_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Lexicographic by bytes: negative, zero or positive. */
int
fq_str_cmp(fq_str a, fq_str b);

#endif
