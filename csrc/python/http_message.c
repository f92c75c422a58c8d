/* SPDX-License-Identifier: MIT */
/* Messages to and from the ASGI server. Keys and types are interned strings of
 * the module's state. Thread: loop. */
#include "python/http_message.h"

#include "python/asgi_scope.h"

/* Appends one header; |value| is ASCII. */
static int
add_header(PyObject *headers, const char *name, fq_str value)
{
    PyObject *pair = Py_BuildValue("(yy#)", name, value.ptr,
                                   (Py_ssize_t)value.len);
    if (pair == NULL)
        return -1;
    int status = PyList_Append(headers, pair);
    Py_DECREF(pair);
    return status;
}

/* A head with |headers|, which is stolen (NULL: an exception is set), and
 * |more|, if there are. */
static PyObject *
start(fq_state *state, int status, PyObject *headers, PyObject *more)
{
    if (headers == NULL)
        return NULL;
    if (more != NULL
        && PyList_SetSlice(headers, PY_SSIZE_T_MAX, PY_SSIZE_T_MAX, more)
               < 0) {
        Py_DECREF(headers);
        return NULL;
    }
    return Py_BuildValue("{O:O,O:i,O:N}", state->str_type,
                         state->http_response_start, state->str_status, status,
                         state->str_headers, headers);
}

PyObject *
fq_http_message_stream(fq_state *state, fq_media_type type, PyObject *more)
{
    PyObject *headers = PyList_New(0);
    /* No proxy may keep events, nor collect them (nginx). */
    if (headers != NULL
        && (add_header(headers, "content-type", fq_media_content_type(type))
                < 0
            || add_header(headers, "cache-control", FQ_STR_LIT("no-cache")) < 0
            || add_header(headers, "x-accel-buffering", FQ_STR_LIT("no")) < 0
            || add_header(headers, "vary", FQ_STR_LIT("accept")) < 0))
        Py_CLEAR(headers);
    return start(state, 200, headers, more);
}

/* What goes with a status. */
static const struct {
    int status;
    const char *name;
    fq_str value;
} companions[] = {
    {401, "www-authenticate", FQ_STR("Bearer")},
    {405, "allow", FQ_STR("POST")},
    {429, "retry-after", FQ_STR("1")},
    {503, "retry-after", FQ_STR("1")},
};

PyObject *
fq_http_message_answer(fq_state *state, int status, fq_media_type type,
                       size_t len, PyObject *more)
{
    char digits[24];
    int n = PyOS_snprintf(digits, sizeof(digits), "%zu", len);
    PyObject *headers = PyList_New(0);
    if (headers == NULL
        || add_header(headers, "content-type", fq_media_content_type(type)) < 0
        || add_header(headers, "content-length",
                      fq_str_make(digits, (size_t)n))
               < 0
        || add_header(headers, "vary", FQ_STR_LIT("accept")) < 0)
        goto fail;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(companions); i++) {
        if (companions[i].status == status
            && add_header(headers, companions[i].name, companions[i].value)
                   < 0)
            goto fail;
    }
    return start(state, status, headers, more);
fail:
    Py_XDECREF(headers);
    return NULL;
}

PyObject *
fq_http_message_body(fq_state *state, PyObject *bytes, bool has_more)
{
    if (bytes == NULL)
        return NULL;
    PyObject *message = PyDict_New();
    if (message != NULL
        && (PyDict_SetItem(message, state->str_type, state->http_response_body)
                < 0
            || PyDict_SetItem(message, state->str_body, bytes) < 0
            || PyDict_SetItem(message, state->str_more_body,
                              has_more ? Py_True : Py_False)
                   < 0))
        Py_CLEAR(message);
    Py_DECREF(bytes);
    return message;
}

static int
append_bytes(fq_buf *buf, PyObject *bytes)
{
    Py_buffer view;
    if (PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE) < 0)
        return -1;
    fq_buf_append(buf, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    if (fq_buf_status(buf) == FQ_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static int
read_request(fq_state *state, PyObject *message, bool *phas_more, fq_buf *body)
{
    int status = 0;
    PyObject *more = fq_asgi_scope_get(message, state->str_more_body);
    if (more == NULL && PyErr_Occurred())
        return -1;
    int has_more = more == NULL ? 0 : PyObject_IsTrue(more);
    Py_XDECREF(more);
    *phas_more = has_more > 0;
    if (has_more < 0)
        return -1;
    PyObject *bytes = body == NULL
                          ? NULL
                          : fq_asgi_scope_get(message, state->str_body);
    if (bytes == NULL)
        return PyErr_Occurred() ? -1 : 0;
    if (bytes != Py_None)
        status = append_bytes(body, bytes);
    Py_DECREF(bytes);
    return status;
}

int
fq_http_message_read(fq_state *state, PyObject *message,
                     fq_http_message_kind *pkind, bool *phas_more,
                     fq_buf *body)
{
    PyObject *const types[] = {
        [FQ_HTTP_REQUEST] = state->http_request,
        [FQ_HTTP_DISCONNECT] = state->http_disconnect,
    };
    *phas_more = false;
    int kind = fq_asgi_scope_find_type(
        state, message, types, Py_ARRAY_LENGTH(types), "an http scope");
    if (kind < 0)
        return -1;
    *pkind = (fq_http_message_kind)kind;
    return kind == FQ_HTTP_REQUEST
               ? read_request(state, message, phas_more, body)
               : 0;
}

/* The types of messages. */
int
fq_http_message_init(PyObject *Py_UNUSED(module), fq_state *state)
{
    const fq_state_name names[] = {
        {&state->http_request, "http.request"},
        {&state->http_disconnect, "http.disconnect"},
        {&state->http_response_start, "http.response.start"},
        {&state->http_response_body, "http.response.body"},
    };
    return fq_state_add_names(names, Py_ARRAY_LENGTH(names));
}
