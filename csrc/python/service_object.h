/* SPDX-License-Identifier: MIT */
/* The private type Service: an fq_service together with what its fields call
 * in Python. The manager and the executor are written on it. Thread: loop (any
 * thread that holds the GIL). */
#ifndef FQ_PYTHON_SERVICE_OBJECT_H
#define FQ_PYTHON_SERVICE_OBJECT_H

#include "python/state.h"

#include "base/list.h"
#include "python/task_timer.h"
#include "reactor/service.h"

typedef struct fq_service_object {
    PyObject_HEAD
    fq_service *service; /* one reference; NULL once closed */
    fq_reactor *reactor; /* one use; NULL once closed */
    PyObject *bus;       /* an EventBus */
    PyObject *resolvers; /* dict: token -> Resolver, of fields and feeds */
    uint64_t last_token;
    Py_ssize_t n_feeds; /* open feeds */
    uint64_t publish_timeout_ns;
    uint64_t resolver_timeout_ns;
    bool debug;            /* clients see the text of exceptions */
    bool legacy_protocol;  /* the older graphql-ws is spoken as well */
    fq_list tasks;         /* resolver calls under way: resolver_task.c */
    fq_list sources;       /* sources that run: source.c */
    fq_task_timer *timers; /* by the time they have: task_timer.c */
    PyObject *running; /* dict: id of a class -> the ResolverTask under way for
                        * it; NULL while there never was one */
    PyObject *states;  /* dict of ResolverContext.state by what it is for,
                        * oldest first: resolver_context.c; or NULL */
    PyObject *entrance; /* an Entrance; NULL: anybody may come in */
    PyObject *hooks;    /* fraiseql_asgi.hooks.Hooks; or NULL */
    PyObject *weakrefs;
} fq_service_object;

/* The service behind |service| (a Service), borrowed, or NULL with a
 * ClosedError after its end and in a forked child. */
fq_service *
fq_service_object_peek(PyObject *service);

/* Puts |resolver| (a Resolver) where calls find it. *ptoken is never 0.
 * Returns 0, or -1 with an exception. */
int
fq_service_object_add_resolver(fq_service_object *self, PyObject *resolver,
                               uint64_t *ptoken);
/* Harmless when it is gone. Keeps the current exception. */
void
fq_service_object_drop_resolver(fq_service_object *self, uint64_t token);

/* The Resolver of |token|: a new reference, or NULL without an exception. */
PyObject *
fq_service_object_get_resolver(fq_service_object *self, uint64_t token);

/* The method field_add(name, channels, resolver, returns, settings), in
 * service_field.c. */
PyObject *
fq_service_object_field_add(fq_service_object *self, PyObject *args);

/* Waits for what the reactor was asked; |status| is that of asking. Returns 0,
 * or -1 with an exception. */
int
fq_service_object_await(fq_state *state, fq_status status, fq_ticket *done);

/* The methods live(user_id, tenant_id, connection_id, channel, limit),
 * disconnect(user_id, tenant_id, connection_id, channel, code, reason,
 * everywhere), invalidate(ir, everywhere), ask(user_id, tenant_id,
 * connection_id, channel, limit, timeout), instance_id(), drain(code, reason,
 * window), authenticate_with(handler, timeout, grace, code) and
 * hook_with(hooks, gate), in service_manage.c. */
PyObject *
fq_service_object_hook_with(fq_service_object *self, PyObject *args);
PyObject *
fq_service_object_live(fq_service_object *self, PyObject *const *args,
                       Py_ssize_t n_args);
PyObject *
fq_service_object_disconnect(fq_service_object *self, PyObject *const *args,
                             Py_ssize_t n_args);
PyObject *
fq_service_object_invalidate(fq_service_object *self, PyObject *const *args,
                             Py_ssize_t n_args);
PyObject *
fq_service_object_ask(fq_service_object *self, PyObject *const *args,
                      Py_ssize_t n_args);
PyObject *
fq_service_object_instance_id(fq_service_object *self, PyObject *ignored);
PyObject *
fq_service_object_drain(fq_service_object *self, PyObject *args);
PyObject *
fq_service_object_authenticate_with(fq_service_object *self, PyObject *args);

/* The methods execute_with(handler), introspect_with(handler) and
 * persist(documents, only), in service_document.c. */
PyObject *
fq_service_object_execute_with(fq_service_object *self, PyObject *handler);
PyObject *
fq_service_object_introspect_with(fq_service_object *self, PyObject *handler);
PyObject *
fq_service_object_persist(fq_service_object *self, PyObject *args);

/* The methods publish and offer(channel, data, event_type, waits_for_calls),
 * in service_publish.c. */
PyObject *
fq_service_object_publish(fq_service_object *self, PyObject *const *args,
                          Py_ssize_t n_args);
PyObject *
fq_service_object_offer(fq_service_object *self, PyObject *const *args,
                        Py_ssize_t n_args);
PyObject *
fq_service_object_offer_all(fq_service_object *self, PyObject *const *args,
                            Py_ssize_t n_args);

/* The methods metrics() and count(channel), in service_metrics.c. */
PyObject *
fq_service_object_metrics(fq_service_object *self, PyObject *ignored);
PyObject *
fq_service_object_count(fq_service_object *self, PyObject *channel);

/* The method serve_schema(sdl, serve_undeclared), in service_schema.c. */
PyObject *
fq_service_object_serve_schema(fq_service_object *self, PyObject *args);

/* The method protect(policy, sdl), in service_security.c. */
PyObject *
fq_service_object_protect(fq_service_object *self, PyObject *args);

/* "field" or "data". Returns 0, or -1 with a ValueError. */
int
fq_service_object_read_returns(PyObject *returns, fq_returns *preturns);

#endif
