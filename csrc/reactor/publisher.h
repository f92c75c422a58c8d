/* SPDX-License-Identifier: MIT */
/* The door to one bus: any thread publishes here, the reactor hands events to
 * the bus in the order they came through, as soon as it is up. It bounds what
 * waits for its word (back-pressure) and is shared by all services that use
 * the bus. */
#ifndef FQ_REACTOR_PUBLISHER_H
#define FQ_REACTOR_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/bus.h"
#include "engine/histogram.h"
#include "reactor/notices.h"
#include "reactor/reactor.h"
#include "reactor/ticket.h"

/* Events at the door beyond which a publisher waits: a burst of one second
 * from a fast process, and memory that no server misses. */
#define FQ_PUBLISHER_EVENTS_MAX 16384
#define FQ_PUBLISHER_BYTES_MAX (64u << 20)
/* Events that come through it at a time: enough for the cost of a job, a lock
 * and a ticket to vanish, few enough for others to get their turn. */
#define FQ_PUBLISHER_BATCH_MAX 256

typedef struct fq_publisher fq_publisher;

/* Takes the bus over, which connects from now on, if it does; it is freed with
 * the last reference. One reference. The caller keeps |reactor| in use
 * (fq_reactor_use) until after fq_publisher_close, which must be called unless
 * a fork came first. Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM: |bus| stays the
 * caller's. Thread: any. */
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
 * an empty string: then the ticket's text is the id. A bus that connects has
 * until |until_ns| to take the event, and what is not with its server by then
 * is not published. |ticket| (one more reference is taken) may be NULL; it
 * gets FQ_ERR_TIMEOUT then, FQ_ERR_SYSTEM or FQ_ERR_CLOSED when the bus
 * refuses, and a sentence about it as its text. Errors: FQ_ERR_FULL (then,
 * with |room| given, that ticket is completed when there is room again),
 * FQ_ERR_CLOSED. Never blocks. Thread: any. */
fq_status
fq_publisher_publish(fq_publisher *publisher, fq_event *event,
                     fq_publish_wait wait, uint64_t until_ns,
                     fq_ticket *ticket, fq_ticket *room, char *id);

/* As many publications at once, in their order: gives the first |*pn_taken| of
 * |events|, at least one, to the bus, as many as there is room for; only these
 * are stolen. |ticket| (one more reference is taken) is completed when the bus
 * has all of these or it is known what became of them: FQ_OK, or what the
 * first that failed got. Its text is `<reason>\0<id>\0<id>\0…`: what would be
 * said of that one, or nothing, and the id of each event, an empty one for
 * those that failed; NULL without memory, which is FQ_ERR_NOMEM if all went
 * well. The rest is as above. |n_events| is 1 to FQ_PUBLISHER_BATCH_MAX.
 * Errors: likewise. Thread: any. */
fq_status
fq_publisher_publish_all(fq_publisher *publisher, fq_event *const *events,
                         size_t n_events, uint64_t until_ns, fq_ticket *ticket,
                         fq_ticket *room, size_t *pn_taken);

/* Completes |ticket| (one more reference is taken) when the bus is up, see
 * fq_link_await(). Errors: FQ_ERR_CLOSED, FQ_ERR_NOMEM. Thread: any. */
fq_status
fq_publisher_await_up(fq_publisher *publisher, uint64_t until_ns,
                      fq_ticket *ticket);

/* Whether the bus says the id of an event only after it has taken it. Thread:
 * any. */
bool
fq_publisher_answers_later(const fq_publisher *publisher);

/* Refuses further events and tells all who wait for room; what was accepted
 * is still dispatched, or taken to the server if that is there. Harmless
 * twice. Thread: any. */
void
fq_publisher_close(fq_publisher *publisher);

/* Where the bus is: |done| (one more reference is taken) is completed with its
 * position as the text, or with what bus.h says. Errors: FQ_ERR_CLOSED,
 * FQ_ERR_NOMEM. Thread: any. */
fq_status
fq_publisher_position(fq_publisher *publisher, fq_ticket *done);

/* What the history holds in this process. Thread: any. */
void
fq_publisher_n_history(const fq_publisher *publisher, uint64_t *pn_events,
                       uint64_t *pn_bytes);

/* In a forked child, instead of the close: closes the copies of the bus's
 * descriptors. The memory stays, as threads that are not here may hold its
 * locks. Thread: any, once. */
void
fq_publisher_abandon(fq_publisher *publisher);

/* Events accepted that the bus has not got yet, ever accepted, and accepted
 * but refused by the bus in the end; of these two, without those on reserved
 * channels. Thread: any. */
size_t
fq_publisher_n_waiting(fq_publisher *publisher);
uint64_t
fq_publisher_n_published(fq_publisher *publisher);
uint64_t
fq_publisher_n_failed(const fq_publisher *publisher);
/* From fq_publisher_publish() to the bus's word that it has the event. The
 * embedded bus gives it when the engines here have met the event (its first
 * slice). Thread: any. */
const fq_histogram *
fq_publisher_latency(const fq_publisher *publisher);

/* What is to be said of the bus in the log; borrowed. NULL: it has no server.
 * Thread: any. */
fq_notices *
fq_publisher_notices(const fq_publisher *publisher);

/* For what any thread may read of it, and for listeners on the reactor. */
fq_bus *
fq_publisher_bus(fq_publisher *publisher);

/* ── reactor ── */
/* Between hold and resume (an engine works through slices; several may) no
 * further event is delivered. */
void
fq_publisher_hold(fq_publisher *publisher);
void
fq_publisher_resume(fq_publisher *publisher);

#endif
