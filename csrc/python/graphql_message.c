/* SPDX-License-Identifier: MIT */
/* The type GraphQLMessage: one message of graphql-transport-ws as a Python
 * value, for tests, clients and servers of other protocols. It is checked when
 * made, by the rules and nearly in the words of the reference implementation
 * (graphql-ws, validateMessage), and does not change afterwards. The server
 * itself never makes one. Thread: loop. */
#include "python/parts.h"

#include <string.h>

#include <structmember.h>

typedef struct graphql_message {
    PyObject_HEAD
    PyObject *type_;   /* str */
    PyObject *id;      /* str; None where the type has no id */
    PyObject *payload; /* dict, for `error` a list; None: absent */
} graphql_message;

/* What a type of message carries. */
typedef enum payload_kind {
    PAYLOAD_OPTIONAL, /* an object or nothing */
    PAYLOAD_QUERY,    /* the object of `subscribe` */
    PAYLOAD_RESULT,   /* any object */
    PAYLOAD_ERRORS,   /* a list of GraphQL errors */
    PAYLOAD_NONE,
} payload_kind;

static const struct message_kind {
    const char *type;
    bool has_id;
    payload_kind payload;
} kinds[] = {
    {"connection_init", false, PAYLOAD_OPTIONAL},
    {"connection_ack", false, PAYLOAD_OPTIONAL},
    {"ping", false, PAYLOAD_OPTIONAL},
    {"pong", false, PAYLOAD_OPTIONAL},
    {"subscribe", true, PAYLOAD_QUERY},
    {"next", true, PAYLOAD_RESULT},
    {"error", true, PAYLOAD_ERRORS},
    {"complete", true, PAYLOAD_NONE},
};

/* How JavaScript calls the type of |value|; NULL is a member not there. */
static const char *
json_type(PyObject *value)
{
    if (value == NULL)
        return "undefined";
    if (value == Py_None)
        return "null";
    if (PyBool_Check(value))
        return "boolean";
    if (PyUnicode_Check(value))
        return "string";
    if (PyLong_Check(value) || PyFloat_Check(value))
        return "number";
    if (PyDict_Check(value))
        return "object";
    if (PyList_Check(value) || PyTuple_Check(value))
        return "array";
    return Py_TYPE(value)->tp_name;
}

static bool
is_absent(PyObject *value)
{
    return value == NULL || value == Py_None;
}

/* Returns the kind |type| names, or NULL with a ValueError. */
static const struct message_kind *
kind_find(PyObject *type)
{
    if (is_absent(type)
        || (PyUnicode_Check(type) && PyUnicode_GET_LENGTH(type) == 0)) {
        PyErr_SetString(PyExc_ValueError,
                        "Message is missing the 'type' property");
        return NULL;
    }
    if (!PyUnicode_Check(type)) {
        PyErr_Format(PyExc_ValueError,
                     "Message expects the 'type' property to be a string, "
                     "but got %s",
                     json_type(type));
        return NULL;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(kinds); i++) {
        if (PyUnicode_CompareWithASCIIString(type, kinds[i].type) == 0)
            return &kinds[i];
    }
    PyErr_Format(PyExc_ValueError, "Invalid message 'type' property %R", type);
    return NULL;
}

static int
check_id(const struct message_kind *kind, PyObject *id)
{
    if (id == NULL || !PyUnicode_Check(id)) {
        PyErr_Format(PyExc_ValueError,
                     "\"%s\" message expects the 'id' property to be a "
                     "string, but got %s",
                     kind->type, json_type(id));
        return -1;
    }
    if (PyUnicode_GET_LENGTH(id) == 0) {
        PyErr_Format(PyExc_ValueError,
                     "\"%s\" message requires a non-empty 'id' property",
                     kind->type);
        return -1;
    }
    return 0;
}

/* The payload of `subscribe`, a dict. */
static int
check_query(const struct message_kind *kind, PyObject *payload)
{
    static const struct {
        const char *name;
        bool is_string;
        bool is_required;
        const char *expected;
    } members[] = {
        {"query", true, true, "a string"},
        {"variables", false, false, "an object or nullish or missing"},
        {"operationName", true, false, "a string or nullish or missing"},
        {"extensions", false, false, "an object or nullish or missing"},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(members); i++) {
        PyObject *value = PyDict_GetItemString(payload, members[i].name);
        if (!members[i].is_required && is_absent(value))
            continue;
        if (value != NULL
            && (members[i].is_string ? PyUnicode_Check(value)
                                     : PyDict_Check(value)))
            continue;
        PyErr_Format(PyExc_ValueError,
                     "\"%s\" message payload expects the '%s' property to be "
                     "%s, but got %s",
                     kind->type, members[i].name, members[i].expected,
                     json_type(value));
        return -1;
    }
    return 0;
}

