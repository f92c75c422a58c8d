/* SPDX-License-Identifier: MIT */
/* The waker as asyncio's Task sees it: `_asyncio_future_blocking`,
 * add_done_callback, remove_done_callback, cancel, result. It has one waiter,
 * the task that runs its owner. Thread: loop. */
#include "python/waker.h"

#include <structmember.h>

#include "base/check.h"

fq_waker *
fq_waker_new(fq_state *state, PyObject *loop, PyObject *owner,
             fq_waker_cancel cancel)
{
    PyTypeObject *type = state->waker_type;
    fq_waker *self = (fq_waker *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->loop = Py_NewRef(loop);
    self->owner = owner;
    self->cancel = cancel;
    return self;
}

PyObject *
fq_waker_arm(fq_waker *self)
{
    self->is_blocking = 1;
    self->is_done = false;
    return Py_NewRef((PyObject *)self);
}

void
fq_waker_let_go(fq_waker *self)
{
    self->owner = NULL;
}

/* Takes the wake-up out, as it is called once only. */
static bool
waker_take(fq_waker *self, PyObject **pcallback, PyObject **pcontext)
{
    *pcallback = self->callback;
    *pcontext = self->context;
    self->callback = NULL;
    self->context = NULL;
    self->is_done = true;
    return *pcallback != NULL;
}

/* loop.call_soon(callback, self, context=context); both are stolen. */
static int
waker_call_soon(fq_waker *self, PyObject *callback, PyObject *context)
{
    FQ_CHECK(self->loop != NULL);
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *args[] = {self->loop, callback, (PyObject *)self, context};
    PyObject *handle = PyObject_VectorcallMethod(
        state->str_call_soon, args, 3,
        context == NULL ? NULL : state->kwnames_context);
    Py_DECREF(callback);
    Py_XDECREF(context);
    if (handle == NULL)
        return -1;
    Py_DECREF(handle);
    return 0;
}

int
fq_waker_wake_here(fq_waker *self)
{
    PyObject *callback;
    PyObject *context;
    if (!waker_take(self, &callback, &context))
        return 0;
    /* A context is entered once at a time: one that is taken (a loop run
     * inside another) waits for its turn. */
    if (context == NULL || PyContext_Enter(context) < 0) {
        PyErr_Clear();
        return waker_call_soon(self, callback, context);
    }
    PyObject *result = PyObject_CallOneArg(callback, (PyObject *)self);
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (PyContext_Exit(context) < 0)
        PyErr_WriteUnraisable(context);
    PyErr_Restore(type, value, traceback);
    Py_XDECREF(result);
    Py_DECREF(callback);
    Py_DECREF(context);
    return result == NULL ? -1 : 0;
}

int
fq_waker_wake_soon(fq_waker *self)
{
    PyObject *callback;
    PyObject *context;
    if (!waker_take(self, &callback, &context))
        return 0;
    return waker_call_soon(self, callback, context);
}

/* ── the methods of a future ── */

PyDoc_STRVAR(add_done_callback_doc,
             "add_done_callback(fn, *, context=None)\n--\n\n"
             "Call fn(self) at the next wake-up. There is one waiter.");

static PyObject *
waker_add_done_callback(fq_waker *self, PyObject *const *args,
                        Py_ssize_t n_args, PyObject *kwnames)
{
    Py_ssize_t n_kwargs = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    if (n_args != 1 || n_kwargs > 1) {
        PyErr_SetString(PyExc_TypeError,
                        "add_done_callback() takes fn and context");
        return NULL;
    }
    if (self->callback != NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a connection is awaited by one task only");
        return NULL;
    }
    PyObject *context = n_kwargs == 1 && args[1] != Py_None
                            ? Py_NewRef(args[1])
                            : PyContext_CopyCurrent();
    if (context == NULL)
        return NULL;
    if (self->is_done) {
        if (waker_call_soon(self, Py_NewRef(args[0]), context) < 0)
            return NULL;
        Py_RETURN_NONE;
    }
    self->callback = Py_NewRef(args[0]);
    self->context = context;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(remove_done_callback_doc,
             "remove_done_callback(fn)\n--\n\n"
             "Forget fn; return how many callbacks were removed.");

static PyObject *
waker_remove_done_callback(fq_waker *self, PyObject *callback)
{
    int is_same = 0;
    if (self->callback != NULL)
        is_same = PyObject_RichCompareBool(self->callback, callback, Py_EQ);
    if (is_same < 0)
        return NULL;
    if (is_same) {
        Py_CLEAR(self->callback);
        Py_CLEAR(self->context);
    }
    return PyLong_FromLong(is_same);
}

PyDoc_STRVAR(cancel_doc, "cancel(msg=None)\n--\n\n"
                         "Cancel what the connection waits for; false when "
                         "that cannot be cancelled now.");

static PyObject *
waker_do_cancel(fq_waker *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"msg", NULL};
    PyObject *msg = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", names, &msg))
        return NULL;
    if (self->owner == NULL || self->callback == NULL)
        Py_RETURN_FALSE;
    PyObject *owner = Py_NewRef(self->owner);
    int accepted = self->cancel(owner, msg);
    Py_DECREF(owner);
    if (accepted < 0)
        return NULL;
    return PyBool_FromLong(accepted);
}

static PyObject *
waker_result(fq_waker *self, PyObject *Py_UNUSED(ignored))
{
    if (!self->is_done) {
        PyErr_SetString(PyExc_RuntimeError, "the connection is still waiting");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
waker_done(fq_waker *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(self->is_done);
}

/* A cancellation reaches the task through what was cancelled. */
static PyObject *
waker_cancelled(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    Py_RETURN_FALSE;
}

static PyObject *
waker_get_loop(fq_waker *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self->loop);
}

/* `await waker`, for code that wraps what a task is given. */
static PyObject *
waker_next(fq_waker *self)
{
    if (self->is_done)
        return NULL;
    self->is_blocking = 1;
    return Py_NewRef((PyObject *)self);
}

static int
waker_traverse(fq_waker *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->context);
    return 0;
}

static int
waker_clear(fq_waker *self)
{
    Py_CLEAR(self->loop);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->context);
    return 0;
}

