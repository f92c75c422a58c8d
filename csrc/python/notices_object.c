/* SPDX-License-Identifier: MIT */
/* The private type Notices: what is to be said of one bus in the log, for the
 * thread that writes it. It keeps the ring alive and nothing else, so that it
 * keeps no bus from its end. Thread: any that holds the GIL. */
#include "python/notices_object.h"

#include <string.h>

#include "python/parts.h"

typedef struct notices_object {
    PyObject_HEAD
    fq_notices *notices; /* one reference */
} notices_object;

PyObject *
fq_notices_object_new(fq_state *state, fq_notices *notices)
{
    PyTypeObject *type = state->notices_type;
    notices_object *self = (notices_object *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->notices = fq_notices_ref(notices);
    return (PyObject *)self;
}

static void
notices_dealloc(notices_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    fq_notices_unref(self->notices);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(next_doc, "next($self, /)\n--\n\n"
                       "Wait for the next text; None: the bus has ended.");

static PyObject *
notices_next(notices_object *self, PyObject *Py_UNUSED(ignored))
{
    fq_notice notice;
    fq_status status;
    Py_BEGIN_ALLOW_THREADS
    status = fq_notices_take(self->notices, &notice);
    Py_END_ALLOW_THREADS
    if (status != FQ_OK)
        Py_RETURN_NONE;
    /* Servers may say anything. */
    return PyUnicode_DecodeUTF8(notice.text, (Py_ssize_t)strlen(notice.text),
                                "replace");
}

static PyMethodDef notices_methods[] = {
    {"next", (PyCFunction)notices_next, METH_NOARGS, next_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot notices_slots[] = {
    {Py_tp_dealloc, notices_dealloc},
    {Py_tp_methods, notices_methods},
    {Py_tp_doc, (void *)"What is to be said of a bus in the log."},
    {0, NULL},
};

static PyType_Spec notices_spec = {
    .name = "fraiseql_asgi._core.Notices",
    .basicsize = sizeof(notices_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = notices_slots,
};

int
fq_notices_object_init(PyObject *module, fq_state *state)
{
    state->notices_type = fq_state_add_type(module, &notices_spec, NULL);
    return state->notices_type == NULL ? -1 : 0;
}
