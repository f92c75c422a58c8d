/* SPDX-License-Identifier: MIT */
/* Events per second of one subscription and of one user: what the buckets of
 * rate_limit.h and user_table.h come to when an event is dispatched. Thread:
 * reactor. */
#ifndef FQ_ENGINE_EVENT_RATE_H
#define FQ_ENGINE_EVENT_RATE_H

#include "engine/internal.h"

/* The slow path of fq_event_rate_allows: some rate is set. */
bool
fq_event_rate_take(fq_engine *engine, fq_sub *sub, uint64_t now_ns);

/* True when |sub| may have one more event now, which is then taken off its
 * bucket and its user's; false: the event is lost to it, which has been
 * counted and will be told with its next delivery. To be asked last, when
 * everything else has said yes. Cost: one comparison while no rate is set,
 * else two buckets. */
static inline bool
fq_event_rate_allows(fq_engine *engine, fq_sub *sub, uint64_t now_ns)
{
    return !engine->has_event_rates || fq_event_rate_take(engine, sub, now_ns);
}

#endif
