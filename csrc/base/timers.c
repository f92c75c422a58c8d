/* SPDX-License-Identifier: MIT */
/* A pairing heap. A node is never later than its children, which are a list in
 * no order. Adding makes the later of two roots the other's first child.
 * Taking a node out leaves a list of heaps, which are joined in two passes:
 * in pairs from the front, then one after the other from the back; this is
 * what makes the cost logarithmic. Nothing recurses: a heap may be a list. */
#include "base/timers.h"

#include <stddef.h>

#include "base/check.h"

/* Joins two heaps, either may be NULL; the root's siblings are not kept. */
static fq_timer *
join(fq_timer *a, fq_timer *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    if (b->at_ns < a->at_ns) {
        fq_timer *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    b->prev = a;
    if (b->next != NULL)
        b->next->prev = b;
    a->child = b;
    a->next = NULL;
    return a;
}

/* Joins the siblings from |first| on into one heap. */
static fq_timer *
join_all(fq_timer *first)
{
    fq_timer *pairs = NULL; /* the last one first, by next */
    while (first != NULL) {
        fq_timer *a = first;
        fq_timer *b = a->next;
        first = b != NULL ? b->next : NULL;
        a = join(a, b);
        a->next = pairs;
        pairs = a;
    }
    fq_timer *root = NULL;
    while (pairs != NULL) {
        fq_timer *next = pairs->next;
        pairs->next = NULL;
        root = join(root, pairs);
        pairs = next;
    }
    return root;
}

void
fq_timers_clear(fq_timers *timers, fq_timer *timer)
{
    if (!fq_timer_is_set(timer))
        return;
    fq_timer *below = join_all(timer->child);
    if (timer == timers->root) {
        timers->root = below;
    } else {
        if (timer->prev->child == timer)
            timer->prev->child = timer->next;
        else
            timer->prev->next = timer->next;
        if (timer->next != NULL)
            timer->next->prev = timer->prev;
        timers->root = join(timers->root, below);
    }
    if (timers->root != NULL)
        timers->root->prev = NULL;
    fq_timer_init(timer);
}

void
fq_timers_set(fq_timers *timers, fq_timer *timer, uint64_t at_ns)
{
    fq_timers_clear(timers, timer);
    timer->at_ns = at_ns;
    timer->child = timer->next = timer->prev = NULL;
    timers->root = join(timers->root, timer);
    timers->root->prev = NULL;
    FQ_CHECK(fq_timer_is_set(timer));
}
