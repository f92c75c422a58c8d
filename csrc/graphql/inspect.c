/* SPDX-License-Identifier: MIT */
/* Python's repr() for JSON values, as far as graphql-core's inspect() shows
 * them. Cold: only errors come here. One thread at a time. */
#include "graphql/inspect.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "graphql/scalars.h"
#include "json/reader.h"
#include "json/writer.h"

/* As in the reference. */
#define INSPECT_DEPTH_MAX 2
#define INSPECT_STR_MAX 240
#define INSPECT_ITEMS_MAX 10

/* The shortest text of a double has at most 17. */
#define INSPECT_DIGITS_MAX 32

/* Of a longer string only this many characters at either end are looked at;
 * the text shown is cut to less. */
#define INSPECT_STR_END INSPECT_STR_MAX

/* The code point at |*ps| of |end|; moves on. The text may be WTF-8. */
static uint32_t
next_point(const char **ps, const char *end)
{
    const unsigned char *s = (const unsigned char *)*ps;
    size_t left = (size_t)(end - *ps);
    if (s[0] < 0xC0 || left < 2) {
        *ps += 1;
        return s[0];
    }
    if (s[0] < 0xE0 || left < 3) {
        *ps += 2;
        return (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3Fu);
    }
    if (s[0] < 0xF0 || left < 4) {
        *ps += 3;
        return (uint32_t)(s[0] & 0x0F) << 12 | (s[1] & 0x3Fu) << 6
               | (s[2] & 0x3Fu);
    }
    *ps += 4;
    return (uint32_t)(s[0] & 0x07) << 18 | (s[1] & 0x3Fu) << 12
           | (s[2] & 0x3Fu) << 6 | (s[3] & 0x3Fu);
}

/* Characters repr() escapes although they are not ASCII: separators, format
 * and control characters, surrogates, private use. Unassigned code points,
 * which Python escapes too, are not known here. */
static bool
is_printable(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x7F, 0xA0},     {0xAD, 0xAD},       {0x600, 0x605},
        {0x61C, 0x61C},   {0x6DD, 0x6DD},     {0x70F, 0x70F},
        {0x1680, 0x1680}, {0x180E, 0x180E},   {0x2000, 0x200F},
        {0x2028, 0x202F}, {0x205F, 0x206F},   {0x3000, 0x3000},
        {0xD800, 0xF8FF}, {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},
        {0xFFFE, 0xFFFF}, {0xE0000, 0xE00FF}, {0xE01F0, 0x10FFFF},
    };
    if (point < 0x20)
        return false;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return false;
    return true;
}

static void
repr_point(fq_buf *buf, uint32_t point, fq_str bytes, char quote)
{
    if (point == '\n' || point == '\r' || point == '\t')
        fq_buf_append_format(buf, "\\%c",
                             point == '\n'   ? 'n'
                             : point == '\r' ? 'r'
                                             : 't');
    else if (point == '\\' || point == (unsigned char)quote)
        fq_buf_append_format(buf, "\\%c", (char)point);
    else if (is_printable(point))
        fq_buf_append_str(buf, bytes);
    else if (point < 0x100)
        fq_buf_append_format(buf, "\\x%02x", (unsigned)point);
    else if (point < 0x10000)
        fq_buf_append_format(buf, "\\u%04x", (unsigned)point);
    else
        fq_buf_append_format(buf, "\\U%08x", (unsigned)point);
}

static void
repr_range(fq_buf *buf, const char *s, const char *end, char quote)
{
    while (s < end) {
        const char *start = s;
        uint32_t point = next_point(&s, end);
        repr_point(buf, point, fq_str_make(start, (size_t)(s - start)), quote);
    }
}

/* The byte |n_points| characters into |s|, or its end. */
static const char *
skip_points(const char *s, const char *end, size_t n_points)
{
    while (n_points-- > 0 && s < end)
        next_point(&s, end);
    return s < end ? s : end;
}

