/* SPDX-License-Identifier: MIT */
/* What the engine expects of a bus, whoever carries the events. A bus is
 * shared by the engines that listen to it. Thread: reactor, except where a
 * function says any. */
#ifndef FQ_BUS_BUS_H
#define FQ_BUS_BUS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/list.h"
#include "base/status.h"
#include "bus/event.h"

typedef struct fq_bus fq_bus;

/* One engine's ear. Embedded in its owner; in the bus's list while it
 * listens. */
typedef struct fq_bus_listener {
    fq_list node;
    /* Every event of the bus, in bus order. Borrows |event|. */
    void (*event_cb)(struct fq_bus_listener *listener, fq_event *event);
} fq_bus_listener;

typedef struct fq_bus_ops {
    const char *bus_type; /* "memory", "redis", "postgresql" */
    /* Gives |event| its id at the door, where the bus can do that without
     * asking anybody; NULL otherwise. Thread: any, one at a time (the
     * reactor's publish lock is held), in the order of publish(). */
    void (*stamp)(fq_bus *bus, fq_event *event);
    /* Takes |event| (borrowed) over and sees that it reaches every listener,
     * here or elsewhere. Errors: FQ_ERR_CLOSED, FQ_ERR_SYSTEM. */
    fq_status (*publish)(fq_bus *bus, fq_event *event, fq_error *error);
    void (*free)(fq_bus *bus);
} fq_bus_ops;

struct fq_bus {
    const fq_bus_ops *ops;
    fq_list listeners;
    bool is_delivering; /* inside fq_bus_deliver */
};

/* For adapters: sets up the part of a bus that all have. */
void
fq_bus_init(fq_bus *bus, const fq_bus_ops *ops);

/* The embedded bus: ids are offsets from 1, given by stamp(), which must have
 * seen an event before publish(); that reaches the listeners before it
 * returns and never fails. Errors: FQ_ERR_NOMEM. */
fq_status
fq_bus_memory_new(fq_bus **pbus);

void
fq_bus_listen(fq_bus *bus, fq_bus_listener *listener);
/* Harmless when not listening. */
void
fq_bus_unlisten(fq_bus_listener *listener);

/* For adapters: hands |event| (which has its id) to every listener. Listeners
 * may join and leave meanwhile: one that left is not called any more, one
 * that joined is called from the next event on. Not to be called from within
 * itself, or later listeners would see the inner event first; so event_cb
 * never publishes on the spot. */
void
fq_bus_deliver(fq_bus *bus, fq_event *event);

/* Frees a bus that has no listener left; not from within a delivery. */
void
fq_bus_free(fq_bus *bus);

#endif
