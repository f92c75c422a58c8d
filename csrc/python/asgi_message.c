/* SPDX-License-Identifier: MIT */
/* Messages to and from the ASGI server. Keys and types are interned strings of
 * the module's state. Thread: loop. */
#include "python/asgi_message.h"

#include "python/asgi_scope.h"
#include "python/convert.h"

/* A dict of two members, or NULL when |value| (stolen) is. */
static PyObject *
message_new(fq_state *state, PyObject *type, PyObject *name, PyObject *value)
{
    if (value == NULL)
        return NULL;
    PyObject *message = PyDict_New();
    if (message != NULL
        && (PyDict_SetItem(message, state->str_type, type) < 0
            || PyDict_SetItem(message, name, value) < 0))
        Py_CLEAR(message);
    Py_DECREF(value);
    return message;
}

PyObject *
fq_asgi_message_accept(fq_state *state, const fq_protocol_kind *protocol)
{
    return message_new(state, state->ws_accept, state->str_subprotocol,
                       protocol == NULL ? Py_NewRef(Py_None)
                                        : fq_convert_str(protocol->name));
}

PyObject *
fq_asgi_message_send(fq_state *state, const fq_queue_item *item)
{
    return message_new(state, state->ws_send, state->str_text,
                       fq_convert_item_text(item));
}

PyObject *
fq_asgi_message_close(fq_state *state, const fq_close *close)
{
    PyObject *message = message_new(state, state->ws_close, state->str_code,
                                    PyLong_FromLong(close->code));
    if (message == NULL)
        return NULL;
    PyObject *reason = PyUnicode_DecodeUTF8(close->reason, close->reason_len,
                                            "replace");
    if (reason == NULL
        || PyDict_SetItem(message, state->str_reason, reason) < 0)
        Py_CLEAR(message);
    Py_XDECREF(reason);
    return message;
}

PyObject *
fq_asgi_message_deny_start(fq_state *state, int http_status,
                           unsigned retry_after_s)
{
    PyObject *headers;
    if (retry_after_s == 0)
        headers = Py_BuildValue("[(y,y)]", "content-type", "text/plain");
    else {
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%u", retry_after_s);
        headers = Py_BuildValue("[(y,y),(y,y)]", "content-type", "text/plain",
                                "retry-after", seconds);
    }
    return Py_BuildValue("{O:s,s:i,s:N}", state->str_type,
                         "websocket.http.response.start", "status",
                         http_status, "headers", headers);
}

PyObject *
fq_asgi_message_deny_body(fq_state *state, const char *text)
{
    return Py_BuildValue("{O:s,s:N}", state->str_type,
                         "websocket.http.response.body", "body",
                         PyBytes_FromFormat("%s.\n", text));
}

/* The member |name| of a message, NULL without an exception when it is None or
 * not there. */
static PyObject *
message_get(PyObject *message, PyObject *name)
{
    PyObject *value = fq_asgi_scope_get(message, name);
    if (value == Py_None)
        Py_CLEAR(value);
    return value;
}

static int
set_text(fq_str text, fq_rcbuf **ptext)
{
    if (fq_rcbuf_new(text, ptext) == FQ_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

/* The bytes of a str. A lone surrogate becomes the bytes that no JSON reader
 * takes, so the protocol answers it. */
static int
read_str(PyObject *str, fq_rcbuf **ptext)
{
    Py_ssize_t len;
    const char *utf8 = PyUnicode_AsUTF8AndSize(str, &len);
    if (utf8 != NULL)
        return set_text(fq_str_make(utf8, (size_t)len), ptext);
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        return -1;
    PyErr_Clear();
    PyObject *bytes = PyUnicode_AsEncodedString(str, "utf-8", "surrogatepass");
    if (bytes == NULL)
        return -1;
    int status = set_text(
        fq_str_make(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)),
        ptext);
    Py_DECREF(bytes);
    return status;
}

static int
read_bytes(PyObject *bytes, fq_rcbuf **ptext)
{
    Py_buffer view;
    if (PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int status = set_text(fq_str_make(view.buf, (size_t)view.len), ptext);
    PyBuffer_Release(&view);
    return status;
}

static int
read_receive(fq_state *state, PyObject *message, fq_rcbuf **ptext)
{
    int status = -1;
    PyObject *data = message_get(message, state->str_text);
    if (data != NULL && PyUnicode_Check(data))
        status = read_str(data, ptext);
    else if (data != NULL)
        PyErr_Format(PyExc_TypeError, "text of websocket.receive is %.100s",
                     Py_TYPE(data)->tp_name);
    else if (!PyErr_Occurred()) {
        data = message_get(message, state->str_bytes);
        if (data != NULL)
            status = read_bytes(data, ptext);
        else if (!PyErr_Occurred())
            status = set_text(FQ_STR_LIT(""), ptext);
    }
    Py_XDECREF(data);
    return status;
}

int
fq_asgi_message_read(fq_state *state, PyObject *message,
                     fq_asgi_message_kind *pkind, fq_rcbuf **ptext)
{
    PyObject *const types[] = {
        [FQ_ASGI_RECEIVE] = state->ws_receive,
        [FQ_ASGI_DISCONNECT] = state->ws_disconnect,
        [FQ_ASGI_CONNECT] = state->ws_connect,
    };
    *ptext = NULL;
    int kind = fq_asgi_scope_find_type(
        state, message, types, Py_ARRAY_LENGTH(types), "a websocket scope");
    if (kind < 0)
        return -1;
    *pkind = (fq_asgi_message_kind)kind;
    return kind == FQ_ASGI_RECEIVE ? read_receive(state, message, ptext) : 0;
}

/* The types of messages, and our subprotocols. */
int
fq_asgi_message_init(PyObject *Py_UNUSED(module), fq_state *state)
{
    const fq_state_name names[] = {
        {&state->ws_connect, "websocket.connect"},
        {&state->ws_accept, "websocket.accept"},
        {&state->ws_receive, "websocket.receive"},
        {&state->ws_send, "websocket.send"},
        {&state->ws_close, "websocket.close"},
        {&state->ws_disconnect, "websocket.disconnect"},
        {&state->ws_graphql_transport_ws, "graphql-transport-ws"},
        {&state->ws_graphql_ws, "graphql-ws"},
        {&state->ws_response, "websocket.http.response"},
    };
    return fq_state_add_names(names, Py_ARRAY_LENGTH(names));
}
