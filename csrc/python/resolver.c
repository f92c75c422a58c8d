/* SPDX-License-Identifier: MIT */
/* One function per kind of call, and what they share: the user's function is
 * called in a copy of the connection's contextvars, its result is converted
 * and sent back, its exception is logged and masked. Thread: loop. */
#include "python/resolver.h"

#include <structmember.h>

#include "python/auth.h"
#include "python/convert.h"
#include "python/parts.h"
#include "python/resolver_context.h"
#include "python/resolver_task.h"
#include "python/source.h"

/* What clients are told of an exception, unless the service debugs. */
static const char masked_message[] = "Internal server error";

/* ── exceptions ── */

/* The module's logger; borrowed, or NULL with an exception. */
static PyObject *
get_logger(fq_state *state)
{
    if (state->logger == NULL) {
        PyObject *logging = PyImport_ImportModule("logging");
        if (logging == NULL)
            return NULL;
        state->logger = PyObject_CallMethod(logging, "getLogger", "s",
                                            "fraiseql_asgi");
        Py_DECREF(logging);
    }
    return state->logger;
}

/* Logs what |resolver| did, with |exception|, if any. A logging handler that
 * raises is nobody's business here. */
static void
log_error(fq_state *state, const fq_resolver *resolver, const char *verb,
          PyObject *exception)
{
    const char *format = resolver->is_handler ? "the %s %r %s"
                                              : "the %s of field %r %s";
    const char *what = resolver->is_handler  ? "handler"
                       : resolver->is_source ? "source"
                                             : "resolver";
    PyObject *kwargs = NULL, *args = NULL, *error = NULL, *result = NULL;
    PyObject *logger = get_logger(state);
    if (logger != NULL)
        error = PyObject_GetAttr(logger, state->str_error);
    if (error != NULL)
        args = Py_BuildValue("(ssOs)", format, what, resolver->name, verb);
    if (args != NULL && exception != NULL)
        kwargs = Py_BuildValue("{sO}", "exc_info", exception);
    if (args != NULL && (exception == NULL || kwargs != NULL))
        result = PyObject_Call(error, args, kwargs);
    if (result == NULL)
        PyErr_WriteUnraisable(logger);
    Py_XDECREF(result);
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    Py_XDECREF(error);
}

void
fq_resolver_log_timeout(fq_state *state, const fq_resolver *resolver)
{
    log_error(state, resolver, "timed out", NULL);
}

/* The text of |exception|, or the name of its class where it has none: one
 * reference, or NULL (no exception is set). */
static fq_rcbuf *
exception_text(PyObject *exception)
{
    fq_rcbuf *result = NULL;
    fq_str text = {NULL, 0};
    PyObject *str = PyObject_Str(exception);
    if (str != NULL)
        fq_convert_peek_str(str, "message", &text);
    PyErr_Clear();
    if (text.len == 0)
        text = fq_str_of(Py_TYPE(exception)->tp_name);
    fq_rcbuf_new(text, &result);
    Py_XDECREF(str);
    return result;
}

static bool
is_for_the_loop(PyObject *exception)
{
    return PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt)
           || PyErr_GivenExceptionMatches(exception, PyExc_SystemExit);
}

