/* SPDX-License-Identifier: MIT */
/* The start of a subscription that has an initial value: it hears events
 * already, but what they bring waits until the initial value has been handed
 * over. Thread: reactor. */
#ifndef FQ_ENGINE_START_H
#define FQ_ENGINE_START_H

#include <stdint.h>

#include "base/rcbuf.h"
#include "base/status.h"
#include "engine/engine.h"

typedef struct fq_held {
    fq_rcbuf *payload;  /* one reference */
    fq_rcbuf *key;      /* what it conflates by, likewise, or NULL */
    fq_rcbuf *position; /* likewise */
} fq_held;

typedef struct fq_start {
    uint64_t token;     /* of what is asked for the initial value */
    fq_rcbuf *position; /* that of the initial value: where the bus was before
                         * it was asked for; one reference, or NULL */
    fq_held *held;      /* oldest first */
    uint32_t head;      /* index of the oldest */
    uint32_t n_held;    /* behind |head| */
    size_t n_bytes;     /* of their payloads */
    size_t cap;
} fq_start;

/* Errors: FQ_ERR_NOMEM. */
fq_status
fq_start_new(uint64_t token, fq_start **pstart);
/* NULL is allowed. */
void
fq_start_free(fq_start *start);

/* Says that the delivery being made for |sub| is its initial value. */
void
fq_start_set_position(fq_sub *sub);

/* Keeps |payload| (borrowed), sub->next_key and next_position (taken) for |sub|. As much is
 * kept as may wait for a resolver (max_pending, max_pending_bytes); beyond it
 * the policy of the subscription rules. May end any subscription. */
void
fq_start_hold(fq_engine *engine, fq_sub *sub, fq_rcbuf *payload);

/* Loses what is kept for |sub|, which has an initial value to come. */
void
fq_start_drop(fq_engine *engine, fq_sub *sub);

/* The initial value of |sub| is done with: hands over what was kept, and lets
 * it go on like others. Returns |sub|, or NULL when that has ended it. */
fq_sub *
fq_start_finish(fq_engine *engine, fq_sub *sub, uint64_t now_ns);

#endif
