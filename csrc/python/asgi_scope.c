/* SPDX-License-Identifier: MIT */
/* Reading an ASGI scope. Thread: loop. */
#include "python/asgi_scope.h"

PyObject *
fq_asgi_scope_get(PyObject *scope, PyObject *name)
{
    if (PyDict_CheckExact(scope))
        return Py_XNewRef(PyDict_GetItemWithError(scope, name));
    PyObject *value = PyObject_GetItem(scope, name);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Clear();
    return value;
}

int
fq_asgi_scope_find_type(fq_state *state, PyObject *message,
                        PyObject *const *types, size_t n, const char *scope)
{
    PyObject *type = fq_asgi_scope_get(message, state->str_type);
    if (type == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "ASGI message without a type");
        return -1;
    }
    int is_it = 0;
    size_t i = 0;
    for (; i < n; i++) {
        is_it = type == types[i]
                    ? 1
                    : PyObject_RichCompareBool(type, types[i], Py_EQ);
        if (is_it != 0)
            break;
    }
    if (is_it == 0)
        PyErr_Format(PyExc_RuntimeError, "unknown message %R in %s", type,
                     scope);
    Py_DECREF(type);
    return is_it > 0 ? (int)i : -1;
}

/* A member that is a str; "" when there is none. */
static PyObject *
get_str(PyObject *scope, PyObject *name)
{
    PyObject *value = fq_asgi_scope_get(scope, name);
    if (value == NULL && PyErr_Occurred())
        return NULL;
    if (value == NULL || value == Py_None) {
        Py_XDECREF(value);
        return PyUnicode_FromStringAndSize(NULL, 0);
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%U of an ASGI scope is %.100s, not str",
                     name, Py_TYPE(value)->tp_name);
        Py_CLEAR(value);
    }
    return value;
}

/* What follows |root| in |path| at a boundary of segments, a slash at the end
 * of |root| not counted: a new reference to a str, or to None when |path| does
 * not begin so; NULL with an exception. */
static PyObject *
path_below(PyObject *path, PyObject *root)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(root);
    if (n > 0 && PyUnicode_READ_CHAR(root, n - 1) == '/')
        n--;
    Py_ssize_t len = PyUnicode_GET_LENGTH(path);
    if (len < n || (len > n && n > 0 && PyUnicode_READ_CHAR(path, n) != '/'))
        return Py_NewRef(Py_None);
    for (Py_ssize_t i = 0; i < n; i++) {
        if (PyUnicode_READ_CHAR(path, i) != PyUnicode_READ_CHAR(root, i))
            return Py_NewRef(Py_None);
    }
    return PyUnicode_Substring(path, n, len);
}

PyObject *
fq_asgi_scope_subpath(fq_state *state, PyObject *scope, PyObject *root)
{
    PyObject *mounted = get_str(scope, state->str_root_path);
    PyObject *path = get_str(scope, state->str_path);
    PyObject *below = NULL;
    if (mounted == NULL || path == NULL)
        goto out;
    below = path_below(path, mounted);
    if (below == Py_None) {
        Py_DECREF(below);
        below = Py_NewRef(path);
    }
    if (below != NULL) {
        PyObject *inner = path_below(below, root);
        Py_DECREF(below);
        below = inner;
    }

out:
    Py_XDECREF(mounted);
    Py_XDECREF(path);
    return below;
}
