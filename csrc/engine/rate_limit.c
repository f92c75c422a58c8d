/* SPDX-License-Identifier: MIT */
/* The settings of token buckets; the buckets are in the header. */
#include "engine/rate_limit.h"

#define NS_PER_S 1e9

fq_rate
fq_rate_make(double per_s, uint32_t burst)
{
    fq_rate rate = {0};
    if (per_s == 0)
        return rate;
    /* Written so that a NaN is the slowest. */
    if (!(per_s >= FQ_RATE_MIN))
        per_s = FQ_RATE_MIN;
    if (per_s > FQ_RATE_MAX)
        per_s = FQ_RATE_MAX;
    if (burst == 0)
        burst = per_s < FQ_RATE_BURST_MAX ? (uint32_t)per_s
                                          : FQ_RATE_BURST_MAX;
    if (burst == 0)
        burst = 1;
    if (burst > FQ_RATE_BURST_MAX)
        burst = FQ_RATE_BURST_MAX;
    rate.interval_ns = (uint64_t)(NS_PER_S / per_s);
    rate.span_ns = rate.interval_ns * burst;
    return rate;
}
