/* SPDX-License-Identifier: MIT */
/* What the extension module keeps per interpreter: its types, the exception
 * classes, cached imports and the shared reactor. There are no Python objects
 * outside of it. Thread: loop (any thread that holds the GIL). */
#ifndef FQ_PYTHON_STATE_H
#define FQ_PYTHON_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "reactor/reactor.h"

/* Heap types, filled by the part that owns them; one line each. */
#define FQ_STATE_TYPES(X)                                                     \
    X(graphql_message_type)                                                   \
    X(subscription_payload_type)                                              \
    X(event_type)                                                             \
    X(security_context_type)                                                  \
    X(waker_type)                                                             \
    X(loop_mailbox_type)                                                      \
    X(port_object_type)                                                       \
    X(serving_type)                                                           \
    X(websocket_type)                                                         \
    X(http_stream_type)                                                       \
    X(transport_ws_handler_type)                                              \
    X(asgi_app_type)                                                          \
    X(entrance_type)                                                          \
    X(event_bus_type)                                                         \
    X(notices_type)                                                           \
    X(publication_type)                                                       \
    X(service_type)                                                           \
    X(resolver_type)                                                          \
    X(resolver_context_type)                                                  \
    X(shared_security_type)                                                   \
    X(resolver_task_type)                                                     \
    X(source_type)                                                            \
    X(skip_type)                                                              \
    X(feed_type)                                                              \
    X(stream_type)                                                            \
    X(postgres_client_type)

/* Exception classes, named as in errors.py and filled by errors.c. */
#define FQ_STATE_EXCEPTIONS(X)                                                \
    X(FraiseQLError)                                                          \
    X(ConfigError)                                                            \
    X(GraphQLSyntaxError)                                                     \
    X(GraphQLValidationError)                                                 \
    X(SecurityError)                                                          \
    X(RateLimited)                                                            \
    X(SubscriptionError)                                                      \
    X(DuplicateSubscription)                                                  \
    X(UnknownSubscription)                                                    \
    X(SubscriptionEnded)                                                      \
    X(PositionLost)                                                           \
    X(ResolverError)                                                          \
    X(BusError)                                                               \
    X(PublishTimeout)                                                         \
    X(QueueFull)                                                              \
    X(ClosedError)                                                            \
    X(CloseConnection)

/* Cached imports and other objects, NULL until their owner fills them; one
 * line each. */
#define FQ_STATE_OBJECTS(X)                                                   \
    X(schema_cache)                                                           \
    X(enum_type)                                                              \
    X(date_type)                                                              \
    X(time_type)                                                              \
    X(uuid_type)                                                              \
    X(decimal_type)                                                           \
    X(dataclass_fields)                                                       \
    X(datetime_type)                                                          \
    X(utc)                                                                    \
    X(get_running_loop)                                                       \
    X(future_type)                                                            \
    X(task_type)                                                              \
    X(cancelled_error)                                                        \
    X(kwnames_context)                                                        \
    X(ws_connect)                                                             \
    X(ws_accept)                                                              \
    X(ws_receive)                                                             \
    X(ws_send)                                                                \
    X(ws_close)                                                               \
    X(ws_disconnect)                                                          \
    X(ws_graphql_transport_ws)                                                \
    X(ws_graphql_ws)                                                          \
    X(ws_response)                                                            \
    X(http_request)                                                           \
    X(http_disconnect)                                                        \
    X(http_response_start)                                                    \
    X(http_response_body)                                                     \
    X(logger)                                                                 \
    X(skip)                                                                   \
    X(inside_var)                                                             \
    X(ensure_future)                                                          \
    X(drive_source)

