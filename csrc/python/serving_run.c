/* SPDX-License-Identifier: MIT */
/* Driving a connection. Thread: loop.
 *
 * The task of the server awaits it, and each step of that task drives two
 * awaitables: |out|, the send() under way (one at a time, so order holds), and
 * |in|, the pending receive(). When both wait and the port has nothing to
 * take, the task gets the waker; what they wait for, and news of the port,
 * wake it.
 *
 * Everything that ends the connection goes through fq_serving_end(), which
 * disconnects the port at once, cancels what is suspended, and lets it finish
 * (ENDING): a send() wrapped in a task group or a cancel scope must leave it.
 *
 * A cancellation goes where Task.cancel would take it, into the future that is
 * waited for. There are two; the receive() comes first, as nothing is lost
 * when it is cancelled and called again, while a send() cut short loses its
 * message. If it was meant for the send() (a timeout around it), the receive()
 * raises CancelledError, and it is passed on. */
#include "python/serving.h"

#include "base/check.h"
#include "base/clock.h"
#include "python/exception.h"

/* One step of the task sends so many messages, or runs so long, before other
 * tasks get their turn: a server whose send() never waits (daphne) would keep
 * the loop to itself. */
#define SENDS_MAX 64
#define STEP_NS (5 * UINT64_C(1000000))
/* The clock is read once in so many sends. */
#define SENDS_PER_CLOCK 16

static PyMethodDef in_woken;
static PyMethodDef out_woken;

/* Where the drives of a connection wait. */
typedef struct serving_places {
    fq_drive_place in;
    fq_drive_place out;
} serving_places;

static const fq_serving_phase_ops *
phase_of(const fq_serving *self)
{
    return &self->kind->phases[self->phase];
}

static bool
is_cancellation(fq_serving *self, PyObject *exception)
{
    return PyObject_TypeCheck(exception,
                              (PyTypeObject *)self->state->cancelled_error);
}

/* The message a cancellation carries, as a new reference: anyio knows its own
 * by it. */
static PyObject *
cancellation_msg(PyObject *exception)
{
    PyObject *args = ((PyBaseExceptionObject *)exception)->args;
    bool has_msg = args != NULL && PyTuple_GET_SIZE(args) > 0;
    return Py_NewRef(has_msg ? PyTuple_GET_ITEM(args, 0) : Py_None);
}

/* ── the end ── */

