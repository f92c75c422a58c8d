/* SPDX-License-Identifier: MIT */
/* Objects that are not JSON by themselves but stand for a value that is:
 * dataclass, attrs and Pydantic objects, NamedTuple, Enum, dates, UUID,
 * Decimal, bytes. Private to convert_to.c. Thread: loop. */
#ifndef FQ_PYTHON_CONVERT_TYPES_H
#define FQ_PYTHON_CONVERT_TYPES_H

#include <stdbool.h>

#include "python/state.h"

/* True when |type| is enum.Enum or a subclass of it. */
bool
fq_convert_is_enum(fq_state *state, PyTypeObject *type);

/* True when |type|, a subclass of tuple, names its fields. */
bool
fq_convert_is_named_tuple(fq_state *state, PyTypeObject *type);

/* The value |object| stands for, which is one step nearer to JSON: a dict, a
 * str, an Enum's value. *pvalue is a new reference, or NULL
 * when the type of |object| is not known here. Returns 0, or -1 with an
 * exception (what code of the user raised). */
int
fq_convert_plain(fq_state *state, PyObject *object, PyObject **pvalue);

#endif
