/* SPDX-License-Identifier: MIT */
/* Publishing from Python: values become an event in the calling thread, and
 * the event goes through a publisher's door, at once or after waiting for
 * room. Nothing is published when the conversion raises. Thread: any that
 * holds the GIL; it is given back while waiting. */
#ifndef FQ_PYTHON_PUBLISH_H
#define FQ_PYTHON_PUBLISH_H

#include "python/state.h"

#include "bus/event.h"
#include "reactor/publisher.h"

/* The event that a publish call names: |channel| is a str and |data| a
 * mapping, or |channel| is an Event and |data| NULL. |event_type| may be None
 * or NULL: the channel's name. *pevent gets one reference. Returns 0, or -1
 * with an exception: TypeError, ValueError (also: more than |max_bytes|, a
 * reserved channel). */
int
fq_publish_make_event(fq_state *state, PyObject *channel, PyObject *data,
                      PyObject *event_type, size_t max_bytes,
                      fq_event **pevent);

typedef struct fq_publish_how {
    uint64_t timeout_ns;  /* for all waiting together */
    bool waits_for_calls; /* until the resolvers it called have answered;
                           * where a loop runs, until it is dispatched */
} fq_publish_how;

/* Publishes |event| (stolen in any case) and returns its id, a str; where a
 * loop runs and the bus gives it later, None: a failure is logged then. A full
 * door is QueueFull where a loop runs, and waited for elsewhere, as the bus's
 * answer is; signals are served meanwhile. NULL with an exception: QueueFull,
 * PublishTimeout, BusError, ClosedError, MemoryError, or what a signal handler
 * raised. */
PyObject *
fq_publish_blocking(fq_state *state, fq_publisher *publisher, fq_event *event,
                    const fq_publish_how *how);

/* Publishes |event| (stolen in any case) from a loop. Returns its id, a str,
 * when there is nothing to wait for, else a Publication:
 *     send() -> Future | None   tries again; the future is done when there is
 *                               room
 *     id: str | None            once it was accepted
 *     done: Future | None       with |waits_for_calls|, or a bus that answers
 *                               later (its result is the id then), once it was
 *                               accepted
 * NULL with an exception. */
PyObject *
fq_publish_offer(fq_state *state, fq_publisher *publisher, fq_event *event,
                 const fq_publish_how *how);

/* Whether |events|, a tuple, can be published: Event objects of which nothing
 * is too long, |max_bytes| of data for one. Returns 0, or -1 with an exception:
 * TypeError, ValueError. */
int
fq_publish_check_events(fq_state *state, PyObject *events, size_t max_bytes);

/* Publishes some of |events|, a tuple that was checked, from |at| on, from a
 * loop. Returns (n, future): how many of them are through the door, and what
 * becomes of these,
 *     ([id, ...], error)   an id is None where the event has none; error is the
 *                          exception of the first that failed, or None
 * or, with 0, what is done when there is room. NULL with an exception. */
PyObject *
fq_publish_offer_all(fq_state *state, fq_publisher *publisher,
                     PyObject *events, Py_ssize_t at, size_t max_bytes,
                     uint64_t timeout_ns);

/* Waits for |ticket| without the GIL, serving signals. Returns 1 when it is
 * done, 0 when |timeout_ns| passed first, -1 with an exception. */
int
fq_publish_wait_ticket(fq_ticket *ticket, uint64_t timeout_ns);

/* True when the calling thread runs an event loop; -1 with an exception. */
int
fq_publish_is_in_loop(fq_state *state);

#endif
