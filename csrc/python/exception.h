/* SPDX-License-Identifier: MIT */
/* The current exception as an object, as Python 3.12 has it. Thread: loop. */
#ifndef FQ_PYTHON_EXCEPTION_H
#define FQ_PYTHON_EXCEPTION_H

#include "python/state.h"

/* Takes the current exception (there must be one): a new reference to an
 * instance with its traceback. */
PyObject *
fq_exception_take(void);

/* Makes |exception| (stolen) the current one. */
void
fq_exception_raise(PyObject *exception);

#endif
