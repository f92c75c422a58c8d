/* SPDX-License-Identifier: MIT */
/* Driving one awaitable, after the model of Modules/_asynciomodule.c: send
 * None, look at what was yielded, wait for it. Thread: loop. */
#include "python/drive.h"

#include "base/check.h"
#include "python/exception.h"

/* The iterator of |awaitable|, as `await` gets it. */
static PyObject *
get_await_iter(PyObject *awaitable)
{
    if (PyCoro_CheckExact(awaitable))
        return Py_NewRef(awaitable);
    PyTypeObject *type = Py_TYPE(awaitable);
    if (type->tp_as_async != NULL && type->tp_as_async->am_await != NULL) {
        PyObject *iter = type->tp_as_async->am_await(awaitable);
        if (iter == NULL || PyIter_Check(iter))
            return iter;
        PyErr_Format(PyExc_TypeError,
                     "__await__() returned non-iterator of type '%.100s'",
                     Py_TYPE(iter)->tp_name);
        Py_DECREF(iter);
        return NULL;
    }
    /* @types.coroutine on a generator function. */
    if (PyGen_CheckExact(awaitable))
        return Py_NewRef(awaitable);
    PyErr_Format(PyExc_TypeError, "'%.100s' object can't be awaited",
                 type->tp_name);
    return NULL;
}

int
fq_drive_start(fq_drive *self, PyObject *awaitable)
{
    FQ_CHECK(self->state == FQ_DRIVE_IDLE && self->iter == NULL);
    self->iter = get_await_iter(awaitable);
    if (self->iter == NULL)
        return -1;
    self->state = FQ_DRIVE_READY;
    return 0;
}

/* The value a StopIteration carries, when that is the current exception. */
static bool
take_stop_value(PyObject **presult)
{
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return false;
    PyObject *exception = fq_exception_take();
    *presult = Py_NewRef(((PyStopIterationObject *)exception)->value);
    Py_DECREF(exception);
    return true;
}

/* Throws |exception| (stolen) into |iter|; the outcome as PyIter_Send's. */
static PySendResult
throw_into(fq_state *state, PyObject *iter, PyObject *exception,
           PyObject **presult)
{
    PyObject *throw = PyObject_GetAttr(iter, state->str_throw);
    if (throw == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        /* A plain iterator cannot catch it. */
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
        *presult = NULL;
        return PYGEN_ERROR;
    }
    *presult = NULL;
    if (throw != NULL)
        *presult = PyObject_CallOneArg(throw, exception);
    Py_XDECREF(throw);
    Py_DECREF(exception);
    if (*presult != NULL)
        return PYGEN_NEXT;
    return take_stop_value(presult) ? PYGEN_RETURN : PYGEN_ERROR;
}

/* The exception |type| with |text| and the repr of |value|, to be thrown in at
 * the next step. Returns 0, or -1 when there is none to throw. */
static int
throw_later(fq_drive *self, const char *format, PyObject *value)
{
    PyObject *text = PyUnicode_FromFormat(format, value);
    if (text == NULL)
        return -1;
    PyObject *exception = PyObject_CallOneArg(PyExc_RuntimeError, text);
    Py_DECREF(text);
    if (exception == NULL)
        return -1;
    Py_XSETREF(self->thrown, exception);
    self->state = FQ_DRIVE_READY;
    return 0;
}

/* A bare `yield`: go on in the loop's next turn. */
static int
wait_for_turn(fq_drive *self, const fq_drive_place *place)
{
    fq_state *state = place->state;
    PyObject *args[] = {place->loop, self->woken, Py_None, place->context};
    PyObject *handle = PyObject_VectorcallMethod(state->str_call_soon, args, 3,
                                                 state->kwnames_context);
    if (handle == NULL)
        return -1;
    Py_DECREF(handle);
    self->is_loops = true;
    return 0;
}

static int
wait_for_future(fq_drive *self, const fq_drive_place *place, PyObject *future)
{
    fq_state *state = place->state;
    PyObject *loop = PyObject_CallMethodNoArgs(future, state->str_get_loop);
    if (loop == NULL)
        return -1;
    Py_DECREF(loop);
    if (loop != place->loop)
        return throw_later(self, "%R belongs to another event loop", future);
    if (PyObject_SetAttr(future, state->str__asyncio_future_blocking, Py_False)
        < 0)
        return -1;
    PyObject *args[] = {future, self->woken, place->context};
    PyObject *result = PyObject_VectorcallMethod(
        state->str_add_done_callback, args, 2, state->kwnames_context);
    if (result == NULL)
        return -1;
    Py_DECREF(result);
    self->future = Py_NewRef(future);
    /* These two call their callbacks by call_soon; of others nobody knows. */
    self->is_loops = Py_IS_TYPE(future, (PyTypeObject *)state->future_type)
                     || Py_IS_TYPE(future, (PyTypeObject *)state->task_type);
    return 0;
}

/* Waits for what was yielded. Returns 0 (the state says whether it waits, or
 * has something thrown in), or -1 with an exception to be thrown in. */
