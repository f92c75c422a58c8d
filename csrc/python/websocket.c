/* SPDX-License-Identifier: MIT */
/* The Python type WebSocket: an awaitable that is its own iterator, like a
 * coroutine. Thread: loop. How it goes is in websocket_run.c. */
#include "python/websocket.h"

#include "python/exception.h"
#include "python/websocket_state.h"

/* ── the awaitable ── */

/* The first step: a mailbox and a waker, so an asyncio loop. */
static int
websocket_begin(fq_websocket *self)
{
    PyObject *service = self->base.service;
    self->base.service = NULL;
    fq_loop_mailbox *mailbox = fq_loop_mailbox_use(self->state);
    int status = mailbox == NULL
                     ? -1
                     : fq_port_object_start(&self->base, service, mailbox);
    Py_DECREF(service);
    if (status < 0) {
        if (mailbox != NULL)
            fq_loop_mailbox_unuse(mailbox);
        return -1;
    }
    self->waker = fq_waker_new(self->state, fq_loop_mailbox_loop(mailbox),
                               (PyObject *)self, fq_websocket_cancel_waiting);
    if (self->waker == NULL)
        return -1;
    self->phase = FQ_WEBSOCKET_CONNECTING;
    return 0;
}

/* What every way of resuming it begins with. */
static bool
websocket_may_step(fq_websocket *self)
{
    if (self->is_running)
        PyErr_SetString(PyExc_ValueError, "the connection is being served");
    else if (self->phase == FQ_WEBSOCKET_ENDED)
        PyErr_SetString(PyExc_RuntimeError,
                        "the connection has been served already");
    else
        return true;
    return false;
}

static PySendResult
websocket_step(fq_websocket *self, PyObject **presult)
{
    *presult = NULL;
    if (!websocket_may_step(self))
        return PYGEN_ERROR;
    if (self->phase == FQ_WEBSOCKET_NEW && websocket_begin(self) < 0) {
        fq_websocket_release(self);
        return PYGEN_ERROR;
    }
    self->is_running = true;
    PySendResult sent = fq_websocket_run(self, presult);
    self->is_running = false;
    return sent;
}

static PySendResult
websocket_am_send(PyObject *self, PyObject *Py_UNUSED(value),
                  PyObject **presult)
{
    return websocket_step((fq_websocket *)self, presult);
}

/* A StopIteration without a value needs no object. */
static PyObject *
as_iteration(PySendResult sent, PyObject *result)
{
    if (sent != PYGEN_RETURN)
        return result;
    Py_DECREF(result);
    return NULL;
}

static PyObject *
websocket_next(fq_websocket *self)
{
    PyObject *result;
    PySendResult sent = websocket_step(self, &result);
    return as_iteration(sent, result);
}

static PyObject *
websocket_send(fq_websocket *self, PyObject *Py_UNUSED(value))
{
    PyObject *result;
    PySendResult sent = websocket_step(self, &result);
    result = as_iteration(sent, result);
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetNone(PyExc_StopIteration);
    return result;
}

/* throw() takes an instance, or a class with a value and a traceback (until
 * CPython drops that form). Returns a new reference to the exception. */
static PyObject *
exception_of_args(PyObject *const *args, Py_ssize_t n_args)
{
    if (n_args < 1 || n_args > 3) {
        PyErr_SetString(PyExc_TypeError, "throw() takes 1 to 3 arguments");
        return NULL;
    }
    PyObject *type = args[0];
    PyObject *value = n_args > 1 && args[1] != Py_None ? args[1] : NULL;
    PyObject *traceback = n_args > 2 && args[2] != Py_None ? args[2] : NULL;
    PyObject *exception;
    if (PyExceptionInstance_Check(type))
        exception = Py_NewRef(type);
    else if (PyExceptionClass_Check(type)) {
        if (value != NULL && PyExceptionInstance_Check(value))
            exception = Py_NewRef(value);
        else
            exception = PyObject_CallFunctionObjArgs(type, value, NULL);
        if (exception != NULL && !PyExceptionInstance_Check(exception))
            Py_CLEAR(exception);
    } else
        exception = NULL;
    if (exception == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "exceptions must be classes or "
                                             "instances of BaseException");
        return NULL;
    }
    if (traceback != NULL
        && PyException_SetTraceback(exception, traceback) < 0)
        Py_CLEAR(exception);
    return exception;
}

PyDoc_STRVAR(throw_doc, "throw(type[, value[, traceback]])\n--\n\n"
                        "Raise in the suspended receive() or send().");

