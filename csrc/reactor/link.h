/* SPDX-License-Identifier: MIT */
/* The life of a bus on the reactor: started, waited for, stopped. Thread:
 * reactor. */
#ifndef FQ_REACTOR_LINK_H
#define FQ_REACTOR_LINK_H

#include "base/list.h"
#include "bus/bus.h"
#include "reactor/deadlines.h"
#include "reactor/ticket.h"

/* Embedded in the bus's owner, whose memory stays until stopped_cb. */
typedef struct fq_link {
    fq_bus *bus;
    fq_bus_watcher watcher;
    fq_deadlines deadlines; /* of who waits for the bus */
    fq_list waits;          /* fq_link_wait by node */
    /* The bus is in another state; those who waited for it were told. */
    void (*state_cb)(struct fq_link *self);
    void (*stopped_cb)(struct fq_link *self);
} fq_link;

/* Somebody who waits for the bus to be UP. */
typedef struct fq_link_wait {
    fq_list node;
    fq_deadline deadline;
    fq_link *link;
    fq_ticket *ticket; /* one reference */
} fq_link_wait;

/* Starts |bus|, which has a start(). */
void
fq_link_start(fq_link *self, fq_bus *bus, uv_loop_t *loop);

/* Completes |ticket| (one more reference is taken) when the bus is UP, or,
 * with the words of the server: by FQ_ERR_SYSTEM when an attempt to connect
 * fails or |at_ns| comes first, by FQ_ERR_CLOSED. Never fails: without memory
 * it is completed by that. */
void
fq_link_await(fq_link *self, uint64_t at_ns, fq_ticket *ticket);

/* Stops the bus; whoever still waits is told that it is closed. */
void
fq_link_stop(fq_link *self);

/* What a failure of |bus| is told by: |what|, then its own words if it has
 * some. NULL: no memory. */
fq_rcbuf *
fq_link_explain(const fq_bus *bus, const char *what);

#endif
