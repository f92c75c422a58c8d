/* SPDX-License-Identifier: MIT */
/* The converter as a part of the module: two private functions through which
 * tests reach it. Thread: loop. The work is done in convert_to.c,
 * convert_from.c and convert_text.c. */
#include "python/convert.h"
#include "python/parts.h"

static PyObject *
convert_to_json(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"value", "root", "max_bytes", NULL};
    PyObject *value;
    const char *root = "data";
    Py_ssize_t max_bytes = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|sn:to_json", names,
                                     &value, &root, &max_bytes))
        return NULL;
    fq_rcbuf *rcbuf = fq_convert_to_rcbuf(
        fq_state_of_module(module), value, root,
        max_bytes < 0 ? 0 : (size_t)max_bytes);
    if (rcbuf == NULL)
        return NULL;
    PyObject *json = PyBytes_FromStringAndSize(rcbuf->bytes,
                                               (Py_ssize_t)rcbuf->len);
    fq_rcbuf_unref(rcbuf);
    return json;
}

static PyObject *
convert_from_json(PyObject *module, PyObject *json)
{
    if (!PyBytes_Check(json)) {
        PyErr_Format(PyExc_TypeError, "json must be bytes, not %.200s",
                     Py_TYPE(json)->tp_name);
        return NULL;
    }
    return fq_convert_from_json(
        fq_state_of_module(module),
        fq_str_make(PyBytes_AS_STRING(json), (size_t)PyBytes_GET_SIZE(json)));
}

PyDoc_STRVAR(to_json_doc,
             "to_json(value, root='data', max_bytes=0)\n--\n\n"
             "The JSON of a value as it would be published. Private.");
PyDoc_STRVAR(from_json_doc,
             "from_json(json, /)\n--\n\n"
             "The value of JSON bytes as a resolver would get it. Private.");

static PyMethodDef convert_functions[] = {
    {"to_json", (PyCFunction)(void (*)(void))convert_to_json,
     METH_VARARGS | METH_KEYWORDS, to_json_doc},
    {"from_json", convert_from_json, METH_O, from_json_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_convert_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, convert_functions);
}
