/* SPDX-License-Identifier: MIT */
/* How durations are distributed: counts in buckets whose bounds double from
 * 250 ns to 6.4 days, the same for every histogram, so no setting is wrong
 * and none allocates. Any thread counts and reads, with relaxed atomics: a
 * snapshot stops nobody, and one that is taken while somebody counts may lack
 * what is being counted. */
#ifndef FQ_ENGINE_HISTOGRAM_H
#define FQ_ENGINE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/* The bound of the first bucket; the i-th one is 2^i times that. Events are
 * dispatched in less than a microsecond. */
#define FQ_HISTOGRAM_FIRST_NS 250u
/* Buckets with a bound: the last is 250 ns * 2^41, six days of a connection. */
#define FQ_HISTOGRAM_BOUNDS 42

typedef struct fq_histogram {
    /* Values above the bound before and up to the bucket's own; the last one
     * has none. */
    _Atomic uint64_t buckets[FQ_HISTOGRAM_BOUNDS + 1];
    _Atomic uint64_t sum_ns;
} fq_histogram;

typedef struct fq_histogram_snapshot {
    uint64_t count;
    uint64_t sum_ns; /* maybe of a value more or less than |count| has */
    /* How many values are not above the bound; the last is |count|. */
    uint64_t cumulative[FQ_HISTOGRAM_BOUNDS + 1];
} fq_histogram_snapshot;

/* Counts a duration. Thread: any. Cost: two atomic additions. */
void
fq_histogram_add(fq_histogram *histogram, uint64_t value_ns);

/* Thread: any. */
void
fq_histogram_read(const fq_histogram *histogram,
                  fq_histogram_snapshot *snapshot);

/* The bound of bucket |i|, below FQ_HISTOGRAM_BOUNDS. */
uint64_t
fq_histogram_bound_ns(uint32_t i);

/* The value that the share |q| (0 to 1) of all values does not exceed, as
 * straight as it gets between the bounds of its bucket: at most a factor of
 * two off. 0 without values. */
double
fq_histogram_quantile_ns(const fq_histogram_snapshot *snapshot, double q);

#endif