static PyObject *
websocket_throw(fq_websocket *self, PyObject *const *args, Py_ssize_t n_args)
{
    if (!websocket_may_step(self))
        return NULL;
    PyObject *exception = exception_of_args(args, n_args);
    if (exception == NULL)
        return NULL;
    if (self->phase == FQ_WEBSOCKET_NEW) {
        fq_websocket_release(self);
        fq_exception_raise(exception);
        return NULL;
    }
    self->is_running = true;
    fq_websocket_throw_in(self, exception);
    Py_DECREF(exception);
    PyObject *result;
    PySendResult sent = fq_websocket_run(self, &result);
    self->is_running = false;
    result = as_iteration(sent, result);
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetNone(PyExc_StopIteration);
    return result;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nEnd now, as `del` does.");

static PyObject *
websocket_close(fq_websocket *self, PyObject *Py_UNUSED(ignored))
{
    if (self->is_running) {
        PyErr_SetString(PyExc_ValueError, "the connection is being served");
        return NULL;
    }
    if (self->phase == FQ_WEBSOCKET_ENDED)
        Py_RETURN_NONE;
    self->is_running = true;
    fq_drive_abandon(&self->in, self->state);
    fq_drive_abandon(&self->out, self->state);
    self->is_running = false;
    Py_CLEAR(self->outcome);
    fq_websocket_release(self);
    Py_RETURN_NONE;
}

/* ── the type ── */

PyObject *
fq_websocket_new(fq_state *state, PyObject *service, PyObject *start,
                 PyObject *scope, PyObject *receive, PyObject *send)
{
    PyTypeObject *type = state->websocket_type;
    if (service != NULL && service != Py_None
        && !PyObject_TypeCheck(service, state->service_type)) {
        PyErr_Format(PyExc_TypeError, "service is %.100s, not a Service",
                     Py_TYPE(service)->tp_name);
        return NULL;
    }
    fq_websocket *self = (fq_websocket *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->phase = FQ_WEBSOCKET_NEW;
    self->base.news = fq_websocket_news;
    self->base.service = Py_NewRef(service == NULL ? Py_None : service);
    self->base.scope = Py_NewRef(scope);
    self->start = Py_XNewRef(start);
    self->receive = Py_NewRef(receive);
    self->send = Py_NewRef(send);
    return (PyObject *)self;
}

static PyObject *
websocket_type_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"service", "scope", "receive",
                            "send",    "start", NULL};
    fq_state *state = fq_state_of_type(type);
    PyObject *service, *scope, *receive, *send, *start = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$O:WebSocket", names,
                                     &service, &scope, &receive, &send,
                                     &start))
        return NULL;
    return fq_websocket_new(state, service, start == Py_None ? NULL : start,
                            scope, receive, send);
}

static int
websocket_traverse(fq_websocket *self, visitproc visit, void *arg)
{
    int status = fq_port_object_traverse(&self->base, visit, arg);
    if (status == 0)
        status = fq_drive_traverse(&self->in, visit, arg);
    if (status == 0)
        status = fq_drive_traverse(&self->out, visit, arg);
    if (status != 0)
        return status;
    Py_VISIT((PyObject *)self->waker);
    Py_VISIT(self->start);
    Py_VISIT(self->receive);
    Py_VISIT(self->send);
    Py_VISIT(self->farewell);
    Py_VISIT(self->outcome);
    return 0;
}

static int
websocket_clear(fq_websocket *self)
{
    fq_drive_clear(&self->in);
    fq_drive_clear(&self->out);
    fq_websocket_release(self);
    Py_CLEAR(self->outcome);
    return 0;
}

static void
websocket_dealloc(fq_websocket *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    websocket_clear(self);
    fq_port_object_fini(&self->base);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef websocket_methods[] = {
    {"send", (PyCFunction)websocket_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))websocket_throw, METH_FASTCALL,
     throw_doc},
    {"close", (PyCFunction)websocket_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(websocket_doc,
             "WebSocket(service, scope, receive, send, *, start=None)\n--\n\n"
             "The awaitable that serves one connection. Where service is "
             "None, `await start()` gives it; without either the handshake is "
             "refused.");

static PyType_Slot websocket_slots[] = {
    {Py_tp_doc, (void *)websocket_doc},
    {Py_tp_new, websocket_type_new},
    {Py_tp_methods, websocket_methods},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, websocket_am_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, websocket_next},
    {Py_tp_traverse, websocket_traverse},
    {Py_tp_clear, websocket_clear},
    {Py_tp_dealloc, websocket_dealloc},
    {0, NULL},
};

static PyType_Spec websocket_spec = {
    .name = "fraiseql_asgi._core.WebSocket",
    .basicsize = sizeof(fq_websocket),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = websocket_slots,
};

int
fq_websocket_init(PyObject *module, fq_state *state)
{
    state->websocket_type = fq_state_add_type(module, &websocket_spec,
                                              state->port_object_type);
    return state->websocket_type == NULL ? -1 : 0;
}
