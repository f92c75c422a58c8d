/* SPDX-License-Identifier: MIT */
/* One connection to a Redis server, from the socket to the database: made,
 * encrypted, logged in. Thread: that of the loop. */
#ifndef FQ_BUS_REDIS_CONNECTION_H
#define FQ_BUS_REDIS_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>

#include <hiredis/async.h>
#include <uv.h>

#include "base/error.h"
#include "bus/lookup.h"
#include "bus/redis_reply.h"
#include "bus/redis_settings.h"

struct ssl_ctx_st;

/* Embedded in its owner. */
typedef struct fq_redis_connection {
    redisAsyncContext *context; /* NULL: there is none */
    struct ssl_st *ssl;         /* the context's, or NULL */
    _Atomic int fd; /* the context's, or -1; a forked child reads it, whenever
                     * that was */
    unsigned n_setup; /* answers that are awaited before it is ready */
    bool is_ready;
    bool is_closing;
    fq_error error; /* the first thing that went wrong */
    /* It can be used. */
    void (*ready_cb)(struct fq_redis_connection *self);
    /* Once for each that was opened: it is gone, after the callbacks of all
     * its commands; |error| is set unless it was closed from here. */
    void (*gone_cb)(struct fq_redis_connection *self);
} fq_redis_connection;

/* Before anything else. */
void
fq_redis_connection_init(fq_redis_connection *self);

/* Opens a connection; not one that is open. |address| NULL: the unix socket;
 * |tls| NULL: none. FQ_OK: gone_cb will be called, later. Errors:
 * FQ_ERR_SYSTEM, FQ_ERR_NOMEM, see self->error. */
fq_status
fq_redis_connection_open(fq_redis_connection *self, uv_loop_t *loop,
                         const fq_redis_settings *settings,
                         const fq_lookup_address *address,
                         struct ssl_ctx_st *tls);

/* Closes it: what was not answered is called back without a reply. Gone when
 * this returns unless that is from within a callback of its own. Harmless
 * twice, and when there is none. */
void
fq_redis_connection_close(fq_redis_connection *self);

/* In a forked child: closes the copy of the descriptor. Thread: any. */
void
fq_redis_connection_abandon(fq_redis_connection *self);

/* The error of |reply|, or NULL when it is none. Replies belong to the callback
 * of their command, which frees them. */
const char *
fq_redis_reply_error(const redisReply *reply);

#endif
