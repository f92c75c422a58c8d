/* SPDX-License-Identifier: MIT */
/* EventBus: which bus, and, once connected, a use of the reactor and the
 * bus's door. Thread: loop (any thread that holds the GIL). */
#include "python/event_bus.h"

#include <string.h>
#include <structmember.h>

#include "base/clock.h"
#include "bus/bus.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/event_object.h"
#include "python/loop_mailbox.h"
#include "python/notices_object.h"
#include "python/parts.h"
#include "python/postgres_bus.h"
#include "python/publish.h"
#include "python/redis_bus.h"
#include "reactor/service.h"

/* How long EventBus.publish waits for room. */
#define PUBLISH_TIMEOUT_NS (5 * UINT64_C(1000000000))
/* And EventBus.position for an answer. */
#define POSITION_TIMEOUT_NS (5 * UINT64_C(1000000000))

typedef struct event_bus {
    PyObject_HEAD
    PyObject *bus_type;      /* str */
    PyObject *settings;      /* dict of the bus's own */
    fq_reactor *reactor;     /* one use while connected, else NULL */
    fq_publisher *publisher; /* one reference while connected, else NULL */
    bool is_closed;
    bool is_followed; /* somebody has the notices of |publisher| */
    PyObject *weakrefs;
} event_bus;

/* Lets go of the door. In a forked child it is left to itself: its locks may
 * be held by threads that are not here. */
static void
disconnect(event_bus *self)
{
    fq_reactor *reactor = self->reactor;
    fq_publisher *publisher = self->publisher;
    self->reactor = NULL;
    self->publisher = NULL;
    self->is_followed = false;
    if (reactor == NULL)
        return;
    if (fq_reactor_is_forked(reactor)) {
        fq_publisher_abandon(publisher);
        return;
    }
    Py_BEGIN_ALLOW_THREADS
    fq_publisher_close(publisher);
    fq_publisher_unref(publisher);
    fq_reactor_release(reactor);
    Py_END_ALLOW_THREADS
}

/* ── which bus ── */

/* *pn gets the number |name| of |settings|, if it has one. */
static int
read_size(PyObject *settings, const char *name, size_t *pn)
{
    PyObject *value = PyDict_GetItemString(settings, name);
    size_t n = value != NULL ? PyLong_AsSize_t(value) : *pn;
    if (n == (size_t)-1 && PyErr_Occurred())
        return -1;
    *pn = n;
    return 0;
}

static int
read_history(PyObject *settings, fq_history_limits *limits)
{
    PyObject *seconds = PyDict_GetItemString(settings, "history_seconds");
    if (seconds != NULL) {
        double n = PyFloat_AsDouble(seconds);
        if (n == -1 && PyErr_Occurred())
            return -1;
        limits->max_age_ns = (uint64_t)(n * FQ_NS_PER_S);
    }
    if (read_size(settings, "history_events", &limits->max_events) < 0)
        return -1;
    return read_size(settings, "history_bytes", &limits->max_bytes);
}

static int
make_memory(fq_state *state, PyObject *settings, fq_bus **pbus)
{
    fq_history_limits history = fq_history_limits_default;
    if (read_history(settings, &history) < 0)
        return -1;
    fq_status status = fq_bus_memory_new(&history, pbus);
    if (status == FQ_OK)
        return 0;
    fq_errors_raise(state, status, NULL);
    return -1;
}

/* Each makes a bus of |settings|, a dict that config.py has checked. Returns 0,
 * or -1 with an exception. */
static const struct bus_kind {
    const char *bus_type;
    int (*make)(fq_state *state, PyObject *settings, fq_bus **pbus);
} bus_kinds[] = {
    {"memory", make_memory},
    {"redis", fq_redis_bus_make},
    {"postgresql", fq_postgres_bus_make},
};

/* NULL: there is no such bus. */
static const struct bus_kind *
find_kind(PyObject *bus_type)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(bus_kinds); i++) {
        if (PyUnicode_CompareWithASCIIString(bus_type, bus_kinds[i].bus_type)
            == 0)
            return &bus_kinds[i];
    }
    return NULL;
}

