/* SPDX-License-Identifier: MIT */
/* The ASGI callable as a C type: it looks at the scope and gives the awaitable
 * that serves it, websocket.c's for a WebSocket, that of a Python function for
 * everything else. Complete in itself; servers that inspect for a coroutine
 * function get one from the Python class built on it (uvicorn, hypercorn and
 * daphne take anything else for ASGI 2 or WSGI). Thread: loop. */
#include "python/state.h"

#include <structmember.h>

#include "python/asgi_scope.h"
#include "python/websocket.h"

typedef struct fq_asgi_app {
    PyObject_HEAD
    PyObject *service;  /* a Service, or None before the start */
    PyObject *start;    /* gives an awaitable of a Service, or None */
    PyObject *http;     /* (scope, receive, send) -> awaitable, or None */
    PyObject *lifespan; /* likewise */
    PyObject *path;     /* str without a slash at its end: where it answers
                         * below its mount; "" is the mount itself; None:
                         * wherever it is asked */
    PyObject *weakrefs;
} fq_asgi_app;

static PyObject *
subpath(fq_state *state, fq_asgi_app *self, PyObject *scope)
{
    if (self->path == Py_None)
        return PyUnicode_FromStringAndSize(NULL, 0);
    return fq_asgi_scope_subpath(state, scope, self->path);
}

/* 1 when the scope's path is ours, 0 when not, -1 with an exception. */
static int
is_own_path(fq_state *state, fq_asgi_app *self, PyObject *scope)
{
    PyObject *below = subpath(state, self, scope);
    if (below == NULL)
        return -1;
    int is_own = below != Py_None
                 && (PyUnicode_GET_LENGTH(below) == 0
                     || (PyUnicode_GET_LENGTH(below) == 1
                         && PyUnicode_READ_CHAR(below, 0) == '/'));
    Py_DECREF(below);
    return is_own;
}

static PyObject *
serve_websocket(fq_state *state, fq_asgi_app *self, PyObject *scope,
                PyObject *receive, PyObject *send)
{
    int is_own = is_own_path(state, self, scope);
    if (is_own < 0)
        return NULL;
    if (!is_own)
        return fq_websocket_new(state, NULL, NULL, scope, receive, send);
    PyObject *start = self->start == Py_None ? NULL : self->start;
    return fq_websocket_new(state, self->service, start, scope, receive, send);
}

static PyObject *
asgi_app_call(fq_asgi_app *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"scope", "receive", "send", NULL};
    PyObject *scope, *receive, *send;
    if (kwargs == NULL && PyTuple_GET_SIZE(args) == 1) {
        PyErr_SetString(PyExc_TypeError,
                        "this is an ASGI 3 application: it is called with "
                        "scope, receive and send");
        return NULL;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:__call__", names,
                                     &scope, &receive, &send))
        return NULL;

    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *type = fq_asgi_scope_get(scope, state->str_type);
    PyObject *awaitable = NULL;
    PyObject *handler = NULL;
    if (type == NULL || !PyUnicode_Check(type)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "an ASGI scope without a type");
        goto out;
    }
    if (PyUnicode_CompareWithASCIIString(type, "websocket") == 0)
        awaitable = serve_websocket(state, self, scope, receive, send);
    else if (PyUnicode_CompareWithASCIIString(type, "http") == 0)
        handler = self->http;
    else if (PyUnicode_CompareWithASCIIString(type, "lifespan") == 0)
        handler = self->lifespan;
    else {
        PyErr_Format(PyExc_ValueError, "unknown ASGI scope type %R", type);
        goto out;
    }
    if (handler == Py_None)
        PyErr_Format(PyExc_ValueError, "nothing serves ASGI scope type %R",
                     type);
    else if (handler != NULL)
        awaitable = PyObject_CallFunctionObjArgs(handler, scope, receive, send,
                                                 NULL);

out:
    Py_XDECREF(type);
    return awaitable;
}

PyDoc_STRVAR(subpath_doc,
             "subpath(scope)\n--\n\n"
             "The path below the place where the application answers: \"\", "
             "\"/\", \"/publish\"; None when it is somewhere else.");

static PyObject *
asgi_app_subpath(fq_asgi_app *self, PyObject *scope)
{
    return subpath(fq_state_of((PyObject *)self), self, scope);
}

/* ── the type ── */

