/* SPDX-License-Identifier: MIT */
/* One function per kind of call, and what they share: the user's function is
 * called in a copy of the connection's contextvars, its result is converted
 * and sent back, its exception is what resolver.c makes of it. Thread:
 * loop. */
#include "python/resolver_call.h"

#include "base/clock.h"
#include "python/auth.h"
#include "python/convert.h"
#include "python/hooks.h"
#include "python/parts.h"
#include "python/resolver_context.h"
#include "python/resolver_task.h"
#include "python/source.h"

/* Answers |call| (given away) with the current exception. Returns as
 * fq_resolver_call. */
static int
answer_exception(fq_state *state, const fq_service_object *service,
                 const fq_resolver *resolver, fq_call *call)
{
    if (fq_auth_is_call(call)) {
        fq_auth_fail(state, service, resolver, call);
        return PyErr_Occurred() ? -1 : 0;
    }
    fq_rcbuf *text = fq_resolver_take_exception(state, service, resolver);
    fq_call_answer(
        call, resolver->is_source ? FQ_ANSWER_FAIL : FQ_ANSWER_ERROR, text);
    return PyErr_Occurred() ? -1 : 0;
}

/* ── results ── */

int
fq_resolver_answer(fq_state *state, const fq_service_object *service,
                   fq_call *call, PyObject *value)
{
    if (fq_auth_is_call(call))
        return fq_auth_answer(state, call, value);
    if (call->kind == FQ_CALL_EXECUTE && !PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "the result must be a dict such as {\"data\": ...}, not "
                     "%.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    if (value == state->skip) {
        fq_call_answer(call, FQ_ANSWER_SKIP, NULL);
        return 0;
    }
    const fq_limits *limits = service->service == NULL
                                  ? &fq_limits_default
                                  : fq_service_limits(service->service);
    fq_rcbuf *text = fq_convert_answer_to_rcbuf(state, value, "result",
                                                limits->event_max_bytes);
    if (text == NULL)
        return -1;
    fq_call_answer(call, FQ_ANSWER_VALUE, text);
    return 0;
}

static bool
is_awaitable(PyObject *value)
{
    if (PyCoro_CheckExact(value))
        return true;
    PyAsyncMethods *async = Py_TYPE(value)->tp_as_async;
    return async != NULL && async->am_await != NULL;
}

/* ── calling ── */

/* The dict of |json|, which is an object or absent. */
static PyObject *
make_dict(fq_state *state, const fq_rcbuf *json)
{
    if (json == NULL || json->len == 2)
        return PyDict_New();
    return fq_convert_from_json(state, fq_rcbuf_str(json));
}

/* Adds to |payload|, which a hook is to see, what the operation is called, by
 * its client and by us. Returns a new reference to the connection, or NULL
 * with an exception. */
static PyObject *
name_operation(fq_port_object *owner, const fq_call *call, PyObject *payload)
{
    PyObject *id = fq_convert_rcbuf_str(call->subscription_id);
    PyObject *key = PyLong_FromUnsignedLongLong(call->sub_id);
    PyObject *connection = NULL;
    if (id != NULL && key != NULL
        && PyDict_SetItemString(payload, "id", id) == 0
        && PyDict_SetItemString(payload, "key", key) == 0)
        connection = Py_XNewRef(owner->connection);
    Py_XDECREF(id);
    Py_XDECREF(key);
    if (connection == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "the client was not let in");
    return connection;
}

/* Fills |args| with what |resolver| takes. Returns how many, or -1 with an
 * exception (none is kept). */
static int
make_args(fq_state *state, const fq_call_site *site,
          const fq_resolver *resolver, const fq_call *call, PyObject **args)
{
    int n = 0;
    int n_params = resolver->n_params;
    if (!resolver->is_source && !resolver->is_initial) {
        if ((args[n] = make_dict(state, call->data)) == NULL)
            goto fail;
        n++;
    }
    if (n < n_params && !resolver->is_handler) {
        if ((args[n] = make_dict(state, call->variables)) == NULL)
            goto fail;
        n++;
    }
    if (n < n_params) {
        if (call->kind == FQ_CALL_SUBSCRIBE)
            args[n] = name_operation(site->owner, call, args[0]);
        else if (fq_auth_is_call(call))
            args[n] = Py_NewRef(
                site->owner->scope == NULL ? Py_None : site->owner->scope);
        else
            args[n] = fq_resolver_context_new(state, site, call);
        if (args[n] == NULL)
            goto fail;
        n++;
    }
    return n;
fail:
    while (n > 0)
        Py_DECREF(args[--n]);
    return -1;
}

/* A copy of the connection's contextvars (a class has none), entered; to be
 * left by leave_context. Both are marked as inside already. */
static PyObject *
enter_context(const fq_call_site *site)
{
    PyObject *from = site->owner != NULL
                         ? site->owner->context
                         : fq_loop_mailbox_call_context(site->mailbox);
    PyObject *context = PyContext_Copy(from);
    if (context == NULL || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        return NULL;
    }
    return context;
}

static void
leave_context(PyObject *context)
{
    int result = PyContext_Exit(context);
    FQ_CHECK(result == 0);
    (void)result;
    Py_DECREF(context);
}

