/* SPDX-License-Identifier: MIT */
/* Deadlines over one libuv timer. Thread: reactor. */
#include "reactor/deadlines.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"

static void
on_timer(uv_timer_t *timer);

/* Sees that the timer fires for the first deadline, or before: one that was
 * taken back costs a call that finds nothing to do. */
static void
arm_timer(fq_deadlines *self)
{
    const fq_timer *first = fq_timers_first(&self->timers);
    if (first == NULL || first->at_ns >= self->timer_at_ns)
        return;
    uint64_t now_ns = fq_clock_now_ns();
    uint64_t wait_ns = first->at_ns > now_ns ? first->at_ns - now_ns : 0;
    self->timer_at_ns = first->at_ns;
    /* Rounded up, so that the deadline has passed when the timer fires. */
    uv_update_time(self->timer.loop);
    uv_timer_start(&self->timer, on_timer, wait_ns / FQ_NS_PER_MS + 1, 0);
}

static void
on_timer(uv_timer_t *timer)
{
    fq_deadlines *self = FQ_CONTAINER_OF(timer, fq_deadlines, timer);
    self->timer_at_ns = UINT64_MAX;
    uint64_t now_ns = fq_clock_now_ns();
    fq_timer *first;
    while (!self->is_closed && (first = fq_timers_first(&self->timers)) != NULL
           && first->at_ns <= now_ns) {
        fq_deadline *deadline = FQ_CONTAINER_OF(first, fq_deadline, timer);
        fq_timers_clear(&self->timers, first);
        deadline->expire(deadline, now_ns);
    }
    if (!self->is_closed)
        arm_timer(self);
}

void
fq_deadlines_open(fq_deadlines *self, uv_loop_t *loop)
{
    fq_timers_init(&self->timers);
    uv_timer_init(loop, &self->timer);
    self->timer_at_ns = UINT64_MAX;
    self->is_closed = false;
}

void
fq_deadlines_set(fq_deadlines *self, fq_deadline *deadline, uint64_t at_ns)
{
    if (at_ns == UINT64_MAX || self->is_closed) {
        fq_timers_clear(&self->timers, &deadline->timer);
        return;
    }
    fq_timers_set(&self->timers, &deadline->timer, at_ns);
    arm_timer(self);
}

static void
on_closed(uv_handle_t *handle)
{
    uv_timer_t *timer = (uv_timer_t *)handle;
    fq_deadlines *self = FQ_CONTAINER_OF(timer, fq_deadlines, timer);
    self->closed_cb(self);
}

void
fq_deadlines_close(fq_deadlines *self, void (*closed_cb)(fq_deadlines *self))
{
    FQ_CHECK(!self->is_closed);
    self->is_closed = true;
    self->closed_cb = closed_cb;
    uv_close((uv_handle_t *)&self->timer, on_closed);
}
