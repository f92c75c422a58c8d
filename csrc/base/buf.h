/* SPDX-License-Identifier: MIT */
/* A growable byte buffer for building texts. A failed append marks the buffer
 * and every later append is a no-op, so a writer checks once at the end with
 * fq_buf_status(). One thread at a time. */
#ifndef FQ_BASE_BUF_H
#define FQ_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"

typedef struct fq_buf {
    char *ptr;        /* heap, or NULL while cap is 0 */
    size_t len;       /* bytes written */
    size_t cap;       /* bytes allocated */
    size_t max;       /* an append beyond it is FQ_ERR_LIMIT; 0: none */
    fq_status status; /* first failure, or FQ_OK */
} fq_buf;

#define FQ_BUF_INIT {NULL, 0, 0, 0, FQ_OK}

void
fq_buf_init(fq_buf *buf);
void
fq_buf_fini(fq_buf *buf);

/* Forgets content and failure, keeps the memory. */
void
fq_buf_clear(fq_buf *buf);

/* Makes room for |n_bytes| more and returns where they go, or NULL (status is
 * set). The caller writes there and adds what it wrote to |len|. */
char *
fq_buf_reserve(fq_buf *buf, size_t n_bytes);

void
fq_buf_append(fq_buf *buf, const void *bytes, size_t len);
void
fq_buf_append_str(fq_buf *buf, fq_str s);
void
fq_buf_append_char(fq_buf *buf, char c);
void
fq_buf_append_int(fq_buf *buf, int64_t value);
void
fq_buf_append_uint(fq_buf *buf, uint64_t value);
void
fq_buf_append_format(fq_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void
fq_buf_append_format_va(fq_buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static inline fq_status
fq_buf_status(const fq_buf *buf)
{
    return buf->status;
}

static inline fq_str
fq_buf_str(const fq_buf *buf)
{
    return fq_str_make(buf->ptr, buf->len);
}

/* Copies the content into a counted buffer of exactly its size. *prcbuf is
 * NULL on failure (also when an earlier append had failed). */
fq_status
fq_buf_to_rcbuf(const fq_buf *buf, fq_rcbuf **prcbuf);

#endif
