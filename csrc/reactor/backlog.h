/* SPDX-License-Identifier: MIT */
/* How much waits in the queues of all clients of one service: two pairs of
 * counters, what went in and what came out, so that the reactor and the loops
 * never write to the same cache line. Counted atomically, because the ports
 * that point here live as long as their loops like. */
#ifndef FQ_REACTOR_BACKLOG_H
#define FQ_REACTOR_BACKLOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A cache line; two, as they are fetched in pairs. */
#define FQ_BACKLOG_LINE 128

typedef struct fq_backlog {
    _Atomic uint32_t n_refs;
    /* Written by the reactor alone, by plain stores. */
    _Atomic uint64_t n_items_in;
    _Atomic uint64_t n_bytes_in;
    char line[FQ_BACKLOG_LINE];
    /* Added to by all takers. */
    _Atomic uint64_t n_items_out;
    _Atomic uint64_t n_bytes_out;
} fq_backlog;

/* Nothing waits; one reference. Errors: FQ_ERR_NOMEM. */
fq_status
fq_backlog_new(fq_backlog **pbacklog);
fq_backlog *
fq_backlog_ref(fq_backlog *backlog);
void
fq_backlog_unref(fq_backlog *backlog);

/* A queue has grown (or shrunk) by so much. Thread: reactor. */
void
fq_backlog_add(fq_backlog *backlog, int64_t n_items, int64_t n_bytes);
/* So much was taken out. Thread: any. */
void
fq_backlog_take(fq_backlog *backlog, uint64_t n_items, uint64_t n_bytes);

/* What waits now. Thread: any. */
void
fq_backlog_read(const fq_backlog *backlog, uint64_t *pn_items,
                uint64_t *pn_bytes);

#endif
