/* SPDX-License-Identifier: MIT */
/* An open session with PostgreSQL on the loop: one statement at a time, its
 * rows as they come, notifications, and the end of the connection, whichever
 * way that shows. Nothing blocks. Thread: reactor. */
#ifndef FQ_BUS_POSTGRES_LINK_H
#define FQ_BUS_POSTGRES_LINK_H

#include <stdbool.h>

#include <libpq-fe.h>
#include <uv.h>

#include "base/error.h"
#include "base/status.h"

/* A server that sends nothing for so long while it owes an answer is taken
 * for dead. */
#define FQ_POSTGRES_SILENCE_MS 10000
/* Rows handed on before the loop sees to others. */
#define FQ_POSTGRES_ROWS_AT_ONCE 256

typedef struct fq_postgres_link fq_postgres_link;

/* All are called from the loop, never from within a function below. */
typedef struct fq_postgres_link_ops {
    /* One result of the statement, borrowed: a row, or how it ended. */
    void (*result_cb)(void *arg, const PGresult *result);
    /* The statement is over; another may be sent. */
    void (*done_cb)(void *arg);
    /* Somebody rang. May be NULL. */
    void (*notified_cb)(void *arg);
    /* The connection is of no use any more; to be closed. */
    void (*failed_cb)(void *arg, const fq_error *error);
    /* After fq_postgres_link_close(): the link is gone. */
    void (*closed_cb)(void *arg);
} fq_postgres_link_ops;

/* Takes |conn| over, on FQ_OK only. Errors: FQ_ERR_NOMEM, FQ_ERR_SYSTEM. */
fq_status
fq_postgres_link_new(uv_loop_t *loop, PGconn *conn,
                     const fq_postgres_link_ops *ops, void *arg,
                     fq_postgres_link **plink);

/* Sends a prepared statement whose rows come one by one; parameters are
 * texts. Not while another is under way. Errors: FQ_ERR_SYSTEM, see
 * |error|. */
fq_status
fq_postgres_link_read(fq_postgres_link *self, const char *name, int n_values,
                      const char *const *values, fq_error *error);

/* Sends |sql|, parameters in binary form, whose rows come all at once. */
fq_status
fq_postgres_link_write(fq_postgres_link *self, const char *sql, int n_values,
                       const char *const *values, const int *lengths,
                       fq_error *error);

bool
fq_postgres_link_is_busy(const fq_postgres_link *self);

/* Between the two no callback is called but failed_cb, and the server is held
 * back by its socket. */
void
fq_postgres_link_pause(fq_postgres_link *self);
void
fq_postgres_link_resume(fq_postgres_link *self);

/* No callback is called any more but closed_cb, later. */
void
fq_postgres_link_close(fq_postgres_link *self);

#endif
