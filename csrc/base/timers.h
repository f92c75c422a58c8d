/* SPDX-License-Identifier: MIT */
/* Which of many deadlines comes first: a pairing heap (Fredman et al. 1986)
 * through nodes that are embedded in what waits, so that setting a timer
 * needs no memory and cannot fail. It knows no clock; whoever owns it sleeps
 * until the first deadline. One thread at a time. */
#ifndef FQ_BASE_TIMERS_H
#define FQ_BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fq_timer {
    uint64_t at_ns;         /* when; meaningless while it is not set */
    struct fq_timer *child; /* the first of those below */
    struct fq_timer *next;  /* its next sibling */
    struct fq_timer *prev;  /* the sibling before it; of a first child the one
                             * above, of the root NULL; itself: not set */
} fq_timer;

typedef struct fq_timers {
    fq_timer *root; /* the first to come; NULL: none is set */
} fq_timers;

static inline void
fq_timers_init(fq_timers *timers)
{
    timers->root = NULL;
}

static inline void
fq_timer_init(fq_timer *timer)
{
    timer->prev = timer;
}

static inline bool
fq_timer_is_set(const fq_timer *timer)
{
    return timer->prev != timer;
}

/* Sets |timer|, also one that is set already. O(1), then O(log n). */
void
fq_timers_set(fq_timers *timers, fq_timer *timer, uint64_t at_ns);

/* Harmless when it is not set. Amortised O(log n). */
void
fq_timers_clear(fq_timers *timers, fq_timer *timer);

/* The first to come, still set, or NULL. */
static inline fq_timer *
fq_timers_first(const fq_timers *timers)
{
    return timers->root;
}

#endif
