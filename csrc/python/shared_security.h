/* SPDX-License-Identifier: MIT */
/* The private type SharedSecurity: what resolvers of shared fields see of a
 * security context. Thread: loop (any thread that holds the GIL). */
#ifndef FQ_PYTHON_SHARED_SECURITY_H
#define FQ_PYTHON_SHARED_SECURITY_H

#include "python/state.h"

#include "engine/security/context.h"

/* The part of |context| (a reference is taken; NULL: nobody's) that all of its
 * security class have in common. Returns a new reference, or NULL with an
 * exception. */
PyObject *
fq_shared_security_new(fq_state *state, fq_security_context *context);

#endif
