/* SPDX-License-Identifier: MIT */
/* GraphQLTransportWSHandler: one client's graphql-transport-ws for servers
 * that speak no ASGI. It does no I/O: texts go in and come out, in whatever
 * way the owner reads and writes. A port object like a WebSocket, whose news
 * are a callback. Thread: that of the loop it was made in for callbacks;
 * methods any that holds the GIL, one at a time. */
#include "base/clock.h"
#include "python/convert.h"
#include "python/entrance.h"
#include "python/errors.h"
#include "python/parts.h"
#include "python/port_object.h"
#include "python/publish.h"
#include "python/service_object.h"
#include "protocol/graphql_transport_ws.h"
#include "reactor/session.h"

/* The reactor answers in microseconds unless it has much to dispatch; this is
 * no more than a bound. */
#define ANSWER_TIMEOUT_NS (60 * UINT64_C(1000000000))

typedef struct ws_handler {
    fq_port_object base;
    PyObject *on_ready; /* NULL: nobody is told */
} ws_handler;

/* Waits until the reactor has done what it was given before. */
static int
flush(ws_handler *self)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_ticket *done;
    fq_status status = fq_ticket_new(NULL, NULL, &done);
    if (status != FQ_OK) {
        fq_errors_raise(state, status, NULL);
        return -1;
    }
    status = fq_port_flush(self->base.port, done);
    int result = fq_service_object_await(state, status, done);
    fq_ticket_unref(done);
    return result;
}

static int
check_open(ws_handler *self)
{
    if (fq_port_object_is_open(&self->base))
        return 0;
    fq_errors_raise_class(fq_state_of((PyObject *)self)->ClosedError,
                          "the connection has ended", NULL);
    return -1;
}

PyDoc_STRVAR(
    receive_text_doc,
    "receive_text($self, text, /)\n--\n\n"
    "Take one text message of the client (of a binary one, its text).\n\n"
    "When this returns the engine has read it, and `outgoing()` has what it\n"
    "answered at once; what takes a handler or a resolver comes later.\n\n"
    "Raises:\n"
    "    ClosedError: after `closed()`, or when the manager was stopped.\n"
    "    TypeError: it is no str.");

