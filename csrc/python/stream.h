/* SPDX-License-Identifier: MIT */
/* The private type Stream: a subscription of the application that its event
 * loop reads as messages come. Thread: loop. */
#ifndef FQ_PYTHON_STREAM_H
#define FQ_PYTHON_STREAM_H

#include "python/service_object.h"

/* Service.stream(subscription_id, query, operation_name, variables, security):
 * asks for a subscription for the running loop. Returns a new Stream, which
 * hears what is published from now on; whether it was refused is what its
 * future `opened` says. NULL with an exception: TypeError, ValueError,
 * ConfigError (no loop), ClosedError, MemoryError. */
PyObject *
fq_stream_open(fq_service_object *service, PyObject *args);

#endif
