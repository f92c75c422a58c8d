/* SPDX-License-Identifier: MIT */
/* Filters on their way from Python to the engine: lists of operators and
 * operands, as filters.py makes them. Thread: loop (holds the GIL). */
#ifndef FQ_PYTHON_FILTER_OBJECT_H
#define FQ_PYTHON_FILTER_OBJECT_H

#include "engine/filter/filter.h"
#include "python/state.h"

/* Compiles |ir|; constants are converted as published data is. Returns 0, or
 * -1 with an exception: ValueError says what is wrong with it. */
int
fq_filter_object_compile(fq_state *state, PyObject *ir, fq_filter **pfilter);

#endif