static PyObject *
ws_handler_receive_text(ws_handler *self, PyObject *text)
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "text must be a str, not %.200s",
                     Py_TYPE(text)->tp_name);
        return NULL;
    }
    if (check_open(self) < 0)
        return NULL;
    fq_rcbuf *rcbuf;
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8",
                                                "surrogatepass");
    if (bytes == NULL)
        return NULL;
    fq_status status = fq_rcbuf_new(
        fq_str_make(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)),
        &rcbuf);
    Py_DECREF(bytes);
    bool pause;
    if (status == FQ_OK)
        status = fq_port_receive(self->base.port, rcbuf, &pause);
    if (status != FQ_OK)
        return fq_errors_raise(state, status, NULL);
    if (flush(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(outgoing_doc,
             "outgoing($self, /)\n--\n\n"
             "The texts to send to the client now, in order; they are given "
             "once.\n\nSend them before the close that `close_code` asks "
             "for.");

static PyObject *
ws_handler_outgoing(ws_handler *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *list = PyList_New(0);
    fq_queue_item item;
    fq_close close;
    while (list != NULL && fq_port_object_is_open(&self->base)
           && fq_port_take(self->base.port, &item, 1, &close) == 1) {
        PyObject *text = fq_convert_item_text(&item);
        fq_queue_item_fini(&item);
        if (text == NULL || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

/* The close that is due, once all texts are taken. */
static bool
has_close(ws_handler *self, fq_close *close)
{
    if (!fq_port_object_is_open(&self->base))
        return false;
    (void)fq_port_take(self->base.port, NULL, 0, close);
    return close->code != 0;
}

static PyObject *
ws_handler_get_close_code(ws_handler *self, void *Py_UNUSED(closure))
{
    fq_close close;
    if (!has_close(self, &close))
        Py_RETURN_NONE;
    return PyLong_FromLong(close.code);
}

static PyObject *
ws_handler_get_close_reason(ws_handler *self, void *Py_UNUSED(closure))
{
    fq_close close;
    if (!has_close(self, &close))
        Py_RETURN_NONE;
    return fq_convert_str(fq_str_make(close.reason, close.reason_len));
}

PyDoc_STRVAR(
    next_timeout_doc,
    "next_timeout($self, /)\n--\n\n"
    "Seconds until the connection may change by time alone (no\n"
    "connection_init, an answer of the auth handler that does not come, the "
    "end\nof a context): look at `outgoing()` and `close_code` then, after "
    "`tick()`.\nNone: never. With `on_ready` there is no need to.");

static PyObject *
ws_handler_next_timeout(ws_handler *self, PyObject *Py_UNUSED(ignored))
{
    if (!fq_port_object_is_open(&self->base))
        Py_RETURN_NONE;
    /* relaxed: the number stands for itself. */
    uint64_t at_ns = atomic_load_explicit(&self->base.port->deadline_ns,
                                          memory_order_relaxed);
    uint64_t now_ns = fq_clock_now_ns();
    if (at_ns == UINT64_MAX)
        Py_RETURN_NONE;
    return PyFloat_FromDouble(
        at_ns > now_ns ? (double)(at_ns - now_ns) / FQ_NS_PER_S : 0.0);
}

PyDoc_STRVAR(tick_doc, "tick($self, /)\n--\n\n"
                       "Let the engine do what is due. Harmless at any time.");

static PyObject *
ws_handler_tick(ws_handler *self, PyObject *Py_UNUSED(ignored))
{
    if (fq_port_object_is_open(&self->base) && flush(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(on_ready_doc,
             "on_ready($self, callback, /)\n--\n\n"
             "Call `callback()` in the event loop when there is something to "
             "send or a close\nto make; None: nobody. Called at once if there "
             "is already.");

static PyObject *
ws_handler_on_ready(ws_handler *self, PyObject *callback)
{
    if (callback != Py_None && !PyCallable_Check(callback)) {
        PyErr_Format(PyExc_TypeError,
                     "callback must be callable or None, not %.200s",
                     Py_TYPE(callback)->tp_name);
        return NULL;
    }
    Py_XSETREF(self->on_ready,
               callback == Py_None ? NULL : Py_NewRef(callback));
    if (self->on_ready != NULL && fq_port_object_is_open(&self->base)
        && fq_port_is_ready(self->base.port))
        return PyObject_CallNoArgs(callback);
    Py_RETURN_NONE;
}

/* A callback that raises is the application's: the loop's other mail must not
 * suffer. */
static int
ws_handler_news(fq_port_object *base)
{
    ws_handler *self = (ws_handler *)base;
    if (self->on_ready == NULL || !fq_port_object_is_open(base)
        || !fq_port_is_ready(base->port))
        return 0;
    PyObject *callback = Py_NewRef(self->on_ready);
    PyObject *result = PyObject_CallNoArgs(callback);
    if (result == NULL
        && (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)
            || PyErr_ExceptionMatches(PyExc_SystemExit))) {
        Py_DECREF(callback);
        return -1;
    }
    if (result == NULL)
        PyErr_WriteUnraisable(callback);
    Py_XDECREF(result);
    Py_DECREF(callback);
    return 0;
}

PyDoc_STRVAR(closed_doc,
             "closed($self, /)\n--\n\n"
             "The connection is gone, whoever closed it: end everything. To "
             "be called\nonce it is; harmless twice.");

static PyObject *
ws_handler_closed(ws_handler *self, PyObject *Py_UNUSED(ignored))
{
    Py_CLEAR(self->on_ready);
    fq_port_object_close(&self->base, NULL);
    Py_RETURN_NONE;
}

/* ── the beginning ── */

static bool
has_running_loop(fq_state *state)
{
    PyObject *loop = PyObject_CallNoArgs(state->get_running_loop);
    if (loop == NULL)
        PyErr_Clear();
    Py_XDECREF(loop);
    return loop != NULL;
}

static int
open_session(ws_handler *self, fq_state *state, PyObject *service)
{
    fq_loop_mailbox *mailbox = fq_loop_mailbox_use(state);
    if (mailbox == NULL)
        return -1;
    if (fq_port_object_start(&self->base, service, mailbox) < 0) {
        fq_loop_mailbox_unuse(mailbox);
        return -1;
    }
    fq_verdict verdict;
    if (fq_entrance_ask(service, self->base.scope, false, &verdict) < 0)
        return -1;
    fq_status status = FQ_ERR_LIMIT;
    if (verdict.http_status == 0)
        status = fq_session_open(fq_service_object_peek(service),
                                 &fq_graphql_transport_ws,
                                 fq_loop_mailbox_peek(mailbox), &self->base,
                                 verdict.visitor, &self->base.port);
    if (status == FQ_OK)
        return flush(self);
    fq_errors_raise(state, status, NULL);
    return -1;
}

static PyObject *
ws_handler_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"manager", "scope", NULL};
    fq_state *state = fq_state_of_type(type);
    PyObject *manager, *scope = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs,
                                     "O|$O:GraphQLTransportWSHandler",
                                     keywords, &manager, &scope))
        return NULL;
    if (!has_running_loop(state))
        return PyObject_CallMethod(manager, "_make_in_own_loop", "OO", type,
                                   scope);
    PyObject *service = PyObject_CallMethod(manager, "_service", NULL);
    if (service == NULL)
        return NULL;
    ws_handler *self = NULL;
    if (!PyObject_TypeCheck(service, state->service_type))
        PyErr_SetString(PyExc_TypeError, "manager must be a manager");
    else if (fq_service_object_peek(service) != NULL)
        self = (ws_handler *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->base.news = ws_handler_news;
        if (scope != Py_None)
            self->base.scope = Py_NewRef(scope);
        if (open_session(self, state, service) < 0)
            Py_CLEAR(self);
    }
    Py_DECREF(service);
    return (PyObject *)self;
}

/* ── the type ── */

static int
ws_handler_traverse(ws_handler *self, visitproc visit, void *arg)
{
    Py_VISIT(self->on_ready);
    return fq_port_object_traverse(&self->base, visit, arg);
}

static int
ws_handler_clear(ws_handler *self)
{
    Py_CLEAR(self->on_ready);
    fq_port_object_close(&self->base, NULL);
    return 0;
}

static void
ws_handler_dealloc(ws_handler *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ws_handler_clear(self);
    fq_port_object_fini(&self->base);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef ws_handler_methods[] = {
    {"receive_text", (PyCFunction)ws_handler_receive_text, METH_O,
     receive_text_doc},
    {"outgoing", (PyCFunction)ws_handler_outgoing, METH_NOARGS, outgoing_doc},
    {"next_timeout", (PyCFunction)ws_handler_next_timeout, METH_NOARGS,
     next_timeout_doc},
    {"tick", (PyCFunction)ws_handler_tick, METH_NOARGS, tick_doc},
    {"on_ready", (PyCFunction)ws_handler_on_ready, METH_O, on_ready_doc},
    {"closed", (PyCFunction)ws_handler_closed, METH_NOARGS, closed_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef ws_handler_getset[] = {
    {"close_code", (getter)ws_handler_get_close_code, NULL,
     "The code to close the connection with, once all that `outgoing()` gave "
     "is sent;\nNone: it stays open, or there is more to send.",
     NULL},
    {"close_reason", (getter)ws_handler_get_close_reason, NULL,
     "The reason that goes with it, at most 123 bytes of UTF-8, or None.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(
    ws_handler_doc,
    "GraphQLTransportWSHandler(manager, *, scope=None)\n--\n\n"
    "One client's side of graphql-transport-ws, without I/O: for servers "
    "that speak no\nASGI.\n\n"
    "To be made when a WebSocket with the subprotocol graphql-transport-ws "
    "has been\naccepted. Give it what the client sends, send what "
    "`outgoing()` gives, close\nwhen `close_code` says so, and call "
    "`closed()` at the end.\n\n"
    "Resolvers, handlers and `on_ready` run in the event loop it was made in; "
    "where\nnone runs, in one that the manager runs in a thread of its "
    "own.\n\n"
    "Args:\n"
    "    manager: whose subscriptions are served.\n"
    "    scope: what handlers and resolvers get as the ASGI scope.");

static PyType_Slot ws_handler_slots[] = {
    {Py_tp_doc, (void *)ws_handler_doc},   {Py_tp_new, ws_handler_new},
    {Py_tp_methods, ws_handler_methods},   {Py_tp_getset, ws_handler_getset},
    {Py_tp_traverse, ws_handler_traverse}, {Py_tp_clear, ws_handler_clear},
    {Py_tp_dealloc, ws_handler_dealloc},   {0, NULL},
};

static PyType_Spec ws_handler_spec = {
    .name = "fraiseql_asgi._core.GraphQLTransportWSHandler",
    .basicsize = sizeof(ws_handler),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = ws_handler_slots,
};

int
fq_transport_ws_handler_init(PyObject *module, fq_state *state)
{
    state->transport_ws_handler_type = fq_state_add_type(
        module, &ws_handler_spec, state->port_object_type);
    return state->transport_ws_handler_type == NULL ? -1 : 0;
}
