/* SPDX-License-Identifier: MIT */
/* Counters of what waits for clients. All accesses are relaxed but for the
 * references: a sum orders no other memory. */
#include "reactor/backlog.h"

#include "base/alloc.h"

fq_status
fq_backlog_new(fq_backlog **pbacklog)
{
    *pbacklog = fq_alloc_zero(sizeof(**pbacklog));
    if (*pbacklog == NULL)
        return FQ_ERR_NOMEM;
    atomic_init(&(*pbacklog)->n_refs, 1);
    return FQ_OK;
}

fq_backlog *
fq_backlog_ref(fq_backlog *backlog)
{
    atomic_fetch_add_explicit(&backlog->n_refs, 1, memory_order_relaxed);
    return backlog;
}

void
fq_backlog_unref(fq_backlog *backlog)
{
    /* acq_rel: the last one frees after all that others did. */
    if (backlog != NULL
        && atomic_fetch_sub_explicit(&backlog->n_refs, 1, memory_order_acq_rel)
               == 1)
        fq_free(backlog);
}

/* With one writer a load and a store do, which cost a tenth of an addition
 * that is atomic as a whole. */
static void
add_alone(_Atomic uint64_t *counter, int64_t n)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + (uint64_t)n, memory_order_relaxed);
}

void
fq_backlog_add(fq_backlog *backlog, int64_t n_items, int64_t n_bytes)
{
    add_alone(&backlog->n_items_in, n_items);
    add_alone(&backlog->n_bytes_in, n_bytes);
}

void
fq_backlog_take(fq_backlog *backlog, uint64_t n_items, uint64_t n_bytes)
{
    atomic_fetch_add_explicit(&backlog->n_items_out, n_items,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&backlog->n_bytes_out, n_bytes,
                              memory_order_relaxed);
}

/* |in| may lag behind |out|, as nothing orders them. */
static uint64_t
difference(const _Atomic uint64_t *in, const _Atomic uint64_t *out)
{
    uint64_t n_out = atomic_load_explicit(out, memory_order_relaxed);
    uint64_t n = atomic_load_explicit(in, memory_order_relaxed) - n_out;
    return n <= INT64_MAX ? n : 0;
}

void
fq_backlog_read(const fq_backlog *backlog, uint64_t *pn_items,
                uint64_t *pn_bytes)
{
    *pn_items = difference(&backlog->n_items_in, &backlog->n_items_out);
    *pn_bytes = difference(&backlog->n_bytes_in, &backlog->n_bytes_out);
}
