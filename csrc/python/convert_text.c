/* SPDX-License-Identifier: MIT */
/* Python str to borrowed UTF-8 and back, and the text of outgoing messages.
 * Thread: loop (holds the GIL). */
#include "python/convert.h"

#include <string.h>

PyObject *
fq_convert_str(fq_str text)
{
    return PyUnicode_DecodeUTF8(text.ptr == NULL ? "" : text.ptr,
                                (Py_ssize_t)text.len, "surrogatepass");
}

PyObject *
fq_convert_rcbuf_str(const fq_rcbuf *rcbuf)
{
    if (rcbuf == NULL)
        Py_RETURN_NONE;
    if (!rcbuf->is_ascii)
        return fq_convert_str(fq_rcbuf_str(rcbuf));
    PyObject *text = PyUnicode_New((Py_ssize_t)rcbuf->len, 127);
    if (text != NULL && rcbuf->len > 0)
        memcpy(PyUnicode_DATA(text), rcbuf->bytes, rcbuf->len);
    return text;
}

int
fq_convert_peek_str(PyObject *text, const char *name, fq_str *pstr)
{
    *pstr = fq_str_make(NULL, 0);
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %.200s", name,
                     Py_TYPE(text)->tp_name);
        return -1;
    }
    Py_ssize_t len;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &len);
    if (utf8 == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            PyErr_Format(PyExc_ValueError,
                         "%s contains a lone surrogate, which is no valid "
                         "Unicode",
                         name);
        return -1;
    }
    *pstr = fq_str_make(utf8, (size_t)len);
    return 0;
}

int
fq_convert_peek_optional_str(PyObject *text, const char *name, fq_str *pstr)
{
    *pstr = fq_str_make(NULL, 0);
    if (text == Py_None)
        return 0;
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str or None, not %.200s",
                     name, Py_TYPE(text)->tp_name);
        return -1;
    }
    return fq_convert_peek_str(text, name, pstr);
}

static void
parts_copy(char *out, const fq_str *parts, size_t n_parts)
{
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len > 0)
            memcpy(out, parts[i].ptr, parts[i].len);
        out += parts[i].len;
    }
}

static size_t
parts_len(const fq_str *parts, size_t n_parts)
{
    size_t len = 0;
    for (size_t i = 0; i < n_parts; i++)
        len += parts[i].len;
    return len;
}

PyObject *
fq_convert_item_text(const fq_queue_item *item)
{
    char scratch[FQ_QUEUE_SCRATCH_MAX];
    fq_str parts[FQ_QUEUE_PARTS_MAX];
    size_t n_parts = fq_queue_item_parts(item, scratch, parts);
    size_t len = parts_len(parts, n_parts);
    if (fq_queue_item_is_ascii(item)) {
        PyObject *text = PyUnicode_New((Py_ssize_t)len, 127);
        if (text != NULL)
            parts_copy(PyUnicode_DATA(text), parts, n_parts);
        return text;
    }
    if (n_parts == 1)
        return fq_convert_str(parts[0]);
    /* The parts end between characters, but a str is made in one piece. */
    char *whole = PyMem_Malloc(len);
    if (whole == NULL)
        return PyErr_NoMemory();
    parts_copy(whole, parts, n_parts);
    PyObject *text = fq_convert_str(fq_str_make(whole, len));
    PyMem_Free(whole);
    return text;
}

PyObject *
fq_convert_item_bytes(const fq_queue_item *item)
{
    char scratch[FQ_QUEUE_SCRATCH_MAX];
    fq_str parts[FQ_QUEUE_PARTS_MAX];
    size_t n_parts = fq_queue_item_parts(item, scratch, parts);
    PyObject *bytes = PyBytes_FromStringAndSize(
        NULL, (Py_ssize_t)parts_len(parts, n_parts));
    if (bytes != NULL)
        parts_copy(PyBytes_AS_STRING(bytes), parts, n_parts);
    return bytes;
}
