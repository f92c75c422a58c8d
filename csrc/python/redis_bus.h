/* SPDX-License-Identifier: MIT */
/* The Redis bus from what config.py says. Thread: loop. */
#ifndef FQ_PYTHON_REDIS_BUS_H
#define FQ_PYTHON_REDIS_BUS_H

#include "python/state.h"

#include "bus/bus.h"

/* Makes a bus of |settings|, a dict as `_redis_url.read` returns it. Returns 0,
 * or -1 with an exception. */
int
fq_redis_bus_make(fq_state *state, PyObject *settings, fq_bus **pbus);

#endif