/* At least one error, each an object with a message. */
static bool
are_errors(PyObject *payload)
{
    if (payload == NULL || !PyList_Check(payload)
        || PyList_GET_SIZE(payload) == 0)
        return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(payload); i++) {
        PyObject *error = PyList_GET_ITEM(payload, i);
        if (!PyDict_Check(error)
            || PyDict_GetItemString(error, "message") == NULL)
            return false;
    }
    return true;
}

static int
check_payload(const struct message_kind *kind, PyObject *payload)
{
    const char *expected = NULL;
    switch (kind->payload) {
    case PAYLOAD_OPTIONAL:
        if (!is_absent(payload) && !PyDict_Check(payload))
            expected = "an object or nullish or missing";
        break;
    case PAYLOAD_QUERY:
    case PAYLOAD_RESULT:
        if (payload == NULL || !PyDict_Check(payload))
            expected = "an object";
        else if (kind->payload == PAYLOAD_QUERY)
            return check_query(kind, payload);
        break;
    case PAYLOAD_ERRORS:
        if (!are_errors(payload))
            expected = "an array of GraphQL errors";
        break;
    case PAYLOAD_NONE:
        break;
    }
    if (expected == NULL)
        return 0;
    PyErr_Format(PyExc_ValueError,
                 "\"%s\" message expects the 'payload' property to be %s, "
                 "but got %s",
                 kind->type, expected, json_type(payload));
    return -1;
}

/* A message of what may be NULL (absent); |id| and |payload| are left out
 * where the type has none. */
static PyObject *
message_make(PyTypeObject *type, PyObject *type_, PyObject *id,
             PyObject *payload)
{
    const struct message_kind *kind = kind_find(type_);
    if (kind == NULL)
        return NULL;
    if (kind->has_id && check_id(kind, id) < 0)
        return NULL;
    if (check_payload(kind, payload) < 0)
        return NULL;
    graphql_message *message = (graphql_message *)type->tp_alloc(type, 0);
    if (message == NULL)
        return NULL;
    if (!kind->has_id || id == NULL)
        id = Py_None;
    if (kind->payload == PAYLOAD_NONE || payload == NULL)
        payload = Py_None;
    Py_INCREF(type_);
    message->type_ = type_;
    Py_INCREF(id);
    message->id = id;
    Py_INCREF(payload);
    message->payload = payload;
    return (PyObject *)message;
}

static PyObject *
message_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"type_", "id", "payload", NULL};
    PyObject *type_;
    PyObject *id = Py_None;
    PyObject *payload = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:GraphQLMessage",
                                     names, &type_, &id, &payload))
        return NULL;
    /* What a peer may send along is refused where our own code writes it. */
    const struct message_kind *kind = kind_find(type_);
    if (kind == NULL)
        return NULL;
    if (!kind->has_id && id != Py_None)
        return PyErr_Format(PyExc_ValueError, "\"%s\" message has no 'id'",
                            kind->type);
    if (kind->payload == PAYLOAD_NONE && payload != Py_None)
        return PyErr_Format(PyExc_ValueError,
                            "\"%s\" message has no 'payload'", kind->type);
    return message_make(type, type_, id, payload);
}

static PyObject *
message_from_dict(PyObject *type, PyObject *dict)
{
    if (!PyDict_Check(dict))
        return PyErr_Format(PyExc_ValueError,
                            "Message is expected to be an object, but got %s",
                            json_type(dict));
    return message_make((PyTypeObject *)type,
                        PyDict_GetItemString(dict, "type"),
                        PyDict_GetItemString(dict, "id"),
                        PyDict_GetItemString(dict, "payload"));
}

