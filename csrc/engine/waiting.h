/* SPDX-License-Identifier: MIT */
/* Events that wait for one subscription's resolver, oldest first; for a
 * conflating subscription one per key. Thread: reactor. */
#ifndef FQ_ENGINE_WAITING_H
#define FQ_ENGINE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rcbuf.h"
#include "base/status.h"
#include "bus/event.h"
#include "engine/event_fifo.h"

struct fq_waiting_keyed;

typedef struct fq_waiting {
    fq_event_fifo fifo;             /* of a subscription that conflates not */
    struct fq_waiting_keyed *keyed; /* of one that does; NULL before the
                                     * first event */
    size_t n_items;
    size_t n_bytes; /* of their data */
    bool is_ahead;  /* the event taken last had taken another's place, and some
                     * that wait came before it */
} fq_waiting;

/* Takes no memory until the first push. */
void
fq_waiting_init(fq_waiting *waiting);
/* Drops the references still held; their done_cb may run. */
void
fq_waiting_fini(fq_waiting *waiting);

/* Appends |event| with a reference of its own. Errors: FQ_ERR_NOMEM. */
fq_status
fq_waiting_push(fq_waiting *waiting, fq_event *event);

/* The same for a conflating subscription, all of whose events come this way:
 * where one with the content of |key| (borrowed; NULL: never conflated) waits,
 * |event| takes its place and *preplaced is the other one, whose reference is
 * the caller's then; else NULL. */
fq_status
fq_waiting_push_keyed(fq_waiting *waiting, fq_event *event, fq_rcbuf *key,
                      fq_event **preplaced);

/* The oldest event, whose reference is the caller's then; NULL when empty. */
fq_event *
fq_waiting_take(fq_waiting *waiting);

#endif
