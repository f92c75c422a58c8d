/* SPDX-License-Identifier: MIT */
/* Immutable bytes with an atomic reference count: the only form in which
 * bytes cross the door between reactor and event loop, and in which one
 * encoded payload is shared by all who get it. Any thread. */
#ifndef FQ_BASE_RCBUF_H
#define FQ_BASE_RCBUF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

typedef struct fq_rcbuf {
    _Atomic uint32_t n_refs; /* release on unref pairs with acquire at 0 */
    bool is_ascii;           /* every byte < 0x80: a Python str by memcpy */
    size_t len;              /* bytes */
    char bytes[];            /* followed by a terminating NUL */
} fq_rcbuf;

/* A new buffer with one reference holding a copy of |s|. */
fq_status
fq_rcbuf_new(fq_str s, fq_rcbuf **prcbuf);

/* The concatenation of |n_parts| slices as one new buffer. */
fq_status
fq_rcbuf_concat(const fq_str *parts, size_t n_parts, fq_rcbuf **prcbuf);

fq_rcbuf *
fq_rcbuf_ref(fq_rcbuf *rcbuf);

/* Drops one reference; NULL is allowed. */
void
fq_rcbuf_unref(fq_rcbuf *rcbuf);

static inline fq_str
fq_rcbuf_str(const fq_rcbuf *rcbuf)
{
    return fq_str_make(rcbuf->bytes, rcbuf->len);
}

/* True when every byte of |s| is below 0x80. */
bool
fq_str_is_ascii(fq_str s);

#endif
