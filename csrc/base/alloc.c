/* SPDX-License-Identifier: MIT */
/* malloc with a count of live blocks and a switch that makes requests fail.
 * Any thread.
 *
 * The counters are only ever read as numbers, never to order other memory, so
 * every access is relaxed. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __APPLE__
#include <malloc/malloc.h>
#define malloc_usable_size malloc_size
#else
#include <malloc.h>
#endif

static _Atomic long n_live;
static _Atomic long n_refused;
/* Requests that still succeed; negative while none is to fail. */
static _Atomic long n_budget = -1;

/* Bytes are counted only while this is set. */
static _Atomic bool is_measuring;
static _Atomic long n_bytes_live; /* live since then */
static _Atomic long n_bytes_peak; /* the most of it */

/* Counts |block| (NULL is allowed) as taken, or as given back. */
static void
alloc_measure(void *block, bool is_taken)
{
    if (!atomic_load_explicit(&is_measuring, memory_order_relaxed)
        || block == NULL)
        return;
    long n = (long)malloc_usable_size(block);
    if (!is_taken) {
        atomic_fetch_sub_explicit(&n_bytes_live, n, memory_order_relaxed);
        return;
    }
    n += atomic_fetch_add_explicit(&n_bytes_live, n, memory_order_relaxed);
    long peak = atomic_load_explicit(&n_bytes_peak, memory_order_relaxed);
    while (n > peak
           && !atomic_compare_exchange_weak_explicit(&n_bytes_peak, &peak, n,
                                                     memory_order_relaxed,
                                                     memory_order_relaxed))
        ;
}

/* Spends one request of the budget; true when it is used up. The common case
 * (no test is running) is one load. */
static bool
alloc_is_refused(void)
{
    long n = atomic_load_explicit(&n_budget, memory_order_relaxed);
    while (n > 0
           && !atomic_compare_exchange_weak_explicit(&n_budget, &n, n - 1,
                                                     memory_order_relaxed,
                                                     memory_order_relaxed))
        ;
    if (n != 0)
        return false;
    atomic_fetch_add_explicit(&n_refused, 1, memory_order_relaxed);
    return true;
}

static void *
alloc_counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add_explicit(&n_live, 1, memory_order_relaxed);
    alloc_measure(block, true);
    return block;
}

void *
fq_alloc(size_t n_bytes)
{
    if (alloc_is_refused())
        return NULL;
    return alloc_counted(malloc(n_bytes > 0 ? n_bytes : 1));
}

void *
fq_alloc_zero(size_t n_bytes)
{
    if (alloc_is_refused())
        return NULL;
    return alloc_counted(calloc(1, n_bytes > 0 ? n_bytes : 1));
}

void *
fq_realloc(void *block, size_t n_bytes)
{
    if (block == NULL)
        return fq_alloc(n_bytes);
    if (alloc_is_refused())
        return NULL;
    alloc_measure(block, false);
    void *moved = realloc(block, n_bytes > 0 ? n_bytes : 1);
    alloc_measure(moved != NULL ? moved : block, true);
    return moved;
}

void
fq_free(void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_sub_explicit(&n_live, 1, memory_order_relaxed);
    alloc_measure(block, false);
    free(block);
}

void *
fq_alloc_grow(void *block, size_t item_size, size_t n_needed, size_t n_first,
              size_t *pcap)
{
    if (block != NULL && n_needed <= *pcap)
        return block;
    size_t cap = *pcap > 0 ? *pcap : (n_first > 0 ? n_first : 1);
    while (cap < n_needed)
        cap = cap <= SIZE_MAX / 2 ? cap * 2 : n_needed;
    if (item_size > 0 && cap > PTRDIFF_MAX / item_size)
        return NULL;
    block = fq_realloc(block, cap * item_size);
    if (block != NULL)
        *pcap = cap;
    return block;
}

void
fq_alloc_fail_after(long n)
{
    atomic_store_explicit(&n_budget, n < 0 ? -1 : n, memory_order_relaxed);
    atomic_store_explicit(&n_refused, 0, memory_order_relaxed);
}

long
fq_alloc_n_refused(void)
{
    return atomic_load_explicit(&n_refused, memory_order_relaxed);
}

long
fq_alloc_n_live(void)
{
    return atomic_load_explicit(&n_live, memory_order_relaxed);
}

void
fq_alloc_measure(bool is_on)
{
    atomic_store_explicit(&n_bytes_live, 0, memory_order_relaxed);
    atomic_store_explicit(&n_bytes_peak, 0, memory_order_relaxed);
    atomic_store_explicit(&is_measuring, is_on, memory_order_relaxed);
}

long
fq_alloc_n_bytes_peak(void)
{
    return atomic_load_explicit(&n_bytes_peak, memory_order_relaxed);
}
