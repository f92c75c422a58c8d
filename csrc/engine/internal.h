/* SPDX-License-Identifier: MIT */
/* The engine's own struct, for the files that make up the engine: engine.c
 * (assembly), subscribe.c (subscriptions), dispatch.c (events), caller.c
 * (resolvers and sources), start.c (initial values), shared.c (resolvers that
 * are called once for many), replay.c (what clients missed), gap.c (what the
 * bus has lost). Thread: reactor. */
#ifndef FQ_ENGINE_INTERNAL_H
#define FQ_ENGINE_INTERNAL_H

#include "base/buf.h"
#include "base/map.h"
#include "engine/dispatch.h"
#include "engine/engine.h"
#include "engine/predicate_index.h"
#include "engine/registry.h"
#include "engine/replay.h"
#include "engine/shared.h"
#include "engine/start.h"

struct fq_engine {
    fq_engine_limits limits;
    fq_metrics *metrics; /* the owner's */
    fq_plan_cache *plans;
    fq_schema *schema;       /* one reference; NULL: none */
    bool serve_undeclared;   /* its fields that are not in |fields| */
    fq_policy *policy;       /* for |schema|; NULL: none */
    yyjson_doc *policy_text; /* what it is compiled from; likewise */
    fq_map fields;           /* name -> fq_field, the name inside the field */
    fq_registry registry;
    fq_predicate_index predicates; /* the channels and who is on them */
    fq_dispatch dispatch;
    fq_user_table users;
    fq_rate events_per_subscription; /* of |limits| */
    fq_rate events_per_user;         /* likewise */
    bool has_event_rates;            /* one of them is set */
    fq_shared_table shared;
    fq_replay_table replays;
    fq_rcbuf *gap;  /* what tells of one; one reference */
    fq_buf scratch; /* for payloads; free between any two callbacks */
};

/* A delivery that |sub| should have had and does not get: counted, and told
 * with its next one. */
static inline void
fq_engine_lose(fq_engine *engine, fq_sub *sub)
{
    FQ_METRIC_ADD(engine->metrics, deliveries_dropped, 1);
    if (sub->n_carried < UINT32_MAX)
        sub->n_carried++;
}

/* Says what the position of the delivery being made for |sub| is, if it asked:
 * that behind |event|. Without memory that delivery has none. */
static inline void
fq_engine_set_position(fq_sub *sub, fq_event *event)
{
    if (sub->position_as == 0)
        return;
    fq_rcbuf *position = fq_bus_position_of(event);
    fq_rcbuf_unref(sub->next_position);
    sub->next_position = position != NULL ? fq_rcbuf_ref(position) : NULL;
}

/* Hands |payload| (borrowed) to the owner of |sub|, or keeps it until its
 * initial value has been handed over. May end any subscription. */
static inline void
fq_engine_deliver(fq_engine *engine, fq_sub *sub, fq_rcbuf *payload)
{
    if (sub->start != NULL)
        fq_start_hold(engine, sub, payload);
    else
        sub->sink->ops->next(sub->sink, sub, payload);
}

#endif