/* Interned strings, filled by module.c: state->str_<name> is "<name>". */
#define FQ_STATE_STRINGS(X)                                                   \
    X(id)                                                                     \
    X(type)                                                                   \
    X(payload)                                                                \
    X(name)                                                                   \
    X(value)                                                                  \
    X(isoformat)                                                              \
    X(model_dump)                                                             \
    X(mode)                                                                   \
    X(json)                                                                   \
    X(_fields)                                                                \
    X(__dataclass_fields__)                                                   \
    X(__attrs_attrs__)                                                        \
    X(context)                                                                \
    X(call_soon)                                                              \
    X(extensions)                                                             \
    X(call_soon_threadsafe)                                                   \
    X(add_reader)                                                             \
    X(remove_reader)                                                          \
    X(create_future)                                                          \
    X(set_result)                                                             \
    X(set_exception)                                                          \
    X(done)                                                                   \
    X(add_done_callback)                                                      \
    X(remove_done_callback)                                                   \
    X(_asyncio_future_blocking)                                               \
    X(get_loop)                                                               \
    X(cancel)                                                                 \
    X(throw)                                                                  \
    X(close)                                                                  \
    X(text)                                                                   \
    X(bytes)                                                                  \
    X(code)                                                                   \
    X(reason)                                                                 \
    X(subprotocol)                                                            \
    X(subprotocols)                                                           \
    X(path)                                                                   \
    X(method)                                                                 \
    X(query_string)                                                           \
    X(status)                                                                 \
    X(body)                                                                   \
    X(more_body)                                                              \
    X(root_path)                                                              \
    X(headers)                                                                \
    X(client)                                                                 \
    X(scheme)                                                                 \
    X(create_task)                                                            \
    X(result)                                                                 \
    X(error)

typedef struct fq_state {
#define FQ_STATE_FIELD(name) PyTypeObject *name;
    FQ_STATE_TYPES(FQ_STATE_FIELD)
#undef FQ_STATE_FIELD
#define FQ_STATE_FIELD(name) PyObject *name;
    FQ_STATE_EXCEPTIONS(FQ_STATE_FIELD)
    FQ_STATE_OBJECTS(FQ_STATE_FIELD)
#undef FQ_STATE_FIELD
#define FQ_STATE_FIELD(name) PyObject *str_##name;
    FQ_STATE_STRINGS(FQ_STATE_FIELD)
#undef FQ_STATE_FIELD
    /* The reactor last started, or NULL: one memory reference, no use. */
    fq_reactor *reactor;
    struct fq_convert_keys *convert_keys; /* convert_from.c; NULL: none yet */
    struct fq_loop_mailbox *loop_mailboxes; /* all that are open, linked */
    bool is_exiting; /* the interpreter ends: no reactor is started */
} fq_state;

/* The state of the module. Never fails for a module of ours. */
fq_state *
fq_state_of_module(PyObject *module);

/* The state behind |type|, one of our types or a subclass of one. */
fq_state *
fq_state_of_type(PyTypeObject *type);

/* The same for an instance. */
static inline fq_state *
fq_state_of(PyObject *self)
{
    return fq_state_of_type(Py_TYPE(self));
}

/* A new heap type made from |spec|, added to |module| under the last part of
 * its name. |base| may be NULL. Returns a new reference, or NULL with an
 * exception. */
PyTypeObject *
fq_state_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base);

/* A str that the state keeps, and its text. */
typedef struct fq_state_name {
    PyObject **place;
    const char *text;
} fq_state_name;

/* Makes the |n| strs of |names|, interned. Returns 0, or -1 with an exception.
 */
int
fq_state_add_names(const fq_state_name *names, size_t n);

/* In a forked child: closes the copies of the parent's descriptors and forgets
 * its reactor. Harmless elsewhere, and twice. */
void
fq_state_after_fork(fq_state *state);

/* The interpreter's reactor with one more user, to be given back by
 * fq_reactor_release without the GIL. Started at first need, and anew after
 * the last user or a fork stopped it. NULL with an exception: ClosedError
 * while the interpreter ends, MemoryError, BusError. */
fq_reactor *
fq_state_reactor(fq_state *state);

#endif
