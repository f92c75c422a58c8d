/* SPDX-License-Identifier: MIT */
/* What well-known classes stand for in JSON. Their modules are never imported
 * here: while a module is not loaded, nothing can be an instance of its
 * classes. Attributes of classes are looked up in the dictionaries of the
 * types, as a metaclass may run much code for a name it does not have.
 * Thread: loop (holds the GIL); runs code of the user (attributes,
 * model_dump). */
#include "python/convert_types.h"

#include <string.h>

/* The class |name| of |module|, kept in *pslot once its module is loaded.
 * Borrowed; NULL, without an exception, until then. */
static PyTypeObject *
known_class(PyObject **pslot, const char *module, const char *name)
{
    if (*pslot != NULL)
        return (PyTypeObject *)*pslot;
    PyObject *module_name = PyUnicode_FromString(module);
    PyObject *loaded = NULL;
    if (module_name != NULL)
        loaded = PyImport_GetModule(module_name);
    if (loaded != NULL)
        *pslot = PyObject_GetAttrString(loaded, name);
    Py_XDECREF(loaded);
    Py_XDECREF(module_name);
    /* Also a module half imported by another thread is "not loaded". */
    PyErr_Clear();
    if (*pslot != NULL && !PyType_Check(*pslot))
        Py_CLEAR(*pslot);
    return (PyTypeObject *)*pslot;
}

static bool
is_instance(PyObject *object, PyTypeObject *type)
{
    return type != NULL && PyType_IsSubtype(Py_TYPE(object), type);
}

/* The attribute |name| that |type| or one of its bases defines. Borrowed;
 * NULL, without an exception, when there is none. */
static PyObject *
type_lookup(PyTypeObject *type, PyObject *name)
{
    PyObject *mro = type->tp_mro;
    if (mro == NULL)
        return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(mro);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        /* The classes of C know none of the names asked for. */
        if (base->tp_dict == NULL
            || !PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE))
            continue;
        PyObject *found = PyDict_GetItemWithError(base->tp_dict, name);
        if (found != NULL)
            return found;
        PyErr_Clear();
    }
    return NULL;
}

bool
fq_convert_is_enum(fq_state *state, PyTypeObject *type)
{
    PyTypeObject *enum_type = known_class(&state->enum_type, "enum", "Enum");
    return enum_type != NULL && PyType_IsSubtype(type, enum_type);
}

bool
fq_convert_is_named_tuple(fq_state *state, PyTypeObject *type)
{
    PyObject *fields = type_lookup(type, state->str__fields);
    return fields != NULL && PyTuple_Check(fields);
}

/* {name: object.<name>} for the str |names| in order. */
static PyObject *
dict_of_attributes(PyObject *object, PyObject *names)
{
    PyObject *dict = PyDict_New();
    if (dict == NULL)
        return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyObject_GetAttr(object, name);
        if (value == NULL || PyDict_SetItem(dict, name, value) < 0) {
            Py_XDECREF(value);
            Py_DECREF(dict);
            return NULL;
        }
        Py_DECREF(value);
    }
    return dict;
}

/* The `name` of each item of |fields|, a sequence, as a tuple. */
static PyObject *
names_of_fields(fq_state *state, PyObject *fields)
{
    PyObject *items = PySequence_Tuple(fields);
    if (items == NULL)
        return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(items);
    PyObject *names = PyTuple_New(n);
    for (Py_ssize_t i = 0; i < n && names != NULL; i++) {
        PyObject *name = PyObject_GetAttr(PyTuple_GET_ITEM(items, i),
                                          state->str_name);
        if (name == NULL)
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, i, name);
    }
    Py_DECREF(items);
    return names;
}

static PyObject *
plain_fields(fq_state *state, PyObject *object, PyObject *fields)
{
    PyObject *names = names_of_fields(state, fields);
    if (names == NULL)
        return NULL;
    PyObject *dict = dict_of_attributes(object, names);
    Py_DECREF(names);
    return dict;
}

