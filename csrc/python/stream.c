/* SPDX-License-Identifier: MIT */
/* Stream: a port object that wakes a future. Thread: loop; its end may come on
 * any thread that holds the GIL. */
#include "python/stream.h"

#include "python/convert.h"
#include "python/errors.h"
#include "python/parts.h"
#include "python/port_object.h"
#include "python/security_context.h"
#include "reactor/feed.h"

typedef struct stream {
    fq_port_object base;
    PyObject *opened;   /* future: the position where it begins or None, or why
                       * it was refused */
    PyObject *position; /* str: behind what was read last; NULL: none yet */
    PyObject *waiter;   /* future that news complete, or NULL */
} stream;

/* ── news ── */

static int
complete_waiter(stream *self)
{
    PyObject *waiter = self->waiter;
    if (waiter == NULL)
        return 0;
    self->waiter = NULL;
    Py_INCREF(self);
    if (self->base.mailbox != NULL)
        fq_loop_mailbox_release(self->base.mailbox, (PyObject *)self);
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *done = PyObject_CallMethodNoArgs(waiter, state->str_done);
    int is_done = done == NULL ? -1 : PyObject_IsTrue(done);
    Py_XDECREF(done);
    PyObject *set = NULL;
    if (is_done == 0)
        set = PyObject_CallMethodOneArg(waiter, state->str_set_result,
                                        Py_None);
    Py_DECREF(waiter);
    Py_XDECREF(set);
    Py_DECREF(self);
    return is_done == 1 || set != NULL ? 0 : -1;
}

static int
stream_news(fq_port_object *base)
{
    if (complete_waiter((stream *)base) < 0)
        PyErr_WriteUnraisable((PyObject *)base);
    return 0;
}

PyDoc_STRVAR(wait_doc, "wait($self, /)\n--\n\n"
                       "A future that is done when there is news; one at a "
                       "time.");

static PyObject *
stream_wait(stream *self, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_port_object *base = &self->base;
    if (!fq_port_object_is_open(base) || base->mailbox == NULL)
        return fq_errors_raise_class(state->ClosedError,
                                     "the subscription has ended", NULL);
    PyObject *waiter = PyObject_CallMethodNoArgs(
        fq_loop_mailbox_loop(base->mailbox), state->str_create_future);
    if (waiter == NULL
        || fq_loop_mailbox_hold(base->mailbox, (PyObject *)self) < 0) {
        Py_XDECREF(waiter);
        return NULL;
    }
    Py_XSETREF(self->waiter, Py_NewRef(waiter));
    if (fq_port_is_ready(base->port) && complete_waiter(self) < 0)
        Py_CLEAR(waiter);
    return waiter;
}

/* ── reading ── */

/* Remembers the position of |item|, which then is no part of its text. */
static int
take_position(stream *self, fq_queue_item *item)
{
    fq_rcbuf *position = item->position;
    if (position == NULL)
        return 0;
    item->position = NULL;
    PyObject *text = fq_convert_str(fq_rcbuf_str(position));
    fq_rcbuf_unref(position);
    if (text == NULL)
        return -1;
    Py_XSETREF(self->position, text);
    return 0;
}

/* The payload of |item|, whose text is `{"payload":…}`. */
static PyObject *
read_payload(fq_state *state, const fq_queue_item *item)
{
    PyObject *text = fq_convert_item_bytes(item);
    if (text == NULL)
        return NULL;
    PyObject *payload = NULL;
    PyObject *message = fq_convert_from_json(
        state,
        fq_str_make(PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text)));
    if (message != NULL)
        payload = PyDict_GetItemWithError(message, state->str_payload);
    Py_XINCREF(payload);
    Py_XDECREF(message);
    Py_DECREF(text);
    return payload;
}

PyDoc_STRVAR(take_doc,
             "take($self, /)\n--\n\n"
             "The oldest payload, a dict; a close, (code, reason); None: "
             "nothing yet.");

static PyObject *
stream_take(stream *self, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (!fq_port_object_is_open(&self->base))
        return Py_BuildValue("(is)", 1000, "closed");
    if (fq_reactor_is_forked(self->base.port->reactor))
        return Py_BuildValue("(is)", 1012,
                             "it belongs to the process before "
                             "the fork");
    fq_queue_item item;
    fq_close close;
    if (fq_port_take(self->base.port, &item, 1, &close) > 0) {
        PyObject *payload = NULL;
        if (take_position(self, &item) == 0)
            payload = read_payload(state, &item);
        fq_queue_item_fini(&item);
        return payload;
    }
    if (close.code == 0)
        Py_RETURN_NONE;
    return Py_BuildValue("(is#)", (int)close.code, close.reason,
                         (Py_ssize_t)close.reason_len);
}

/* ── the beginning ── */

/* What became of the request. */
static PyObject *
opened_result(fq_state *state, fq_ticket *ticket)
{
    if (ticket->status == FQ_OK && ticket->text != NULL)
        return fq_convert_str(fq_rcbuf_str(ticket->text));
    if (ticket->status == FQ_OK)
        Py_RETURN_NONE;
    fq_str errors = {NULL, 0};
    if (ticket->text != NULL)
        errors = fq_rcbuf_str(ticket->text);
    return fq_errors_raise_request(state, ticket->status, errors, NULL);
}