/* Appends |text|, cut in the middle when it is too long. */
static void
append_cut(fq_buf *buf, fq_str text)
{
    const char *end = text.ptr + text.len;
    size_t n_points = 0;
    for (const char *s = text.ptr; s < end; n_points++)
        next_point(&s, end);
    if (n_points <= INSPECT_STR_MAX) {
        fq_buf_append_str(buf, text);
        return;
    }
    size_t n_head = (INSPECT_STR_MAX - 3) / 2;
    size_t n_tail = INSPECT_STR_MAX - 3 - n_head;
    const char *head_end = skip_points(text.ptr, end, n_head);
    const char *tail = skip_points(text.ptr, end, n_points - n_tail);
    fq_buf_append(buf, text.ptr, (size_t)(head_end - text.ptr));
    fq_buf_append_str(buf, FQ_STR_LIT("..."));
    fq_buf_append(buf, tail, (size_t)(end - tail));
}

static void
inspect_str(fq_buf *buf, fq_str s)
{
    char quote = s.len > 0 && memchr(s.ptr, '\'', s.len) != NULL
                         && memchr(s.ptr, '"', s.len) == NULL
                     ? '"'
                     : '\'';
    const char *end = s.ptr + s.len;
    const char *head_end = skip_points(s.ptr, end, INSPECT_STR_END);
    /* Where the last characters start, found from behind. */
    const char *tail = end;
    for (size_t n = 0; n < INSPECT_STR_END && tail > head_end; n++)
        do
            tail--;
        while (tail > head_end && ((unsigned char)*tail & 0xC0) == 0x80);
    fq_buf text;
    fq_buf_init(&text);
    fq_buf_append_char(&text, quote);
    repr_range(&text, s.ptr, head_end, quote);
    repr_range(&text, tail, end, quote);
    fq_buf_append_char(&text, quote);
    if (fq_buf_status(&text) == FQ_OK)
        append_cut(buf, fq_buf_str(&text));
    else
        buf->status = fq_buf_status(&text);
    fq_buf_fini(&text);
}

/* The digits of the decimal number |text| without sign, dot and zeros at
 * either end, and the power of ten of the first one. */
static void
split_decimal(fq_str text, char *digits, int *pn_digits, int *pexponent)
{
    int n_digits = 0;
    int n_before_dot = -1;
    int n_leading = 0; /* zeros before the first digit */
    size_t i = 0;
    for (; i < text.len && text.ptr[i] != 'e' && text.ptr[i] != 'E'; i++) {
        char c = text.ptr[i];
        if (c == '.')
            n_before_dot = n_digits + n_leading;
        else if (c == '0' && n_digits == 0)
            n_leading++;
        else if (c >= '0' && c <= '9' && n_digits < INSPECT_DIGITS_MAX)
            digits[n_digits++] = c;
    }
    if (n_before_dot < 0)
        n_before_dot = n_digits + n_leading;
    int exponent = i < text.len ? atoi(text.ptr + i + 1) : 0;
    while (n_digits > 1 && digits[n_digits - 1] == '0')
        n_digits--;
    if (n_digits == 0) {
        digits[n_digits++] = '0';
        n_leading = 0;
        n_before_dot = 1;
    }
    *pn_digits = n_digits;
    *pexponent = exponent + n_before_dot - n_leading - 1;
}

/* repr() of a float: the fewest digits that read back equal, as the JSON
 * writer finds them, with an exponent below 1e-4 and from 1e16 on. */
static void
inspect_double(fq_buf *buf, double value)
{
    if (!isfinite(value)) {
        fq_buf_append_str(buf,
                          value > 0 ? FQ_STR_LIT("inf") : FQ_STR_LIT("-inf"));
        return;
    }
    fq_buf text;
    fq_buf_init(&text);
    fq_json_write_double(&text, fabs(value));
    fq_buf_append_char(&text, '\0');
    if (fq_buf_status(&text) != FQ_OK) {
        buf->status = fq_buf_status(&text);
        fq_buf_fini(&text);
        return;
    }
    char digits[INSPECT_DIGITS_MAX];
    int n_digits, exponent;
    split_decimal(fq_str_make(text.ptr, text.len - 1), digits, &n_digits,
                  &exponent);
    fq_buf_fini(&text);
    if (signbit(value))
        fq_buf_append_char(buf, '-');
    bool is_scientific = exponent < -4 || exponent >= 16;
    int n_before_dot = is_scientific ? 1 : exponent + 1;
    if (n_before_dot <= 0)
        fq_buf_append_char(buf, '0');
    for (int i = 0; i < n_before_dot; i++)
        fq_buf_append_char(buf, i < n_digits ? digits[i] : '0');
    if (n_digits > n_before_dot || !is_scientific)
        fq_buf_append_char(buf, '.');
    for (int i = n_before_dot; i < 0; i++)
        fq_buf_append_char(buf, '0');
    for (int i = n_before_dot > 0 ? n_before_dot : 0; i < n_digits; i++)
        fq_buf_append_char(buf, digits[i]);
    if (n_digits <= n_before_dot && !is_scientific)
        fq_buf_append_char(buf, '0');
    if (is_scientific)
        fq_buf_append_format(buf, "e%c%02d", exponent < 0 ? '-' : '+',
                             abs(exponent));
}

