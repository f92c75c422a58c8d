/* SPDX-License-Identifier: MIT */
/* JSON text and trees to Python values. Thread: loop (holds the GIL).
 *
 * Events of one kind have the same keys, so short keys are remembered: a table
 * of the last str made for each hash spares making and hashing them again. */
#include "python/convert.h"

#include <string.h>

#include "json/reader.h"
#include "python/errors.h"

/* Slots of the table: more than the keys of a few schemas. */
#define KEYS_SLOTS 1024
/* Longest key remembered: names, not data used as keys. */
#define KEYS_LEN_MAX 40

struct fq_convert_keys {
    PyObject *slots[KEYS_SLOTS]; /* exact ASCII str of hash known, or NULL */
};

/* A slot for |name|: from its length, first and last bytes. */
static size_t
keys_slot(fq_str name)
{
    uint64_t first = 0;
    uint64_t last = 0;
    size_t n = name.len < 8 ? name.len : 8;
    memcpy(&first, name.ptr, n);
    memcpy(&last, name.ptr + name.len - n, n);
    /* The constant is 2^64 divided by the golden ratio: the top bits of the
     * product depend on all of the factor. */
    uint64_t mixed = (first ^ (last << 19 | last >> 45)) + name.len;
    return (mixed * UINT64_C(0x9E3779B97F4A7C15)) >> 54;
}
_Static_assert(KEYS_SLOTS == 1 << (64 - 54), "the shift gives a slot");

/* A str for the key |name|. */
static PyObject *
key_new(fq_state *state, fq_str name)
{
    if (name.len == 0 || name.len > KEYS_LEN_MAX)
        return fq_convert_str(name);
    if (state->convert_keys == NULL) {
        state->convert_keys = PyMem_Calloc(1, sizeof(*state->convert_keys));
        if (state->convert_keys == NULL)
            return PyErr_NoMemory();
    }
    PyObject **slot = &state->convert_keys->slots[keys_slot(name)];
    PyObject *key = *slot;
    if (key != NULL && (size_t)PyUnicode_GET_LENGTH(key) == name.len
        && memcmp(PyUnicode_DATA(key), name.ptr, name.len) == 0) {
        Py_INCREF(key);
        return key;
    }
    key = fq_convert_str(name);
    if (key != NULL && PyUnicode_IS_COMPACT_ASCII(key)
        && PyObject_Hash(key) != -1) {
        Py_INCREF(key);
        Py_XSETREF(*slot, key);
    }
    return key;
}

void
fq_convert_fini(fq_state *state)
{
    if (state->convert_keys == NULL)
        return;
    for (size_t i = 0; i < KEYS_SLOTS; i++)
        Py_CLEAR(state->convert_keys->slots[i]);
    PyMem_Free(state->convert_keys);
    state->convert_keys = NULL;
}

/* A number the reader left as text: an integer beyond 64 bits, or a number
 * beyond a double, which is an infinity as in json.loads. */
static PyObject *
number_new(fq_str digits)
{
    PyObject *text = fq_convert_str(digits);
    if (text == NULL)
        return NULL;
    bool is_int = true;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.ptr[i];
        if (c == '.' || c == 'e' || c == 'E')
            is_int = false;
    }
    PyObject *number = is_int ? PyLong_FromUnicodeObject(text, 10)
                              : PyFloat_FromString(text);
    Py_DECREF(text);
    return number;
}

static PyObject *
list_new(fq_state *state, yyjson_val *array)
{
    PyObject *list = PyList_New((Py_ssize_t)yyjson_arr_size(array));
    if (list == NULL)
        return NULL;
    yyjson_arr_iter iter = yyjson_arr_iter_with(array);
    yyjson_val *val;
    for (Py_ssize_t i = 0; (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
        PyObject *item = fq_convert_from_val(state, val);
        if (item == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, item);
    }
    return list;
}

static PyObject *
dict_new(fq_state *state, yyjson_val *object)
{
    PyObject *dict = PyDict_New();
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *name;
    while (dict != NULL && (name = yyjson_obj_iter_next(&iter)) != NULL) {
        PyObject *value = fq_convert_from_val(state,
                                              yyjson_obj_iter_get_val(name));
        PyObject *key = key_new(state, fq_json_str(name));
        if (key == NULL || value == NULL
            || PyDict_SetItem(dict, key, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

PyObject *
fq_convert_from_val(fq_state *state, yyjson_val *val)
{
    switch (yyjson_get_type(val)) {
    case YYJSON_TYPE_OBJ:
        return dict_new(state, val);
    case YYJSON_TYPE_ARR:
        return list_new(state, val);
    case YYJSON_TYPE_STR:
        return fq_convert_str(fq_json_str(val));
    case YYJSON_TYPE_RAW:
        return number_new(fq_str_make(unsafe_yyjson_get_raw(val),
                                      unsafe_yyjson_get_len(val)));
    case YYJSON_TYPE_BOOL:
        return PyBool_FromLong(unsafe_yyjson_get_bool(val));
    case YYJSON_TYPE_NUM:
        if (yyjson_is_uint(val))
            return PyLong_FromUnsignedLongLong(unsafe_yyjson_get_uint(val));
        if (yyjson_is_sint(val))
            return PyLong_FromLongLong(unsafe_yyjson_get_sint(val));
        return PyFloat_FromDouble(unsafe_yyjson_get_real(val));
    default:
        Py_RETURN_NONE;
    }
}

PyObject *
fq_convert_from_json(fq_state *state, fq_str text)
{
    yyjson_doc *doc;
    fq_error error;
    fq_status status = fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc,
                                    &error);
    if (status != FQ_OK)
        return fq_errors_raise(state, status, &error);
    PyObject *value = fq_convert_from_val(state, yyjson_doc_get_root(doc));
    fq_json_free(doc);
    return value;
}
