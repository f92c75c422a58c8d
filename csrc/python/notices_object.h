/* SPDX-License-Identifier: MIT */
/* The private type Notices. Thread: any that holds the GIL. */
#ifndef FQ_PYTHON_NOTICES_OBJECT_H
#define FQ_PYTHON_NOTICES_OBJECT_H

#include "python/state.h"

#include "reactor/notices.h"

/* A Notices of |notices|, which gets one more reference; NULL with an
 * exception. */
PyObject *
fq_notices_object_new(fq_state *state, fq_notices *notices);

#endif
