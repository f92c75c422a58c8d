/* SPDX-License-Identifier: MIT */
/* What is published, written into the outbox: as many events at a time as have
 * come while the last were on their way, in one statement and one transaction.
 * Connects when there is something to write. Thread: reactor. */
#ifndef FQ_BUS_POSTGRES_WRITER_H
#define FQ_BUS_POSTGRES_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "bus/backoff.h"
#include "bus/bus.h"
#include "bus/postgres_health.h"
#include "bus/postgres_link.h"
#include "bus/postgres_open.h"

/* One statement: large enough that the round trip counts for little, small
 * enough that the first of its events does not wait for the last. One event
 * may be larger. */
#define FQ_POSTGRES_BATCH_EVENTS 1000
#define FQ_POSTGRES_BATCH_BYTES (4u << 20)
/* What stopping waits for the server to say about events on their way. */
#define FQ_POSTGRES_STOP_MS 2000

typedef struct fq_postgres_writer {
    fq_postgres_health *health;
    uv_loop_t *loop;
    const char *dsn;
    uv_timer_t timer; /* the next attempt to connect; how long to stop */
    fq_backoff backoff;
    fq_postgres_open *open; /* while connecting */
    fq_postgres_link *link; /* while connected */
    _Atomic int fd;     /* of either, or -1; a forked child reads it, whenever
                     * that was */
    unsigned n_handles; /* not yet closed */
    bool is_stopping;
    bool is_closing; /* the handles are being closed */
    void (*stopped_cb)(void *arg);
    void *stopped_arg;
    fq_list waiting; /* fq_bus_publication by node, not sent yet */
    fq_list sent;    /* on their way, in the order of the statement */
    size_t n_sent;
    bool is_control; /* they are on a reserved channel, and go another way */
    /* Events that go one by one, because a statement with several failed by
     * one of them. */
    size_t n_single;
    /* How the statement ended, until the server is ready again; only then it
     * has committed. */
    fq_status status;
    fq_error error;
    bool is_refused; /* it did not change anything */
    bool is_retried; /* and could do so later */
    size_t n_ids;
} fq_postgres_writer;

/* Opens no connection yet. |dsn| stays until it has stopped. */
void
fq_postgres_writer_start(fq_postgres_writer *self, fq_postgres_health *health,
                         uv_loop_t *loop, const char *dsn);

/* See fq_bus_ops.publish. */
void
fq_postgres_writer_publish(fq_postgres_writer *self,
                           fq_bus_publication *publication);

/* Answers all that was published, waiting a little for the server;
 * |stopped_cb| is called when all handles are closed, not before this
 * returns. */
void
fq_postgres_writer_stop(fq_postgres_writer *self,
                        void (*stopped_cb)(void *arg), void *arg);

#endif
