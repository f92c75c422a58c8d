/* SPDX-License-Identifier: MIT */
/* Tasks that answer calls. Thread: loop. */
#include "python/call_task.h"

int
fq_call_task_watch(fq_call_task *self)
{
    PyObject *added = PyObject_CallMethodOneArg(
        self->task, fq_state_of((PyObject *)self)->str_add_done_callback,
        (PyObject *)self);
    if (added == NULL)
        return -1;
    Py_DECREF(added);
    return 0;
}

PyObject *
fq_call_task_cancel(fq_call_task *self)
{
    return PyObject_CallMethodNoArgs(
        self->task, fq_state_of((PyObject *)self)->str_cancel);
}

PyObject *
fq_call_task_result(fq_call_task *self)
{
    return PyObject_CallMethodNoArgs(
        self->task, fq_state_of((PyObject *)self)->str_result);
}

/* cancel() is user code, which may change |tasks|. */
int
fq_call_task_cancel_all(fq_list *tasks, PyObject *loop,
                        PyObject *(*cancel)(fq_call_task *), PyObject *list)
{
    PyObject *mine = PyList_New(0);
    if (mine == NULL)
        return -1;
    int result = 0;
    FQ_LIST_FOREACH(node, tasks)
    {
        fq_call_task *self = FQ_CONTAINER_OF(node, fq_call_task, node);
        if (self->loop == loop
            && (PyList_Append(mine, (PyObject *)self) < 0
                || PyList_Append(list, self->task) < 0)) {
            result = -1;
            break;
        }
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(mine) && result == 0; i++) {
        PyObject *done = cancel((fq_call_task *)PyList_GET_ITEM(mine, i));
        if (done == NULL)
            result = -1;
        Py_XDECREF(done);
    }
    Py_DECREF(mine);
    return result;
}

int
fq_call_task_traverse(fq_call_task *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    Py_VISIT(self->service);
    Py_VISIT(self->resolver);
    Py_VISIT(self->task);
    Py_VISIT(self->loop);
    return 0;
}

/* The task can break every cycle; the members are needed while it lives. */
void
fq_call_task_dealloc(fq_call_task *self)
{
    PyTypeObject *type = Py_TYPE(self);
    fq_list_remove(&self->node);
    fq_call_free(self->call);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->service);
    Py_XDECREF(self->resolver);
    Py_XDECREF(self->task);
    Py_XDECREF(self->loop);
    type->tp_free(self);
    Py_DECREF(type);
}
