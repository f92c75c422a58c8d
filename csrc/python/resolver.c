/* SPDX-License-Identifier: MIT */
/* Functions of the user, and their exceptions: logged here, and masked for
 * clients. Thread: loop. */
#include "python/resolver.h"

#include <structmember.h>

#include "base/clock.h"
#include "python/convert.h"
#include "python/parts.h"

/* What clients are told of an exception, unless the service debugs. */
static const char masked_message[] = "Internal server error";

/* ── exceptions ── */

PyObject *
fq_resolver_logger(fq_state *state)
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
    const char *what = resolver->is_handler   ? "handler"
                       : resolver->is_source  ? "source"
                       : resolver->is_initial ? "initial value"
                                              : "resolver";
    PyObject *kwargs = NULL, *args = NULL, *error = NULL, *result = NULL;
    PyObject *logger = fq_resolver_logger(state);
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

/* ── Resolver ── */

/* How many parameters |self| may have. */
static bool
takes_params(const fq_resolver *self)
{
    int low = 2, high = 3;
    if (self->is_source || self->is_initial)
        low = 0, high = 2;
    else if (self->is_handler)
        low = 1, high = 2;
    return self->n_params >= low && self->n_params <= high
           && self->is_source + self->is_handler + self->is_initial <= 1;
}

static PyObject *
resolver_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"function",  "name",       "n_params",
                               "is_source", "is_handler", "is_initial",
                               "timeout",   NULL};
    PyObject *function, *name;
    int n_params, is_source = 0, is_handler = 0, is_initial = 0;
    double timeout = 0;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OUi|pppd:Resolver", keywords, &function, &name,
            &n_params, &is_source, &is_handler, &is_initial, &timeout))
        return NULL;
    if (!PyCallable_Check(function)) {
        PyErr_Format(PyExc_TypeError, "function must be callable, not %.200s",
                     Py_TYPE(function)->tp_name);
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
    self->is_initial = is_initial;
    self->timeout_ns = (uint64_t)(timeout * FQ_NS_PER_S);
    if (takes_params(self))
        return (PyObject *)self;
    PyErr_Format(PyExc_ValueError, "n_params must not be %d", n_params);
    Py_DECREF(self);
    return NULL;
}

static PyObject *
resolver_get_timeout(fq_resolver *self, void *Py_UNUSED(closure))
{
    if (self->timeout_ns == 0)
        Py_RETURN_NONE;
    return PyFloat_FromDouble((double)self->timeout_ns / FQ_NS_PER_S);
}

static PyGetSetDef resolver_getset[] = {
    {"timeout", (getter)resolver_get_timeout, NULL,
     "Seconds; None: the service's.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

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
    {"is_initial", T_BOOL, offsetof(fq_resolver, is_initial), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot resolver_slots[] = {
    {Py_tp_new, resolver_new},
    {Py_tp_dealloc, resolver_dealloc},
    {Py_tp_traverse, resolver_traverse},
    {Py_tp_clear, resolver_clear},
    {Py_tp_members, resolver_members},
    {Py_tp_getset, resolver_getset},
    {Py_tp_doc,
     (void *)"Resolver(function, name, n_params, is_source=False, "
             "is_handler=False,\n         is_initial=False, timeout=0.0)\n--"
             "\n\nA user's function and how to call it."},
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
    return 0;
}
