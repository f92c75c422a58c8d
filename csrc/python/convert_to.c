/* SPDX-License-Identifier: MIT */
/* Python values to JSON text. Thread: loop (holds the GIL).
 *
 * The exact types of JSON come first and cost a comparison each; subclasses
 * and well-known classes take the second way, where convert_types.c says what
 * they stand for. Where in the value the writer is, is a chain of frames on
 * the C stack, which nobody looks at unless something is wrong. */
#include "python/convert.h"

#include <math.h>
#include <string.h>

#include "json/writer.h"
#include "python/convert_types.h"
#include "python/errors.h"

/* How often one value may stand for another before it is taken for a fault: an
 * Enum of dataclasses with a model in it is three. */
#define CONVERT_STEPS_MAX 8
/* Path segments shown at either end of a long path. */
#define CONVERT_PATH_SHOWN 8

/* One step from a container to what it holds. */
typedef struct convert_path {
    const struct convert_path *up; /* NULL: the root */
    PyObject *key;                 /* borrowed; NULL: an index */
    Py_ssize_t index;
} convert_path;

typedef struct convert_writer {
    fq_state *state;
    fq_buf *buf;
    const char *root;
    int depth;             /* containers open */
    bool keeps_surrogates; /* as escapes, instead of a ValueError */
} convert_writer;

static int
write_value(convert_writer *writer, PyObject *value, const convert_path *path);

/* `.key`, `["odd key"]` or `[3]`. */
static PyObject *
path_segment(const convert_path *path)
{
    if (path->key == NULL)
        return PyUnicode_FromFormat("[%zd]", path->index);
    if (!PyUnicode_Check(path->key))
        return PyUnicode_FromFormat("[%.100R]", path->key);
    if (PyUnicode_IsIdentifier(path->key))
        return PyUnicode_FromFormat(".%U", path->key);
    return PyUnicode_FromFormat("[%.100R]", path->key);
}

/* The path as text, long ones with their middle left out. */
static PyObject *
path_text(const char *root, const convert_path *path)
{
    Py_ssize_t n = 0;
    for (const convert_path *p = path; p != NULL; p = p->up)
        n++;
    PyObject *text = PyUnicode_FromString("");
    Py_ssize_t i = n;
    for (const convert_path *p = path; p != NULL && text != NULL; p = p->up) {
        i--;
        PyObject *segment = NULL;
        if (i < CONVERT_PATH_SHOWN || i >= n - CONVERT_PATH_SHOWN)
            segment = path_segment(p);
        else if (i == CONVERT_PATH_SHOWN)
            segment = PyUnicode_FromString("...");
        else
            continue;
        PyObject *longer = segment == NULL ? NULL
                                           : PyUnicode_Concat(segment, text);
        Py_XDECREF(segment);
        Py_SETREF(text, longer);
    }
    if (text == NULL)
        return NULL;
    Py_SETREF(text, PyUnicode_FromFormat("%s%U", root, text));
    return text;
}

/* Raises |type| with the path in front of the message. Returns -1. */
static int
fail(convert_writer *writer, const convert_path *path, PyObject *type,
     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *message = PyUnicode_FromFormatV(format, args);
    va_end(args);
    PyObject *where = path_text(writer->root, path);
    if (message != NULL && where != NULL)
        PyErr_Format(type, "%U: %U", where, message);
    Py_XDECREF(message);
    Py_XDECREF(where);
    return -1;
}

static inline void
put_char(fq_buf *buf, char c)
{
    if (buf->len < buf->cap && buf->max == 0 && buf->status == FQ_OK)
        buf->ptr[buf->len++] = c;
    else
        fq_buf_append_char(buf, c);
}

static int
fail_not_utf8(convert_writer *writer, PyObject *text, const convert_path *path)
{
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        return -1;
    PyErr_Clear();
    Py_ssize_t len = PyUnicode_GET_LENGTH(text);
    for (Py_ssize_t i = 0; i < len; i++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(text, i);
        if (c >= 0xD800 && c <= 0xDFFF) {
            char unit[8];
            snprintf(unit, sizeof(unit), "U+%04X", (unsigned)c);
            return fail(writer, path, PyExc_ValueError,
                        "a lone surrogate (%s at character %zd) is not valid "
                        "JSON",
                        unit, i);
        }
    }
    return fail(writer, path, PyExc_ValueError, "is not valid Unicode");
}

