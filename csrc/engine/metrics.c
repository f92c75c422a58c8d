/* SPDX-License-Identifier: MIT */
/* Which counter a reason or a code has. Any thread. */
#include "engine/metrics.h"

#include "base/check.h"

void
fq_metrics_count_at(fq_metrics *metrics, size_t offset)
{
    FQ_CHECK(offset < sizeof(fq_metrics));
    _Atomic uint64_t *counter = (_Atomic uint64_t *)((char *)metrics + offset);
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void
fq_metrics_count_end(fq_metrics *metrics, fq_end_reason reason)
{
    switch (reason) {
#define END_CASE(member, name)                                                \
    case member:                                                              \
        FQ_METRIC_ADD(metrics, name, 1);                                      \
        break;
        FQ_END_REASONS(END_CASE)
#undef END_CASE
    }
}

void
fq_metrics_count_close(fq_metrics *metrics, uint16_t code)
{
    switch (code) {
#define CLOSE_CASE(number)                                                    \
    case number:                                                              \
        FQ_METRIC_ADD(metrics, closed_##number, 1);                           \
        break;
        FQ_CLOSE_CODES(CLOSE_CASE)
#undef CLOSE_CASE
    default:
        FQ_METRIC_ADD(metrics, closed_other, 1);
    }
}
