/* SPDX-License-Identifier: MIT */
/* From an fq_status to a Python exception: the one place where that is
 * decided. The classes are those of fraiseql_asgi/errors.py. Thread: loop. */
#ifndef FQ_PYTHON_ERRORS_H
#define FQ_PYTHON_ERRORS_H

#include "python/state.h"

#include "base/error.h"
#include "base/str.h"

/* Raises for |status| (not FQ_OK) of something other than a GraphQL request:
 * a value given, the bus, a door. The text is error->message, or the phrase of
 * the status where |error| is NULL or its message empty. Always returns NULL,
 * so that a function can end with `return fq_errors_raise(...)`. */
PyObject *
fq_errors_raise(fq_state *state, fq_status status, const fq_error *error);

/* Raises for the refusal of a GraphQL request. |errors_json| is the JSON array
 * of errors the engine gave (ptr NULL: none): it becomes the attribute
 * `errors`, its first message the text. |context| is a dict of further
 * attributes, or NULL. Always returns NULL. */
PyObject *
fq_errors_raise_request(fq_state *state, fq_status status, fq_str errors_json,
                        PyObject *context);

/* Raises |type| (one of the classes of errors.py) with the text |message| and
 * the attributes in the dict |context| (NULL: none). Always returns NULL. */
PyObject *
fq_errors_raise_class(PyObject *type, const char *message, PyObject *context);

#endif