void
fq_serving_cancel_drive(fq_serving *self, fq_drive *drive, PyObject *msg)
{
    if (drive->state == FQ_DRIVE_IDLE)
        return;
    int accepted = fq_drive_cancel(drive, self->state, msg);
    if (accepted > 0)
        return;
    if (accepted < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    PyObject *exception = PyObject_CallFunctionObjArgs(
        self->state->cancelled_error, msg == Py_None ? NULL : msg, NULL);
    if (exception == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
        fq_drive_abandon(drive, self->state);
        return;
    }
    fq_drive_throw(drive, self->state, exception);
    Py_DECREF(exception);
}

void
fq_serving_end(fq_serving *self, PyObject *outcome)
{
    if (self->phase == FQ_SERVING_ENDING) {
        if (self->outcome == NULL)
            self->outcome = outcome;
        else
            Py_XDECREF(outcome);
        return;
    }
    self->phase = FQ_SERVING_ENDING;
    self->outcome = outcome;
    fq_loop_mailbox *mailbox = self->base.mailbox;
    /* The place of the drives outlives the port. */
    self->base.mailbox = NULL;
    fq_port_object_close(&self->base, NULL);
    self->base.mailbox = mailbox;

    bool is_fatal = outcome != NULL && !is_cancellation(self, outcome)
                    && !PyObject_TypeCheck(outcome,
                                           (PyTypeObject *)PyExc_Exception);
    if (is_fatal) {
        /* KeyboardInterrupt, SystemExit: now. */
        fq_drive_abandon(&self->in, self->state);
        fq_drive_abandon(&self->out, self->state);
        return;
    }
    fq_serving_cancel_drive(self, &self->in, Py_None);
    fq_serving_cancel_drive(self, &self->out, Py_None);
}

int
fq_serving_end_clean(fq_serving *self)
{
    fq_serving_end(self, NULL);
    return 0;
}

void
fq_serving_release(fq_serving *self)
{
    self->phase = FQ_SERVING_ENDED;
    fq_port_object_close(&self->base, NULL);
    if (self->waker != NULL)
        fq_waker_let_go(self->waker);
    Py_CLEAR(self->waker);
    Py_CLEAR(self->start);
    Py_CLEAR(self->receive);
    Py_CLEAR(self->send);
    Py_CLEAR(self->farewell);
    if (self->kind->release != NULL)
        self->kind->release(self);
}

/* Everything has ended: returns None, or raises the outcome. */
static PySendResult
serving_finish(fq_serving *self, PyObject **presult)
{
    fq_serving_release(self);
    PyObject *outcome = self->outcome;
    self->outcome = NULL;
    if (outcome != NULL) {
        fq_exception_raise(outcome);
        *presult = NULL;
        return PYGEN_ERROR;
    }
    *presult = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* ── failures ── */

/* The server's send() raised |failure|, and it is not yet clear why: a
 * connection that is gone shows in receive(), without waiting. */
static bool
is_disconnected(fq_serving *self, const serving_places *places)
{
    for (;;) {
        if (self->in.state == FQ_DRIVE_IDLE) {
            PyObject *awaitable = PyObject_CallNoArgs(self->receive);
            if (awaitable == NULL)
                return false;
            int status = fq_drive_start(&self->in, awaitable);
            Py_DECREF(awaitable);
            if (status < 0)
                return false;
        }
        if (!fq_drive_poll(&self->in, self->state))
            return false;
        PyObject *message;
        if (fq_drive_step(&self->in, &places->in, &message)
            != FQ_DRIVE_RETURNED)
            return false;
        int is_it = self->kind->is_disconnect(self, message);
        Py_DECREF(message);
        if (is_it != 0)
            return is_it > 0;
    }
}

/* |out| raised. */
static void
out_raised(fq_serving *self, const serving_places *places)
{
    PyObject *exception = fq_exception_take();
    bool is_send = !phase_of(self)->is_starting;
    if (self->phase == FQ_SERVING_ENDING) {
        /* Cancelled by us, or the server's word that the client is gone. */
        if (PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception)
            || is_cancellation(self, exception))
            Py_CLEAR(exception);
        fq_serving_end(self, exception);
        return;
    }
    /* Whoever starts the service has said why it cannot be. */
    if (!is_send
        && PyErr_GivenExceptionMatches(exception,
                                       self->state->FraiseQLError)) {
        Py_DECREF(exception);
        if (self->kind->unavailable(self) < 0)
            fq_serving_end(self, fq_exception_take());
        return;
    }
    /* ASGI 2.4: send() on a closed connection raises an OSError. Before that
     * servers raised what they liked, or nothing. */
    bool is_gone = false;
    if (is_send
        && PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_OSError))
        is_gone = true;
    else if (is_send
             && PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception)
             && !is_cancellation(self, exception)) {
        is_gone = is_disconnected(self, places);
        PyErr_Clear();
    }
    if (is_gone)
        Py_CLEAR(exception);
    fq_serving_end(self, exception);
}

/* |in| raised. A cancellation goes on to a suspended |out|, for which it may
 * have been meant. */
static void
in_raised(fq_serving *self)
{
    PyObject *exception = fq_exception_take();
    bool is_cancelled = is_cancellation(self, exception);
    if (self->phase == FQ_SERVING_ENDING || phase_of(self)->is_leaving) {
        /* Cancelled by us, or of no more interest. */
        if (is_cancelled
            || PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception))
            Py_CLEAR(exception);
        if (exception != NULL || self->phase == FQ_SERVING_ENDING
            || phase_of(self)->receives)
            fq_serving_end(self, exception);
        return;
    }
    if (is_cancelled && self->out.state != FQ_DRIVE_IDLE) {
        PyObject *msg = cancellation_msg(exception);
        self->is_cancelling = true;
        fq_serving_cancel_drive(self, &self->out, msg);
        Py_DECREF(msg);
        Py_DECREF(exception);
        return;
    }
    fq_serving_end(self, exception);
}

