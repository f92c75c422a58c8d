/* SPDX-License-Identifier: MIT */
/* The type SecurityContext: an fq_security_context as Python sees it,
 * immutable. Thread: loop (any thread that holds the GIL). */
#ifndef FQ_PYTHON_SECURITY_CONTEXT_H
#define FQ_PYTHON_SECURITY_CONTEXT_H

#include "python/state.h"

#include "engine/security/context.h"

/* A SecurityContext of |context|, on which it takes a reference; None for
 * NULL. NULL with an exception. */
PyObject *
fq_security_context_object_new(fq_state *state, fq_security_context *context);

/* True when |object| is a SecurityContext. */
bool
fq_security_context_object_check(fq_state *state, PyObject *object);

/* Borrows what |object|, a SecurityContext, stands for. */
fq_security_context *
fq_security_context_object_peek(PyObject *object);

/* What |value| says, a SecurityContext or a mapping with the names of its
 * arguments (`fields` as well): *pcontext gets one reference. Returns 0, or -1
 * with an exception: TypeError (something else; a name it does not know),
 * ValueError. */
int
fq_security_context_object_read(fq_state *state, PyObject *value,
                                fq_security_context **pcontext);

#endif
