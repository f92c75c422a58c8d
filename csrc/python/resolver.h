/* SPDX-License-Identifier: MIT */
/* Calls from the reactor to user code: resolvers, sources, the handler of
 * queries and mutations, the connection's init. The private type Resolver says what to call; what runs on after the
 * call are ResolverTask and Source. Thread: loop. */
#ifndef FQ_PYTHON_RESOLVER_H
#define FQ_PYTHON_RESOLVER_H

#include "python/state.h"

#include "python/port_object.h"
#include "python/service_object.h"
#include "reactor/call.h"

/* A user's function and how to call it. Immutable. */
typedef struct fq_resolver {
    PyObject_HEAD
    PyObject *function;
    PyObject *name; /* of the field or handler, for the log */
    int n_params;   /* how many of (event, variables, context), or, for a
                     * source, of (variables, context), or, for a handler, of
                     * (payload, context) */
    bool is_source;
    bool is_handler; /* of queries and mutations, no field's */
} fq_resolver;

/* Serves one call that came through |mailbox|; |call| is given away. Returns
 * 0, or -1 with a KeyboardInterrupt or SystemExit of the user's code, which
 * the loop must see (the call has been answered); nothing else is raised. */
int
fq_resolver_call(fq_state *state, fq_loop_mailbox *mailbox, fq_call *call);

/* True while the current context is one that user code was called in. */
bool
fq_resolver_is_inside(fq_state *state);

/* ── for resolver_task.c and source.c ── */

/* What user code left behind when it failed: logs the current exception with
 * its traceback, clears it (but KeyboardInterrupt and SystemExit stay set),
 * and returns the text a client gets: one reference, or NULL where memory is
 * out. */
fq_rcbuf *
fq_resolver_take_exception(fq_state *state, const fq_service_object *service,
                           const fq_resolver *resolver);

/* Answers |call| with |value|, what user code returned: SKIP, or something
 * that converts to JSON; for EXECUTE a dict. Returns 0 (the call is given away), or -1 with an
 * exception when it does not convert (the call stays the caller's). */
int
fq_resolver_answer(fq_state *state, const fq_service_object *service,
                   fq_call *call, PyObject *value);

/* Logs that |resolver| took longer than it may. */
void
fq_resolver_log_timeout(fq_state *state, const fq_resolver *resolver);

#endif