/* The current exception of a handler. */
static void
serving_fail(fq_serving *self)
{
    fq_serving_end(self, fq_exception_take());
}

/* ── the select ── */

/* Drives |out| one step. True when something came of it. */
static bool
step_out(fq_serving *self, const serving_places *places)
{
    int phase = self->phase;
    if (self->out.state == FQ_DRIVE_IDLE && phase_of(self)->send_next != NULL
        && phase_of(self)->send_next(self) < 0) {
        serving_fail(self);
        return true;
    }
    if (self->out.state != FQ_DRIVE_READY)
        return self->phase != phase;
    PyObject *result;
    fq_drive_result driven = fq_drive_step(&self->out, &places->out, &result);
    /* It has seen the cancellation, and may go on for as long as it likes. */
    self->is_cancelling = false;
    if (driven == FQ_DRIVE_BLOCKED)
        return false;
    if (driven == FQ_DRIVE_RAISED) {
        out_raised(self, places);
        return true;
    }
    if (phase_of(self)->sent != NULL && phase_of(self)->sent(self, result) < 0)
        serving_fail(self);
    Py_DECREF(result);
    return true;
}

static int
begin_receive(fq_serving *self)
{
    if (!phase_of(self)->receives || self->is_cancelling)
        return 0;
    if (self->is_paused && !fq_port_may_receive(self->base.port))
        return 0;
    self->is_paused = false;
    PyObject *awaitable = PyObject_CallNoArgs(self->receive);
    if (awaitable == NULL)
        return -1;
    int status = fq_drive_start(&self->in, awaitable);
    Py_DECREF(awaitable);
    return status;
}

/* The same for |in|. */
static bool
step_in(fq_serving *self, const serving_places *places)
{
    if (self->in.state == FQ_DRIVE_IDLE && begin_receive(self) < 0) {
        serving_fail(self);
        return true;
    }
    if (self->in.state != FQ_DRIVE_READY)
        return false;
    PyObject *message;
    fq_drive_result driven = fq_drive_step(&self->in, &places->in, &message);
    bool was_waited_for = self->is_waiting_in;
    self->is_waiting_in = false;
    if (driven == FQ_DRIVE_BLOCKED)
        return was_waited_for;
    if (driven == FQ_DRIVE_RAISED) {
        in_raised(self);
        return true;
    }
    if (phase_of(self)->received != NULL
        && phase_of(self)->received(self, message) < 0)
        serving_fail(self);
    Py_DECREF(message);
    return true;
}

PySendResult
fq_serving_run(fq_serving *self, PyObject **presult)
{
    PyObject *loop = fq_loop_mailbox_loop(self->base.mailbox);
    PyObject *context = fq_loop_mailbox_context(self->base.mailbox);
    PyObject *owner = (PyObject *)self;
    const serving_places places = {
        .in = {self->state, loop, context, owner, &in_woken},
        .out = {self->state, loop, context, owner, &out_woken},
    };
    uint64_t deadline_ns = fq_clock_now_ns() + STEP_NS;
    for (int n = 1;; n++) {
        bool has_sent = step_out(self, &places);
        bool has_received = step_in(self, &places);
        if (self->phase == FQ_SERVING_ENDING && self->in.state == FQ_DRIVE_IDLE
            && self->out.state == FQ_DRIVE_IDLE)
            return serving_finish(self, presult);
        if (!has_sent && !has_received && self->in.state != FQ_DRIVE_READY
            && self->out.state != FQ_DRIVE_READY)
            break;
        if (n == SENDS_MAX
            || (n % SENDS_PER_CLOCK == 0
                && fq_clock_now_ns() >= deadline_ns)) {
            /* A bare yield brings the task back in the loop's next turn. */
            *presult = Py_NewRef(Py_None);
            return PYGEN_NEXT;
        }
    }
    *presult = phase_of(self)->takes_turns ? Py_NewRef(Py_None)
                                           : fq_waker_arm(self->waker);
    return PYGEN_NEXT;
}