int
fq_resolver_mark_inside(fq_state *state, PyObject *context)
{
    if (PyContext_Enter(context) < 0)
        return -1;
    PyObject *token = PyContextVar_Set(state->inside_var, Py_True);
    int left = PyContext_Exit(context);
    Py_XDECREF(token);
    return token == NULL || left < 0 ? -1 : 0;
}

bool
fq_resolver_is_inside(fq_state *state)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(state->inside_var, NULL, &value) < 0)
        PyErr_Clear();
    Py_XDECREF(value);
    return value == Py_True;
}

/* A task for |awaitable| (stolen) in the current context. The loop is known to
 * the mailbox unless the function has closed the last connection here. */
static PyObject *
make_task(fq_state *state, const fq_call_site *site, PyObject *awaitable)
{
    PyObject *task;
    if (PyCoro_CheckExact(awaitable)
        && fq_loop_mailbox_loop(site->mailbox) != NULL)
        task = PyObject_CallMethodOneArg(fq_loop_mailbox_loop(site->mailbox),
                                         state->str_create_task, awaitable);
    else
        task = PyObject_CallOneArg(state->ensure_future, awaitable);
    Py_DECREF(awaitable);
    return task;
}

/* Calls |resolver| for |call|; *pis_task says that a task was returned. */
static PyObject *
call_function(fq_state *state, const fq_call_site *site,
              const fq_resolver *resolver, const fq_call *call, bool *pis_task)
{
    *pis_task = false;
    PyObject *args[3];
    int n = make_args(state, site, resolver, call, args);
    if (n < 0)
        return NULL;
    PyObject *value = NULL;
    PyObject *context = enter_context(site);
    if (context != NULL) {
        value = PyObject_Vectorcall(resolver->function, args, (size_t)n, NULL);
        if (value != NULL && is_awaitable(value)) {
            *pis_task = true;
            value = make_task(state, site, value);
        }
        leave_context(context);
    }
    while (n > 0)
        Py_DECREF(args[--n]);
    return value;
}

/* The function has closed the connection it was called for: nobody waits for
 * |value| any more. */
static int
leave_value(fq_state *state, fq_call *call, PyObject *value, bool is_task)
{
    fq_call_free(call);
    if (!is_task)
        return 0;
    PyObject *result = PyObject_CallMethodNoArgs(value, state->str_cancel);
    if (result == NULL)
        PyErr_WriteUnraisable(value);
    Py_XDECREF(result);
    return 0;
}

static int
call_resolve(fq_state *state, const fq_call_site *site, fq_resolver *resolver,
             fq_call *call)
{
    bool is_task;
    int result = -1;
    if (call->kind == FQ_CALL_RESOLVE || call->kind == FQ_CALL_SHARED)
        call->called_ns = fq_clock_now_ns();
    PyObject *value = call_function(state, site, resolver, call, &is_task);
    bool is_left = site->owner != NULL && !fq_port_object_is_open(site->owner);
    if (value != NULL && is_left)
        result = leave_value(state, call, value, is_task);
    else if (value != NULL && is_task)
        result = fq_resolver_task_start(state, site, resolver, value, call);
    else if (value != NULL)
        result = fq_resolver_answer(state, site->service, call, value);
    Py_XDECREF(value);
    if (result < 0)
        result = answer_exception(state, site->service, resolver, call);
    return result;
}

/* The first value of a source: calls the function, which makes a generator
 * and runs none of its code, and starts to drive it. */
static int
start_source(fq_state *state, const fq_call_site *site, fq_resolver *resolver,
             fq_call *call)
{
    int result = -1;
    PyObject *args[3];
    int n = make_args(state, site, resolver, call, args);
    PyObject *context = n < 0 ? NULL : enter_context(site);
    if (context != NULL) {
        PyObject *generator = PyObject_Vectorcall(resolver->function, args,
                                                  (size_t)n, NULL);
        if (generator != NULL)
            result = fq_source_start(state, site, resolver, generator, call);
        Py_XDECREF(generator);
        leave_context(context);
    }
    while (n > 0)
        Py_DECREF(args[--n]);
    if (result < 0)
        result = answer_exception(state, site->service, resolver, call);
    return result;
}

static int
call_next(fq_state *state, const fq_call_site *site, fq_resolver *resolver,
          fq_call *call)
{
    PyObject *source = fq_port_object_get_running(site->owner, call->sub_id);
    if (source == NULL)
        return start_source(state, site, resolver, call);
    fq_source_ask(source, call);
    Py_DECREF(source);
    return 0;
}

/* Lets |call| wait where an earlier event of its subscription is still being
 * resolved; false when nothing is. */
static bool
follow(fq_port_object *owner, fq_call *call)
{
    if (owner->running == NULL || PyDict_GET_SIZE(owner->running) == 0)
        return false;
    PyObject *runs = fq_port_object_get_running(owner, call->sub_id);
    if (runs == NULL)
        return false;
    fq_resolver_task_follow(runs, call);
    Py_DECREF(runs);
    return true;
}

