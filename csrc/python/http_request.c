/* SPDX-License-Identifier: MIT */
/* Reading the head of a request. Thread: loop. */
#include "python/http_request.h"

#include "base/buf.h"
#include "json/utf8.h"
#include "json/writer.h"
#include "protocol/graphql_http.h"
#include "python/asgi_scope.h"

/* The headers that count. Several of one name are one list (RFC 9110 5.3). */
typedef struct headers {
    fq_buf accept;
    fq_buf content_type;
    fq_buf content_length;
    fq_buf authorization;
    fq_buf last_event_id;
    fq_buf cookie;
} headers;

static void
headers_fini(headers *self)
{
    fq_buf_fini(&self->accept);
    fq_buf_fini(&self->content_type);
    fq_buf_fini(&self->content_length);
    fq_buf_fini(&self->authorization);
    fq_buf_fini(&self->last_event_id);
    fq_buf_fini(&self->cookie);
}

static bool
headers_are_whole(const headers *self)
{
    return fq_buf_status(&self->accept) == FQ_OK
           && fq_buf_status(&self->content_type) == FQ_OK
           && fq_buf_status(&self->content_length) == FQ_OK
           && fq_buf_status(&self->authorization) == FQ_OK
           && fq_buf_status(&self->last_event_id) == FQ_OK
           && fq_buf_status(&self->cookie) == FQ_OK;
}

static void
headers_add(headers *self, fq_str name, fq_str value)
{
    const struct {
        fq_str name;
        fq_buf *buf;
    } known[] = {
        {FQ_STR("accept"), &self->accept},
        {FQ_STR("content-type"), &self->content_type},
        {FQ_STR("content-length"), &self->content_length},
        {FQ_STR("authorization"), &self->authorization},
        {FQ_STR("last-event-id"), &self->last_event_id},
        {FQ_STR("cookie"), &self->cookie},
    };
    for (size_t i = 0; i < Py_ARRAY_LENGTH(known); i++) {
        if (!fq_str_eq(known[i].name, name))
            continue;
        if (known[i].buf->len > 0)
            fq_buf_append_str(known[i].buf, FQ_STR_LIT(", "));
        fq_buf_append_str(known[i].buf, value);
    }
}

static int
peek_bytes(PyObject *bytes, fq_str *pstr)
{
    if (!PyBytes_Check(bytes)) {
        PyErr_Format(PyExc_TypeError,
                     "a header of an ASGI scope is %.100s, not bytes",
                     Py_TYPE(bytes)->tp_name);
        return -1;
    }
    *pstr = fq_str_make(PyBytes_AS_STRING(bytes),
                        (size_t)PyBytes_GET_SIZE(bytes));
    return 0;
}

static int
read_header(headers *self, PyObject *pair)
{
    fq_str name, value;
    PyObject *items = PySequence_Fast(pair, "a header is no pair");
    if (items == NULL)
        return -1;
    int status = -1;
    if (PySequence_Fast_GET_SIZE(items) != 2)
        PyErr_SetString(PyExc_TypeError, "a header is no pair");
    else if (peek_bytes(PySequence_Fast_GET_ITEM(items, 0), &name) == 0
             && peek_bytes(PySequence_Fast_GET_ITEM(items, 1), &value) == 0) {
        headers_add(self, name, value);
        status = 0;
    }
    Py_DECREF(items);
    return status;
}

static int
read_headers(fq_state *state, PyObject *scope, headers *self)
{
    PyObject *list = fq_asgi_scope_get(scope, state->str_headers);
    if (list == NULL)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *items = PySequence_Tuple(list);
    Py_DECREF(list);
    if (items == NULL)
        return -1;
    int status = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items) && status == 0; i++)
        status = read_header(self, PyTuple_GET_ITEM(items, i));
    Py_DECREF(items);
    if (status == 0 && !headers_are_whole(self)) {
        PyErr_NoMemory();
        status = -1;
    }
    return status;
}

/* Appends header |value|, which is Latin-1 (RFC 9110 5.5), as UTF-8. */
static void
append_latin1(fq_buf *buf, fq_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char encoded[4];
        size_t n = fq_utf8_encode((unsigned char)value.ptr[i], encoded);
        fq_buf_append(buf, encoded, n);
    }
}

/* What stands for connection_init's payload: the one header. */
static void
write_payload(const headers *given, fq_buf *buf)
{
    if (given->authorization.len == 0) {
        fq_buf_append_str(buf, FQ_STR_LIT("{}"));
        return;
    }
    fq_buf text = FQ_BUF_INIT;
    append_latin1(&text, fq_buf_str(&given->authorization));
    fq_buf_append_str(buf, FQ_STR_LIT("{\"authorization\":"));
    fq_json_write_str(buf, fq_buf_str(&text));
    fq_buf_append_char(buf, '}');
    if (fq_buf_status(&text) != FQ_OK)
        buf->status = fq_buf_status(&text);
    fq_buf_fini(&text);
}

