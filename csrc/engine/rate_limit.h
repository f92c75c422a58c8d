/* SPDX-License-Identifier: MIT */
/* Token buckets. A bucket is one number, the time at which it will be full
 * again (the generic cell rate algorithm, ITU-T I.371), so it needs no timer
 * and no refill: taking a token moves that time on by what one token takes to
 * grow. What buckets of one kind have in common, rate and size, is kept once,
 * in an fq_rate. Time is an argument. Plain data: the owner guards it. */
#ifndef FQ_ENGINE_RATE_LIMIT_H
#define FQ_ENGINE_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* The slowest and the fastest rate, in tokens per second, and the largest
 * bucket: within them no bucket takes 2^62 ns to fill. */
#define FQ_RATE_MIN 0.001
#define FQ_RATE_MAX 1e9
#define FQ_RATE_BURST_MAX 1000000

typedef struct fq_rate {
    uint64_t interval_ns; /* one token grows in it; 0: unlimited */
    uint64_t span_ns;     /* an empty bucket fills in it: burst × interval */
} fq_rate;

typedef struct fq_rate_limit {
    uint64_t full_at_ns; /* the bucket is full from then on; 0: full */
} fq_rate_limit;

/* |per_s| tokens a second into a bucket of |burst| (0: one second's worth, at
 * least one token). |per_s| of 0 is unlimited; anything else is brought into
 * the range above. */
fq_rate
fq_rate_make(double per_s, uint32_t burst);

static inline bool
fq_rate_is_limited(const fq_rate *rate)
{
    return rate->interval_ns != 0;
}

/* Time until |limit| is full again. A bucket may be in debt by as much as it
 * holds (fq_rate_limit_force), so more than twice its span is a clock that
 * went back: the bucket is then empty, and fills as usual. */
static inline uint64_t
fq_rate_limit_owed_ns(fq_rate_limit *limit, const fq_rate *rate,
                      uint64_t now_ns)
{
    if (limit->full_at_ns <= now_ns)
        return 0;
    uint64_t owed_ns = limit->full_at_ns - now_ns;
    if (owed_ns <= 2 * rate->span_ns)
        return owed_ns;
    limit->full_at_ns = now_ns + rate->span_ns;
    return rate->span_ns;
}

/* True when a token is there; it is not taken. */
static inline bool
fq_rate_limit_has(fq_rate_limit *limit, const fq_rate *rate, uint64_t now_ns)
{
    return fq_rate_limit_owed_ns(limit, rate, now_ns) + rate->interval_ns
           <= rate->span_ns;
}

/* Takes a token that is there, as fq_rate_limit_has() just said, or goes into
 * debt, at most by a whole bucket. */
static inline void
fq_rate_limit_force(fq_rate_limit *limit, const fq_rate *rate, uint64_t now_ns)
{
    uint64_t owed_ns = fq_rate_limit_owed_ns(limit, rate, now_ns)
                       + rate->interval_ns;
    if (owed_ns > 2 * rate->span_ns)
        owed_ns = 2 * rate->span_ns;
    limit->full_at_ns = now_ns <= UINT64_MAX - owed_ns ? now_ns + owed_ns
                                                       : UINT64_MAX;
}

/* Takes a token; false, and nothing taken, when there is none. */
static inline bool
fq_rate_limit_take(fq_rate_limit *limit, const fq_rate *rate, uint64_t now_ns)
{
    if (!fq_rate_limit_has(limit, rate, now_ns))
        return false;
    fq_rate_limit_force(limit, rate, now_ns);
    return true;
}

#endif