/* A str that is no UTF-8: its lone surrogates become the WTF-8 that the
 * writer escapes. */
static int
write_surrogates(convert_writer *writer, PyObject *text)
{
    PyErr_Clear();
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8",
                                                "surrogatepass");
    if (bytes == NULL)
        return -1;
    fq_json_write_str(writer->buf,
                      fq_str_make(PyBytes_AS_STRING(bytes),
                                  (size_t)PyBytes_GET_SIZE(bytes)));
    Py_DECREF(bytes);
    return 0;
}

/* |text| is a str or of a subclass. */
static int
write_str(convert_writer *writer, PyObject *text, const convert_path *path)
{
    fq_str s;
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        s.ptr = PyUnicode_DATA(text);
        s.len = (size_t)PyUnicode_GET_LENGTH(text);
    } else {
        Py_ssize_t len;
        s.ptr = PyUnicode_AsUTF8AndSize(text, &len);
        if (s.ptr == NULL && writer->keeps_surrogates
            && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return write_surrogates(writer, text);
        if (s.ptr == NULL)
            return fail_not_utf8(writer, text, path);
        s.len = (size_t)len;
    }
    fq_json_write_str(writer->buf, s);
    return 0;
}

/* |number| is an int or of a subclass, but no bool. */
static int
write_int(convert_writer *writer, PyObject *number, const convert_path *path)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow == 0) {
        if (value == -1 && PyErr_Occurred())
            return -1;
        fq_buf_append_int(writer->buf, value);
        return 0;
    }
    /* As json.dumps does: a subclass may print as anything. */
    PyObject *digits = PyLong_Type.tp_repr(number);
    if (digits == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError))
            return -1;
        PyErr_Clear();
        return fail(writer, path, PyExc_ValueError,
                    "an integer of so many digits cannot be written");
    }
    fq_buf_append(writer->buf, PyUnicode_DATA(digits),
                  (size_t)PyUnicode_GET_LENGTH(digits));
    Py_DECREF(digits);
    return 0;
}

static int
write_float(convert_writer *writer, PyObject *number, const convert_path *path)
{
    double value = PyFloat_AS_DOUBLE(number);
    if (!isfinite(value))
        return fail(writer, path, PyExc_ValueError, "%s is not valid JSON",
                    isnan(value) ? "NaN"
                    : value > 0  ? "Infinity"
                                 : "-Infinity");
    fq_json_write_double(writer->buf, value);
    return 0;
}

/* Counts a container that opens. */
static int
enter(convert_writer *writer, const convert_path *path)
{
    if (++writer->depth > FQ_CONVERT_DEPTH_MAX)
        return fail(writer, path, PyExc_ValueError,
                    "is nested deeper than %d levels, or contains itself",
                    FQ_CONVERT_DEPTH_MAX);
    return 0;
}

/* An index past the end ends the loop, as code of the user may shorten the
 * list meanwhile; a buffer that has failed ends it too. */
static int
write_list(convert_writer *writer, PyObject *list, const convert_path *path)
{
    if (enter(writer, path) < 0)
        return -1;
    put_char(writer->buf, '[');
    convert_path here = {path, NULL, 0};
    for (; here.index < PyList_GET_SIZE(list); here.index++) {
        if (here.index > 0)
            put_char(writer->buf, ',');
        PyObject *item = PyList_GET_ITEM(list, here.index);
        Py_INCREF(item);
        int result = write_value(writer, item, &here);
        Py_DECREF(item);
        if (result < 0)
            return -1;
        if (writer->buf->status != FQ_OK)
            break;
    }
    put_char(writer->buf, ']');
    writer->depth--;
    return 0;
}

