/* SPDX-License-Identifier: MIT */
/* What waits for a subscription when its context is replaced: events in line
 * for a resolver, a call that is out, payloads held behind an initial value.
 * They were let through in the name of the context before. Thread: reactor. */
#ifndef FQ_ENGINE_RENEWAL_H
#define FQ_ENGINE_RENEWAL_H

#include "bus/event.h"
#include "engine/engine.h"

/* |sub|, whose context was |before| (borrowed), is let in with another. From
 * now on its waiting events are judged again, see below. For another user or
 * class, what was made for |before| is lost, and told: the answer of a resolver
 * that is out and the payloads held; an initial value is asked for again.
 * Payloads held are lost also where a row filter may decide otherwise now. */
void
fq_renewal_mark(fq_engine *engine, fq_sub *sub,
                const fq_security_context *before);

/* Judges |event| for |sub| anew, as dispatch does; counts a denial. */
bool
fq_renewal_judge(fq_engine *engine, const fq_sub *sub, const fq_event *event,
                 uint64_t now_ns);

/* Whether |sub| may have |event|, which matched it before, perhaps in the name
 * of another context. If not, no trace of it may show. Free for those that
 * were never renewed. */
static inline bool
fq_renewal_allows(fq_engine *engine, const fq_sub *sub, const fq_event *event,
                  uint64_t now_ns)
{
    return !sub->was_renewed || fq_renewal_judge(engine, sub, event, now_ns);
}

#endif
