/* SPDX-License-Identifier: MIT */
/* What it takes to go on at a replica that has become the primary.
 *
 * A replica has a beginning of the old primary's log, and all transactions
 * that had ended in it. What the old one logged behind that is lost, and the
 * numbers of these transactions are given again: who goes on from a snapshot
 * that knows them would take new transactions for old ones. So a reader goes
 * back to the last snapshot of its own that was taken before the end of what
 * the replica had got, and passes over the events that it has delivered since
 * then, which it knows by their ids and times (ids can be given again too).
 * Thread: reactor. */
#ifndef FQ_BUS_POSTGRES_FAILOVER_H
#define FQ_BUS_POSTGRES_FAILOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/postgres_snapshot.h"

/* Snapshots that are kept, and the least time between two: five seconds, while
 * a replica is behind by some milliseconds. */
#define FQ_POSTGRES_FAILOVER_MARKS 128
#define FQ_POSTGRES_FAILOVER_MS 40
/* Transactions in progress in a snapshot that is kept. */
#define FQ_POSTGRES_FAILOVER_XIDS 1024
/* Events that are known again; 256 KiB. */
#define FQ_POSTGRES_FAILOVER_EVENTS 16384

typedef struct fq_postgres_failover_mark {
    fq_postgres_snapshot seen; /* all of this is delivered */
    uint64_t lsn; /* nothing that |seen| sees was logged behind it */
    uint64_t n_delivered;
    uint64_t at_ns;
} fq_postgres_failover_mark;

typedef struct fq_postgres_failover_event {
    uint64_t id;
    uint64_t created_at_us;
} fq_postgres_failover_event;

typedef struct fq_postgres_failover {
    fq_postgres_failover_mark marks[FQ_POSTGRES_FAILOVER_MARKS]; /* a ring */
    uint64_t n_marks;                      /* ever made */
    fq_postgres_failover_event *delivered; /* a ring; NULL: none yet */
    uint64_t n_delivered;                  /* ever; the last ones are known */
    bool is_back;    /* it has gone back, and the first look is not over */
    size_t n_sorted; /* of |delivered|, while |is_back| */
} fq_postgres_failover;

/* Zero it before. */
void
fq_postgres_failover_fini(fq_postgres_failover *self);

/* A look is over: |seen| is delivered, none of which was logged behind |lsn|.
 * Keeps that if the last is old enough, it is not too large, and there is
 * memory for it. */
void
fq_postgres_failover_note_look(fq_postgres_failover *self,
                               const fq_postgres_snapshot *seen, uint64_t lsn,
                               uint64_t now_ns);

/* An event is about to be delivered. */
void
fq_postgres_failover_note_event(fq_postgres_failover *self, uint64_t id,
                                uint64_t created_at_us);

/* Goes back to what the new primary has, which had got the log up to |lsn|:
 * true with *seen, from where on it is to be read; false if no snapshot is
 * kept that is old enough and behind which all events are known. Either way
 * what was kept is forgotten, all but these events. */
bool
fq_postgres_failover_go_back(fq_postgres_failover *self, uint64_t lsn,
                             fq_postgres_snapshot *seen);

/* True from going back until fq_postgres_failover_end(). */
bool
fq_postgres_failover_is_back(const fq_postgres_failover *self);

/* Whether the event was delivered before it went back. Cost: O(log n). */
bool
fq_postgres_failover_has(const fq_postgres_failover *self, uint64_t id,
                         uint64_t created_at_us);

/* The first look after going back is over: it had them all. */
void
fq_postgres_failover_end(fq_postgres_failover *self);

#endif
