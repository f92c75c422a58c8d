/* SPDX-License-Identifier: MIT */
/* The Python type WebSocket. Thread: loop. What its messages lead to is in
 * websocket_phase.c. */
#include "python/websocket.h"

#include "python/websocket_state.h"

PyObject *
fq_websocket_new(fq_state *state, PyObject *service, PyObject *start,
                 PyObject *scope, PyObject *receive, PyObject *send)
{
    PyTypeObject *type = state->websocket_type;
    fq_serving *self = (fq_serving *)type->tp_alloc(type, 0);
    if (self != NULL
        && fq_serving_init_object(self, &fq_websocket_kind, service, start,
                                  scope, receive, send)
               < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static PyObject *
websocket_type_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"service", "scope", "receive",
                            "send",    "start", NULL};
    fq_state *state = fq_state_of_type(type);
    PyObject *service, *scope, *receive, *send, *start = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$O:WebSocket", names,
                                     &service, &scope, &receive, &send,
                                     &start))
        return NULL;
    return fq_websocket_new(state, service, start == Py_None ? NULL : start,
                            scope, receive, send);
}

PyDoc_STRVAR(websocket_doc,
             "WebSocket(service, scope, receive, send, *, start=None)\n--\n\n"
             "The awaitable that serves one connection. Where service is "
             "None, `await start()` gives it; without either the handshake is "
             "refused.");

static PyType_Slot websocket_slots[] = {
    {Py_tp_doc, (void *)websocket_doc},    {Py_tp_new, websocket_type_new},
    {Py_tp_traverse, fq_serving_traverse}, {Py_tp_clear, fq_serving_clear},
    {Py_tp_dealloc, fq_serving_dealloc},   {0, NULL},
};

static PyType_Spec websocket_spec = {
    .name = "fraiseql_asgi._core.WebSocket",
    .basicsize = sizeof(fq_serving),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = websocket_slots,
};

int
fq_websocket_init(PyObject *module, fq_state *state)
{
    state->websocket_type = fq_state_add_type(module, &websocket_spec,
                                              state->serving_type);
    return state->websocket_type == NULL ? -1 : 0;
}