/* RESOLVE, SHARED, INITIAL, NEXT and EXECUTE: finds what to call. */
static int
call_user(fq_state *state, const fq_call_site *site, fq_call *call)
{
    fq_service_object *service = site->service;
    Py_INCREF(service);
    fq_resolver *resolver = (fq_resolver *)fq_service_object_get_resolver(
        service, call->token);
    int result = 0;
    if (resolver == NULL)
        fq_call_answer(call, FQ_ANSWER_SKIP, NULL);
    else if (call->kind == FQ_CALL_NEXT)
        result = call_next(state, site, resolver, call);
    else
        result = call_resolve(state, site, resolver, call);
    Py_XDECREF(resolver);
    Py_DECREF(service);
    return result;
}

/* INIT and RENEW. The payload of connection_init is kept for the resolvers'
 * context; then the auth handler is asked, where there is one. */
static int
call_auth(fq_state *state, const fq_call_site *site, fq_call *call)
{
    fq_port_object *owner = site->owner;
    if (call->data != NULL && call->kind == FQ_CALL_INIT) {
        PyObject *params = fq_convert_from_json(state,
                                                fq_rcbuf_str(call->data));
        if (params == NULL)
            PyErr_WriteUnraisable((PyObject *)owner);
        Py_XSETREF(owner->params, params);
    }
    if (call->token != 0)
        return call_user(state, site, call);
    fq_hooks_connected(state, owner);
    fq_call_answer(call, FQ_ANSWER_VALUE, NULL);
    return 0;
}

/* Once per service: clients are told no more than that it is not served. */
static void
log_unhandled(fq_state *state)
{
    PyObject *result = NULL;
    PyObject *logger = fq_resolver_logger(state);
    if (logger != NULL)
        result = PyObject_CallMethod(
            logger, "warning", "s",
            "a client sent a query or mutation, and nothing executes them: "
            "give the manager an execute_handler= (told once)");
    if (result == NULL)
        PyErr_WriteUnraisable(logger);
    Py_XDECREF(result);
}

static void
call_cancel(fq_state *state, fq_port_object *owner, fq_call *call)
{
    PyObject *runs = fq_port_object_take_running(owner, call->sub_id);
    fq_call_free(call);
    if (runs == NULL)
        return;
    PyObject *result = PyObject_CallMethodNoArgs(runs, state->str_cancel);
    if (result == NULL)
        PyErr_WriteUnraisable(runs);
    Py_XDECREF(result);
    Py_DECREF(runs);
}

/* A call for a class of subscriptions: no client's in particular. */
static int
call_class(fq_state *state, fq_loop_mailbox *mailbox, fq_call *call)
{
    fq_call_site site = {
        .service = fq_service_owner(call->service),
        .mailbox = mailbox,
    };
    if (site.service == NULL) {
        fq_call_free(call);
        return 0;
    }
    if (call->kind == FQ_CALL_SHARED)
        return call_user(state, &site, call);
    FQ_CHECK(call->kind == FQ_CALL_CANCEL);
    fq_resolver_task_cancel_class(site.service, call->sub_id);
    fq_call_free(call);
    return 0;
}

int
fq_resolver_call(fq_state *state, fq_loop_mailbox *mailbox, fq_call *call)
{
    if (call->port == NULL)
        return call_class(state, mailbox, call);
    fq_port_object *owner = call->port->owner;
    if (owner == NULL || owner->service == NULL || owner->mailbox == NULL) {
        fq_call_free(call);
        return 0;
    }
    fq_call_site site = {
        .owner = owner,
        .service = (fq_service_object *)owner->service,
        .mailbox = mailbox,
    };
    Py_INCREF(owner);
    int result = 0;
    switch (call->kind) {
    case FQ_CALL_INIT:
    case FQ_CALL_RENEW:
        result = call_auth(state, &site, call);
        break;
    case FQ_CALL_RESOLVE:
        if (!follow(owner, call))
            result = call_user(state, &site, call);
        break;
    case FQ_CALL_SHARED:
    case FQ_CALL_INITIAL:
    case FQ_CALL_NEXT:
    case FQ_CALL_EXECUTE:
    case FQ_CALL_SUBSCRIBE:
        result = call_user(state, &site, call);
        break;
    case FQ_CALL_ENDED:
        fq_hooks_completed(state, owner, call->sub_id);
        fq_call_free(call);
        break;
    case FQ_CALL_UNHANDLED:
        log_unhandled(state);
        fq_call_free(call);
        break;
    case FQ_CALL_CANCEL:
        call_cancel(state, owner, call);
        break;
    }
    Py_DECREF(owner);
    return result;
}

int
fq_resolver_call_init(PyObject *Py_UNUSED(module), fq_state *state)
{
    state->inside_var = PyContextVar_New("fraiseql_asgi.inside", NULL);
    if (state->inside_var == NULL)
        return -1;
    PyObject *asyncio = PyImport_ImportModule("asyncio");
    if (asyncio == NULL)
        return -1;
    state->ensure_future = PyObject_GetAttrString(asyncio, "ensure_future");
    Py_DECREF(asyncio);
    return state->ensure_future == NULL ? -1 : 0;
}
