/* SPDX-License-Identifier: MIT */
/* Counted bytes. Any thread.
 *
 * A new reference is always made from one that is held, so counting up needs
 * no ordering. The last unref must come after every use by every other
 * holder: each counts down with release, and the one that reaches zero
 * acquires what all of them released before it frees. It does so by a load, as
 * ThreadSanitizer knows no fences. */
#include "base/rcbuf.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* Gathers |n_parts| slices of |len| bytes in all. */
static fq_status
rcbuf_gather(const fq_str *parts, size_t n_parts, size_t len,
             fq_rcbuf **prcbuf)
{
    *prcbuf = NULL;
    if (len > PTRDIFF_MAX - sizeof(fq_rcbuf) - 1)
        return FQ_ERR_NOMEM;
    fq_rcbuf *rcbuf = fq_alloc(sizeof(fq_rcbuf) + len + 1);
    if (rcbuf == NULL)
        return FQ_ERR_NOMEM;
    atomic_init(&rcbuf->n_refs, 1);
    rcbuf->len = len;
    char *out = rcbuf->bytes;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len == 0)
            continue;
        memcpy(out, parts[i].ptr, parts[i].len);
        out += parts[i].len;
    }
    *out = '\0';
    rcbuf->is_ascii = fq_str_is_ascii(fq_str_make(rcbuf->bytes, len));
    *prcbuf = rcbuf;
    return FQ_OK;
}

fq_status
fq_rcbuf_new(fq_str s, fq_rcbuf **prcbuf)
{
    return rcbuf_gather(&s, 1, s.len, prcbuf);
}

fq_status
fq_rcbuf_concat(const fq_str *parts, size_t n_parts, fq_rcbuf **prcbuf)
{
    size_t len = 0;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len > SIZE_MAX - len) {
            *prcbuf = NULL;
            return FQ_ERR_NOMEM;
        }
        len += parts[i].len;
    }
    return rcbuf_gather(parts, n_parts, len, prcbuf);
}

fq_rcbuf *
fq_rcbuf_ref(fq_rcbuf *rcbuf)
{
    uint32_t n_before = atomic_fetch_add_explicit(&rcbuf->n_refs, 1,
                                                  memory_order_relaxed);
    FQ_CHECK(n_before > 0 && n_before < UINT32_MAX);
    (void)n_before;
    return rcbuf;
}

void
fq_rcbuf_unref(fq_rcbuf *rcbuf)
{
    if (rcbuf == NULL)
        return;
    uint32_t n_before = atomic_fetch_sub_explicit(&rcbuf->n_refs, 1,
                                                  memory_order_release);
    FQ_CHECK(n_before > 0);
    if (n_before != 1)
        return;
    (void)atomic_load_explicit(&rcbuf->n_refs, memory_order_acquire);
    fq_free(rcbuf);
}

bool
fq_str_is_ascii(fq_str s)
{
    /* A whole word per step, and four words per look: the high bit of any
     * byte survives the or. */
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    size_t i = 0;
    for (; s.len - i >= 32; i += 32) {
        uint64_t words[4];
        memcpy(words, s.ptr + i, sizeof(words));
        if ((words[0] | words[1] | words[2] | words[3]) & high_bits)
            return false;
    }
    unsigned char seen = 0;
    for (; i < s.len; i++)
        seen |= (unsigned char)s.ptr[i];
    return seen < 0x80;
}
