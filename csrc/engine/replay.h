/* SPDX-License-Identifier: MIT */
/* Subscriptions that catch up: each has a position, gets what the bus's history
 * has behind it, as its client has room, and then goes on with live events,
 * without a gap and without meeting one twice. Thread: reactor. */
#ifndef FQ_ENGINE_REPLAY_H
#define FQ_ENGINE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "bus/bus.h"
#include "engine/engine.h"

/* Events of one look into the history: for 1,000 clients that come back at a
 * time some thousand deliveries, and for one of them little to read in vain
 * when its queue is full. */
#define FQ_REPLAY_BATCH 256

/* Replayed events of one subscription, or one class, that wait for the
 * resolver: enough to keep it busy, and little of what max_pending allows. */
#define FQ_REPLAY_PENDING 16

/* Of one subscription, while it catches up. */
typedef struct fq_replay {
    fq_list node; /* in the table's |ready| or |serving|; in |stalled| while
                      * it has no room */
    fq_sub *sub;
    fq_rcbuf *after; /* it has had everything up to here; one reference */
    size_t from;     /* serving: index in the batch of what it has next */
} fq_replay;

/* Part of the engine. */
typedef struct fq_replay_table {
    fq_bus *bus; /* NULL: there is no history */
    void (*wake)(void *ctx);
    void *ctx;
    bool is_woken;   /* wake() was called, and the replay did not run yet */
    fq_list ready;   /* to read on; fq_replay by node */
    fq_list serving; /* who get the batch */
    fq_list stalled; /* without room */
    fq_bus_read read;
    bool is_reading; /* an answer is awaited */
    bool picks_any;  /* the last answer was that a position is lost */
    fq_event *events[FQ_REPLAY_BATCH]; /* the batch, one reference each */
    size_t n_events;
    size_t at; /* in the batch: those before are handed out */
    bool has_batch;
    bool is_end;         /* behind the batch nothing had been delivered */
    uint64_t end_seq;    /* fq_replay_live_seq() then */
    uint64_t n_replayed; /* events that were handed out, ever */
} fq_replay_table;

void
fq_replay_table_init(fq_replay_table *table);
/* Lets go of the batch and of the answer that is awaited. Nobody may be
 * catching up. */
void
fq_replay_table_fini(fq_replay_table *table);

/* See fq_engine_set_bus and fq_engine_replay. */
bool
fq_replay_run(fq_engine *engine, uint64_t now_ns);

/* |sub|, which has met no event yet, gets what came behind |after| (borrowed,
 * a position) first. Errors: FQ_ERR_NOMEM. */
fq_status
fq_replay_begin(fq_engine *engine, fq_sub *sub, fq_rcbuf *after);

/* |sub| ends: it catches up no longer. Harmless when it does not. */
void
fq_replay_free(fq_engine *engine, fq_sub *sub);

/* |sub|, which catches up, may have room again. */
void
fq_replay_resume(fq_engine *engine, fq_sub *sub);

/* An answer of a resolver came for |sub|, or for the class |shared|: those who
 * waited for that go on. */
void
fq_replay_note_answer(fq_engine *engine, fq_sub *sub);
void
fq_replay_note_shared(fq_engine *engine, const fq_shared *shared);

/* A live event could not be accepted. */
void
fq_replay_note_lost(fq_engine *engine);

/* Debug builds: asserts what holds for |sub| between callbacks. */
void
fq_replay_check(const fq_engine *engine, const fq_sub *sub);

#endif
