/* SPDX-License-Identifier: MIT */
/* Buckets by powers of two. Any thread. All accesses are relaxed: a count
 * orders no other memory. */
#include "engine/histogram.h"

#include "base/check.h"

/* The bucket of |value_ns|: how many times the first bound has to be doubled
 * to hold it. */
static uint32_t
bucket_of(uint64_t value_ns)
{
    if (value_ns <= FQ_HISTOGRAM_FIRST_NS)
        return 0;
    uint64_t n_firsts = (value_ns - 1) / FQ_HISTOGRAM_FIRST_NS;
    uint32_t i = 64 - (uint32_t)__builtin_clzll(n_firsts);
    return i < FQ_HISTOGRAM_BOUNDS ? i : FQ_HISTOGRAM_BOUNDS;
}

void
fq_histogram_add(fq_histogram *histogram, uint64_t value_ns)
{
    atomic_fetch_add_explicit(&histogram->buckets[bucket_of(value_ns)], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, value_ns,
                              memory_order_relaxed);
}

void
fq_histogram_read(const fq_histogram *histogram,
                  fq_histogram_snapshot *snapshot)
{
    snapshot->count = 0;
    for (uint32_t i = 0; i <= FQ_HISTOGRAM_BOUNDS; i++) {
        snapshot->count += atomic_load_explicit(&histogram->buckets[i],
                                                memory_order_relaxed);
        snapshot->cumulative[i] = snapshot->count;
    }
    snapshot->sum_ns = atomic_load_explicit(&histogram->sum_ns,
                                            memory_order_relaxed);
}

uint64_t
fq_histogram_bound_ns(uint32_t i)
{
    FQ_CHECK(i < FQ_HISTOGRAM_BOUNDS);
    return (uint64_t)FQ_HISTOGRAM_FIRST_NS << i;
}

double
fq_histogram_quantile_ns(const fq_histogram_snapshot *snapshot, double q)
{
    if (snapshot->count == 0)
        return 0.0;
    double rank = q * (double)snapshot->count;
    uint32_t i = 0;
    while (i < FQ_HISTOGRAM_BOUNDS
           && ((double)snapshot->cumulative[i] < rank
               || snapshot->cumulative[i] == 0))
        i++;
    if (i == FQ_HISTOGRAM_BOUNDS)
        return (double)fq_histogram_bound_ns(i - 1);
    double below = i > 0 ? (double)snapshot->cumulative[i - 1] : 0.0;
    double low = i > 0 ? (double)fq_histogram_bound_ns(i - 1) : 0.0;
    double high = (double)fq_histogram_bound_ns(i);
    double share = (rank - below) / ((double)snapshot->cumulative[i] - below);
    return low + (high - low) * (share > 0.0 ? share : 0.0);
}
