/* SPDX-License-Identifier: MIT */
/* Events that wait their turn, oldest first: those the engine has accepted,
 * and those that wait for one subscription's resolver. Thread: reactor. */
#ifndef FQ_ENGINE_EVENT_FIFO_H
#define FQ_ENGINE_EVENT_FIFO_H

#include <stdint.h>

#include "base/status.h"
#include "bus/event.h"

typedef struct fq_event_fifo {
    fq_event **items; /* ring of cap slots; one reference each */
    uint32_t cap;     /* a power of two, or 0 */
    uint32_t head;    /* index of the oldest */
    uint32_t n_items;
} fq_event_fifo;

/* Takes no memory until the first push. */
void
fq_event_fifo_init(fq_event_fifo *fifo);
/* Drops the references still held; their done_cb may run. */
void
fq_event_fifo_fini(fq_event_fifo *fifo);

/* Makes the ring, so that a push to the empty FIFO never fails from here on.
 * Errors: FQ_ERR_NOMEM. */
fq_status
fq_event_fifo_reserve(fq_event_fifo *fifo);

/* Appends |event| with a reference of its own. Errors: FQ_ERR_NOMEM. */
fq_status
fq_event_fifo_push(fq_event_fifo *fifo, fq_event *event);

/* The oldest event, whose reference is the caller's then; NULL when empty. A
 * FIFO that empties gives memory back but keeps a small ring. */
fq_event *
fq_event_fifo_take(fq_event_fifo *fifo);

/* The same for the newest. */
fq_event *
fq_event_fifo_take_newest(fq_event_fifo *fifo);

#endif
