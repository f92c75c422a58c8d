/* SPDX-License-Identifier: MIT */
/* fq_limits as config.py's Limits has them: by name, in units of users.
 * Thread: any that holds the GIL. */
#ifndef FQ_PYTHON_LIMITS_H
#define FQ_PYTHON_LIMITS_H

#include "python/state.h"

#include "reactor/service.h"

/* Reads every limit of |dict|, whose values config.py has checked. Returns 0,
 * or -1 with an exception: KeyError for one that is missing. */
int
fq_limits_from_dict(PyObject *dict, fq_limits *limits);

/* A new dict of every limit by name, or NULL with an exception. */
PyObject *
fq_limits_to_dict(const fq_limits *limits);

#endif
