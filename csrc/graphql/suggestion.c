/* SPDX-License-Identifier: MIT */
/* The distance of two names is the number of edits that turn one into the
 * other, an edit being a letter inserted, deleted or replaced or two
 * neighbours swapped; names that differ in case alone are one edit apart. It
 * is worked out row by row of the table of prefixes, of which three are kept,
 * and given up once no cell of a row is near enough. */
#include "graphql/suggestion.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

/* Lower case of U+212A, the Kelvin sign, is the letter k; no other character
 * beyond ASCII becomes one of a name. */
#define SUGGESTION_KELVIN 0x212A

static uint32_t
to_lower(uint32_t point)
{
    if (point >= 'A' && point <= 'Z')
        return point + ('a' - 'A');
    return point == SUGGESTION_KELVIN ? 'k' : point;
}

static inline bool
is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

static size_t
count_points(fq_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += !is_continuation(s.ptr[i]);
    return n;
}

/* Writes the characters of |s|, a byte that starts none included in the one
 * before it, in lower case. */
static void
decode_lower(fq_str s, uint32_t *points)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.ptr[i++];
        if (is_continuation((char)c))
            continue;
        uint32_t point = c < 0x80   ? c
                         : c < 0xE0 ? c & 0x1Fu
                         : c < 0xF0 ? c & 0x0Fu
                                    : c & 0x07u;
        while (i < s.len && is_continuation(s.ptr[i]))
            point = point << 6 | ((unsigned char)s.ptr[i++] & 0x3Fu);
        points[n++] = to_lower(point);
    }
}

void
fq_suggestion_init(fq_suggestion *suggestion, fq_str input)
{
    *suggestion = (fq_suggestion){.input = input};
    suggestion->n_input = count_points(input);
    suggestion->n_edits_max = (size_t)((double)suggestion->n_input * 0.4) + 1;
}

void
fq_suggestion_fini(fq_suggestion *suggestion)
{
    fq_free(suggestion->work);
    suggestion->work = NULL;
}

static inline size_t
min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The distance of |a| from |b|, which is no longer, or more than |n_max|. The
 * reference gives up by the row, which because of swaps depends on the word
 * that is walked by row; so that is the longer one here too. */