static PyObject *
asgi_app_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
             PyObject *Py_UNUSED(kwargs))
{
    fq_asgi_app *self = (fq_asgi_app *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->service = Py_NewRef(Py_None);
    self->start = Py_NewRef(Py_None);
    self->http = Py_NewRef(Py_None);
    self->lifespan = Py_NewRef(Py_None);
    self->path = Py_NewRef(Py_None);
    return (PyObject *)self;
}

/* A path as it is kept: a slash at the end goes. */
static PyObject *
path_of_argument(fq_state *state, PyObject *path)
{
    if (path == Py_None)
        return Py_NewRef(path);
    if (!PyUnicode_Check(path)) {
        PyErr_Format(PyExc_TypeError, "path must be a str, not %.100s",
                     Py_TYPE(path)->tp_name);
        return NULL;
    }
    Py_ssize_t len = PyUnicode_GET_LENGTH(path);
    if (len > 0 && PyUnicode_READ_CHAR(path, 0) != '/') {
        PyErr_Format(state->ConfigError, "path must begin with a slash: %R",
                     path);
        return NULL;
    }
    if (len > 0 && PyUnicode_READ_CHAR(path, len - 1) == '/')
        len--;
    return PyUnicode_Substring(path, 0, len);
}

static int
asgi_app_init(fq_asgi_app *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"service",  "start", "http",
                            "lifespan", "path",  NULL};
    PyObject *service = Py_None, *start = Py_None, *http = Py_None;
    PyObject *lifespan = Py_None, *path = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOOO:ASGIApp", names,
                                     &service, &start, &http, &lifespan,
                                     &path))
        return -1;
    path = path_of_argument(fq_state_of((PyObject *)self), path);
    if (path == NULL)
        return -1;
    Py_XSETREF(self->service, Py_NewRef(service));
    Py_XSETREF(self->start, Py_NewRef(start));
    Py_XSETREF(self->http, Py_NewRef(http));
    Py_XSETREF(self->lifespan, Py_NewRef(lifespan));
    Py_XSETREF(self->path, path);
    return 0;
}

static int
asgi_app_traverse(fq_asgi_app *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->service);
    Py_VISIT(self->start);
    Py_VISIT(self->http);
    Py_VISIT(self->lifespan);
    return 0;
}

static int
asgi_app_clear(fq_asgi_app *self)
{
    Py_CLEAR(self->service);
    Py_CLEAR(self->start);
    Py_CLEAR(self->http);
    Py_CLEAR(self->lifespan);
    return 0;
}

static void
asgi_app_dealloc(fq_asgi_app *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    asgi_app_clear(self);
    Py_CLEAR(self->path);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef asgi_app_members[] = {
    {"service", T_OBJECT, offsetof(fq_asgi_app, service), 0,
     "The Service that WebSockets join; None before the start."},
    {"path", T_OBJECT, offsetof(fq_asgi_app, path), READONLY,
     "Where it answers below its mount; \"\" is the mount itself, None is "
     "wherever it is asked."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(fq_asgi_app, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef asgi_app_methods[] = {
    {"subpath", (PyCFunction)asgi_app_subpath, METH_O, subpath_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(asgi_app_doc,
             "ASGIApp(*, service=None, start=None, http=None, lifespan=None, "
             "path=None)\n--\n\n"
             "An ASGI 3 application. A WebSocket joins service or, while that "
             "is None, what `await start()` gives; http and lifespan are "
             "called with scope, receive and send.");

static PyType_Slot asgi_app_slots[] = {
    {Py_tp_doc, (void *)asgi_app_doc},   {Py_tp_new, asgi_app_new},
    {Py_tp_init, asgi_app_init},         {Py_tp_call, asgi_app_call},
    {Py_tp_members, asgi_app_members},   {Py_tp_methods, asgi_app_methods},
    {Py_tp_traverse, asgi_app_traverse}, {Py_tp_clear, asgi_app_clear},
    {Py_tp_dealloc, asgi_app_dealloc},   {0, NULL},
};

static PyType_Spec asgi_app_spec = {
    .name = "fraiseql_asgi._core.ASGIApp",
    .basicsize = sizeof(fq_asgi_app),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = asgi_app_slots,
};

int
fq_asgi_app_init(PyObject *module, fq_state *state)
{
    state->asgi_app_type = fq_state_add_type(module, &asgi_app_spec, NULL);
    return state->asgi_app_type == NULL ? -1 : 0;
}