/* ── the door ── */

static int
connect_bus(fq_state *state, event_bus *self)
{
    fq_reactor *reactor = fq_state_reactor(state);
    if (reactor == NULL)
        return -1;
    fq_bus *bus;
    if (find_kind(self->bus_type)->make(state, self->settings, &bus) < 0)
        goto fail;
    fq_publisher *publisher;
    fq_status status = fq_publisher_new(reactor, bus, &publisher);
    if (status == FQ_OK) {
        self->reactor = reactor;
        self->publisher = publisher;
        return 0;
    }
    fq_bus_free(bus);
    fq_errors_raise(state, status, NULL);

fail:;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    Py_BEGIN_ALLOW_THREADS
    fq_reactor_release(reactor);
    Py_END_ALLOW_THREADS
    PyErr_Restore(type, value, traceback);
    return -1;
}

int
fq_event_bus_connect(PyObject *bus, fq_publisher **ppublisher)
{
    event_bus *self = (event_bus *)bus;
    fq_state *state = fq_state_of(bus);
    *ppublisher = NULL;
    if (self->is_closed) {
        fq_errors_raise_class(state->ClosedError, "the event bus is closed",
                              NULL);
        return -1;
    }
    if (self->reactor != NULL && fq_reactor_is_forked(self->reactor))
        disconnect(self);
    if (self->publisher == NULL && connect_bus(state, self) < 0)
        return -1;
    *ppublisher = fq_publisher_ref(self->publisher);
    return 0;
}

static PyObject *
event_bus_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"bus_type", "settings", NULL};
    PyObject *bus_type, *settings = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|O!:EventBus", keywords,
                                     &bus_type, &PyDict_Type, &settings))
        return NULL;
    if (find_kind(bus_type) == NULL) {
        PyErr_Format(fq_state_of_type(type)->ConfigError,
                     "unknown bus type %R: see EventBusConfig", bus_type);
        return NULL;
    }
    settings = settings == NULL ? PyDict_New() : PyDict_Copy(settings);
    if (settings == NULL)
        return NULL;
    event_bus *self = (event_bus *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(settings);
        return NULL;
    }
    self->bus_type = Py_NewRef(bus_type);
    self->settings = settings;
    return (PyObject *)self;
}

static void
event_bus_dealloc(event_bus *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    disconnect(self);
    Py_XDECREF(self->bus_type);
    Py_XDECREF(self->settings);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    publish_doc,
    "publish($self, event, /)\n--\n\n"
    "Publish an Event; returns the id the bus gave it.\n"
    "\n"
    "Where an event loop runs it returns at once, None unless the bus "
    "is the\n"
    "embedded one; elsewhere it waits at most 5 seconds for the bus to "
    "have it.\n"
    "\n"
    "Raises:\n"
    "    QueueFull: no room, where an event loop runs.\n"
    "    PublishTimeout: not taken within 5 seconds, elsewhere.\n"
    "    BusError: refused by the bus, elsewhere.\n"
    "    ClosedError: the bus was closed.\n"
    "\n"
    "Thread: any.");

static PyObject *
event_bus_publish(event_bus *self, PyObject *value)
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (!fq_event_object_check(state, value)) {
        PyErr_Format(PyExc_TypeError, "event must be an Event, not %.200s",
                     Py_TYPE(value)->tp_name);
        return NULL;
    }
    fq_publisher *publisher;
    if (fq_event_bus_connect((PyObject *)self, &publisher) < 0)
        return NULL;
    fq_event *event;
    PyObject *id = NULL;
    if (fq_publish_make_event(state, value, NULL, NULL,
                              fq_limits_default.event_max_bytes, &event)
        == 0) {
        fq_publish_how how = {.timeout_ns = PUBLISH_TIMEOUT_NS};
        id = fq_publish_blocking(state, publisher, event, &how);
    }
    fq_publisher_unref(publisher);
    return id;
}