static void
waker_dealloc(fq_waker *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    waker_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef waker_members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(fq_waker, is_blocking), 0,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef waker_methods[] = {
    {"add_done_callback", (PyCFunction)(void (*)(void))waker_add_done_callback,
     METH_FASTCALL | METH_KEYWORDS, add_done_callback_doc},
    {"remove_done_callback", (PyCFunction)waker_remove_done_callback, METH_O,
     remove_done_callback_doc},
    {"cancel", (PyCFunction)(void (*)(void))waker_do_cancel,
     METH_VARARGS | METH_KEYWORDS, cancel_doc},
    {"result", (PyCFunction)waker_result, METH_NOARGS, NULL},
    {"exception", (PyCFunction)waker_result, METH_NOARGS, NULL},
    {"done", (PyCFunction)waker_done, METH_NOARGS, NULL},
    {"cancelled", waker_cancelled, METH_NOARGS, NULL},
    {"get_loop", (PyCFunction)waker_get_loop, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(waker_doc, "What the task of a WebSocket waits for.");

static PyType_Slot waker_slots[] = {
    {Py_tp_doc, (void *)waker_doc},   {Py_tp_members, waker_members},
    {Py_tp_methods, waker_methods},   {Py_am_await, PyObject_SelfIter},
    {Py_tp_iter, PyObject_SelfIter},  {Py_tp_iternext, waker_next},
    {Py_tp_traverse, waker_traverse}, {Py_tp_clear, waker_clear},
    {Py_tp_dealloc, waker_dealloc},   {0, NULL},
};

static PyType_Spec waker_spec = {
    .name = "fraiseql_asgi._core.Waker",
    .basicsize = sizeof(fq_waker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = waker_slots,
};

int
fq_waker_init(PyObject *module, fq_state *state)
{
    state->waker_type = fq_state_add_type(module, &waker_spec, NULL);
    if (state->waker_type == NULL)
        return -1;
    state->kwnames_context = Py_BuildValue("(O)", state->str_context);
    return state->kwnames_context == NULL ? -1 : 0;
}