/* A number that was kept as it was written. */
static void
inspect_raw(fq_buf *buf, fq_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '.' || text.ptr[i] == 'e' || text.ptr[i] == 'E') {
            inspect_double(buf, fq_scalar_read_number(text));
            return;
        }
    append_cut(buf, text);
}

static void
inspect_val(fq_buf *buf, yyjson_val *value, int depth);

/* Appends what separates item |i| of |n| from the one before; false when it
 * is one of those left out. */
static bool
inspect_item(fq_buf *buf, size_t i, size_t n)
{
    const size_t n_head = INSPECT_ITEMS_MAX / 2;
    const size_t n_tail = n_head - 1;
    bool is_cut = n > INSPECT_ITEMS_MAX && i >= n_head && i < n - n_tail;
    if (is_cut && i > n_head)
        return false;
    if (i > 0)
        fq_buf_append_str(buf, FQ_STR_LIT(", "));
    if (is_cut)
        fq_buf_append_str(buf, FQ_STR_LIT("..."));
    return !is_cut;
}

static void
inspect_list(fq_buf *buf, yyjson_val *list, int depth)
{
    size_t i, n;
    yyjson_val *item;
    fq_buf_append_char(buf, '[');
    yyjson_arr_foreach(list, i, n, item)
    {
        if (inspect_item(buf, i, n))
            inspect_val(buf, item, depth + 1);
    }
    fq_buf_append_char(buf, ']');
}

static void
inspect_object(fq_buf *buf, yyjson_val *object, int depth)
{
    size_t i, n;
    yyjson_val *key, *value;
    fq_buf_append_char(buf, '{');
    yyjson_obj_foreach(object, i, n, key, value)
    {
        if (!inspect_item(buf, i, n))
            continue;
        inspect_str(buf, fq_json_str(key));
        fq_buf_append_str(buf, FQ_STR_LIT(": "));
        inspect_val(buf, value, depth + 1);
    }
    fq_buf_append_char(buf, '}');
}

static void
inspect_val(fq_buf *buf, yyjson_val *value, int depth)
{
    if (yyjson_is_arr(value)) {
        if (depth < INSPECT_DEPTH_MAX || yyjson_arr_size(value) == 0)
            inspect_list(buf, value, depth);
        else
            fq_buf_append_str(buf, FQ_STR_LIT("[...]"));
    } else if (yyjson_is_obj(value)) {
        if (depth < INSPECT_DEPTH_MAX || yyjson_obj_size(value) == 0)
            inspect_object(buf, value, depth);
        else
            fq_buf_append_str(buf, FQ_STR_LIT("{...}"));
    } else if (yyjson_is_str(value)) {
        inspect_str(buf, fq_json_str(value));
    } else if (yyjson_is_bool(value)) {
        fq_buf_append_str(buf, yyjson_is_true(value) ? FQ_STR_LIT("True")
                                                     : FQ_STR_LIT("False"));
    } else if (yyjson_is_uint(value)) {
        fq_buf_append_uint(buf, yyjson_get_uint(value));
    } else if (yyjson_is_sint(value)) {
        fq_buf_append_int(buf, yyjson_get_sint(value));
    } else if (yyjson_is_real(value)) {
        inspect_double(buf, yyjson_get_real(value));
    } else if (yyjson_is_raw(value)) {
        inspect_raw(buf,
                    fq_str_make(yyjson_get_raw(value), yyjson_get_len(value)));
    } else {
        fq_buf_append_str(buf, FQ_STR_LIT("None"));
    }
}

void
fq_inspect_json(fq_buf *buf, yyjson_val *value)
{
    inspect_val(buf, value, 0);
}