/* dataclasses.fields() leaves out ClassVar and InitVar. */
static PyObject *
plain_dataclass(fq_state *state, PyObject *object)
{
    if (state->dataclass_fields == NULL) {
        PyObject *module = PyImport_ImportModule("dataclasses");
        if (module == NULL)
            return NULL;
        state->dataclass_fields = PyObject_GetAttrString(module, "fields");
        Py_DECREF(module);
        if (state->dataclass_fields == NULL)
            return NULL;
    }
    PyObject *fields = PyObject_CallOneArg(state->dataclass_fields, object);
    if (fields == NULL)
        return NULL;
    PyObject *dict = plain_fields(state, object, fields);
    Py_DECREF(fields);
    return dict;
}

/* object.model_dump(mode="json"), which follows the serializers of the model
 * and of what it holds. */
static PyObject *
plain_pydantic(fq_state *state, PyObject *object)
{
    PyObject *method = PyObject_GetAttr(object, state->str_model_dump);
    if (method == NULL)
        return NULL;
    PyObject *result = NULL;
    PyObject *names = PyTuple_Pack(1, state->str_mode);
    if (names != NULL) {
        PyObject *args[] = {state->str_json};
        result = PyObject_Vectorcall(method, args, 0, names);
        Py_DECREF(names);
    }
    Py_DECREF(method);
    return result;
}

static PyObject *
plain_base64(const unsigned char *bytes, Py_ssize_t len)
{
    static const char digits[]
        = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (len > PY_SSIZE_T_MAX / 4 * 3 - 3)
        return PyErr_NoMemory();
    PyObject *text = PyUnicode_New((len + 2) / 3 * 4, 127);
    if (text == NULL)
        return NULL;
    char *out = PyUnicode_DATA(text);
    for (Py_ssize_t i = 0; i < len; i += 3) {
        Py_ssize_t n = len - i < 3 ? len - i : 3;
        uint32_t word = (uint32_t)bytes[i] << 16;
        if (n > 1)
            word |= (uint32_t)bytes[i + 1] << 8;
        if (n > 2)
            word |= bytes[i + 2];
        *out++ = digits[word >> 18];
        *out++ = digits[word >> 12 & 63];
        *out++ = n > 1 ? digits[word >> 6 & 63] : '=';
        *out++ = n > 2 ? digits[word & 63] : '=';
    }
    return text;
}

/* Classes of the standard library that are written as one str. Returns NULL
 * without an exception when |object| is of another class. */
static PyObject *
plain_scalar(fq_state *state, PyObject *object)
{
    if (PyBytes_Check(object))
        return plain_base64((unsigned char *)PyBytes_AS_STRING(object),
                            PyBytes_GET_SIZE(object));
    if (PyByteArray_Check(object))
        return plain_base64((unsigned char *)PyByteArray_AS_STRING(object),
                            PyByteArray_GET_SIZE(object));
    if (is_instance(object, known_class(&state->date_type, "datetime", "date"))
        || is_instance(object,
                       known_class(&state->time_type, "datetime", "time")))
        return PyObject_CallMethodNoArgs(object, state->str_isoformat);
    if (is_instance(object, known_class(&state->uuid_type, "uuid", "UUID"))
        || is_instance(
            object, known_class(&state->decimal_type, "decimal", "Decimal")))
        return PyObject_Str(object);
    return NULL;
}

/* Objects with fields. Returns NULL without an exception when |object| has
 * none that are known. */
static PyObject *
plain_object(fq_state *state, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (PyTuple_Check(object))
        return fq_convert_is_named_tuple(state, type)
                   ? dict_of_attributes(object,
                                        type_lookup(type, state->str__fields))
                   : NULL;
    if (type_lookup(type, state->str_model_dump) != NULL)
        return plain_pydantic(state, object);
    if (type_lookup(type, state->str___dataclass_fields__) != NULL)
        return plain_dataclass(state, object);
    PyObject *fields = type_lookup(type, state->str___attrs_attrs__);
    if (fields != NULL)
        return plain_fields(state, object, fields);
    return NULL;
}

int
fq_convert_plain(fq_state *state, PyObject *object, PyObject **pvalue)
{
    if (fq_convert_is_enum(state, Py_TYPE(object)))
        *pvalue = PyObject_GetAttr(object, state->str_value);
    else if ((*pvalue = plain_scalar(state, object)) == NULL
             && !PyErr_Occurred())
        *pvalue = plain_object(state, object);
    return *pvalue == NULL && PyErr_Occurred() ? -1 : 0;
}
