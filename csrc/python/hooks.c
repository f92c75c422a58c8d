/* SPDX-License-Identifier: MIT */
/* Hooks. Thread: loop. */
#include "python/hooks.h"

#include "python/service_object.h"

/* The service's Hooks, borrowed, or NULL. */
static PyObject *
hooks_of(fq_port_object *owner)
{
    fq_service_object *service = (fq_service_object *)owner->service;
    return service == NULL ? NULL : service->hooks;
}

/* Calls |method| of the hooks with |args| (stolen; NULL: an exception is set)
 * in a copy of the connection's contextvars. What it returns, or NULL without
 * an exception. */
static PyObject *
call(fq_port_object *owner, const char *method, PyObject *args)
{
    PyObject *result = NULL;
    PyObject *hooks = hooks_of(owner);
    PyObject *bound = PyObject_GetAttrString(hooks, method);
    PyObject *context = PyContext_Copy(owner->context);
    if (args != NULL && bound != NULL && context != NULL
        && PyContext_Enter(context) == 0) {
        result = PyObject_Call(bound, args, NULL);
        PyContext_Exit(context);
    }
    if (result == NULL)
        PyErr_WriteUnraisable(hooks);
    Py_XDECREF(context);
    Py_XDECREF(bound);
    Py_XDECREF(args);
    return result;
}

static PyObject *
or_none(PyObject *object)
{
    return object == NULL ? Py_None : object;
}

void
fq_hooks_connected(fq_state *Py_UNUSED(state), fq_port_object *owner)
{
    if (hooks_of(owner) == NULL)
        return;
    PyObject *id = fq_port_object_connection_id(owner);
    PyObject *args = NULL;
    if (id != NULL)
        args = Py_BuildValue("(OOOO)", id, or_none(owner->security),
                             or_none(owner->params), or_none(owner->scope));
    PyObject *connection = call(owner, "connected", args);
    Py_XDECREF(id);
    Py_XSETREF(owner->connection, connection);
}

void
fq_hooks_renewed(fq_state *Py_UNUSED(state), fq_port_object *owner)
{
    if (owner->connection == NULL || hooks_of(owner) == NULL)
        return;
    PyObject *args = PyTuple_Pack(2, owner->connection,
                                  or_none(owner->security));
    Py_XDECREF(call(owner, "renewed", args));
}

void
fq_hooks_completed(fq_state *Py_UNUSED(state), fq_port_object *owner,
                   fq_sub_id id)
{
    if (owner->connection == NULL || hooks_of(owner) == NULL)
        return;
    PyObject *args = Py_BuildValue("(OK)", owner->connection,
                                   (unsigned long long)id);
    Py_XDECREF(call(owner, "completed", args));
}

/* From another thread: asks the loop, which may be closed, to call. */
static void
call_soon(fq_state *state, fq_port_object *owner, PyObject *connection)
{
    PyObject *bound = PyObject_GetAttrString(hooks_of(owner), "disconnected");
    PyObject *loop = fq_loop_mailbox_loop(owner->mailbox);
    PyObject *result = NULL;
    if (bound != NULL && loop != NULL)
        result = PyObject_CallMethodObjArgs(
            loop, state->str_call_soon_threadsafe, bound, connection, NULL);
    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
    Py_XDECREF(bound);
}

void
fq_hooks_disconnected(fq_state *state, fq_port_object *owner)
{
    PyObject *connection = owner->connection;
    owner->connection = NULL;
    if (connection == NULL || hooks_of(owner) == NULL) {
        Py_XDECREF(connection);
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    /* Without a mailbox: a WebSocket that keeps its own, in its task. */
    if (owner->mailbox == NULL || fq_loop_mailbox_is_here(owner->mailbox))
        Py_XDECREF(call(owner, "disconnected", PyTuple_Pack(1, connection)));
    else
        call_soon(state, owner, connection);
    Py_DECREF(connection);
    PyErr_Restore(type, value, traceback);
}
