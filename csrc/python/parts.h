/* SPDX-License-Identifier: MIT */
/* The parts of the extension module, in the order they are initialised: each
 * file csrc/python/<part>.c has `int fq_<part>_init(PyObject *module, fq_state
 * *state)`, declared here, which makes its types and fills its members of the
 * state. It returns 0, or -1 with an exception. One line per part. */
#ifndef FQ_PYTHON_PARTS_H
#define FQ_PYTHON_PARTS_H

#include "python/state.h"

#define FQ_PARTS(X)                                                           \
    X(errors)                                                                 \
    X(convert)                                                                \
    X(schema_cache)                                                           \
    X(graphql)                                                                \
    X(graphql_probe)                                                          \
    X(filter_object)                                                          \
    X(graphql_message)                                                        \
    X(subscription_payload)                                                   \
    X(event_object)                                                           \
    X(security_context)                                                       \
    X(waker)                                                                  \
    X(loop_mailbox)                                                           \
    X(port_object)                                                            \
    X(serving)                                                                \
    X(asgi_message)                                                           \
    X(websocket)                                                              \
    X(http_message)                                                           \
    X(http_stream)                                                            \
    X(asgi_app)                                                               \
    X(event_bus)                                                              \
    X(notices_object)                                                         \
    X(publish)                                                                \
    X(resolver)                                                               \
    X(resolver_call)                                                          \
    X(resolver_context)                                                       \
    X(shared_security)                                                        \
    X(resolver_task)                                                          \
    X(source)                                                                 \
    X(entrance)                                                               \
    X(service_object)                                                         \
    X(service_schema)                                                         \
    X(service_security)                                                       \
    X(channel_functions)                                                      \
    X(feed)                                                                   \
    X(transport_ws_handler)                                                   \
    X(stream)                                                                 \
    X(postgres_client)

#define FQ_PART_DECLARE(part)                                                 \
    int fq_##part##_init(PyObject *module, fq_state *state);
FQ_PARTS(FQ_PART_DECLARE)
#undef FQ_PART_DECLARE

#endif
