/* SPDX-License-Identifier: MIT */
/* The door to one bus: any thread publishes here, the reactor hands events to
 * the bus in the order they came through. It bounds what waits (back-pressure)
 * and is shared by all services that use the bus. */
#ifndef FQ_REACTOR_PUBLISHER_H
#define FQ_REACTOR_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/bus.h"
#include "engine/histogram.h"
#include "reactor/reactor.h"
#include "reactor/ticket.h"

/* Events at the door beyond which a publisher waits: a burst of one second
 * from a fast process, and memory that no server misses. */
#define FQ_PUBLISHER_EVENTS_MAX 16384
#define FQ_PUBLISHER_BYTES_MAX (64u << 20)

typedef struct fq_publisher fq_publisher;

/* Takes the bus over; it is freed with the last reference. One reference. The
 * caller keeps |reactor| in use (fq_reactor_use) until after
 * fq_publisher_close. Thread: any. */
fq_status
fq_publisher_new(fq_reactor *reactor, fq_bus *bus, fq_publisher **ppublisher);
fq_publisher *
fq_publisher_ref(fq_publisher *publisher);
void
fq_publisher_unref(fq_publisher *publisher);

typedef enum fq_publish_wait {
    FQ_PUBLISH_ACCEPTED, /* the ticket is done when the bus has the event */
    FQ_PUBLISH_DONE,     /* … when every resolver it called has answered */
} fq_publish_wait;

/* Gives |event| to the bus (stolen on FQ_OK only). |id| of
 * FQ_EVENT_ID_MAX bytes gets the id where the bus gives one at the door, else
 * an empty string. |ticket| (one more reference is taken) may be NULL. Errors:
 * FQ_ERR_FULL (then, with |room| given, that ticket is completed when there is
 * room again), FQ_ERR_CLOSED. Never blocks. Thread: any. */
fq_status
fq_publisher_publish(fq_publisher *publisher, fq_event *event,
                     fq_publish_wait wait, fq_ticket *ticket, fq_ticket *room,
                     char *id);

/* Refuses further events and tells all who wait for room; what was accepted
 * is still dispatched. Harmless twice. Thread: any. */
void
fq_publisher_close(fq_publisher *publisher);

/* Events accepted and not yet given to the bus, and ever accepted. Thread:
 * any. */
size_t
fq_publisher_n_waiting(fq_publisher *publisher);
uint64_t
fq_publisher_n_published(fq_publisher *publisher);
/* From fq_publisher_publish() to the bus's word that it has the event. The
 * embedded bus gives it when the engines here have met the event (its first
 * slice). Thread: any. */
const fq_histogram *
fq_publisher_latency(const fq_publisher *publisher);

/* ── reactor ── */
fq_bus *
fq_publisher_bus(fq_publisher *publisher);
/* Between hold and resume (an engine works through slices; several may) no
 * further event is given to the bus. */
void
fq_publisher_hold(fq_publisher *publisher);
void
fq_publisher_resume(fq_publisher *publisher);

#endif
