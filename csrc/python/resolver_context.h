/* SPDX-License-Identifier: MIT */
/* The exported type ResolverContext: what a resolver's third parameter (a
 * source's second) shows of the call. Its attributes are made when they are
 * asked for. Thread: loop. */
#ifndef FQ_PYTHON_RESOLVER_CONTEXT_H
#define FQ_PYTHON_RESOLVER_CONTEXT_H

#include "python/state.h"

#include "python/resolver_call.h"

/* The context of |call|, which came to |site|; both are borrowed. Returns a new
 * reference, or NULL with an exception. */
PyObject *
fq_resolver_context_new(fq_state *state, const fq_call_site *site,
                        const fq_call *call);

#endif