PyDoc_STRVAR(position_doc,
             "position($self, /)\n--\n\n"
             "Where the bus is now: a subscription `after` this gets what is "
             "published from\n"
             "now on, and perhaps what is on its way to it.\n"
             "\n"
             "Raises:\n"
             "    ClosedError: the bus was closed.\n"
             "    BusError: it does not know.\n"
             "\n"
             "Thread: any; it waits for the reactor, which waits for nobody.");

static PyObject *
event_bus_position(event_bus *self, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_publisher *publisher;
    if (fq_event_bus_connect((PyObject *)self, &publisher) < 0)
        return NULL;
    fq_ticket *done = NULL;
    fq_status status = fq_ticket_new(NULL, NULL, &done);
    if (status == FQ_OK)
        status = fq_publisher_position(publisher, done);
    if (status == FQ_OK) {
        Py_BEGIN_ALLOW_THREADS
        status = fq_ticket_wait(done, POSITION_TIMEOUT_NS);
        Py_END_ALLOW_THREADS
        if (status == FQ_OK)
            status = done->status;
        else
            status = FQ_ERR_SYSTEM;
    }
    PyObject *position = status == FQ_OK
                             ? fq_convert_str(fq_rcbuf_str(done->text))
                             : fq_errors_raise(state, status, NULL);
    fq_ticket_unref(done);
    fq_publisher_unref(publisher);
    return position;
}

PyDoc_STRVAR(notices_doc,
             "notices($self, /)\n--\n\n"
             "What is to be said of the bus in the log: a Notices for who "
             "asks first, None\nfor others and where there is nothing to "
             "say.");

static PyObject *
event_bus_notices(event_bus *self, PyObject *Py_UNUSED(ignored))
{
    fq_publisher *publisher;
    if (fq_event_bus_connect((PyObject *)self, &publisher) < 0)
        return NULL;
    PyObject *result = NULL;
    fq_notices *notices = fq_publisher_notices(publisher);
    if (notices == NULL || self->is_followed)
        result = Py_NewRef(Py_None);
    else
        result = fq_notices_object_new(fq_state_of((PyObject *)self), notices);
    self->is_followed = self->is_followed || result != NULL;
    fq_publisher_unref(publisher);
    return result;
}

PyDoc_STRVAR(
    close_doc,
    "close($self, /)\n--\n\n"
    "End the bus: what was published before is still delivered, publishing\n"
    "raises ClosedError from now on. Harmless twice.");

static PyObject *
event_bus_close(event_bus *self, PyObject *Py_UNUSED(ignored))
{
    self->is_closed = true;
    disconnect(self);
    Py_RETURN_NONE;
}

static PyObject *
event_bus_repr(event_bus *self)
{
    const char *is = self->is_closed           ? "closed"
                     : self->publisher == NULL ? "not connected"
                                               : "connected";
    return PyUnicode_FromFormat("<EventBus %U, %s>", self->bus_type, is);
}

/* ── waiting for the connection ── */

static PyObject *
raise_not_up(fq_state *state, const fq_ticket *ticket)
{
    fq_error error = {.status = ticket->status};
    if (ticket->text != NULL)
        fq_error_set(&error, ticket->status, FQ_ERROR_NO_POS, "%s",
                     ticket->text->bytes);
    return fq_errors_raise(state, ticket->status, &error);
}

/* Asks for |ticket| to be completed when the bus is up. */
static int
ask_up(event_bus *self, PyObject *timeout, fq_ticket *ticket)
{
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred())
        return -1;
    fq_publisher *publisher;
    if (fq_event_bus_connect((PyObject *)self, &publisher) < 0)
        return -1;
    fq_status status = fq_publisher_await_up(
        publisher, fq_clock_now_ns() + (uint64_t)(seconds * FQ_NS_PER_S),
        ticket);
    fq_publisher_unref(publisher);
    if (status != FQ_OK)
        fq_errors_raise(fq_state_of((PyObject *)self), status, NULL);
    return status == FQ_OK ? 0 : -1;
}

