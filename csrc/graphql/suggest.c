/* SPDX-License-Identifier: MIT */
/* The distance of Damerau and Levenshtein (optimal string alignment) over
 * three rows. Any thread. */
#include "graphql/suggest.h"

#include <string.h>

/* Longer names get no suggestion; a row is this long. */
#define SUGGEST_LEN_MAX 128

static unsigned char
lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that make |a| of |b|, case ignored. */
static size_t
distance(fq_str a, fq_str b)
{
    size_t rows[3][SUGGEST_LEN_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        const size_t *up = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t cost = lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]);
            row[j] = min_size(min_size(up[j] + 1, row[j - 1] + 1),
                              up[j - 1] + cost);
            if (i > 1 && j > 1 && lower(a.ptr[i - 1]) == lower(b.ptr[j - 2])
                && lower(a.ptr[i - 2]) == lower(b.ptr[j - 1]))
                row[j] = min_size(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

bool
fq_suggest_is_close(fq_str input, fq_str option)
{
    if (input.len > SUGGEST_LEN_MAX || option.len > SUGGEST_LEN_MAX)
        return false;
    size_t threshold = input.len * 2 / 5 + 1;
    size_t edits = distance(input, option);
    /* Names that differ in case only. */
    if (edits == 0)
        edits = fq_str_eq(input, option) ? 0 : 1;
    return edits <= threshold;
}
