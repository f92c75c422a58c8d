/* SPDX-License-Identifier: MIT */
/* Decoding as browsers do: `+` is a space, `%` without two digits stands for
 * itself. Any thread. */
#include "protocol/form.h"

/* Cuts what is before the next |separator| off *prest; false: it is not
 * there, and all of it was taken. */
static bool
cut(fq_str *prest, char separator, fq_str *ppart)
{
    const char *end = prest->len == 0
                          ? NULL
                          : memchr(prest->ptr, separator, prest->len);
    size_t len = end == NULL ? prest->len : (size_t)(end - prest->ptr);
    size_t n_taken = end == NULL ? len : len + 1;
    *ppart = fq_str_make(prest->ptr, len);
    *prest = fq_str_make(n_taken == 0 ? prest->ptr : prest->ptr + n_taken,
                         prest->len - n_taken);
    return end != NULL;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The first character of |s|, decoded; *pn_bytes is how many it takes. */
static char
decode_char(fq_str s, size_t *pn_bytes)
{
    *pn_bytes = 1;
    if (s.ptr[0] == '+')
        return ' ';
    if (s.ptr[0] != '%' || s.len < 3)
        return s.ptr[0];
    int high = hex_digit(s.ptr[1]);
    int low = hex_digit(s.ptr[2]);
    if (high < 0 || low < 0)
        return '%';
    *pn_bytes = 3;
    return (char)(high << 4 | low);
}

static void
decode(fq_str s, fq_buf *buf)
{
    char *out = fq_buf_reserve(buf, s.len);
    if (out == NULL)
        return;
    size_t len = 0;
    for (size_t i = 0, n; i < s.len; i += n)
        out[len++] = decode_char(fq_str_make(s.ptr + i, s.len - i), &n);
    buf->len += len;
}

static bool
is_named(fq_str encoded, fq_str name)
{
    size_t at = 0;
    for (size_t i = 0, n; i < encoded.len; i += n, at++) {
        char c = decode_char(fq_str_make(encoded.ptr + i, encoded.len - i),
                             &n);
        if (at >= name.len || c != name.ptr[at])
            return false;
    }
    return at == name.len;
}

bool
fq_form_get(fq_str form, fq_str name, fq_buf *buf)
{
    while (form.len > 0) {
        fq_str pair, key;
        cut(&form, '&', &pair);
        cut(&pair, '=', &key);
        if (!is_named(key, name))
            continue;
        if (pair.len > 0)
            decode(pair, buf);
        return true;
    }
    return false;
}
