/* SPDX-License-Identifier: MIT */
/* Feed: a port object whose port is polled. Thread: loop (any thread that
 * holds the GIL). */
#include "python/feed.h"

#include "python/convert.h"
#include "python/errors.h"
#include "python/parts.h"
#include "python/port_object.h"
#include "python/publish.h"
#include "python/resolver.h"
#include "python/security_context.h"
#include "reactor/feed.h"

/* The reactor answers in microseconds unless it has much to dispatch; this is
 * no more than a bound. */
#define ANSWER_TIMEOUT_NS (60 * UINT64_C(1000000000))

typedef struct feed {
    fq_port_object base;
    uint64_t token;  /* of its resolver; 0: none */
    bool is_counted; /* in service->n_feeds */
} feed;

/* Everything the call was given, in the reactor's words. */
typedef struct request {
    fq_feed_args args;
    fq_buf variables;
    fq_str channels[FQ_FIELD_CHANNELS_MAX];
    PyObject *connection_id;
    PyObject *resolver; /* borrowed, or NULL */
} request;

/* ── the end ── */

static void
feed_end(feed *self, fq_ticket *done)
{
    fq_service_object *service = (fq_service_object *)self->base.service;
    if (service != NULL) {
        if (self->token != 0)
            fq_service_object_drop_resolver(service, self->token);
        if (self->is_counted)
            service->n_feeds--;
    }
    self->token = 0;
    self->is_counted = false;
    fq_port_object_close(&self->base, done);
}

static int
feed_clear(feed *self)
{
    feed_end(self, NULL);
    return 0;
}

static void
feed_dealloc(feed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    feed_end(self, NULL);
    fq_port_object_fini(&self->base);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    close_doc,
    "close($self, /)\n--\n\n"
    "End the subscription: when this returns nothing of it is left. Harmless\n"
    "twice.");