static int
write_tuple(convert_writer *writer, PyObject *tuple, const convert_path *path)
{
    if (enter(writer, path) < 0)
        return -1;
    put_char(writer->buf, '[');
    convert_path here = {path, NULL, 0};
    for (; here.index < PyTuple_GET_SIZE(tuple); here.index++) {
        if (here.index > 0)
            put_char(writer->buf, ',');
        if (write_value(writer, PyTuple_GET_ITEM(tuple, here.index), &here)
            < 0)
            return -1;
        if (writer->buf->status != FQ_OK)
            break;
    }
    put_char(writer->buf, ']');
    writer->depth--;
    return 0;
}

static int
write_member(convert_writer *writer, PyObject *key, PyObject *value,
             bool is_first, const convert_path *path)
{
    convert_path here = {path, key, 0};
    if (!is_first)
        put_char(writer->buf, ',');
    if (!PyUnicode_Check(key))
        return fail(writer, path, PyExc_TypeError,
                    "keys must be str, not %.100s (%.100R)",
                    Py_TYPE(key)->tp_name, key);
    if (write_str(writer, key, &here) < 0)
        return -1;
    put_char(writer->buf, ':');
    return write_value(writer, value, &here);
}

/* |dict| is an exact dict. */
static int
write_dict(convert_writer *writer, PyObject *dict, const convert_path *path)
{
    if (enter(writer, path) < 0)
        return -1;
    put_char(writer->buf, '{');
    Py_ssize_t n = PyDict_GET_SIZE(dict);
    Py_ssize_t pos = 0;
    PyObject *key;
    PyObject *value;
    bool is_first = true;
    while (PyDict_Next(dict, &pos, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        int result = write_member(writer, key, value, is_first, path);
        Py_DECREF(key);
        Py_DECREF(value);
        if (result < 0)
            return -1;
        if (PyDict_GET_SIZE(dict) != n)
            return fail(writer, path, PyExc_RuntimeError,
                        "changed its size while it was written");
        if (writer->buf->status != FQ_OK)
            break;
        is_first = false;
    }
    put_char(writer->buf, '}');
    writer->depth--;
    return 0;
}

/* |dict| is of a subclass of dict, whose items() may have an order and a mind
 * of its own. */
static int
write_mapping(convert_writer *writer, PyObject *dict, const convert_path *path)
{
    PyObject *items = PyMapping_Items(dict);
    if (items == NULL || enter(writer, path) < 0) {
        Py_XDECREF(items);
        return -1;
    }
    put_char(writer->buf, '{');
    Py_ssize_t n = PyList_GET_SIZE(items);
    int result = 0;
    for (Py_ssize_t i = 0; i < n && result == 0; i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        if (PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 2)
            result = write_member(writer, PyTuple_GET_ITEM(item, 0),
                                  PyTuple_GET_ITEM(item, 1), i == 0, path);
        else
            result = fail(writer, path, PyExc_TypeError,
                          "its items() are no pairs");
    }
    Py_DECREF(items);
    put_char(writer->buf, '}');
    writer->depth--;
    return result;
}

/* Writes |value| when it is of a subclass of a type of JSON. *pwritten tells
 * whether it was. */
static int
write_subclass(convert_writer *writer, PyObject *value,
               const convert_path *path, bool *pwritten)
{
    *pwritten = true;
    if (PyUnicode_Check(value))
        return write_str(writer, value, path);
    if (PyLong_Check(value))
        return write_int(writer, value, path);
    if (PyFloat_Check(value))
        return write_float(writer, value, path);
    if (PyDict_Check(value))
        return write_mapping(writer, value, path);
    if (PyList_Check(value))
        return write_list(writer, value, path);
    if (PyTuple_Check(value)
        && !fq_convert_is_named_tuple(writer->state, Py_TYPE(value)))
        return write_tuple(writer, value, path);
    *pwritten = false;
    return 0;
}

/* True when |value| was written, or *presult is -1. */
static inline bool
write_exact(convert_writer *writer, PyObject *value, const convert_path *path,
            int *presult)
{
    PyTypeObject *type = Py_TYPE(value);
    *presult = 0;
    if (type == &PyUnicode_Type)
        *presult = write_str(writer, value, path);
    else if (type == &PyLong_Type)
        *presult = write_int(writer, value, path);
    else if (type == &PyDict_Type)
        *presult = write_dict(writer, value, path);
    else if (type == &PyList_Type)
        *presult = write_list(writer, value, path);
    else if (type == &PyFloat_Type)
        *presult = write_float(writer, value, path);
    else if (value == Py_None)
        fq_buf_append(writer->buf, "null", 4);
    else if (value == Py_True)
        fq_buf_append(writer->buf, "true", 4);
    else if (value == Py_False)
        fq_buf_append(writer->buf, "false", 5);
    else if (type == &PyTuple_Type)
        *presult = write_tuple(writer, value, path);
    else
        return false;
    return true;
}

/* The second way: |value| is of none of the exact types. */
static int
write_other(convert_writer *writer, PyObject *value, const convert_path *path)
{
    int result = -1;
    Py_INCREF(value);
    for (int i = 0; i < CONVERT_STEPS_MAX; i++) {
        bool is_written = false;
        if (!fq_convert_is_enum(writer->state, Py_TYPE(value)))
            result = write_subclass(writer, value, path, &is_written);
        if (is_written)
            goto out;
        PyObject *plain;
        result = fq_convert_plain(writer->state, value, &plain);
        if (result < 0)
            goto out;
        if (plain == NULL) {
            result = fail(writer, path, PyExc_TypeError,
                          "an object of type %.200s is not valid JSON",
                          Py_TYPE(value)->tp_name);
            goto out;
        }
        Py_SETREF(value, plain);
        if (write_exact(writer, value, path, &result))
            goto out;
    }
    result = fail(writer, path, PyExc_ValueError,
                  "an object of type %.200s stands for no value",
                  Py_TYPE(value)->tp_name);
out:
    Py_DECREF(value);
    return result;
}

static int
write_value(convert_writer *writer, PyObject *value, const convert_path *path)
{
    int result;
    if (write_exact(writer, value, path, &result))
        return result;
    return write_other(writer, value, path);
}

static int
convert(convert_writer *writer, PyObject *value)
{
    if (write_value(writer, value, NULL) < 0)
        return -1;
    fq_status status = fq_buf_status(writer->buf);
    if (status == FQ_OK)
        return 0;
    if (status == FQ_ERR_LIMIT)
        PyErr_Format(PyExc_ValueError, "%s: is larger than %zu bytes",
                     writer->root, writer->buf->max);
    else
        fq_errors_raise(writer->state, status, NULL);
    return -1;
}

int
fq_convert_to_json(fq_state *state, PyObject *value, const char *root,
                   fq_buf *buf)
{
    convert_writer writer = {.state = state, .buf = buf, .root = root};
    return convert(&writer, value);
}

static fq_rcbuf *
convert_to_rcbuf(fq_state *state, PyObject *value, const char *root,
                 size_t max_bytes, bool keeps_surrogates)
{
    fq_rcbuf *rcbuf = NULL;
    fq_buf buf = FQ_BUF_INIT;
    buf.max = max_bytes;
    convert_writer writer = {
        .state = state,
        .buf = &buf,
        .root = root,
        .keeps_surrogates = keeps_surrogates,
    };
    if (convert(&writer, value) == 0 && fq_buf_to_rcbuf(&buf, &rcbuf) != FQ_OK)
        PyErr_NoMemory();
    fq_buf_fini(&buf);
    return rcbuf;
}

fq_rcbuf *
fq_convert_to_rcbuf(fq_state *state, PyObject *value, const char *root,
                    size_t max_bytes)
{
    return convert_to_rcbuf(state, value, root, max_bytes, false);
}

fq_rcbuf *
fq_convert_answer_to_rcbuf(fq_state *state, PyObject *value, const char *root,
                           size_t max_bytes)
{
    return convert_to_rcbuf(state, value, root, max_bytes, true);
}
