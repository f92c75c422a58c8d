/* SPDX-License-Identifier: MIT */
/* Events per second. Thread: reactor. */
#include "engine/event_rate.h"

#include "engine/rate_limit.h"
#include "engine/user_table.h"

bool
fq_event_rate_take(fq_engine *engine, fq_sub *sub, uint64_t now_ns)
{
    const fq_rate *per_sub = &engine->events_per_subscription;
    const fq_rate *per_user = &engine->events_per_user;
    fq_user *user = sub->user;
    /* Both or none: an event that one of them stops costs the other
     * nothing. */
    if (!fq_rate_limit_has(&sub->event_limit, per_sub, now_ns)) {
        FQ_METRIC_ADD(engine->metrics, events_limited_by_subscription, 1);
    } else if (user != NULL
               && !fq_rate_limit_take(&user->event_limit, per_user, now_ns)) {
        FQ_METRIC_ADD(engine->metrics, events_limited_by_user, 1);
    } else {
        fq_rate_limit_force(&sub->event_limit, per_sub, now_ns);
        return true;
    }
    fq_engine_lose(engine, sub);
    return false;
}
