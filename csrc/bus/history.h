/* SPDX-License-Identifier: MIT */
/* The events a bus has delivered last, oldest first, numbered by their
 * offsets: bounded by number, bytes and age. Time is an argument. Thread:
 * reactor. */
#ifndef FQ_BUS_HISTORY_H
#define FQ_BUS_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "bus/event.h"

typedef struct fq_history_limits {
    size_t max_events; /* 0: none is kept */
    size_t max_bytes;  /* of fq_event_n_bytes() */
    uint64_t max_age_ns;
} fq_history_limits;

/* 10,000 events, 16 MiB, 5 minutes. */
extern const fq_history_limits fq_history_limits_default;

typedef struct fq_history_entry {
    fq_event *event; /* kept */
    uint64_t at_ns;  /* when it came */
} fq_history_entry;

typedef struct fq_history {
    fq_history_limits limits;
    fq_history_entry *entries; /* ring of cap slots; NULL while cap is 0 */
    size_t cap;                /* a power of two, or 0 */
    size_t head;               /* slot of the oldest */
    size_t n_events;
    size_t n_bytes;
    uint64_t lost_offset; /* events up to this one are gone; 0: none is */
} fq_history;

/* Takes no memory until the first event. */
void
fq_history_init(fq_history *self, const fq_history_limits *limits);
void
fq_history_fini(fq_history *self);

/* Keeps |event|, whose offset is above that of all before, and lets those go
 * that are too many, too large or too old then, which may be all. Never fails:
 * without memory it lets all go, |event| included. Cost: O(1) amortised. */
void
fq_history_push(fq_history *self, fq_event *event, uint64_t now_ns);

/* Lets those go that are too old at |now_ns|. */
void
fq_history_expire(fq_history *self, uint64_t now_ns);

/* *pindex is that of the first event behind |offset|, or n_events. Errors:
 * FQ_ERR_LOST: some behind it are gone. Cost: O(log n). */
fq_status
fq_history_find(const fq_history *self, uint64_t offset, size_t *pindex);

/* The event of |index|, below n_events; borrowed. */
fq_event *
fq_history_at(const fq_history *self, size_t index);

/* Debug builds: asserts that order, sums and bounds hold. O(n_events). */
void
fq_history_check(const fq_history *self);

#endif
