/* SPDX-License-Identifier: MIT */
/* The table from status to exception class, and the raising of exceptions with
 * their context as attributes. Thread: loop (holds the GIL). What status goes
 * to a client as which close code is protocol/'s to decide. */
#include "python/errors.h"

#include <stddef.h>

#include "python/convert.h"
#include "python/parts.h"

/* Where the class of a status is kept in the state; -1: a class of Python. */
#define CLASS(name) offsetof(fq_state, name)

typedef struct errors_row {
    fq_status status;
    size_t value;   /* raised for a value, the bus or a door */
    size_t request; /* raised for a GraphQL request */
} errors_row;

/* 0 stands for ValueError: no class lies at the start of the state. */
#define VALUE_ERROR ((size_t)0)

static const errors_row rows[] = {
    {FQ_ERR_SYNTAX, VALUE_ERROR, CLASS(GraphQLSyntaxError)},
    {FQ_ERR_INVALID, VALUE_ERROR, CLASS(GraphQLValidationError)},
    {FQ_ERR_NOT_FOUND, CLASS(UnknownSubscription), CLASS(UnknownSubscription)},
    {FQ_ERR_EXISTS, CLASS(DuplicateSubscription),
     CLASS(DuplicateSubscription)},
    {FQ_ERR_LIMIT, VALUE_ERROR, CLASS(SubscriptionError)},
    {FQ_ERR_FULL, CLASS(QueueFull), CLASS(QueueFull)},
    {FQ_ERR_TIMEOUT, CLASS(PublishTimeout), CLASS(SubscriptionError)},
    {FQ_ERR_CLOSED, CLASS(ClosedError), CLASS(ClosedError)},
    {FQ_ERR_SYSTEM, CLASS(BusError), CLASS(BusError)},
    {FQ_ERR_AGAIN, CLASS(FraiseQLError), CLASS(FraiseQLError)},
};

/* Borrowed. */
static PyObject *
class_of(fq_state *state, fq_status status, bool is_request)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(rows); i++) {
        if (rows[i].status != status)
            continue;
        size_t offset = is_request ? rows[i].request : rows[i].value;
        if (offset == VALUE_ERROR)
            return PyExc_ValueError;
        return *(PyObject **)((char *)state + offset);
    }
    return state->FraiseQLError;
}

/* Raises type(message, **context). */
static void
raise_with(PyObject *type, PyObject *message, PyObject *context)
{
    PyObject *args = PyTuple_Pack(1, message);
    if (args == NULL)
        return;
    PyObject *exception = PyObject_Call(type, args, context);
    Py_DECREF(args);
    if (exception == NULL)
        return;
    PyErr_SetObject(type, exception);
    Py_DECREF(exception);
}

PyObject *
fq_errors_raise_class(PyObject *type, const char *message, PyObject *context)
{
    PyObject *text = fq_convert_str(fq_str_of(message));
    if (text == NULL)
        return NULL;
    raise_with(type, text, context);
    Py_DECREF(text);
    return NULL;
}

PyObject *
fq_errors_raise(fq_state *state, fq_status status, const fq_error *error)
{
    FQ_CHECK(status != FQ_OK);
    if (status == FQ_ERR_NOMEM)
        return PyErr_NoMemory();
    const char *message = error != NULL && error->message[0] != '\0'
                              ? error->message
                              : fq_status_str(status);
    return fq_errors_raise_class(class_of(state, status, false), message,
                                 NULL);
}

/* The errors of a request as a list of dicts; empty where there are none. */
static PyObject *
errors_list(fq_state *state, fq_str errors_json)
{
    if (errors_json.ptr == NULL)
        return PyList_New(0);
    PyObject *errors = fq_convert_from_json(state, errors_json);
    if (errors != NULL && !PyList_Check(errors))
        Py_SETREF(errors, PyList_New(0));
    return errors;
}

/* The first message in |errors|, or the phrase of |status|. */
static PyObject *
errors_message(PyObject *errors, fq_status status)
{
    if (PyList_GET_SIZE(errors) > 0
        && PyDict_Check(PyList_GET_ITEM(errors, 0))) {
        PyObject *message = PyDict_GetItemString(PyList_GET_ITEM(errors, 0),
                                                 "message");
        if (message != NULL && PyUnicode_Check(message)) {
            Py_INCREF(message);
            return message;
        }
    }
    return PyUnicode_FromString(fq_status_str(status));
}

/* |context| with the member `errors`, where |type| takes one. */
static PyObject *
errors_context(PyObject *type, PyObject *errors, PyObject *context)
{
    PyObject *all = context == NULL ? PyDict_New() : PyDict_Copy(context);
    if (all != NULL && PyObject_HasAttrString(type, "errors")
        && PyDict_SetItemString(all, "errors", errors) < 0)
        Py_CLEAR(all);
    return all;
}

PyObject *
fq_errors_raise_request(fq_state *state, fq_status status, fq_str errors_json,
                        PyObject *context)
{
    FQ_CHECK(status != FQ_OK);
    if (status == FQ_ERR_NOMEM)
        return PyErr_NoMemory();
    PyObject *type = class_of(state, status, true);
    PyObject *errors = errors_list(state, errors_json);
    if (errors == NULL)
        return NULL;
    PyObject *message = errors_message(errors, status);
    PyObject *all = errors_context(type, errors, context);
    Py_DECREF(errors);
    if (message != NULL && all != NULL)
        raise_with(type, message, all);
    Py_XDECREF(message);
    Py_XDECREF(all);
    return NULL;
}

/* Fetches every class of errors.py into the state. */
int
fq_errors_init(PyObject *Py_UNUSED(module), fq_state *state)
{
    static const struct {
        const char *name;
        size_t offset;
    } classes[] = {
#define FQ_ERRORS_CLASS(name) {#name, CLASS(name)},
        FQ_STATE_EXCEPTIONS(FQ_ERRORS_CLASS)
#undef FQ_ERRORS_CLASS
    };
    PyObject *errors = PyImport_ImportModule("fraiseql_asgi.errors");
    if (errors == NULL)
        return -1;
    int result = 0;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(classes) && result == 0; i++) {
        PyObject *type = PyObject_GetAttrString(errors, classes[i].name);
        *(PyObject **)((char *)state + classes[i].offset) = type;
        if (type == NULL)
            result = -1;
    }
    Py_DECREF(errors);
    return result;
}