/* |self| asks the reactor. Returns 0, or -1 with an exception. */
static int
post_request(fq_state *state, stream *self, const fq_feed_args *args)
{
    fq_service_object *service = (fq_service_object *)self->base.service;
    fq_loop_mailbox *mailbox = self->base.mailbox;
    fq_ticket *done;
    self->opened = fq_loop_mailbox_await_ticket(mailbox, opened_result, &done);
    if (self->opened == NULL)
        return -1;
    fq_status status = fq_feed_open(service->service, args,
                                    fq_loop_mailbox_peek(mailbox), self, done,
                                    &self->base.port);
    if (status != FQ_OK) {
        fq_loop_mailbox_forget(mailbox, done);
        fq_errors_raise(state, status, NULL);
    }
    fq_ticket_unref(done);
    return status == FQ_OK ? 0 : -1;
}

static stream *
new_stream(fq_state *state, fq_service_object *service)
{
    PyTypeObject *type = state->stream_type;
    stream *self = (stream *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->base.news = stream_news;
    fq_loop_mailbox *mailbox = fq_loop_mailbox_use(state);
    if (mailbox != NULL
        && fq_port_object_start(&self->base, (PyObject *)service, mailbox)
               == 0)
        return self;
    if (mailbox != NULL)
        fq_loop_mailbox_unuse(mailbox);
    Py_DECREF(self);
    return NULL;
}

PyObject *
fq_stream_open(fq_service_object *service, PyObject *args)
{
    fq_state *state = fq_state_of((PyObject *)service);
    PyObject *id, *query, *operation_name, *variables, *security, *after;
    fq_feed_args request = {.is_stream = true};
    if (!PyArg_ParseTuple(args, "OOOOOO:stream", &id, &query, &operation_name,
                          &variables, &security, &after)
        || fq_convert_peek_str(id, "subscription_id", &request.subscription_id)
               < 0
        || fq_convert_peek_str(query, "query", &request.query) < 0
        || fq_convert_peek_optional_str(operation_name, "operation_name",
                                        &request.operation_name)
               < 0
        || fq_convert_peek_optional_str(after, "after", &request.after) < 0
        || fq_service_object_peek((PyObject *)service) == NULL)
        return NULL;
    stream *self = NULL;
    fq_buf buf = FQ_BUF_INIT;
    if (variables != Py_None) {
        if (fq_convert_to_json(state, variables, "variables", &buf) < 0)
            goto out;
        request.variables = fq_buf_str(&buf);
    }
    if (security != Py_None
        && fq_security_context_object_read(state, security, &request.context)
               < 0)
        goto out;
    /* The conversions may run code of the user that closes the service. */
    if (fq_service_object_peek((PyObject *)service) == NULL)
        goto out;
    self = new_stream(state, service);
    if (self != NULL && security != Py_None)
        self->base.security = Py_NewRef(security);
    if (self != NULL && post_request(state, self, &request) < 0)
        Py_CLEAR(self);
out:
    fq_security_context_unref(request.context);
    fq_buf_fini(&buf);
    return (PyObject *)self;
}

/* ── the end ── */

PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\n"
                        "End the subscription. Harmless twice.");

static PyObject *
stream_close(stream *self, PyObject *Py_UNUSED(ignored))
{
    int result = complete_waiter(self);
    fq_port_object_close(&self->base, NULL);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int
stream_traverse(stream *self, visitproc visit, void *arg)
{
    Py_VISIT(self->opened);
    Py_VISIT(self->position);
    Py_VISIT(self->waiter);
    return fq_port_object_traverse(&self->base, visit, arg);
}

static int
stream_clear(stream *self)
{
    fq_port_object_close(&self->base, NULL);
    Py_CLEAR(self->opened);
    Py_CLEAR(self->position);
    Py_CLEAR(self->waiter);
    return 0;
}

static void
stream_dealloc(stream *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    stream_clear(self);
    fq_port_object_fini(&self->base);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ── the type ── */

static PyObject *
stream_get_opened(stream *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->opened == NULL ? Py_None : self->opened);
}

static PyObject *
stream_get_position(stream *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->position == NULL ? Py_None : self->position);
}

static PyGetSetDef stream_getset[] = {
    {"opened", (getter)stream_get_opened, NULL,
     "A future that is done when it is live, with its position or None, or "
     "with why it\nwas refused.",
     NULL},
    {"position", (getter)stream_get_position, NULL,
     "The position of what was taken last; None: none yet.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef stream_methods[] = {
    {"take", (PyCFunction)stream_take, METH_NOARGS, take_doc},
    {"wait", (PyCFunction)stream_wait, METH_NOARGS, wait_doc},
    {"close", (PyCFunction)stream_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_traverse, stream_traverse},
    {Py_tp_clear, stream_clear},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, stream_getset},
    {Py_tp_doc, (void *)"A subscription that is read as messages come."},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "fraiseql_asgi._core.Stream",
    .basicsize = sizeof(stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = stream_slots,
};

int
fq_stream_init(PyObject *module, fq_state *state)
{
    state->stream_type = fq_state_add_type(module, &stream_spec,
                                           state->port_object_type);
    return state->stream_type == NULL ? -1 : 0;
}
