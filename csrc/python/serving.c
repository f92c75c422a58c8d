/* SPDX-License-Identifier: MIT */
/* The Python type Serving: what makes a C struct an awaitable that is its own
 * iterator, like a coroutine. Thread: loop. How it goes is in serving_run.c. */
#include "python/serving.h"

#include "python/exception.h"
#include "reactor/session.h"

/* ── the awaitable ── */

/* The first step: a mailbox and a waker, so an asyncio loop. */
static int
serving_begin(fq_serving *self)
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
                               (PyObject *)self, fq_serving_cancel_waiting);
    if (self->waker == NULL)
        return -1;
    self->phase = FQ_SERVING_FIRST;
    return 0;
}

/* What every way of resuming it begins with. */
static bool
serving_may_step(fq_serving *self)
{
    if (self->is_running)
        PyErr_SetString(PyExc_ValueError, "the connection is being served");
    else if (self->phase == FQ_SERVING_ENDED)
        PyErr_SetString(PyExc_RuntimeError,
                        "the connection has been served already");
    else
        return true;
    return false;
}

static PySendResult
serving_step(fq_serving *self, PyObject **presult)
{
    *presult = NULL;
    if (!serving_may_step(self))
        return PYGEN_ERROR;
    if (self->phase == FQ_SERVING_NEW && serving_begin(self) < 0) {
        fq_serving_release(self);
        return PYGEN_ERROR;
    }
    self->is_running = true;
    PySendResult sent = fq_serving_run(self, presult);
    self->is_running = false;
    return sent;
}

