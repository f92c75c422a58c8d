/* SPDX-License-Identifier: MIT */
/* The private type Feed: a subscription made by the application and read by
 * polling. Thread: loop (any thread that holds the GIL); a feed with a
 * resolver is opened in the loop that is to run it. */
#ifndef FQ_PYTHON_FEED_H
#define FQ_PYTHON_FEED_H

#include "python/service_object.h"

/* Service.feed(subscription_id, connection_id, query, operation_name,
 * variables, resolver, channels, returns): opens a feed of |service|. Returns
 * a new Feed that is live, or NULL with an exception: TypeError, ValueError,
 * GraphQLSyntaxError, GraphQLValidationError, SubscriptionError (a limit),
 * ClosedError, MemoryError. */
PyObject *
fq_feed_object_open(fq_service_object *service, PyObject *const *args,
                    Py_ssize_t n_args);

#endif
