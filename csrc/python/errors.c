/* SPDX-License-Identifier: MIT */
/* The table from status to exception class, and the raising of exceptions with
 * their context as attributes. Thread: loop (holds the GIL). What status goes
 * to a client as which close code is protocol/'s to decide. */
#include "python/errors.h"

#include <stddef.h>

#include "python/convert.h"
#include "python/parts.h"

/* Where the state keeps a class of ours. */
#define CLASS(name) offsetof(fq_state, name)
/* Stands for Python's own: no class of an exception lies at the start. */
#define VALUE_ERROR ((size_t)0)

/* docs/reference/exceptions.md shows this table; a test compares them. */
#define ROW(status, value, request) {status, #status, value, request}
static const struct errors_row {
    fq_status status;
    const char *name;
    size_t value;   /* raised for a value, the bus or a door */
    size_t request; /* raised for a GraphQL request */
} rows[] = {
    ROW(FQ_ERR_SYNTAX, VALUE_ERROR, CLASS(GraphQLSyntaxError)),
    ROW(FQ_ERR_INVALID, VALUE_ERROR, CLASS(GraphQLValidationError)),
    ROW(FQ_ERR_NOT_FOUND, CLASS(UnknownSubscription),
        CLASS(UnknownSubscription)),
    ROW(FQ_ERR_EXISTS, CLASS(DuplicateSubscription),
        CLASS(DuplicateSubscription)),
    ROW(FQ_ERR_LIMIT, VALUE_ERROR, CLASS(SubscriptionError)),
    ROW(FQ_ERR_FULL, CLASS(QueueFull), CLASS(QueueFull)),
    ROW(FQ_ERR_TIMEOUT, CLASS(PublishTimeout), CLASS(SubscriptionError)),
    ROW(FQ_ERR_CLOSED, CLASS(ClosedError), CLASS(ClosedError)),
    ROW(FQ_ERR_SYSTEM, CLASS(BusError), CLASS(BusError)),
    ROW(FQ_ERR_FORBIDDEN, CLASS(SecurityError), CLASS(SecurityError)),
    ROW(FQ_ERR_LOST, CLASS(PositionLost), CLASS(PositionLost)),
    ROW(FQ_ERR_AGAIN, CLASS(FraiseQLError), CLASS(FraiseQLError)),
};

/* Borrowed. */
static PyObject *
class_at(fq_state *state, size_t offset)
{
    if (offset == VALUE_ERROR)
        return PyExc_ValueError;
    return *(PyObject **)((char *)state + offset);
}

/* Borrowed. */
static PyObject *
class_of(fq_state *state, fq_status status, bool is_request)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(rows); i++) {
        if (rows[i].status == status)
            return class_at(state,
                            is_request ? rows[i].request : rows[i].value);
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

/* Member |name| of |dict| when that is a dict and this a str. Borrowed; NULL
 * without an exception. */
static PyObject *
str_member(PyObject *dict, const char *name)
{
    if (dict == NULL || !PyDict_Check(dict))
        return NULL;
    PyObject *value = PyDict_GetItemString(dict, name);
    return value != NULL && PyUnicode_Check(value) ? value : NULL;
}

/* Its message, or the phrase of |status|. */
static PyObject *
errors_message(PyObject *first, fq_status status)
{
    PyObject *message = str_member(first, "message");
    if (message == NULL)
        return PyUnicode_FromString(fq_status_str(status));
    Py_INCREF(message);
    return message;
}

/* |context| with the attributes that the errors give: all of them, and the
 * code of the first. */
static PyObject *
errors_context(PyObject *type, PyObject *errors, PyObject *first,
               PyObject *context)
{
    PyObject *all = context == NULL ? PyDict_New() : PyDict_Copy(context);
    if (all == NULL)
        return NULL;
    if (PyObject_HasAttrString(type, "errors")
        && PyDict_SetItemString(all, "errors", errors) < 0)
        goto fail;
    PyObject *extensions = first != NULL && PyDict_Check(first)
                               ? PyDict_GetItemString(first, "extensions")
                               : NULL;
    PyObject *code = str_member(extensions, "code");
    if (code != NULL && PyDict_SetItemString(all, "code", code) < 0)
        goto fail;
    return all;

fail:
    Py_DECREF(all);
    return NULL;
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
    PyObject *first = PyList_GET_SIZE(errors) > 0 ? PyList_GET_ITEM(errors, 0)
                                                  : NULL;
    PyObject *message = errors_message(first, status);
    PyObject *all = errors_context(type, errors, first, context);
    Py_DECREF(errors);
    if (message != NULL && all != NULL)
        raise_with(type, message, all);
    Py_XDECREF(message);
    Py_XDECREF(all);
    return NULL;
}

/* The rows as (status, class for values, class for requests). */
static PyObject *
errors_table(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of_module(module);
    PyObject *table = PyList_New(0);
    for (size_t i = 0; i < Py_ARRAY_LENGTH(rows) && table != NULL; i++) {
        PyObject *row = Py_BuildValue("(sOO)", rows[i].name,
                                      class_at(state, rows[i].value),
                                      class_at(state, rows[i].request));
        if (row == NULL || PyList_Append(table, row) < 0)
            Py_CLEAR(table);
        Py_XDECREF(row);
    }
    return table;
}

/* Raises as a refused request would. */
static PyObject *
errors_raise_request(PyObject *module, PyObject *args)
{
    int status;
    const char *json;
    PyObject *context = NULL;
    if (!PyArg_ParseTuple(args, "iz|O!:raise_request", &status, &json,
                          &PyDict_Type, &context))
        return NULL;
    return fq_errors_raise_request(
        fq_state_of_module(module), (fq_status)status,
        json == NULL ? fq_str_make(NULL, 0) : fq_str_of(json), context);
}

static PyMethodDef errors_functions[] = {
    {"error_table", errors_table, METH_NOARGS,
     PyDoc_STR("error_table()\n--\n\n"
               "What is raised for each status. For tests.")},
    {"raise_request", errors_raise_request, METH_VARARGS,
     PyDoc_STR("raise_request(status, errors_json, context={}, /)\n--\n\n"
               "Raise what a refused request raises. For tests.")},
    {NULL, NULL, 0, NULL},
};

/* Fetches every class of errors.py into the state. */
int
fq_errors_init(PyObject *module, fq_state *state)
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
    if (result == 0)
        result = PyModule_AddFunctions(module, errors_functions);
    return result;
}
