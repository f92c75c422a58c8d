/* SPDX-License-Identifier: MIT */
/* The growable byte buffer: doubling growth under a maximum. One thread at a
 * time. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* The first allocation: most control messages fit. */
#define BUF_CAP_FIRST 256

/* Digits of UINT64_MAX. */
#define BUF_DIGITS_MAX 20

void
fq_buf_init(fq_buf *buf)
{
    *buf = (fq_buf)FQ_BUF_INIT;
}

void
fq_buf_fini(fq_buf *buf)
{
    fq_free(buf->ptr);
    fq_buf_init(buf);
}

void
fq_buf_clear(fq_buf *buf)
{
    buf->len = 0;
    buf->status = FQ_OK;
}

/* Makes room whatever |max| says. */
static char *
buf_grow(fq_buf *buf, size_t n_bytes)
{
    if (buf->ptr != NULL && n_bytes <= buf->cap - buf->len)
        return buf->ptr + buf->len;
    char *ptr = NULL;
    if (n_bytes <= PTRDIFF_MAX - buf->len)
        ptr = fq_alloc_grow(buf->ptr, 1, buf->len + n_bytes, BUF_CAP_FIRST,
                            &buf->cap);
    if (ptr == NULL) {
        buf->status = FQ_ERR_NOMEM;
        return NULL;
    }
    buf->ptr = ptr;
    return ptr + buf->len;
}

char *
fq_buf_reserve(fq_buf *buf, size_t n_bytes)
{
    FQ_CHECK(buf->len <= buf->cap);
    if (buf->status != FQ_OK)
        return NULL;
    if (buf->max > 0
        && (buf->len > buf->max || n_bytes > buf->max - buf->len)) {
        buf->status = FQ_ERR_LIMIT;
        return NULL;
    }
    return buf_grow(buf, n_bytes);
}

void
fq_buf_append(fq_buf *buf, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    char *out = fq_buf_reserve(buf, len);
    if (out == NULL)
        return;
    memcpy(out, bytes, len);
    buf->len += len;
}

void
fq_buf_append_str(fq_buf *buf, fq_str s)
{
    fq_buf_append(buf, s.ptr, s.len);
}

void
fq_buf_append_char(fq_buf *buf, char c)
{
    char *out = fq_buf_reserve(buf, 1);
    if (out == NULL)
        return;
    *out = c;
    buf->len++;
}

void
fq_buf_append_int(fq_buf *buf, int64_t value)
{
    if (value >= 0) {
        fq_buf_append_uint(buf, (uint64_t)value);
        return;
    }
    fq_buf_append_char(buf, '-');
    /* Negated as unsigned, so that INT64_MIN has a magnitude. */
    fq_buf_append_uint(buf, 0 - (uint64_t)value);
}

void
fq_buf_append_uint(fq_buf *buf, uint64_t value)
{
    char digits[BUF_DIGITS_MAX];
    size_t first = BUF_DIGITS_MAX;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    fq_buf_append(buf, digits + first, BUF_DIGITS_MAX - first);
}

void
fq_buf_append_format(fq_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fq_buf_append_format_va(buf, format, args);
    va_end(args);
}

void
fq_buf_append_format_va(fq_buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    FQ_CHECK(len >= 0);
    /* vsnprintf ends what it writes with a NUL, which needs room too but is
     * no content and so may lie beyond |max|. */
    char *out = NULL;
    if (len > 0 && fq_buf_reserve(buf, (size_t)len) != NULL)
        out = buf_grow(buf, (size_t)len + 1);
    if (out != NULL) {
        vsnprintf(out, (size_t)len + 1, format, args);
        buf->len += (size_t)len;
    }
}

fq_status
fq_buf_to_rcbuf(const fq_buf *buf, fq_rcbuf **prcbuf)
{
    *prcbuf = NULL;
    if (buf->status != FQ_OK)
        return buf->status;
    return fq_rcbuf_new(fq_buf_str(buf), prcbuf);
}
