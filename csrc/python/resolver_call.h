/* SPDX-License-Identifier: MIT */
/* Calls from the reactor to user code: resolvers, initial values, sources, the
 * handler of queries and mutations, the connection's init. What runs on after
 * the call are ResolverTask and Source. Thread: loop. */
#ifndef FQ_PYTHON_RESOLVER_CALL_H
#define FQ_PYTHON_RESOLVER_CALL_H

#include "python/state.h"

#include "python/port_object.h"
#include "python/resolver.h"
#include "python/service_object.h"
#include "reactor/call.h"

/* Whose a call is and where it runs; everything is borrowed. */
typedef struct fq_call_site {
    fq_port_object *owner; /* the client; NULL for a class of subscriptions */
    fq_service_object *service;
    fq_loop_mailbox *mailbox;
} fq_call_site;

/* Serves one call that came through |mailbox|; |call| is given away. Returns
 * 0, or -1 with a KeyboardInterrupt or SystemExit of the user's code, which
 * the loop must see (the call has been answered); nothing else is raised. */
int
fq_resolver_call(fq_state *state, fq_loop_mailbox *mailbox, fq_call *call);

/* Answers |call| with |value|, what user code returned: SKIP, or something
 * that converts to JSON; for EXECUTE a dict. Returns 0 (the call is given
 * away), or -1 with an exception when it does not convert (the call stays the
 * caller's). */
int
fq_resolver_answer(fq_state *state, const fq_service_object *service,
                   fq_call *call, PyObject *value);

/* Marks |context|, a contextvars.Context that is not entered, as one that user
 * code is called in. Returns 0, or -1 with an exception. */
int
fq_resolver_mark_inside(fq_state *state, PyObject *context);

/* True while the current context is one that user code was called in. */
bool
fq_resolver_is_inside(fq_state *state);

#endif