static PyObject *
feed_close(feed *self, PyObject *Py_UNUSED(ignored))
{
    if (!fq_port_object_is_open(&self->base)
        || fq_reactor_is_forked(self->base.port->reactor)) {
        feed_end(self, NULL);
        Py_RETURN_NONE;
    }
    fq_ticket *done;
    fq_status status = fq_ticket_new(NULL, NULL, &done);
    if (status != FQ_OK)
        return fq_errors_raise(fq_state_of((PyObject *)self), status, NULL);
    feed_end(self, fq_ticket_ref(done));
    int result = fq_publish_wait_ticket(done, ANSWER_TIMEOUT_NS);
    fq_ticket_unref(done);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ── reading ── */

PyDoc_STRVAR(next_doc,
             "next($self, /)\n--\n\n"
             "The oldest message, whole, as bytes; None when there is none.");

static PyObject *
feed_next(feed *self, PyObject *Py_UNUSED(ignored))
{
    if (!fq_port_object_is_open(&self->base))
        Py_RETURN_NONE;
    fq_queue_item item;
    fq_close close;
    if (fq_port_take(self->base.port, &item, 1, &close) == 0)
        Py_RETURN_NONE;
    PyObject *text = fq_convert_item_bytes(&item);
    fq_queue_item_fini(&item);
    return text;
}

/* ── the beginning ── */

static int
read_channels(PyObject *channels, request *request)
{
    if (channels == Py_None)
        return 0;
    PyObject *list = PySequence_Fast(channels, "channels must be a list");
    if (list == NULL)
        return -1;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    int result = 0;
    if (n == 0 || n > FQ_FIELD_CHANNELS_MAX) {
        PyErr_Format(PyExc_ValueError,
                     "channels must have 1 to %d names, not %zd",
                     FQ_FIELD_CHANNELS_MAX, n);
        result = -1;
    }
    for (Py_ssize_t i = 0; i < n && result == 0; i++)
        result = fq_convert_peek_str(PySequence_Fast_GET_ITEM(list, i),
                                     "channels", &request->channels[i]);
    request->args.channels = request->channels;
    request->args.n_channels = (size_t)n;
    /* The names are kept by |channels|, which is a list or tuple. */
    Py_DECREF(list);
    return result;
}

static int
read_variables(fq_state *state, PyObject *variables, request *request)
{
    if (variables == Py_None)
        return 0;
    if (!PyMapping_Check(variables) || PyUnicode_Check(variables)
        || PyList_Check(variables) || PyTuple_Check(variables)) {
        PyErr_Format(PyExc_TypeError,
                     "variables must be a dict or None, not %.200s",
                     Py_TYPE(variables)->tp_name);
        return -1;
    }
    if (fq_convert_to_json(state, variables, "variables", &request->variables)
        < 0)
        return -1;
    request->args.variables = fq_buf_str(&request->variables);
    return 0;
}

static int
read_request(fq_state *state, PyObject *const *args, Py_ssize_t n_args,
             request *request)
{
    if (n_args != 9) {
        PyErr_SetString(PyExc_TypeError, "feed() takes 9 arguments");
        return -1;
    }
    fq_feed_args *into = &request->args;
    if (fq_convert_peek_str(args[0], "subscription_id", &into->subscription_id)
            < 0
        || fq_convert_peek_str(args[1], "connection_id", &into->connection_id)
               < 0
        || fq_convert_peek_str(args[2], "query", &into->query) < 0
        || fq_convert_peek_optional_str(args[3], "operation_name",
                                        &into->operation_name)
               < 0
        || read_variables(state, args[4], request) < 0
        || read_channels(args[6], request) < 0)
        return -1;
    request->connection_id = args[1];
    if (args[5] != Py_None) {
        if (!PyObject_TypeCheck(args[5], state->resolver_type)) {
            PyErr_SetString(PyExc_TypeError, "resolver must be a Resolver");
            return -1;
        }
        request->resolver = args[5];
    }
    into->kind = request->resolver == NULL ? FQ_FIELD_EVENT
                                           : FQ_FIELD_RESOLVER;
    if (!fq_security_context_object_check(state, args[8])) {
        PyErr_Format(PyExc_TypeError,
                     "security must be a SecurityContext, not %.200s",
                     Py_TYPE(args[8])->tp_name);
        return -1;
    }
    into->context = fq_security_context_object_peek(args[8]);
    return fq_service_object_read_returns(args[7], &into->returns);
}

/* The object with all that a call for it will need, and no port yet. */
static feed *
new_feed(fq_state *state, fq_service_object *service, request *request)
{
    PyTypeObject *type = state->feed_type;
    feed *self = (feed *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    fq_loop_mailbox *mailbox = NULL;
    if (request->resolver != NULL) {
        mailbox = fq_loop_mailbox_use(state);
        if (mailbox == NULL)
            goto fail;
    }
    if (fq_port_object_start(&self->base, (PyObject *)service, mailbox) < 0) {
        if (mailbox != NULL)
            fq_loop_mailbox_unuse(mailbox);
        goto fail;
    }
    self->base.connection_id = Py_NewRef(request->connection_id);
    if (request->resolver != NULL
        && fq_service_object_add_resolver(service, request->resolver,
                                          &self->token)
               < 0)
        goto fail;
    request->args.token = self->token;
    return self;
fail:
    Py_DECREF(self);
    return NULL;
}

/* Waits until the reactor has subscribed it. */
static int
await_open(fq_state *state, fq_ticket *done, PyObject *subscription_id)
{
    int result = fq_publish_wait_ticket(done, ANSWER_TIMEOUT_NS);
    if (result < 0)
        return -1;
    if (result == 0) {
        fq_errors_raise_class(state->SubscriptionError,
                              "the engine did not answer in time", NULL);
        return -1;
    }
    if (done->status == FQ_OK)
        return 0;
    fq_str errors = {NULL, 0};
    if (done->text != NULL)
        errors = fq_rcbuf_str(done->text);
    PyObject *context = Py_BuildValue("{sO}", "subscription_id",
                                      subscription_id);
    if (context == NULL)
        return -1;
    fq_errors_raise_request(state, done->status, errors, context);
    Py_DECREF(context);
    return -1;
}

PyObject *
fq_feed_object_open(fq_service_object *service, PyObject *const *args,
                    Py_ssize_t n_args)
{
    fq_state *state = fq_state_of((PyObject *)service);
    fq_service *peer = fq_service_object_peek((PyObject *)service);
    if (peer == NULL)
        return NULL;
    request request = {.args = {.returns = FQ_RETURNS_FIELD}};
    fq_buf_init(&request.variables);
    fq_ticket *done = NULL;
    feed *self = NULL;
    if (read_request(state, args, n_args, &request) < 0)
        goto fail;
    self = new_feed(state, service, &request);
    if (self == NULL)
        goto fail;
    fq_mailbox *mailbox = self->base.mailbox == NULL
                              ? NULL
                              : fq_loop_mailbox_peek(self->base.mailbox);
    fq_status status = fq_ticket_new(NULL, NULL, &done);
    if (status == FQ_OK)
        status = fq_feed_open(peer, &request.args, mailbox, self, done,
                              &self->base.port);
    if (status != FQ_OK) {
        fq_errors_raise(state, status, NULL);
        goto fail;
    }
    service->n_feeds++;
    self->is_counted = true;
    if (await_open(state, done, args[0]) < 0)
        goto fail;
    fq_buf_fini(&request.variables);
    fq_ticket_unref(done);
    return (PyObject *)self;

fail:;
    PyObject *type, *exception, *traceback;
    PyErr_Fetch(&type, &exception, &traceback);
    if (self != NULL)
        feed_end(self, NULL);
    Py_XDECREF(self);
    PyErr_Restore(type, exception, traceback);
    fq_buf_fini(&request.variables);
    fq_ticket_unref(done);
    return NULL;
}

/* ── the type ── */

static int
feed_traverse(feed *self, visitproc visit, void *arg)
{
    return fq_port_object_traverse(&self->base, visit, arg);
}

static PyMethodDef feed_methods[] = {
    {"next", (PyCFunction)feed_next, METH_NOARGS, next_doc},
    {"close", (PyCFunction)feed_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot feed_slots[] = {
    {Py_tp_dealloc, feed_dealloc},
    {Py_tp_traverse, feed_traverse},
    {Py_tp_clear, feed_clear},
    {Py_tp_methods, feed_methods},
    {Py_tp_doc, (void *)"A subscription that is read by polling."},
    {0, NULL},
};

static PyType_Spec feed_spec = {
    .name = "fraiseql_asgi._core.Feed",
    .basicsize = sizeof(feed),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = feed_slots,
};

int
fq_feed_init(PyObject *module, fq_state *state)
{
    state->feed_type = fq_state_add_type(module, &feed_spec,
                                         state->port_object_type);
    return state->feed_type == NULL ? -1 : 0;
}
