/* SPDX-License-Identifier: MIT */
/* EventBus: which bus, and, once connected, a use of the reactor and the
 * bus's door. Thread: loop (any thread that holds the GIL). */
#include "python/event_bus.h"

#include <string.h>
#include <structmember.h>

#include "bus/bus.h"
#include "python/errors.h"
#include "python/event_object.h"
#include "python/parts.h"
#include "python/publish.h"
#include "reactor/service.h"

/* How long EventBus.publish waits for room. */
#define PUBLISH_TIMEOUT_NS (5 * UINT64_C(1000000000))

typedef struct event_bus {
    PyObject_HEAD
    PyObject *bus_type;      /* str */
    fq_reactor *reactor;     /* one use while connected, else NULL */
    fq_publisher *publisher; /* one reference while connected, else NULL */
    bool is_closed;
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
    if (reactor == NULL || fq_reactor_is_forked(reactor))
        return;
    Py_BEGIN_ALLOW_THREADS
    fq_publisher_close(publisher);
    fq_publisher_unref(publisher);
    fq_reactor_release(reactor);
    Py_END_ALLOW_THREADS
}

static int
connect_bus(fq_state *state, event_bus *self)
{
    fq_reactor *reactor = fq_state_reactor(state);
    if (reactor == NULL)
        return -1;
    fq_bus *bus = NULL;
    fq_publisher *publisher = NULL;
    fq_status status = fq_bus_memory_new(&bus);
    if (status == FQ_OK)
        status = fq_publisher_new(reactor, bus, &publisher);
    if (status == FQ_OK) {
        self->reactor = reactor;
        self->publisher = publisher;
        return 0;
    }
    if (bus != NULL)
        fq_bus_free(bus);
    Py_BEGIN_ALLOW_THREADS
    fq_reactor_release(reactor);
    Py_END_ALLOW_THREADS
    fq_errors_raise(state, status, NULL);
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
    static char *keywords[] = {"bus_type", NULL};
    PyObject *bus_type;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U:EventBus", keywords,
                                     &bus_type))
        return NULL;
    if (PyUnicode_CompareWithASCIIString(bus_type, "memory") != 0) {
        PyErr_Format(fq_state_of_type(type)->ConfigError,
                     "unknown bus type %R: this version has 'memory'",
                     bus_type);
        return NULL;
    }
    event_bus *self = (event_bus *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->bus_type = Py_NewRef(bus_type);
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
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(publish_doc,
             "publish($self, event, /)\n--\n\n"
             "Publish an Event; returns the id the bus gave it.\n"
             "\n"
             "Where an event loop runs it returns at once; elsewhere it waits "
             "at most 5\n"
             "seconds for room.\n"
             "\n"
             "Raises:\n"
             "    QueueFull: no room, where an event loop runs.\n"
             "    PublishTimeout: no room within 5 seconds, elsewhere.\n"
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

static PyMethodDef event_bus_methods[] = {
    {"publish", (PyCFunction)event_bus_publish, METH_O, publish_doc},
    {"close", (PyCFunction)event_bus_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef event_bus_members[] = {
    {"bus_type", T_OBJECT_EX, offsetof(event_bus, bus_type), READONLY,
     "The kind of bus: \"memory\"."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(event_bus, weakrefs), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(event_bus_doc, "EventBus(bus_type)\n--\n\n"
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
