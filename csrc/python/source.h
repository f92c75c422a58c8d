/* SPDX-License-Identifier: MIT */
/* A source that runs: an async generator of the user, driven by a task of its
 * own that hands over one value whenever the engine asks. Thread: loop. */
#ifndef FQ_PYTHON_SOURCE_H
#define FQ_PYTHON_SOURCE_H

#include "python/resolver_call.h"

/* Starts driving |generator| in the current context; |call| (given away) asks
 * for its first value. Returns 0, or -1 with an exception; the call is the
 * caller's then. */
int
fq_source_start(fq_state *state, const fq_call_site *site,
                fq_resolver *resolver, PyObject *generator, fq_call *call);

/* |source| (what fq_port_object_get_running gave) is asked for its next value;
 * |call| is given away. */
void
fq_source_ask(PyObject *source, fq_call *call);

/* As fq_resolver_task_cancel_all. */
int
fq_source_cancel_all(fq_service_object *service, PyObject *loop,
                     PyObject *list);

#endif
