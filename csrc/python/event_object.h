/* SPDX-License-Identifier: MIT */
/* The type Event: an event as Python sees it, immutable. Its data is kept as
 * the JSON text that is published, so that publishing one and handing one to a
 * resolver convert nothing. Thread: loop. */
#ifndef FQ_PYTHON_EVENT_OBJECT_H
#define FQ_PYTHON_EVENT_OBJECT_H

#include "python/state.h"

#include "base/rcbuf.h"
#include "base/str.h"

/* What an Event is made of; NULL or an empty string: not given. */
typedef struct fq_event_parts {
    fq_rcbuf *channel;
    fq_rcbuf *event_type;
    fq_rcbuf *data;         /* the JSON text of an object */
    fq_rcbuf *tenant_id;    /* NULL: none */
    fq_rcbuf *boundary;     /* NULL: none */
    fq_rcbuf *meta;         /* the JSON text of an object; NULL: none */
    const char *id;         /* the bus's, terminated; empty or NULL: none */
    uint64_t created_at_ns; /* wall clock, since 1970 */
} fq_event_parts;

/* An Event that shares the buffers of |parts| (a reference is taken on each).
 * NULL with an exception. */
PyObject *
fq_event_object_new(fq_state *state, const fq_event_parts *parts);

/* True when |object| is an Event. */
bool
fq_event_object_check(fq_state *state, PyObject *object);

/* Borrows what |event|, an Event, is made of; valid as long as it lives. */
void
fq_event_object_peek(PyObject *event, fq_event_parts *parts);

/* Sees that state->datetime_type and state->utc are there. Returns 0, or -1
 * with an exception. */
int
fq_event_object_import_datetime(fq_state *state);

#endif