static size_t
count_edits(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b,
            uint32_t *cells, size_t n_max)
{
    uint32_t *rows[3] = {cells, cells + n_b + 1, cells + 2 * (n_b + 1)};
    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = (uint32_t)j;
    for (size_t i = 1; i <= n_a; i++) {
        const uint32_t *up = rows[(i - 1) % 3];
        uint32_t *row = rows[i % 3];
        size_t smallest = row[0] = (uint32_t)i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t cell = min(min(up[j], row[j - 1]) + 1,
                              up[j - 1] + (size_t)(a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cell = min(cell, rows[(i - 2) % 3][j - 2] + (size_t)1);
            smallest = min(smallest, cell);
            row[j] = (uint32_t)cell;
        }
        if (smallest > n_max)
            return smallest;
    }
    return rows[n_a % 3][n_b];
}

/* The number of letters of an option that is not too long. */
static inline size_t
option_max(const fq_suggestion *suggestion)
{
    return suggestion->n_input + suggestion->n_edits_max;
}

/* Room for the input, an option and the rows; false without memory. */
static bool
suggestion_prepare(fq_suggestion *suggestion)
{
    if (suggestion->work != NULL)
        return true;
    size_t n = suggestion->n_input + option_max(suggestion)
               + 3 * (suggestion->n_input + 1);
    suggestion->work = fq_alloc(n * sizeof(*suggestion->work));
    if (suggestion->work == NULL) {
        suggestion->status = FQ_ERR_NOMEM;
        return false;
    }
    decode_lower(suggestion->input, suggestion->work);
    return true;
}

/* The distance of |option|, a name of not too different a length. */
static size_t
suggestion_measure(const fq_suggestion *suggestion, fq_str option)
{
    size_t n_input = suggestion->n_input;
    const uint32_t *input = suggestion->work;
    uint32_t *points = suggestion->work + n_input;
    uint32_t *cells = points + option_max(suggestion);
    decode_lower(option, points);
    size_t n_max = suggestion->n_edits_max;
    size_t n_edits = option.len < n_input
                         ? count_edits(input, n_input, points, option.len,
                                       cells, n_max)
                         : count_edits(points, option.len, input, n_input,
                                       cells, n_max);
    return n_edits > 0 ? n_edits : 1; /* 0: they differ in case */
}

/* Keeps |option| if it is among the best. */
static void
suggestion_keep(fq_suggestion *suggestion, fq_str option, size_t n_edits)
{
    size_t at = suggestion->n_best;
    for (size_t i = 0; i < suggestion->n_best; i++)
        if (fq_str_eq(suggestion->best[i].name, option))
            return;
    while (at > 0
           && (n_edits < suggestion->best[at - 1].n_edits
               || (n_edits == suggestion->best[at - 1].n_edits
                   && fq_suggestion_natural_cmp(option,
                                                suggestion->best[at - 1].name)
                          < 0)))
        at--;
    if (at == FQ_SUGGESTIONS_MAX)
        return;
    if (suggestion->n_best < FQ_SUGGESTIONS_MAX)
        suggestion->n_best++;
    memmove(&suggestion->best[at + 1], &suggestion->best[at],
            (suggestion->n_best - 1 - at) * sizeof(suggestion->best[0]));
    suggestion->best[at].name = option;
    suggestion->best[at].n_edits = n_edits;
}

void
fq_suggestion_offer(fq_suggestion *suggestion, fq_str option)
{
    if (fq_str_eq(suggestion->input, option)) {
        suggestion_keep(suggestion, option, 0);
        return;
    }
    size_t n_apart = option.len > suggestion->n_input
                         ? option.len - suggestion->n_input
                         : suggestion->n_input - option.len;
    if (n_apart > suggestion->n_edits_max || !suggestion_prepare(suggestion))
        return;
    size_t n_edits = suggestion_measure(suggestion, option);
    if (n_edits <= suggestion->n_edits_max)
        suggestion_keep(suggestion, option, n_edits);
}

void
fq_suggestion_write_names(fq_buf *buf, const char *what, const fq_str *names,
                          size_t n_names)
{
    if (n_names == 0)
        return;
    if (n_names > FQ_SUGGESTIONS_MAX)
        n_names = FQ_SUGGESTIONS_MAX;
    fq_buf_append_str(buf, FQ_STR_LIT(" Did you mean "));
    if (what != NULL) {
        fq_buf_append_str(buf, fq_str_of(what));
        fq_buf_append_char(buf, ' ');
    }
    for (size_t i = 0; i < n_names; i++) {
        if (i > 0 && n_names > 2)
            fq_buf_append_char(buf, ',');
        if (i > 0)
            fq_buf_append_char(buf, ' ');
        if (i > 0 && i == n_names - 1)
            fq_buf_append_str(buf, FQ_STR_LIT("or "));
        fq_buf_append_char(buf, '\'');
        fq_buf_append_str(buf, names[i]);
        fq_buf_append_char(buf, '\'');
    }
    fq_buf_append_char(buf, '?');
}

void
fq_suggestion_write(const fq_suggestion *suggestion, const char *what,
                    fq_buf *buf)
{
    fq_str names[FQ_SUGGESTIONS_MAX];
    for (size_t i = 0; i < suggestion->n_best; i++)
        names[i] = suggestion->best[i].name;
    fq_suggestion_write_names(buf, what, names, suggestion->n_best);
    if (suggestion->status != FQ_OK)
        buf->status = suggestion->status;
}

/* Takes the longest piece of *prest that is all digits, or has none. */
static fq_str
take_piece(fq_str *prest, bool is_digits)
{
    size_t n = 0;
    while (n < prest->len
           && (prest->ptr[n] >= '0' && prest->ptr[n] <= '9') == is_digits)
        n++;
    fq_str piece = fq_str_make(prest->ptr, n);
    *prest = fq_str_make(prest->ptr + n, prest->len - n);
    return piece;
}

/* Numbers by value, of equal ones the text decides. */
static int
number_cmp(fq_str a, fq_str b)
{
    fq_str digits[2] = {a, b};
    for (size_t i = 0; i < 2; i++)
        while (digits[i].len > 1 && digits[i].ptr[0] == '0')
            digits[i] = fq_str_make(digits[i].ptr + 1, digits[i].len - 1);
    if (digits[0].len != digits[1].len)
        return digits[0].len < digits[1].len ? -1 : 1;
    int cmp = fq_str_cmp(digits[0], digits[1]);
    return cmp != 0 ? cmp : fq_str_cmp(a, b);
}

int
fq_suggestion_natural_cmp(fq_str a, fq_str b)
{
    for (;;) {
        int cmp = fq_str_cmp(take_piece(&a, false), take_piece(&b, false));
        if (cmp != 0)
            return cmp;
        if (a.len == 0 || b.len == 0)
            return (a.len > 0) - (b.len > 0);
        cmp = number_cmp(take_piece(&a, true), take_piece(&b, true));
        if (cmp != 0)
            return cmp;
    }
}
