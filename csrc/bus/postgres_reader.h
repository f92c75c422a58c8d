/* SPDX-License-Identifier: MIT */
/* What the outbox has, delivered as it becomes visible: by snapshots, which
 * lose nothing and wait for nobody. Thread: reactor. */
#ifndef FQ_BUS_POSTGRES_READER_H
#define FQ_BUS_POSTGRES_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "bus/backoff.h"
#include "bus/bus.h"
#include "bus/postgres_bell.h"
#include "bus/postgres_failover.h"
#include "bus/postgres_health.h"
#include "bus/postgres_history.h"
#include "bus/postgres_link.h"
#include "bus/postgres_open.h"
#include "bus/postgres_snapshot.h"

/* The longest epoch: two numbers and an UUID. */
#define FQ_POSTGRES_EPOCH_MAX 96

typedef struct fq_postgres_reader {
    fq_bus *bus;
    fq_postgres_health *health;
    uv_loop_t *loop;
    const char *dsn;
    uv_timer_t timer; /* the next look, or the next attempt to connect */
    fq_backoff backoff;
    fq_postgres_open *open; /* while connecting */
    fq_postgres_link *link; /* while connected */
    _Atomic int fd;   /* of either, or -1; a forked child reads it, whenever
                     * that was */
    unsigned n_links; /* and closing */
    bool is_held;
    bool is_stopping;
    void (*stopped_cb)(void *arg);
    void *stopped_arg;
    /* Where it is: everything |seen| sees is delivered, and, while
     * |is_between|, of what |next| sees besides that with ids up to |id|. */
    fq_postgres_snapshot seen;
    fq_postgres_snapshot next;
    bool has_seen; /* there is a |seen| */
    bool is_between;
    uint64_t id; /* of the event delivered last while |is_between|, or 0 */
    char epoch[FQ_POSTGRES_EPOCH_MAX];
    uint64_t tag;   /* of |epoch|, in positions */
    uint64_t lsn;   /* where the log ended when |next|, or else |seen|, was
                     * taken */
    fq_rcbuf *span; /* of the events since |seen|; while |is_between|. NULL in
                     * the first look after a failover, whose events have no
                     * position: some of the look were delivered before. */
    fq_postgres_failover failover;
    fq_postgres_history history;
    /* The statement that is under way. */
    bool has_head; /* its first row has come, or it has none */
    bool has_failed;
    uint64_t n_rows;       /* events it has given */
    uint64_t look_ns;      /* when the look began that |seen| is of */
    fq_postgres_bell bell; /* when to look next */
} fq_postgres_reader;

/* Connects, and goes on trying until it is stopped. |dsn| stays until then. */
void
fq_postgres_reader_start(fq_postgres_reader *self, fq_postgres_health *health,
                         uv_loop_t *loop, const char *dsn);

/* |stopped_cb| is called when all handles are closed, not before this
 * returns. */
void
fq_postgres_reader_stop(fq_postgres_reader *self,
                        void (*stopped_cb)(void *arg), void *arg);

/* Frees what a reader holds that has stopped, or never started. */
void
fq_postgres_reader_fini(fq_postgres_reader *self);

/* Between the two nothing is delivered. */
void
fq_postgres_reader_hold(fq_postgres_reader *self);
void
fq_postgres_reader_resume(fq_postgres_reader *self);

/* See fq_bus_ops.position and read. */
fq_status
fq_postgres_reader_position(const fq_postgres_reader *self,
                            fq_rcbuf **pposition);
void
fq_postgres_reader_read(fq_postgres_reader *self, fq_bus_read *read);

#endif