fq_rcbuf *
fq_resolver_take_exception(fq_state *state, const fq_service_object *service,
                           const fq_resolver *resolver)
{
    PyObject *type, *exception, *traceback;
    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(exception, traceback);
    fq_rcbuf *text = NULL;
    if (is_for_the_loop(exception)) {
        fq_rcbuf_new(fq_str_of(masked_message), &text);
        PyErr_Restore(type, exception, traceback);
        return text;
    }
    log_error(state, resolver, "raised", exception);
    if (service->debug)
        text = exception_text(exception);
    if (text == NULL)
        fq_rcbuf_new(fq_str_of(masked_message), &text);
    Py_XDECREF(type);
    Py_XDECREF(exception);
    Py_XDECREF(traceback);
    return text;
}

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
    fq_rcbuf *text = fq_convert_to_rcbuf(state, value, "result",
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

/* Fills |args| with what |resolver| takes. Returns how many, or -1 with an
 * exception (none is kept). */
static int
make_args(fq_state *state, fq_port_object *owner, const fq_resolver *resolver,
          const fq_call *call, PyObject **args)
{
    int n = 0;
    int n_params = resolver->n_params;
    if (!resolver->is_source) {
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
        if (fq_auth_is_call(call))
            args[n] = Py_NewRef(owner->scope == NULL ? Py_None : owner->scope);
        else
            args[n] = fq_resolver_context_new(state, owner, call);
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

/* A copy of the connection's contextvars, entered; to be left by
 * leave_context. */
static PyObject *
enter_context(fq_state *state, fq_port_object *owner)
{
    PyObject *context = PyContext_Copy(owner->context);
    if (context == NULL || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        return NULL;
    }
    PyObject *token = PyContextVar_Set(state->inside_var, Py_True);
    if (token == NULL) {
        PyContext_Exit(context);
        Py_DECREF(context);
        return NULL;
    }
    Py_DECREF(token);
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

bool
fq_resolver_is_inside(fq_state *state)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(state->inside_var, NULL, &value) < 0)
        PyErr_Clear();
    Py_XDECREF(value);
    return value == Py_True;
}

/* A task for |awaitable| (stolen) in the current context. */
static PyObject *
make_task(fq_state *state, fq_port_object *owner, PyObject *awaitable)
{
    PyObject *task;
    if (PyCoro_CheckExact(awaitable))
        task = PyObject_CallMethodOneArg(fq_loop_mailbox_loop(owner->mailbox),
                                         state->str_create_task, awaitable);
    else
        task = PyObject_CallOneArg(state->ensure_future, awaitable);
    Py_DECREF(awaitable);
    return task;
}

/* Calls |resolver| for |call|; *pis_task says that a task was returned. */
static PyObject *
call_function(fq_state *state, fq_port_object *owner,
              const fq_resolver *resolver, const fq_call *call, bool *pis_task)
{
    *pis_task = false;
    PyObject *args[3];
    int n = make_args(state, owner, resolver, call, args);
    if (n < 0)
        return NULL;
    PyObject *value = NULL;
    PyObject *context = enter_context(state, owner);
    if (context != NULL) {
        value = PyObject_Vectorcall(resolver->function, args, (size_t)n, NULL);
        if (value != NULL && is_awaitable(value)) {
            *pis_task = true;
            value = make_task(state, owner, value);
        }
        leave_context(context);
    }
    while (n > 0)
        Py_DECREF(args[--n]);
    return value;
}

static int
call_resolve(fq_state *state, fq_port_object *owner,
             fq_service_object *service, fq_resolver *resolver, fq_call *call)
{
    bool is_task;
    int result = -1;
    PyObject *value = call_function(state, owner, resolver, call, &is_task);
    if (value != NULL && is_task)
        result = fq_resolver_task_start(state, owner, resolver, value, call);
    else if (value != NULL)
        result = fq_resolver_answer(state, service, call, value);
    Py_XDECREF(value);
    if (result < 0)
        result = answer_exception(state, service, resolver, call);
    return result;
}

/* The first value of a source: calls the function, which makes a generator
 * and runs none of its code, and starts to drive it. */
static int
start_source(fq_state *state, fq_port_object *owner,
             fq_service_object *service, fq_resolver *resolver, fq_call *call)
{
    int result = -1;
    PyObject *args[3];
    int n = make_args(state, owner, resolver, call, args);
    PyObject *context = n < 0 ? NULL : enter_context(state, owner);
    if (context != NULL) {
        PyObject *generator = PyObject_Vectorcall(resolver->function, args,
                                                  (size_t)n, NULL);
        if (generator != NULL)
            result = fq_source_start(state, owner, resolver, generator, call);
        Py_XDECREF(generator);
        leave_context(context);
    }
    while (n > 0)
        Py_DECREF(args[--n]);
    if (result < 0)
        result = answer_exception(state, service, resolver, call);
    return result;
}

static int
call_next(fq_state *state, fq_port_object *owner, fq_service_object *service,
          fq_resolver *resolver, fq_call *call)
{
    PyObject *source = fq_port_object_get_running(owner, call->sub_id);
    if (source == NULL)
        return start_source(state, owner, service, resolver, call);
    fq_source_ask(source, call);
    Py_DECREF(source);
    return 0;
}

/* RESOLVE, NEXT and EXECUTE: finds what to call. */
static int
call_user(fq_state *state, fq_port_object *owner, fq_call *call)
{
    fq_service_object *service = (fq_service_object *)Py_NewRef(
        owner->service);
    fq_resolver *resolver = (fq_resolver *)fq_service_object_get_resolver(
        service, call->token);
    int result = 0;
    if (resolver == NULL)
        fq_call_answer(call, FQ_ANSWER_SKIP, NULL);
    else if (call->kind == FQ_CALL_NEXT)
        result = call_next(state, owner, service, resolver, call);
    else
        result = call_resolve(state, owner, service, resolver, call);
    Py_XDECREF(resolver);
    Py_DECREF(service);
    return result;
}

/* INIT and RENEW. The payload of connection_init is kept for the resolvers'
 * context; then the auth handler is asked, where there is one. */
static int
call_auth(fq_state *state, fq_port_object *owner, fq_call *call)
{
    if (call->data != NULL && call->kind == FQ_CALL_INIT) {
        PyObject *params = fq_convert_from_json(state,
                                                fq_rcbuf_str(call->data));
        if (params == NULL)
            PyErr_WriteUnraisable((PyObject *)owner);
        Py_XSETREF(owner->params, params);
    }
    if (call->token != 0)
        return call_user(state, owner, call);
    fq_call_answer(call, FQ_ANSWER_VALUE, NULL);
    return 0;
}

/* Once per service: clients are told no more than that it is not served. */
static void
log_unhandled(fq_state *state)
{
    PyObject *result = NULL;
    PyObject *logger = get_logger(state);
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

int
fq_resolver_call(fq_state *state, fq_loop_mailbox *Py_UNUSED(mailbox),
                 fq_call *call)
{
    fq_port_object *owner = call->port->owner;
    if (owner == NULL || owner->service == NULL || owner->mailbox == NULL) {
        fq_call_free(call);
        return 0;
    }
    Py_INCREF(owner);
    int result = 0;
    switch (call->kind) {
    case FQ_CALL_INIT:
    case FQ_CALL_RENEW:
        result = call_auth(state, owner, call);
        break;
    case FQ_CALL_RESOLVE:
    case FQ_CALL_NEXT:
    case FQ_CALL_EXECUTE:
        result = call_user(state, owner, call);
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

/* ── Resolver ── */

static PyObject *
resolver_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"function",  "name",       "n_params",
                               "is_source", "is_handler", NULL};
    PyObject *function, *name;
    int n_params, is_source = 0, is_handler = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OUi|pp:Resolver", keywords,
                                     &function, &name, &n_params, &is_source,
                                     &is_handler))
        return NULL;
    if (!PyCallable_Check(function)) {
        PyErr_Format(PyExc_TypeError, "function must be callable, not %.200s",
                     Py_TYPE(function)->tp_name);
        return NULL;
    }
    if (n_params < (is_source    ? 0
                    : is_handler ? 1
                                 : 2)
        || n_params > (is_source || is_handler ? 2 : 3)
        || (is_source && is_handler)) {
        PyErr_Format(PyExc_ValueError, "n_params must not be %d", n_params);
        return NULL;
    }
    fq_resolver *self = (fq_resolver *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->function = Py_NewRef(function);
    self->name = Py_NewRef(name);
    self->n_params = n_params;
    self->is_source = is_source;
    self->is_handler = is_handler;
    return (PyObject *)self;
}

static int
resolver_traverse(fq_resolver *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->function);
    return 0;
}

static int
resolver_clear(fq_resolver *self)
{
    Py_CLEAR(self->function);
    return 0;
}

static void
resolver_dealloc(fq_resolver *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    resolver_clear(self);
    Py_XDECREF(self->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef resolver_members[] = {
    {"function", T_OBJECT, offsetof(fq_resolver, function), READONLY, NULL},
    {"name", T_OBJECT_EX, offsetof(fq_resolver, name), READONLY, NULL},
    {"n_params", T_INT, offsetof(fq_resolver, n_params), READONLY, NULL},
    {"is_source", T_BOOL, offsetof(fq_resolver, is_source), READONLY, NULL},
    {"is_handler", T_BOOL, offsetof(fq_resolver, is_handler), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot resolver_slots[] = {
    {Py_tp_new, resolver_new},
    {Py_tp_dealloc, resolver_dealloc},
    {Py_tp_traverse, resolver_traverse},
    {Py_tp_clear, resolver_clear},
    {Py_tp_members, resolver_members},
    {Py_tp_doc,
     (void *)"Resolver(function, name, n_params, is_source=False, "
             "is_handler=False)\n--\n\nA user's function and how to call it."},
    {0, NULL},
};

static PyType_Spec resolver_spec = {
    .name = "fraiseql_asgi._core.Resolver",
    .basicsize = sizeof(fq_resolver),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = resolver_slots,
};

/* ── SKIP ── */

static PyObject *
skip_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) != 0 || kwargs != NULL) {
        PyErr_SetString(PyExc_TypeError, "SkipType takes no arguments");
        return NULL;
    }
    fq_state *state = fq_state_of_type(type);
    if (state->skip != NULL)
        return Py_NewRef(state->skip);
    return type->tp_alloc(type, 0);
}

static PyObject *
skip_repr(PyObject *Py_UNUSED(self))
{
    return PyUnicode_FromString("SKIP");
}

static void
skip_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot skip_slots[] = {
    {Py_tp_new, skip_new},
    {Py_tp_repr, skip_repr},
    {Py_tp_dealloc, skip_dealloc},
    {Py_tp_doc, (void *)"The type of SKIP."},
    {0, NULL},
};

static PyType_Spec skip_spec = {
    .name = "fraiseql_asgi._core.SkipType",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = skip_slots,
};

int
fq_resolver_init(PyObject *module, fq_state *state)
{
    state->resolver_type = fq_state_add_type(module, &resolver_spec, NULL);
    if (state->resolver_type == NULL)
        return -1;
    state->skip_type = fq_state_add_type(module, &skip_spec, NULL);
    if (state->skip_type == NULL)
        return -1;
    state->skip = state->skip_type->tp_alloc(state->skip_type, 0);
    if (state->skip == NULL
        || PyModule_AddObjectRef(module, "SKIP", state->skip) < 0)
        return -1;
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