static int
make_opening(const headers *given, fq_http_request *request)
{
    fq_buf payload = FQ_BUF_INIT;
    fq_buf event_id = FQ_BUF_INIT;
    fq_buf buf = FQ_BUF_INIT;
    write_payload(given, &payload);
    append_latin1(&event_id, fq_buf_str(&given->last_event_id));
    fq_graphql_http_opening opening = {
        .is_get = request->is_get,
        .stream = request->accept.stream,
        .payload = fq_buf_str(&payload),
        .last_event_id = fq_buf_str(&event_id),
    };
    fq_graphql_http_write_opening(&buf, &opening);
    fq_status status = fq_buf_status(&given->authorization);
    if (status == FQ_OK)
        status = fq_buf_status(&payload);
    if (status == FQ_OK)
        status = fq_buf_status(&event_id);
    if (status == FQ_OK)
        status = fq_buf_to_rcbuf(&buf, &request->opening);
    fq_buf_fini(&payload);
    fq_buf_fini(&event_id);
    fq_buf_fini(&buf);
    if (status == FQ_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

/* A number that is none is the server's to refuse; here it is not known. */
static int64_t
read_length(fq_str text)
{
    int64_t len = 0;
    if (text.len == 0 || text.len > 18)
        return text.len == 0 ? -1 : INT64_MAX;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -1;
        len = len * 10 + (text.ptr[i] - '0');
    }
    return len;
}

/* 1 for a GET, 0 for anything else, -1 with an exception. */
static int
is_get(fq_state *state, PyObject *scope)
{
    PyObject *method = fq_asgi_scope_get(scope, state->str_method);
    if (method == NULL || !PyUnicode_Check(method)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "an http scope without a method");
        Py_XDECREF(method);
        return -1;
    }
    int is_it = PyUnicode_CompareWithASCIIString(method, "GET") == 0;
    Py_DECREF(method);
    return is_it;
}

static int
read_form(fq_state *state, PyObject *scope, fq_http_request *request)
{
    fq_str form = FQ_STR("");
    PyObject *bytes = fq_asgi_scope_get(scope, state->str_query_string);
    if (bytes == NULL && PyErr_Occurred())
        return -1;
    if (bytes != NULL && bytes != Py_None && peek_bytes(bytes, &form) < 0) {
        Py_DECREF(bytes);
        return -1;
    }
    fq_status status = fq_rcbuf_new(form, &request->form);
    Py_XDECREF(bytes);
    if (status == FQ_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static void
judge(const headers *given, fq_http_request *request)
{
    if (request->accept.result == FQ_MEDIA_NONE) {
        request->status = 406;
        request->fault = "Accept application/graphql-response+json or "
                         "application/json, and for subscriptions "
                         "text/event-stream or "
                         "multipart/mixed;subscriptionSpec=1.0.";
    } else if (!request->is_get
               && !fq_media_is_json(fq_buf_str(&given->content_type))) {
        request->status = 415;
        request->fault = "The body must be sent as \"Content-Type: "
                         "application/json\".";
    }
}

int
fq_http_request_read(fq_state *state, PyObject *scope, PyObject *authorization,
                     fq_http_request *prequest)
{
    headers given = {.accept = FQ_BUF_INIT,
                     .content_type = FQ_BUF_INIT,
                     .content_length = FQ_BUF_INIT,
                     .authorization = FQ_BUF_INIT,
                     .last_event_id = FQ_BUF_INIT,
                     .cookie = FQ_BUF_INIT};
    memset(prequest, 0, sizeof(*prequest));
    int status = -1;
    int gets = is_get(state, scope);
    if (gets >= 0 && read_headers(state, scope, &given) == 0) {
        prequest->is_get = gets > 0;
        if (given.authorization.len == 0 && authorization != NULL)
            fq_buf_append(&given.authorization,
                          PyBytes_AS_STRING(authorization),
                          (size_t)PyBytes_GET_SIZE(authorization));
        prequest->has_credentials = given.authorization.len > 0
                                    || given.cookie.len > 0;
        prequest->accept = fq_media_accept_read(fq_buf_str(&given.accept));
        prequest->body_len = read_length(fq_buf_str(&given.content_length));
        judge(&given, prequest);
        status = make_opening(&given, prequest);
    }
    if (status == 0 && gets > 0)
        status = read_form(state, scope, prequest);
    headers_fini(&given);
    return status;
}

void
fq_http_request_fini(fq_http_request *request)
{
    fq_rcbuf_unref(request->opening);
    fq_rcbuf_unref(request->form);
    request->opening = NULL;
    request->form = NULL;
}
