/* SPDX-License-Identifier: MIT */
/* The exported type ResolverContext: what a resolver's third parameter (a
 * source's second) shows of the call. Its attributes are made when they are
 * asked for. Thread: loop. */
#ifndef FQ_PYTHON_RESOLVER_CONTEXT_H
#define FQ_PYTHON_RESOLVER_CONTEXT_H

#include "python/state.h"

#include "python/port_object.h"
#include "reactor/call.h"

/* The context of |call| for |owner|'s client; both are borrowed. Returns a new
 * reference, or NULL with an exception. */
PyObject *
fq_resolver_context_new(fq_state *state, fq_port_object *owner,
                        const fq_call *call);

#endif
