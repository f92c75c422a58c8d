/* SPDX-License-Identifier: MIT */
/* The private type Resolver: a function of the user and how to call it; and
 * what becomes of its exceptions. Calling it is resolver_call.h. Thread:
 * loop. */
#ifndef FQ_PYTHON_RESOLVER_H
#define FQ_PYTHON_RESOLVER_H

#include "python/state.h"

#include "python/service_object.h"

/* A user's function and how to call it. Immutable. */
typedef struct fq_resolver {
    PyObject_HEAD
    PyObject *function;
    PyObject *name; /* of the field or handler, for the log */
    int n_params;   /* how many of (event, variables, context), or, for a
                     * source or an initial value, of (variables, context), or, for a handler, of
                     * (payload, context) */
    bool is_source;
    bool is_handler;     /* of queries and mutations, no field's */
    bool is_initial;     /* of the initial value: called as a source */
    uint64_t timeout_ns; /* 0: the service's */
} fq_resolver;

/* What user code left behind when it failed: logs the current exception with
 * its traceback, clears it (but KeyboardInterrupt and SystemExit stay set),
 * and returns the text a client gets: one reference, or NULL where memory is
 * out. */
fq_rcbuf *
fq_resolver_take_exception(fq_state *state, const fq_service_object *service,
                           const fq_resolver *resolver);

/* The module's logger; borrowed, or NULL with an exception. */
PyObject *
fq_resolver_logger(fq_state *state);

/* Logs that |resolver| took longer than it may. */
void
fq_resolver_log_timeout(fq_state *state, const fq_resolver *resolver);

#endif
