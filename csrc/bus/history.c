/* SPDX-License-Identifier: MIT */
/* A ring of kept events. Thread: reactor.
 *
 * An offset is what a client remembers, so the question is whether everything
 * behind it is still here. It is if it was not trimmed: |lost_offset| is the
 * highest that was, and an offset from there on is answered, even if its own
 * event is gone. Offsets may have gaps (a number that was drawn for an event
 * that could not be posted), so they are searched for, not computed. */
#include "bus/history.h"

#include "base/alloc.h"
#include "base/check.h"

/* Slots of the first ring: 1 KiB. */
#define HISTORY_CAP_FIRST 64

const fq_history_limits fq_history_limits_default = {
    .max_events = 10000,
    .max_bytes = 16u << 20,
    .max_age_ns = UINT64_C(300000000000),
};

void
fq_history_init(fq_history *self, const fq_history_limits *limits)
{
    *self = (fq_history){.limits = *limits};
}

static fq_history_entry *
history_entry(const fq_history *self, size_t index)
{
    return &self->entries[(self->head + index) & (self->cap - 1)];
}

static void
history_drop_oldest(fq_history *self)
{
    fq_event *event = history_entry(self, 0)->event;
    self->head = (self->head + 1) & (self->cap - 1);
    self->n_events--;
    self->n_bytes -= fq_event_n_bytes(event);
    self->lost_offset = event->offset;
    fq_event_unkeep(event);
}

static void
history_clear(fq_history *self)
{
    while (self->n_events > 0)
        history_drop_oldest(self);
}

void
fq_history_fini(fq_history *self)
{
    history_clear(self);
    fq_free(self->entries);
    self->entries = NULL;
    self->cap = 0;
}

/* Makes room in the ring for one more. */
static fq_status
history_reserve(fq_history *self)
{
    if (self->n_events < self->cap)
        return FQ_OK;
    size_t cap = self->cap > 0 ? self->cap * 2 : HISTORY_CAP_FIRST;
    fq_history_entry *entries = fq_alloc(cap * sizeof(*entries));
    if (entries == NULL)
        return FQ_ERR_NOMEM;
    for (size_t i = 0; i < self->n_events; i++)
        entries[i] = *history_entry(self, i);
    fq_free(self->entries);
    self->entries = entries;
    self->cap = cap;
    self->head = 0;
    return FQ_OK;
}

void
fq_history_expire(fq_history *self, uint64_t now_ns)
{
    while (self->n_events > 0) {
        uint64_t at_ns = history_entry(self, 0)->at_ns;
        if (now_ns < at_ns || now_ns - at_ns <= self->limits.max_age_ns)
            break;
        history_drop_oldest(self);
    }
}

void
fq_history_push(fq_history *self, fq_event *event, uint64_t now_ns)
{
    const fq_history_limits *limits = &self->limits;
    FQ_CHECK(event->offset > self->lost_offset);
    FQ_CHECK(self->n_events == 0
             || event->offset
                    > history_entry(self, self->n_events - 1)->event->offset);
    size_t n_bytes = fq_event_n_bytes(event);
    bool fits = limits->max_events > 0 && n_bytes <= limits->max_bytes;
    if (!fits) {
        history_clear(self);
        self->lost_offset = event->offset;
        return;
    }
    while (self->n_events > 0
           && (self->n_events >= limits->max_events
               || self->n_bytes > limits->max_bytes - n_bytes))
        history_drop_oldest(self);
    fq_history_expire(self, now_ns);
    if (history_reserve(self) != FQ_OK) {
        history_clear(self);
        self->lost_offset = event->offset;
        return;
    }
    fq_event_keep(event);
    self->n_events++;
    self->n_bytes += n_bytes;
    *history_entry(self, self->n_events - 1) = (fq_history_entry){
        .event = event,
        .at_ns = now_ns,
    };
}

fq_status
fq_history_find(const fq_history *self, uint64_t offset, size_t *pindex)
{
    *pindex = 0;
    if (offset < self->lost_offset)
        return FQ_ERR_LOST;
    size_t low = 0, high = self->n_events;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (history_entry(self, middle)->event->offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    *pindex = low;
    return FQ_OK;
}

fq_event *
fq_history_at(const fq_history *self, size_t index)
{
    FQ_CHECK(index < self->n_events);
    return history_entry(self, index)->event;
}

void
fq_history_check(const fq_history *self)
{
#ifndef NDEBUG
    FQ_CHECK((self->cap & (self->cap - 1)) == 0);
    FQ_CHECK(self->n_events <= self->cap);
    FQ_CHECK(self->n_events <= self->limits.max_events);
    FQ_CHECK(self->n_bytes <= self->limits.max_bytes);
    uint64_t offset = self->lost_offset;
    size_t n_bytes = 0;
    for (size_t i = 0; i < self->n_events; i++) {
        const fq_event *event = fq_history_at(self, i);
        FQ_CHECK(event->n_kept > 0 && event->offset > offset);
        offset = event->offset;
        n_bytes += fq_event_n_bytes(event);
    }
    FQ_CHECK(n_bytes == self->n_bytes);
#else
    (void)self;
#endif
}
