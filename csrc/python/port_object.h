/* SPDX-License-Identifier: MIT */
/* What stands behind fq_port->owner on the Python side: one client connection
 * (websocket.c) or one feed (feed.c), each a C subclass that begins with this
 * struct. It holds what user code is called with, and knows what runs for the
 * client, so that all of it ends with the port. Thread: loop, unless a
 * function says otherwise. What is sent and received is the subclass's. */
#ifndef FQ_PYTHON_PORT_OBJECT_H
#define FQ_PYTHON_PORT_OBJECT_H

#include "python/state.h"

#include "engine/engine.h"
#include "python/loop_mailbox.h"
#include "reactor/port.h"

typedef struct fq_port_object fq_port_object;

struct fq_port_object {
    PyObject_HEAD
    fq_port *port;            /* one reference; NULL before and after */
    fq_loop_mailbox *mailbox; /* one reference and one user of it; NULL:
                               * no loop (then nothing runs here) */
    PyObject *service;        /* the Service it belongs to; NULL after */
    PyObject *context;        /* contextvars.Context as it was at the start,
                               * marked as inside of user code, which runs in
                               * copies of it */
    PyObject *scope;          /* the ASGI scope, or NULL */
    PyObject *params;         /* payload of connection_init, set by resolver.c
                               * (a dict), or NULL */
    PyObject *connection_id;  /* str; NULL: nobody has asked for it */
    PyObject *security;       /* resolver.c's: the connection's
                               * SecurityContext, or NULL */
    PyObject *connection;     /* hooks.c's: what hooks are called with, from
                               * when the client was let in; or NULL */
    PyObject *running;        /* dict of sub_id to what runs for it; NULL while
                               * nothing ever did */
    PyObject *weakrefs;
    /* The port has news (port mail was taken). NULL for a polled port. Returns
     * 0, or -1 with an exception the loop must see (KeyboardInterrupt,
     * SystemExit); everything else it reports itself. */
    int (*news)(fq_port_object *self);
};

/* Gives |self| a mailbox (its user is taken over; NULL: none), a service and
 * a copy of the current contextvars. To be called once, before the port is
 * opened with |self| as owner. Returns 0, or -1 with an exception (the
 * mailbox is still the caller's then). */
int
fq_port_object_start(fq_port_object *self, PyObject *service,
                     fq_loop_mailbox *mailbox);

/* Ends it: disconnects the port (|done| as fq_port_disconnect has it, one
 * reference, stolen, may be NULL), cancels what runs, lets go of everything.
 * Harmless twice, and before the start (|done| is completed at once). Runs in
 * tp_clear and tp_dealloc of the subclass too. Keeps the current exception.
 * Thread: any that holds the GIL. */
void
fq_port_object_close(fq_port_object *self, fq_ticket *done);

/* True from the start to the end. */
static inline bool
fq_port_object_is_open(const fq_port_object *self)
{
    return self->port != NULL;
}

/* Puts |runs| (borrowed) in place as what runs for |sub_id|: a task, or any
 * object with a method cancel(), which is called when the port closes.
 * Returns 0, or -1 with an exception: ClosedError after the end. */
int
fq_port_object_set_running(fq_port_object *self, fq_sub_id sub_id,
                           PyObject *runs);

/* What runs for |sub_id|: a new reference, or NULL without an exception. */
PyObject *
fq_port_object_get_running(fq_port_object *self, fq_sub_id sub_id);

/* The same, taken out: it is not cancelled. */
PyObject *
fq_port_object_take_running(fq_port_object *self, fq_sub_id sub_id);

/* Takes |runs| (borrowed) out, unless another has its place. */
void
fq_port_object_drop_running(fq_port_object *self, fq_sub_id sub_id,
                            PyObject *runs);

/* What tells this client from others, a str: made at first need unless the
 * subclass has set it. A new reference, or NULL with an exception: ClosedError
 * where nobody asked before the end. */
PyObject *
fq_port_object_connection_id(fq_port_object *self);

/* For tp_traverse and tp_dealloc of a subclass; the latter closes, and leaves
 * untracking and freeing to the caller. */
int
fq_port_object_traverse(fq_port_object *self, visitproc visit, void *arg);
void
fq_port_object_fini(fq_port_object *self);

#endif