/* ── waking ── */

/* What a cancellation of the task goes to, or NULL. A receive() that was
 * cancelled before the close is of no more interest. */
static fq_drive *
cancelled_drive(fq_serving *self)
{
    if (self->in.state != FQ_DRIVE_IDLE && !phase_of(self)->is_leaving)
        return &self->in;
    return self->out.state != FQ_DRIVE_IDLE ? &self->out : NULL;
}

int
fq_serving_cancel_waiting(PyObject *owner, PyObject *msg)
{
    fq_serving *self = (fq_serving *)owner;
    if (self->phase == FQ_SERVING_ENDING && self->outcome == NULL) {
        /* The task must see it, though the drives' own errors are dropped. */
        self->outcome = PyObject_CallFunctionObjArgs(
            self->state->cancelled_error, msg == Py_None ? NULL : msg, NULL);
        if (self->outcome == NULL)
            return -1;
    }
    fq_drive *drive = cancelled_drive(self);
    return drive == NULL ? 0 : fq_drive_cancel(drive, self->state, msg);
}

static PyObject *
drive_woken(fq_serving *self, fq_drive *drive, PyObject *future)
{
    bool is_loops = drive->is_loops;
    if (!fq_drive_is_woken(drive, future) || self->waker == NULL)
        Py_RETURN_NONE;
    int status = is_loops ? fq_waker_wake_here(self->waker)
                          : fq_waker_wake_soon(self->waker);
    if (status < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
serving_in_woken(PyObject *self, PyObject *future)
{
    return drive_woken((fq_serving *)self, &((fq_serving *)self)->in, future);
}

static PyObject *
serving_out_woken(PyObject *self, PyObject *future)
{
    return drive_woken((fq_serving *)self, &((fq_serving *)self)->out, future);
}

static PyMethodDef in_woken = {"received", serving_in_woken, METH_O, NULL};
static PyMethodDef out_woken = {"sent", serving_out_woken, METH_O, NULL};

/* The send() that is suspended is not waited for any more. */
static bool
is_lost(fq_serving *self)
{
    return self->waker != NULL && self->phase != FQ_SERVING_ENDING
           && self->base.port != NULL && fq_port_is_lost(self->base.port);
}

/* Port mail. A task that could not go on is not woken. */
int
fq_serving_news(fq_port_object *base)
{
    fq_serving *self = (fq_serving *)base;
    self->has_news = true;
    bool can_send = self->out.state == FQ_DRIVE_IDLE;
    if (!can_send && is_lost(self)) {
        fq_serving_end(self, NULL);
        return fq_waker_wake_here(self->waker);
    }
    if (!phase_of(self)->takes_news || self->waker == NULL)
        return 0;
    bool can_receive = self->is_paused && self->in.state == FQ_DRIVE_IDLE;
    if (!can_send && !can_receive)
        return 0;
    return fq_waker_wake_here(self->waker);
}

/* Takes |exception| to what is suspended. A cancellation cancels what that
 * waits for, if it can, so that a task waited for ends before its waiter. */
void
fq_serving_throw_in(fq_serving *self, PyObject *exception)
{
    if (self->phase == FQ_SERVING_ENDING)
        fq_serving_end(self, Py_NewRef(exception));
    fq_drive *drive = cancelled_drive(self);
    if (drive == NULL) {
        fq_serving_end(self, Py_NewRef(exception));
        return;
    }
    bool is_cancelled = is_cancellation(self, exception);
    if (is_cancelled) {
        PyObject *msg = cancellation_msg(exception);
        int accepted = fq_drive_cancel(drive, self->state, msg);
        Py_DECREF(msg);
        if (accepted > 0)
            return;
        if (accepted < 0)
            PyErr_WriteUnraisable((PyObject *)self);
    }
    fq_drive_throw(drive, self->state, exception);
}
