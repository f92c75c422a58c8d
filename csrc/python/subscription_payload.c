/* SPDX-License-Identifier: MIT */
/* The type SubscriptionPayload: what a client asks for in `subscribe`, as a
 * Python value with attributes to set. Each assignment is checked by type;
 * what the document says is looked at by the engine alone. Thread: loop. */
#include "python/parts.h"

typedef struct subscription_payload {
    PyObject_HEAD
    PyObject *query;          /* str */
    PyObject *operation_name; /* str or None */
    PyObject *variables;      /* dict or None */
    PyObject *extensions;     /* dict or None */
} subscription_payload;

/* One attribute; the closure of its getter and setter. */
static const struct payload_field {
    const char *name;
    const char *wire_name; /* in the message */
    size_t offset;
    bool is_dict; /* else a str */
    bool is_required;
} fields[] = {
    {"query", "query", offsetof(subscription_payload, query), false, true},
    {"operation_name", "operationName",
     offsetof(subscription_payload, operation_name), false, false},
    {"variables", "variables", offsetof(subscription_payload, variables), true,
     false},
    {"extensions", "extensions", offsetof(subscription_payload, extensions),
     true, false},
};

static PyObject **
field_of(PyObject *self, const struct payload_field *field)
{
    return (PyObject **)((char *)self + field->offset);
}

static int
payload_set(PyObject *self, PyObject *value, void *closure)
{
    const struct payload_field *field = closure;
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "cannot delete attribute '%s'",
                     field->name);
        return -1;
    }
    if (!(field->is_dict ? PyDict_Check(value) : PyUnicode_Check(value))
        && (field->is_required || value != Py_None)) {
        PyErr_Format(PyExc_TypeError, "%s must be a %s%s, not %.200s",
                     field->name, field->is_dict ? "dict" : "str",
                     field->is_required ? "" : " or None",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject **slot = field_of(self, field);
    Py_INCREF(value);
    Py_XSETREF(*slot, value);
    return 0;
}

static PyObject *
payload_get(PyObject *self, void *closure)
{
    PyObject *value = *field_of(self, closure);
    Py_INCREF(value);
    return value;
}

static PyObject *
payload_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"query", "operation_name", "variables",
                            "extensions", NULL};
    PyObject *values[] = {NULL, Py_None, Py_None, Py_None};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOO:SubscriptionPayload",
                                     names, &values[0], &values[1], &values[2],
                                     &values[3]))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(fields) && self != NULL; i++) {
        if (payload_set(self, values[i], (void *)&fields[i]) < 0)
            Py_CLEAR(self);
    }
    return self;
}

static PyObject *
payload_to_dict(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *dict = PyDict_New();
    for (size_t i = 0; i < Py_ARRAY_LENGTH(fields) && dict != NULL; i++) {
        PyObject *value = *field_of(self, &fields[i]);
        if (value != Py_None
            && PyDict_SetItemString(dict, fields[i].wire_name, value) < 0)
            Py_CLEAR(dict);
    }
    return dict;
}

static PyObject *
payload_reduce(subscription_payload *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O(OOOO)", Py_TYPE(self), self->query,
                         self->operation_name, self->variables,
                         self->extensions);
}

static PyObject *
payload_repr(subscription_payload *self)
{
    int entered = Py_ReprEnter((PyObject *)self);
    if (entered != 0)
        return entered > 0 ? PyUnicode_FromString("SubscriptionPayload(...)")
                           : NULL;
    PyObject *text = PyUnicode_FromFormat(
        "SubscriptionPayload(%R, operation_name=%R, variables=%R, "
        "extensions=%R)",
        self->query, self->operation_name, self->variables, self->extensions);
    Py_ReprLeave((PyObject *)self);
    return text;
}

static PyObject *
payload_richcompare(PyObject *a, PyObject *b, int op)
{
    if (Py_TYPE(a) != Py_TYPE(b) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    int equal = 1;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(fields) && equal > 0; i++) {
        /* Comparing may run code that sets the attribute. */
        PyObject *x = payload_get(a, (void *)&fields[i]);
        PyObject *y = payload_get(b, (void *)&fields[i]);
        equal = PyObject_RichCompareBool(x, y, Py_EQ);
        Py_DECREF(x);
        Py_DECREF(y);
    }
    if (equal < 0)
        return NULL;
    return PyBool_FromLong(equal == (op == Py_EQ));
}

static int
payload_traverse(subscription_payload *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->query);
    Py_VISIT(self->operation_name);
    Py_VISIT(self->variables);
    Py_VISIT(self->extensions);
    return 0;
}

static int
payload_clear(subscription_payload *self)
{
    Py_CLEAR(self->query);
    Py_CLEAR(self->operation_name);
    Py_CLEAR(self->variables);
    Py_CLEAR(self->extensions);
    return 0;
}

static void
payload_dealloc(subscription_payload *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    payload_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyGetSetDef payload_getset[] = {
    {"query", payload_get, payload_set,
     PyDoc_STR("The GraphQL document, a str."), (void *)&fields[0]},
    {"operation_name", payload_get, payload_set,
     PyDoc_STR("Which operation of the document, a str or None."),
     (void *)&fields[1]},
    {"variables", payload_get, payload_set,
     PyDoc_STR("Values of the operation's variables, a dict or None."),
     (void *)&fields[2]},
    {"extensions", payload_get, payload_set,
     PyDoc_STR("What goes beyond the specification, a dict or None."),
     (void *)&fields[3]},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef payload_methods[] = {
    {"to_dict", payload_to_dict, METH_NOARGS,
     PyDoc_STR("to_dict($self, /)\n--\n\n"
               "The payload of a `subscribe` message: `query`, "
               "`operationName`,\n`variables`, `extensions`, without what is "
               "None.")},
    {"__reduce__", (PyCFunction)payload_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(payload_doc,
             "SubscriptionPayload(query, operation_name=None, "
             "variables=None, extensions=None)\n--\n\n"
             "What a client asks for: the payload of a `subscribe` "
             "message.\n\n"
             "Raises:\n"
             "    TypeError: an attribute is given a value of another type.");

static PyType_Slot payload_slots[] = {
    {Py_tp_doc, (void *)payload_doc},
    {Py_tp_new, payload_new},
    {Py_tp_dealloc, payload_dealloc},
    {Py_tp_traverse, payload_traverse},
    {Py_tp_clear, payload_clear},
    {Py_tp_repr, payload_repr},
    {Py_tp_richcompare, payload_richcompare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_getset, payload_getset},
    {Py_tp_methods, payload_methods},
    {0, NULL},
};

static PyType_Spec payload_spec = {
    .name = "fraiseql_asgi.SubscriptionPayload",
    .basicsize = sizeof(subscription_payload),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = payload_slots,
};

int
fq_subscription_payload_init(PyObject *module, fq_state *state)
{
    state->subscription_payload_type = fq_state_add_type(module, &payload_spec,
                                                         NULL);
    return state->subscription_payload_type == NULL ? -1 : 0;
}