PyDoc_STRVAR(wait_up_doc,
             "wait_up($self, timeout, /)\n--\n\n"
             "Return when the bus is connected, or raise BusError with the "
             "server's words\n"
             "when an attempt has failed or `timeout` seconds have passed. "
             "Blocks.");

static PyObject *
event_bus_wait_up(event_bus *self, PyObject *timeout)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_ticket *ticket;
    fq_status status = fq_ticket_new(NULL, NULL, &ticket);
    if (status != FQ_OK)
        return fq_errors_raise(state, status, NULL);
    PyObject *result = NULL;
    /* The reactor keeps the time. */
    if (ask_up(self, timeout, ticket) == 0
        && fq_publish_wait_ticket(ticket, UINT64_MAX / 2) == 1) {
        if (ticket->status == FQ_OK)
            result = Py_NewRef(Py_None);
        else
            raise_not_up(state, ticket);
    }
    fq_ticket_unref(ticket);
    return result;
}

static PyObject *
make_up_result(fq_state *state, fq_ticket *ticket)
{
    if (ticket->status == FQ_OK)
        Py_RETURN_NONE;
    return raise_not_up(state, ticket);
}

PyDoc_STRVAR(when_up_doc, "when_up($self, timeout, /)\n--\n\n"
                          "A future of the running loop: wait_up.");

static PyObject *
event_bus_when_up(event_bus *self, PyObject *timeout)
{
    fq_loop_mailbox *mailbox = fq_loop_mailbox_use(
        fq_state_of((PyObject *)self));
    if (mailbox == NULL)
        return NULL;
    fq_ticket *ticket;
    PyObject *future = fq_loop_mailbox_await_ticket(mailbox, make_up_result,
                                                    &ticket);
    fq_loop_mailbox_unuse(mailbox);
    if (future == NULL)
        return NULL;
    if (ask_up(self, timeout, ticket) < 0) {
        fq_ticket_complete(ticket, FQ_OK, NULL);
        Py_CLEAR(future);
    }
    fq_ticket_unref(ticket);
    return future;
}

static PyMethodDef event_bus_methods[] = {
    {"wait_up", (PyCFunction)event_bus_wait_up, METH_O, wait_up_doc},
    {"when_up", (PyCFunction)event_bus_when_up, METH_O, when_up_doc},
    {"publish", (PyCFunction)event_bus_publish, METH_O, publish_doc},
    {"position", (PyCFunction)event_bus_position, METH_NOARGS, position_doc},
    {"notices", (PyCFunction)event_bus_notices, METH_NOARGS, notices_doc},
    {"close", (PyCFunction)event_bus_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef event_bus_members[] = {
    {"bus_type", T_OBJECT_EX, offsetof(event_bus, bus_type), READONLY,
     "The kind of bus, such as \"memory\"."},
    {"_settings", T_OBJECT_EX, offsetof(event_bus, settings), READONLY,
     "What it was made with, secrets included."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(event_bus, weakrefs), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(event_bus_doc, "EventBus(bus_type, settings={})\n--\n\n"
                            "A bus that managers and executors can share; "
                            "`EventBusConfig.create_bus`\n"
                            "makes one. It connects at its first use.");

static PyType_Slot event_bus_slots[] = {
    {Py_tp_new, event_bus_new},
    {Py_tp_dealloc, event_bus_dealloc},
    {Py_tp_repr, event_bus_repr},
    {Py_tp_methods, event_bus_methods},
    {Py_tp_members, event_bus_members},
    {Py_tp_doc, (void *)event_bus_doc},
    {0, NULL},
};

static PyType_Spec event_bus_spec = {
    .name = "fraiseql_asgi._core.EventBus",
    .basicsize = sizeof(event_bus),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = event_bus_slots,
};

int
fq_event_bus_init(PyObject *module, fq_state *state)
{
    state->event_bus_type = fq_state_add_type(module, &event_bus_spec, NULL);
    return state->event_bus_type == NULL ? -1 : 0;
}
