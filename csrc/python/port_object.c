/* SPDX-License-Identifier: MIT */
/* The part of connections and feeds that user code hangs on, and its end.
 * Thread: loop; the end may come on any thread that holds the GIL. */
#include "python/port_object.h"

#include <structmember.h>

#include "base/check.h"
#include "python/hooks.h"
#include "python/resolver_call.h"

int
fq_port_object_start(fq_port_object *self, PyObject *service,
                     fq_loop_mailbox *mailbox)
{
    FQ_CHECK(self->context == NULL && self->service == NULL);
    self->context = PyContext_CopyCurrent();
    if (self->context == NULL
        || fq_resolver_mark_inside(fq_state_of((PyObject *)self),
                                   self->context)
               < 0)
        return -1;
    self->service = Py_NewRef(service);
    self->mailbox = mailbox;
    return 0;
}

/* Calls cancel() of |runs| in the loop it belongs to. */
static void
cancel_one(fq_port_object *self, PyObject *runs)
{
    PyObject *result;
    if (self->mailbox == NULL || fq_loop_mailbox_is_here(self->mailbox))
        result = PyObject_CallMethod(runs, "cancel", NULL);
    else {
        PyObject *cancel = PyObject_GetAttrString(runs, "cancel");
        PyObject *loop = fq_loop_mailbox_loop(self->mailbox);
        if (cancel == NULL || loop == NULL)
            result = NULL;
        else
            result = PyObject_CallMethod(loop, "call_soon_threadsafe", "O",
                                         cancel);
        Py_XDECREF(cancel);
    }
    /* A loop that is closed runs nothing any more. */
    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
}

static void
cancel_all(fq_port_object *self)
{
    PyObject *running = self->running;
    self->running = NULL;
    if (running == NULL)
        return;
    /* cancel() is user code: it may run anything but finds the dict gone. */
    Py_ssize_t pos = 0;
    PyObject *key, *runs;
    while (PyDict_Next(running, &pos, &key, &runs))
        cancel_one(self, runs);
    Py_DECREF(running);
}

static void
port_disconnect(fq_port *port, fq_ticket *done)
{
    port->owner = NULL;
    bool is_forked = fq_reactor_is_forked(port->reactor);
    fq_port_disconnect(port, done);
    /* In a forked child the reactor may have stopped halfway through: what it
     * was working on is left where it is. */
    if (!is_forked)
        fq_port_unref(port);
}

void
fq_port_object_close(fq_port_object *self, fq_ticket *done)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    fq_port *port = self->port;
    if (port != NULL && !fq_reactor_is_forked(port->reactor)) {
        /* For whoever asks later: a hook, a resolver that goes on. */
        Py_XDECREF(fq_port_object_connection_id(self));
        PyErr_Clear();
        fq_hooks_disconnected(fq_state_of((PyObject *)self), self);
    }
    self->port = NULL;
    if (port != NULL)
        port_disconnect(port, done);
    else if (done != NULL) {
        fq_ticket_complete(done, FQ_OK, NULL);
        fq_ticket_unref(done);
    }
    cancel_all(self);
    Py_CLEAR(self->service);
    Py_CLEAR(self->context);
    Py_CLEAR(self->scope);
    Py_CLEAR(self->params);
    Py_CLEAR(self->security);
    Py_CLEAR(self->connection);
    fq_loop_mailbox *mailbox = self->mailbox;
    self->mailbox = NULL;
    if (mailbox != NULL)
        fq_loop_mailbox_unuse(mailbox);
    PyErr_Restore(type, value, traceback);
}

/* ── what runs ── */

int
fq_port_object_set_running(fq_port_object *self, fq_sub_id sub_id,
                           PyObject *runs)
{
    if (!fq_port_object_is_open(self)) {
        PyErr_SetString(fq_state_of((PyObject *)self)->ClosedError,
                        "the connection has ended");
        return -1;
    }
    if (self->running == NULL) {
        self->running = PyDict_New();
        if (self->running == NULL)
            return -1;
    }
    PyObject *key = PyLong_FromUnsignedLongLong(sub_id);
    if (key == NULL)
        return -1;
    int status = PyDict_SetItem(self->running, key, runs);
    Py_DECREF(key);
    return status;
}

static PyObject *
find_running(fq_port_object *self, fq_sub_id sub_id, bool take)
{
    if (self->running == NULL)
        return NULL;
    PyObject *key = PyLong_FromUnsignedLongLong(sub_id);
    PyObject *runs = NULL;
    if (key != NULL)
        runs = PyDict_GetItemWithError(self->running, key);
    Py_XINCREF(runs);
    if (take && runs != NULL && PyDict_DelItem(self->running, key) < 0)
        Py_CLEAR(runs);
    Py_XDECREF(key);
    /* Memory is all that can be missing, and then it is for whoever asks next
     * to say so. */
    PyErr_Clear();
    return runs;
}

PyObject *
fq_port_object_get_running(fq_port_object *self, fq_sub_id sub_id)
{
    return find_running(self, sub_id, false);
}

PyObject *
fq_port_object_take_running(fq_port_object *self, fq_sub_id sub_id)
{
    return find_running(self, sub_id, true);
}

void
fq_port_object_drop_running(fq_port_object *self, fq_sub_id sub_id,
                            PyObject *runs)
{
    PyObject *found = find_running(self, sub_id, false);
    if (found == runs)
        Py_XDECREF(find_running(self, sub_id, true));
    Py_XDECREF(found);
}

PyObject *
fq_port_object_connection_id(fq_port_object *self)
{
    if (self->connection_id == NULL && self->port != NULL) {
        fq_str id = fq_rcbuf_str(self->port->connection_id);
        self->connection_id = PyUnicode_FromStringAndSize(id.ptr,
                                                          (Py_ssize_t)id.len);
    }
    if (self->connection_id == NULL && !PyErr_Occurred())
        PyErr_SetString(fq_state_of((PyObject *)self)->ClosedError,
                        "the connection has ended");
    return Py_XNewRef(self->connection_id);
}

/* ── the type ── */

int
fq_port_object_traverse(fq_port_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)self->mailbox);
    Py_VISIT(self->service);
    Py_VISIT(self->context);
    Py_VISIT(self->scope);
    Py_VISIT(self->params);
    Py_VISIT(self->security);
    Py_VISIT(self->connection);
    Py_VISIT(self->running);
    return 0;
}

void
fq_port_object_fini(fq_port_object *self)
{
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    fq_port_object_close(self, NULL);
    Py_CLEAR(self->connection_id);
}

static int
port_object_clear(fq_port_object *self)
{
    fq_port_object_close(self, NULL);
    return 0;
}

static void
port_object_dealloc(fq_port_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fq_port_object_fini(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef port_object_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(fq_port_object, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(port_object_doc,
             "What stands for a client or a feed. Private, made by others.");

static PyType_Slot port_object_slots[] = {
    {Py_tp_doc, (void *)port_object_doc},
    {Py_tp_members, port_object_members},
    {Py_tp_traverse, fq_port_object_traverse},
    {Py_tp_clear, port_object_clear},
    {Py_tp_dealloc, port_object_dealloc},
    {0, NULL},
};

static PyType_Spec port_object_spec = {
    .name = "fraiseql_asgi._core.PortObject",
    .basicsize = sizeof(fq_port_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = port_object_slots,
};

int
fq_port_object_init(PyObject *module, fq_state *state)
{
    state->port_object_type = fq_state_add_type(module, &port_object_spec,
                                                NULL);
    return state->port_object_type == NULL ? -1 : 0;
}
