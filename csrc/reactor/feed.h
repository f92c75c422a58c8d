/* SPDX-License-Identifier: MIT */
/* One subscription without a client connection: made by the application in
 * its own process and read by polling. Its queue drops the oldest when full,
 * and says so in the next message. */
#ifndef FQ_REACTOR_FEED_H
#define FQ_REACTOR_FEED_H

#include "base/rcbuf.h"
#include "engine/engine.h"
#include "reactor/port.h"
#include "reactor/service.h"
#include "reactor/ticket.h"

/* The close of a stream whose position is lost; the text of |done| is that of
 * the bus when it went live, if its deliveries have positions. */
#define FQ_FEED_POSITION_LOST 4410

typedef struct fq_feed_args {
    fq_str after;   /* only of a stream: from this position on; ptr NULL: from
                     * now on */
    bool is_stream; /* what is declared of the field counts, not the four
                     * members after the variables; its reader is told of
                     * messages by port mail, and these are no more than
                     * `{"payload":…}` */
    fq_str subscription_id; /* the id in the messages */
    fq_str connection_id;   /* whose it is; ptr NULL: its own */
    fq_str query;
    fq_str operation_name; /* ptr NULL: none */
    fq_str variables;      /* JSON text of an object; ptr NULL: none */
    fq_field_kind kind;    /* EVENT or RESOLVER */
    fq_returns returns;
    uint64_t token;
    const fq_str *channels; /* NULL: the root field's name */
    size_t n_channels;
    fq_security_context *context; /* who it is for; NULL: as a client that
                                   * nobody authenticated. The feed takes a
                                   * reference */
} fq_feed_args;

/* Starts it; everything in |args| is copied. |mailbox| is where its resolver
 * is called (NULL for FQ_FIELD_EVENT). |done| (one more reference is taken)
 * is completed when it is live, for which a bus that connects for the first
 * time is waited for, or with what engine.h says of fq_engine_subscribe, the
 * text being the JSON array of errors. *pport is the
 * caller's end, ended by fq_port_disconnect and fq_port_unref also after a
 * failure. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM. Thread: any. */
fq_status
fq_feed_open(fq_service *service, const fq_feed_args *args,
             fq_mailbox *mailbox, void *owner, fq_ticket *done,
             fq_port **pport);

#endif