static int
wait_for(fq_drive *self, const fq_drive_place *place, PyObject *yielded)
{
    self->state = FQ_DRIVE_WAITING;
    Py_XSETREF(self->woken, PyCFunction_New(place->woken, place->owner));
    if (self->woken == NULL)
        return -1;
    if (yielded == Py_None)
        return wait_for_turn(self, place);

    PyObject *blocking = PyObject_GetAttr(
        yielded, place->state->str__asyncio_future_blocking);
    if (blocking == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError))
            return -1;
        PyErr_Clear();
        return throw_later(self,
                           "%R was yielded, which is nothing asyncio can wait "
                           "for: is this code written for another library, "
                           "such as trio?",
                           yielded);
    }
    int is_blocking = PyObject_IsTrue(blocking);
    Py_DECREF(blocking);
    if (is_blocking < 0)
        return -1;
    if (!is_blocking)
        return throw_later(
            self, "yield was used instead of yield from with %R", yielded);
    return wait_for_future(self, place, yielded);
}

/* The current exception becomes what is thrown in at the next step. */
static void
throw_current(fq_drive *self)
{
    Py_XSETREF(self->thrown, fq_exception_take());
    self->state = FQ_DRIVE_READY;
}

fq_drive_result
fq_drive_step(fq_drive *self, const fq_drive_place *place, PyObject **presult)
{
    while (self->state == FQ_DRIVE_READY) {
        PyObject *exception = self->thrown;
        self->thrown = NULL;
        PyObject *result;
        PySendResult sent = exception == NULL
                                ? PyIter_Send(self->iter, Py_None, &result)
                                : throw_into(place->state, self->iter,
                                             exception, &result);
        if (sent == PYGEN_NEXT) {
            if (wait_for(self, place, result) < 0)
                throw_current(self);
            Py_DECREF(result);
            continue;
        }
        self->state = FQ_DRIVE_IDLE;
        Py_CLEAR(self->iter);
        Py_CLEAR(self->woken);
        *presult = result;
        return sent == PYGEN_RETURN ? FQ_DRIVE_RETURNED : FQ_DRIVE_RAISED;
    }
    *presult = NULL;
    return FQ_DRIVE_BLOCKED;
}

bool
fq_drive_is_woken(fq_drive *self, PyObject *future)
{
    if (self->state != FQ_DRIVE_WAITING
        || future != (self->future == NULL ? Py_None : self->future))
        return false;
    self->state = FQ_DRIVE_READY;
    Py_CLEAR(self->future);
    return true;
}

bool
fq_drive_poll(fq_drive *self, fq_state *state)
{
    if (self->state != FQ_DRIVE_WAITING || self->future == NULL)
        return self->state == FQ_DRIVE_READY;
    PyObject *result = PyObject_CallMethodNoArgs(self->future,
                                                 state->str_done);
    if (result == NULL)
        PyErr_Clear();
    bool is_done = result == Py_True;
    Py_XDECREF(result);
    return is_done && fq_drive_is_woken(self, self->future);
}

int
fq_drive_cancel(fq_drive *self, fq_state *state, PyObject *msg)
{
    if (self->state != FQ_DRIVE_WAITING || self->future == NULL)
        return 0;
    PyObject *result = PyObject_CallMethodOneArg(self->future,
                                                 state->str_cancel, msg);
    if (result == NULL)
        return -1;
    int accepted = PyObject_IsTrue(result);
    Py_DECREF(result);
    return accepted;
}

/* Takes the callback back from what is waited for. */
static void
detach(fq_drive *self, fq_state *state)
{
    PyObject *future = self->future;
    self->future = NULL;
    if (future == NULL)
        return;
    PyObject *result = PyObject_CallMethodOneArg(
        future, state->str_remove_done_callback, self->woken);
    if (result == NULL)
        PyErr_WriteUnraisable(future);
    Py_XDECREF(result);
    Py_DECREF(future);
}

void
fq_drive_throw(fq_drive *self, fq_state *state, PyObject *exception)
{
    FQ_CHECK(self->state != FQ_DRIVE_IDLE);
    detach(self, state);
    Py_XSETREF(self->thrown, Py_NewRef(exception));
    self->state = FQ_DRIVE_READY;
}

void
fq_drive_abandon(fq_drive *self, fq_state *state)
{
    if (self->state == FQ_DRIVE_IDLE)
        return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    self->state = FQ_DRIVE_IDLE;
    detach(self, state);
    PyObject *iter = self->iter;
    self->iter = NULL;
    PyObject *close = PyObject_GetAttr(iter, state->str_close);
    if (close == NULL)
        PyErr_Clear();
    else {
        PyObject *result = PyObject_CallNoArgs(close);
        if (result == NULL)
            PyErr_WriteUnraisable(iter);
        Py_XDECREF(result);
        Py_DECREF(close);
    }
    Py_DECREF(iter);
    fq_drive_clear(self);
    PyErr_Restore(type, value, traceback);
}

int
fq_drive_traverse(fq_drive *self, visitproc visit, void *arg)
{
    Py_VISIT(self->iter);
    Py_VISIT(self->future);
    Py_VISIT(self->woken);
    Py_VISIT(self->thrown);
    return 0;
}

void
fq_drive_clear(fq_drive *self)
{
    self->state = FQ_DRIVE_IDLE;
    Py_CLEAR(self->iter);
    Py_CLEAR(self->future);
    Py_CLEAR(self->woken);
    Py_CLEAR(self->thrown);
}
