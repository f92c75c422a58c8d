/* SPDX-License-Identifier: MIT */
/* What an ASGI scope says: its members, and where in the application's space
 * of paths a request is; and which of the messages that belong to it one is.
 * Thread: loop. */
#ifndef FQ_PYTHON_ASGI_SCOPE_H
#define FQ_PYTHON_ASGI_SCOPE_H

#include "python/state.h"

/* The member |name| of a scope or a message: a new reference, or NULL, without
 * an exception when there is no such member. */
PyObject *
fq_asgi_scope_get(PyObject *scope, PyObject *name);

/* The index among the |n| strs |types| of the type of |message|, or -1 with an
 * exception: RuntimeError where it is none of them in |scope|, as errors call
 * it. */
int
fq_asgi_scope_find_type(fq_state *state, PyObject *message,
                        PyObject *const *types, size_t n, const char *scope);

/* The path below the place the application is mounted at, and below |root| (a
 * str such as "/graphql", "" for none): "", "/", "/publish". A new reference
 * to a str, or to None when the path is not below |root|; NULL with an
 * exception. Servers and frameworks differ in whether "path" repeats
 * "root_path" (ASGI and Starlette since 0.33 say yes): both are understood. */
PyObject *
fq_asgi_scope_subpath(fq_state *state, PyObject *scope, PyObject *root);

#endif
