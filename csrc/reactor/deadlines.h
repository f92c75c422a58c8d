/* SPDX-License-Identifier: MIT */
/* Things to be done at a time: a heap of deadlines that are embedded in what
 * waits, and one libuv timer for the first of them. Thread: reactor. */
#ifndef FQ_REACTOR_DEADLINES_H
#define FQ_REACTOR_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/timers.h"

typedef struct fq_deadline {
    fq_timer timer; /* in the deadlines' heap; fq_timer_init() it first */
    void (*expire)(struct fq_deadline *deadline, uint64_t now_ns);
} fq_deadline;

typedef struct fq_deadlines {
    fq_timers timers;
    uv_timer_t timer;     /* for the first of them */
    uint64_t timer_at_ns; /* when it fires; UINT64_MAX: it does not */
    bool is_closed;
    void (*closed_cb)(struct fq_deadlines *self);
} fq_deadlines;

/* The memory must stay until closed_cb. */
void
fq_deadlines_open(fq_deadlines *self, uv_loop_t *loop);

/* Expires |deadline| once at |at_ns| or soon after, instead of when it was
 * asked for before. UINT64_MAX, or a closed |self|: never. O(log n). */
void
fq_deadlines_set(fq_deadlines *self, fq_deadline *deadline, uint64_t at_ns);

/* None expires any more; |closed_cb| is called when the memory is free. */
void
fq_deadlines_close(fq_deadlines *self, void (*closed_cb)(fq_deadlines *self));

#endif
