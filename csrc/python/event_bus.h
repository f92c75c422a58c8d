/* SPDX-License-Identifier: MIT */
/* The exported type EventBus: one bus and its door, unconnected until first
 * use, shared by the services that are given it. Thread: loop (any thread that
 * holds the GIL). */
#ifndef FQ_PYTHON_EVENT_BUS_H
#define FQ_PYTHON_EVENT_BUS_H

#include "python/state.h"

#include "reactor/publisher.h"

/* The door of |bus| (an EventBus), connected at first need; *ppublisher is one
 * reference. After a fork it connects anew. Returns 0, or -1 with an
 * exception: ClosedError after its end, BusError, MemoryError. */
int
fq_event_bus_connect(PyObject *bus, fq_publisher **ppublisher);

#endif
