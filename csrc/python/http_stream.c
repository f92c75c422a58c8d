/* SPDX-License-Identifier: MIT */
/* The Python type HttpStream. Thread: loop. What its messages lead to is in
 * http_phase.c. */
#include "python/http_stream.h"

#include "protocol/graphql_sse.h"

static PyObject *
http_stream_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"service", "scope",     "receive",       "send",
                            "start",   "is_shared", "authorization", NULL};
    PyObject *service, *scope, *receive, *send, *start = Py_None;
    PyObject *authorization = Py_None;
    int is_shared = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OpO:HttpStream",
                                     names, &service, &scope, &receive, &send,
                                     &start, &is_shared, &authorization))
        return NULL;
    if (authorization != Py_None && !PyBytes_Check(authorization)) {
        PyErr_SetString(PyExc_TypeError, "authorization must be bytes");
        return NULL;
    }
    fq_http_stream *self = (fq_http_stream *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    fq_buf_init(&self->body);
    if (fq_serving_init_object(&self->base, &fq_http_stream_kind, service,
                               start == Py_None ? NULL : start, scope, receive,
                               send)
        < 0)
        Py_CLEAR(self);
    if (self != NULL) {
        self->is_shared = is_shared;
        if (authorization != Py_None)
            self->authorization = Py_NewRef(authorization);
    }
    return (PyObject *)self;
}

/* A stream that begins is the client's word that it was let in. */
static bool
is_open(const fq_http_stream *self)
{
    return self->is_shared && self->media != FQ_MEDIA_NONE
           && fq_port_object_is_open(&self->base.base);
}

/* Gives the session one letter and |text|. */
static PyObject *
give(fq_http_stream *self, char letter, PyObject *bytes)
{
    fq_rcbuf *text;
    if (!PyBytes_Check(bytes)) {
        PyErr_SetString(PyExc_TypeError, "bytes are needed");
        return NULL;
    }
    if (!is_open(self))
        Py_RETURN_FALSE;
    const fq_str parts[] = {
        fq_str_make(&letter, 1),
        fq_str_make(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)),
    };
    bool pause; /* who sends is not the one who is read */
    fq_status status = fq_rcbuf_concat(parts, 2, &text);
    if (status == FQ_OK)
        status = fq_port_receive(self->base.base.port, text, &pause);
    if (status == FQ_ERR_NOMEM)
        return PyErr_NoMemory();
    return PyBool_FromLong(status == FQ_OK);
}

PyDoc_STRVAR(start_operation_doc,
             "start_operation(body)\n--\n\n"
             "Start what `body`, checked before, asks for on a shared stream. "
             "False: the stream is not open, or not any more.");

static PyObject *
http_stream_start_operation(fq_http_stream *self, PyObject *body)
{
    return give(self, FQ_GRAPHQL_SSE_START, body);
}

PyDoc_STRVAR(stop_operation_doc,
             "stop_operation(id)\n--\n\n"
             "Stop the operation of `id`, bytes, if there is one. False: as "
             "above.");

static PyObject *
http_stream_stop_operation(fq_http_stream *self, PyObject *id)
{
    return give(self, FQ_GRAPHQL_SSE_STOP, id);
}

PyDoc_STRVAR(check_operation_doc,
             "check_operation(body)\n--\n\n"
             "What is wrong with `body`, bytes, that is to start an operation "
             "on a shared stream; None: nothing.");

static PyObject *
http_stream_check_operation(PyObject *Py_UNUSED(type), PyObject *body)
{
    int status;
    if (!PyBytes_Check(body)) {
        PyErr_SetString(PyExc_TypeError, "bytes are needed");
        return NULL;
    }
    const char *fault = fq_graphql_sse_check(
        fq_str_make(PyBytes_AS_STRING(body), (size_t)PyBytes_GET_SIZE(body)),
        &status);
    if (status == 500)
        return PyErr_NoMemory();
    if (fault == NULL)
        Py_RETURN_NONE;
    return PyUnicode_FromString(fault);
}

static PyMethodDef http_stream_methods[] = {
    {"start_operation", (PyCFunction)http_stream_start_operation, METH_O,
     start_operation_doc},
    {"stop_operation", (PyCFunction)http_stream_stop_operation, METH_O,
     stop_operation_doc},
    {"check_operation", http_stream_check_operation, METH_O | METH_STATIC,
     check_operation_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(http_stream_doc,
             "HttpStream(service, scope, receive, send, *, start=None, "
             "is_shared=False, authorization=None)\n--\n\n"
             "The awaitable that answers one GraphQL request, a GET or a "
             "POST. Where service is None, `await start()` gives it. A shared "
             "one is an event stream for operations that other requests "
             "bring; authorization stands for its header.");

static PyType_Slot http_stream_slots[] = {
    {Py_tp_doc, (void *)http_stream_doc},
    {Py_tp_new, http_stream_new},
    {Py_tp_traverse, fq_serving_traverse},
    {Py_tp_clear, fq_serving_clear},
    {Py_tp_dealloc, fq_serving_dealloc},
    {Py_tp_methods, http_stream_methods},
    {0, NULL},
};

static PyType_Spec http_stream_spec = {
    .name = "fraiseql_asgi._core.HttpStream",
    .basicsize = sizeof(fq_http_stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = http_stream_slots,
};

int
fq_http_stream_init(PyObject *module, fq_state *state)
{
    state->http_stream_type = fq_state_add_type(module, &http_stream_spec,
                                                state->serving_type);
    return state->http_stream_type == NULL ? -1 : 0;
}
