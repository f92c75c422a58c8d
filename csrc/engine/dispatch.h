/* SPDX-License-Identifier: MIT */
/* The way of an event through the engine: accepted, waiting, walked past
 * everybody who listens, done. Thread: reactor. */
#ifndef FQ_ENGINE_DISPATCH_H
#define FQ_ENGINE_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "bus/event.h"
#include "engine/event_fifo.h"
#include "engine/predicate_index.h"
#include "engine/security/security.h"
#include "graphql/plan.h"

struct fq_engine;

typedef struct fq_dispatch {
    fq_event_fifo waiting;      /* accepted, not begun */
    uint64_t accepted_seq;      /* number of the event accepted last, from 1 */
    fq_event *event;            /* being dispatched, one reference; or NULL */
    uint64_t event_seq;         /* its number */
    fq_event_security facts;    /* about it */
    fq_predicate_cursor cursor; /* where among those who may want it */
    size_t iter;                /* behind them, when it is_unreadable: where
                                 * among all, see next_met() */
    fq_plan_variant **variants; /* that share a payload of it; one ref each */
    size_t n_variants;
    size_t variants_cap;
    fq_rcbuf *key;      /* of |event| by |key_path|; one reference, or NULL */
    fq_rcbuf *key_path; /* of the key found last; one ref; NULL: none yet */
    size_t slice;       /* FQ_DISPATCH_SLICE; smaller in tests */
    bool is_running;    /* in fq_dispatch_run, maybe below a callback */
} fq_dispatch;

/* Errors: FQ_ERR_NOMEM. */
fq_status
fq_dispatch_init(fq_dispatch *dispatch);
/* Lets go of all events. Not from within fq_dispatch_run. */
void
fq_dispatch_fini(struct fq_engine *engine);

/* See fq_engine_dispatch and fq_engine_run. */
bool
fq_dispatch_accept(struct fq_engine *engine, fq_event *event, uint64_t now_ns);
bool
fq_dispatch_run(struct fq_engine *engine, uint64_t now_ns);

/* Nothing is being dispatched, and no event waits for it. */
bool
fq_dispatch_is_idle(const fq_dispatch *dispatch);

/* One event of the history, between open and close, both only while idle: it
 * is dispatched like one that was accepted just now, but to those alone whom
 * |meet| names, which it |is_for|. Meeting may end any subscription. */
void
fq_dispatch_open(struct fq_engine *engine, fq_event *event);
bool
fq_dispatch_is_for(struct fq_engine *engine, const struct fq_sub *sub,
                   uint64_t now_ns);
void
fq_dispatch_meet(struct fq_engine *engine, struct fq_sub *sub,
                 uint64_t now_ns);
void
fq_dispatch_close(struct fq_engine *engine);

/* What |event|, which is being dispatched, conflates by under |path|; borrowed
 * until the next call. NULL: it has no such value, or there is no memory. Made
 * once for all subscriptions of a field. */
fq_rcbuf *
fq_dispatch_key(struct fq_engine *engine, fq_rcbuf *path,
                const fq_event *event);

/* Events accepted and not yet done with, the current one included. */
size_t
fq_dispatch_n_waiting(const fq_dispatch *dispatch);

#endif
