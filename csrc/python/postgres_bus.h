/* SPDX-License-Identifier: MIT */
/* The PostgreSQL bus from what config.py says. Thread: loop. */
#ifndef FQ_PYTHON_POSTGRES_BUS_H
#define FQ_PYTHON_POSTGRES_BUS_H

#include "python/state.h"

#include "bus/bus.h"

/* Makes a bus of |settings|: `dsn`, and `listen_dsn` where that is another.
 * Returns 0, or -1 with an exception. */
int
fq_postgres_bus_make(fq_state *state, PyObject *settings, fq_bus **pbus);

#endif