static PySendResult
serving_am_send(PyObject *self, PyObject *Py_UNUSED(value), PyObject **presult)
{
    return serving_step((fq_serving *)self, presult);
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
serving_next(fq_serving *self)
{
    PyObject *result;
    PySendResult sent = serving_step(self, &result);
    return as_iteration(sent, result);
}

static PyObject *
serving_send(fq_serving *self, PyObject *Py_UNUSED(value))
{
    PyObject *result;
    PySendResult sent = serving_step(self, &result);
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
serving_throw(fq_serving *self, PyObject *const *args, Py_ssize_t n_args)
{
    if (!serving_may_step(self))
        return NULL;
    PyObject *exception = exception_of_args(args, n_args);
    if (exception == NULL)
        return NULL;
    if (self->phase == FQ_SERVING_NEW) {
        fq_serving_release(self);
        fq_exception_raise(exception);
        return NULL;
    }
    self->is_running = true;
    fq_serving_throw_in(self, exception);
    Py_DECREF(exception);
    PyObject *result;
    PySendResult sent = fq_serving_run(self, &result);
    self->is_running = false;
    result = as_iteration(sent, result);
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetNone(PyExc_StopIteration);
    return result;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nEnd now, as `del` does.");

static PyObject *
serving_close(fq_serving *self, PyObject *Py_UNUSED(ignored))
{
    if (self->is_running) {
        PyErr_SetString(PyExc_ValueError, "the connection is being served");
        return NULL;
    }
    if (self->phase == FQ_SERVING_ENDED)
        Py_RETURN_NONE;
    self->is_running = true;
    fq_drive_abandon(&self->in, self->state);
    fq_drive_abandon(&self->out, self->state);
    self->is_running = false;
    Py_CLEAR(self->outcome);
    fq_serving_release(self);
    Py_RETURN_NONE;
}

/* ── for kinds ── */

int
fq_serving_send(fq_serving *self, PyObject *message)
{
    if (message == NULL)
        return -1;
    PyObject *awaitable = PyObject_CallOneArg(self->send, message);
    Py_DECREF(message);
    if (awaitable == NULL)
        return -1;
    int status = fq_drive_start(&self->out, awaitable);
    Py_DECREF(awaitable);
    return status;
}

int
fq_serving_start(fq_serving *self)
{
    PyObject *awaitable = PyObject_CallNoArgs(self->start);
    if (awaitable == NULL)
        return -1;
    int status = fq_drive_start(&self->out, awaitable);
    Py_DECREF(awaitable);
    return status;
}

int
fq_serving_started(fq_serving *self, PyObject *service)
{
    if (!PyObject_TypeCheck(service, self->state->service_type)) {
        PyErr_Format(PyExc_TypeError, "start() gave %.100s, not a Service",
                     Py_TYPE(service)->tp_name);
        return -1;
    }
    Py_XSETREF(self->base.service, Py_NewRef(service));
    return self->kind->enter(self);
}

int
fq_serving_send_farewell(fq_serving *self)
{
    PyObject *message = self->farewell;
    self->farewell = NULL;
    return fq_serving_send(self, message);
}

int
fq_serving_open_session(fq_serving *self, fq_service *service,
                        const fq_protocol_kind *protocol, fq_visitor *visitor)
{
    fq_status status = fq_session_open(
        service, protocol, fq_loop_mailbox_peek(self->base.mailbox),
        &self->base, visitor, &self->base.port);
    if (status == FQ_OK)
        return 1;
    if (status == FQ_ERR_CLOSED)
        return self->kind->unavailable(self);
    PyErr_NoMemory();
    return -1;
}

int
fq_serving_give(fq_serving *self, fq_rcbuf *text, bool *ppause)
{
    fq_status status = fq_port_receive(self->base.port, text, ppause);
    if (status == FQ_OK)
        return 0;
    if (status != FQ_ERR_NOMEM)
        return self->kind->unavailable(self);
    PyErr_NoMemory();
    return -1;
}

/* ── the type ── */

int
fq_serving_init_object(fq_serving *self, const fq_serving_kind *kind,
                       PyObject *service, PyObject *start, PyObject *scope,
                       PyObject *receive, PyObject *send)
{
    self->state = fq_state_of((PyObject *)self);
    self->kind = kind;
    self->phase = FQ_SERVING_NEW;
    if (service != NULL && service != Py_None
        && !PyObject_TypeCheck(service, self->state->service_type)) {
        PyErr_Format(PyExc_TypeError, "service is %.100s, not a Service",
                     Py_TYPE(service)->tp_name);
        return -1;
    }
    self->base.news = fq_serving_news;
    self->base.service = Py_NewRef(service == NULL ? Py_None : service);
    self->base.scope = Py_NewRef(scope);
    self->start = Py_XNewRef(start);
    self->receive = Py_NewRef(receive);
    self->send = Py_NewRef(send);
    return 0;
}

int
fq_serving_traverse(fq_serving *self, visitproc visit, void *arg)
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

int
fq_serving_clear(fq_serving *self)
{
    fq_drive_clear(&self->in);
    fq_drive_clear(&self->out);
    fq_serving_release(self);
    Py_CLEAR(self->outcome);
    return 0;
}

void
fq_serving_dealloc(fq_serving *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fq_serving_clear(self);
    fq_port_object_fini(&self->base);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef serving_methods[] = {
    {"send", (PyCFunction)serving_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))serving_throw, METH_FASTCALL,
     throw_doc},
    {"close", (PyCFunction)serving_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(serving_doc, "An awaitable that serves one ASGI scope. Private, "
                          "made by others.");

static PyType_Slot serving_slots[] = {
    {Py_tp_doc, (void *)serving_doc},      {Py_tp_methods, serving_methods},
    {Py_am_await, PyObject_SelfIter},      {Py_am_send, serving_am_send},
    {Py_tp_iter, PyObject_SelfIter},       {Py_tp_iternext, serving_next},
    {Py_tp_traverse, fq_serving_traverse}, {Py_tp_clear, fq_serving_clear},
    {Py_tp_dealloc, fq_serving_dealloc},   {0, NULL},
};

static PyType_Spec serving_spec = {
    .name = "fraiseql_asgi._core.Serving",
    .basicsize = sizeof(fq_serving),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = serving_slots,
};

int
fq_serving_init(PyObject *module, fq_state *state)
{
    state->serving_type = fq_state_add_type(module, &serving_spec,
                                            state->port_object_type);
    return state->serving_type == NULL ? -1 : 0;
}