static PyObject *
message_to_dict(graphql_message *self, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *dict = PyDict_New();
    if (dict == NULL)
        return NULL;
    if ((self->id != Py_None
         && PyDict_SetItem(dict, state->str_id, self->id) < 0)
        || PyDict_SetItem(dict, state->str_type, self->type_) < 0
        || (self->payload != Py_None
            && PyDict_SetItem(dict, state->str_payload, self->payload) < 0))
        Py_CLEAR(dict);
    return dict;
}

static PyObject *
message_reduce(graphql_message *self, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("O(OOO)", Py_TYPE(self), self->type_, self->id,
                         self->payload);
}

static PyObject *
message_repr(graphql_message *self)
{
    int entered = Py_ReprEnter((PyObject *)self);
    if (entered != 0)
        return entered > 0 ? PyUnicode_FromString("GraphQLMessage(...)")
                           : NULL;
    PyObject *text = PyUnicode_FromFormat(
        "GraphQLMessage(%R, id=%R, payload=%R)", self->type_, self->id,
        self->payload);
    Py_ReprLeave((PyObject *)self);
    return text;
}

static PyObject *
message_richcompare(PyObject *a, PyObject *b, int op)
{
    if (Py_TYPE(a) != Py_TYPE(b) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    graphql_message *x = (graphql_message *)a;
    graphql_message *y = (graphql_message *)b;
    int equal = PyObject_RichCompareBool(x->type_, y->type_, Py_EQ);
    if (equal > 0)
        equal = PyObject_RichCompareBool(x->id, y->id, Py_EQ);
    if (equal > 0)
        equal = PyObject_RichCompareBool(x->payload, y->payload, Py_EQ);
    if (equal < 0)
        return NULL;
    return PyBool_FromLong(equal == (op == Py_EQ));
}

static int
message_traverse(graphql_message *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->type_);
    Py_VISIT(self->id);
    Py_VISIT(self->payload);
    return 0;
}

static int
message_clear(graphql_message *self)
{
    Py_CLEAR(self->type_);
    Py_CLEAR(self->id);
    Py_CLEAR(self->payload);
    return 0;
}

static void
message_dealloc(graphql_message *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    message_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef message_members[] = {
    {"type_", T_OBJECT_EX, offsetof(graphql_message, type_), READONLY,
     PyDoc_STR("The type of message, such as 'subscribe'.")},
    {"id", T_OBJECT_EX, offsetof(graphql_message, id), READONLY,
     PyDoc_STR("The operation's id; None for types that have none.")},
    {"payload", T_OBJECT_EX, offsetof(graphql_message, payload), READONLY,
     PyDoc_STR("A dict, for 'error' a list of dicts; None where absent.")},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef message_methods[] = {
    {"from_dict", message_from_dict, METH_O | METH_CLASS,
     PyDoc_STR("from_dict($type, message, /)\n--\n\n"
               "The message a decoded JSON object is.\n\n"
               "Members that its type has no use for are left out.\n\n"
               "Raises:\n"
               "    ValueError: a peer would close the connection with 4400; "
               "the text says why.")},
    {"to_dict", (PyCFunction)message_to_dict, METH_NOARGS,
     PyDoc_STR("to_dict($self, /)\n--\n\n"
               "The message as a dict for json.dumps, without what is "
               "absent.")},
    {"__reduce__", (PyCFunction)message_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(message_doc,
             "GraphQLMessage(type_, id=None, payload=None)\n--\n\n"
             "One message of the graphql-transport-ws protocol, checked.\n\n"
             "Raises:\n"
             "    ValueError: what the protocol refuses; the text says why.\n"
             "\nSource: PROTOCOL.md of graphql-ws.");

static PyType_Slot message_slots[] = {
    {Py_tp_doc, (void *)message_doc},
    {Py_tp_new, message_new},
    {Py_tp_dealloc, message_dealloc},
    {Py_tp_traverse, message_traverse},
    {Py_tp_clear, message_clear},
    {Py_tp_repr, message_repr},
    {Py_tp_richcompare, message_richcompare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_members, message_members},
    {Py_tp_methods, message_methods},
    {0, NULL},
};

static PyType_Spec message_spec = {
    .name = "fraiseql_asgi.GraphQLMessage",
    .basicsize = sizeof(graphql_message),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = message_slots,
};

int
fq_graphql_message_init(PyObject *module, fq_state *state)
{
    state->graphql_message_type = fq_state_add_type(module, &message_spec,
                                                    NULL);
    return state->graphql_message_type == NULL ? -1 : 0;
}
