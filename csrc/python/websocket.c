/* SPDX-License-Identifier: MIT */
/* One ASGI WebSocket connection as a state machine. Thread: loop.
 *
 * The task of the server awaits it, and each step of that task drives two
 * awaitables: |out|, the send() under way (one at a time, so order holds), and
 * |in|, the pending receive(). When both wait and the port has nothing to
 * take, the task gets the waker; what they wait for, and news of the port,
 * wake it. A phase says what a message received and a message sent lead to:
 *
 *   NEW > CONNECTING > STARTING > ACCEPTING > OPEN > LEAVING > CLOSING
 *             |                                         ^          v
 *             +--- no subprotocol: > REJECTING ---------+        ENDING > ENDED
 *             +--- not here, or closed: ----------------+
 *
 * Before the close is sent, the pending receive() is cancelled (LEAVING): with
 * one pending, granian 2.8 sends no close frame.
 *
 * Everything that ends the connection goes through websocket_end(), which
 * disconnects the port at once, cancels what is suspended, and lets it finish
 * (ENDING): a send() wrapped in a task group or a cancel scope must leave it.
 *
 * A cancellation goes where Task.cancel would take it, into the future that is
 * waited for. There are two; the receive() comes first, as nothing is lost
 * when it is cancelled and called again, while a send() cut short loses its
 * message. If it was meant for the send() (a timeout around it), the receive()
 * raises CancelledError, and it is passed on. */
#include "python/websocket.h"

#include "base/check.h"
#include "base/clock.h"
#include "python/asgi_message.h"
#include "python/asgi_scope.h"
#include "python/drive.h"
#include "python/port_object.h"
#include "python/service_object.h"
#include "python/waker.h"
#include "reactor/session.h"

/* The clock is read once in so many sends. */
#define SENDS_PER_CLOCK 16

/* Close codes and reasons: graphql-ws, server.ts; RFC 6455 7.4.1 and IANA. */
#define CODE_SUBPROTOCOL 4406
#define REASON_SUBPROTOCOL "Subprotocol not acceptable"
#define CODE_RESTART 1012

typedef struct fq_websocket fq_websocket;

/* Handlers return 0, or -1 with an exception that ends the connection. */
typedef struct websocket_phase {
    /* receive() is called, and called again after each message. */
    bool receives;
    /* receive() gave |message|. */
    int (*received)(fq_websocket *self, PyObject *message);
    /* What |out| awaited gave |result|. */
    int (*sent)(fq_websocket *self, PyObject *result);
    /* Nothing is being sent: starts what comes next, if anything does. */
    int (*send_next)(fq_websocket *self);
} websocket_phase;

struct fq_websocket {
    fq_port_object base;
    fq_state *state; /* of the module, which the type holds */
    const websocket_phase *phase;
    fq_drive in;
    fq_drive out;
    fq_waker *waker; /* NULL before the first step and after */
    PyObject *start; /* gives the Service, or NULL */
    PyObject *receive;
    PyObject *send;
    PyObject *farewell; /* LEAVING: the close to be sent */
    PyObject *outcome;  /* ENDING: what to raise, or NULL */
    bool is_running;    /* inside a step */
    bool has_news;      /* the port may have something to take */
    bool is_paused;     /* receive no more until the port may */
    bool is_cancelling; /* a cancellation went on to |out| */
    bool is_waiting_in; /* LEAVING: for |in| to see its cancellation */
};

static const websocket_phase phase_new;
static const websocket_phase phase_connecting;
static const websocket_phase phase_starting;
static const websocket_phase phase_accepting;
static const websocket_phase phase_rejecting;
static const websocket_phase phase_open;
static const websocket_phase phase_leaving;
static const websocket_phase phase_closing;
static const websocket_phase phase_ending;
static const websocket_phase phase_ended;

static PyMethodDef in_woken;
static PyMethodDef out_woken;

/* Where the drives of a connection wait. */
typedef struct websocket_places {
    fq_drive_place in;
    fq_drive_place out;
} websocket_places;

/* ── the current exception as an object ── */

static PyObject *
take_exception(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

static void
raise_exception(PyObject *exception)
{
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception,
                  PyException_GetTraceback(exception));
}

static bool
is_cancellation(fq_websocket *self, PyObject *exception)
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

/* Makes a suspended drive raise CancelledError. */
static void
cancel_drive(fq_websocket *self, fq_drive *drive, PyObject *msg)
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

/* Begins the end; |outcome| (stolen) is what will be raised, or NULL. */
static void
websocket_end(fq_websocket *self, PyObject *outcome)
{
    if (self->phase == &phase_ending) {
        if (self->outcome == NULL)
            self->outcome = outcome;
        else
            Py_XDECREF(outcome);
        return;
    }
    self->phase = &phase_ending;
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
    cancel_drive(self, &self->in, Py_None);
    cancel_drive(self, &self->out, Py_None);
}

/* The client left: nothing to raise. */
static int
websocket_end_clean(fq_websocket *self)
{
    websocket_end(self, NULL);
    return 0;
}

static void
websocket_release(fq_websocket *self)
{
    self->phase = &phase_ended;
    fq_port_object_close(&self->base, NULL);
    if (self->waker != NULL)
        fq_waker_let_go(self->waker);
    Py_CLEAR(self->waker);
    Py_CLEAR(self->start);
    Py_CLEAR(self->receive);
    Py_CLEAR(self->send);
    Py_CLEAR(self->farewell);
}

/* Everything has ended: returns None, or raises the outcome. */
static PySendResult
websocket_finish(fq_websocket *self, PyObject **presult)
{
    websocket_release(self);
    PyObject *outcome = self->outcome;
    self->outcome = NULL;
    if (outcome != NULL) {
        raise_exception(outcome);
        *presult = NULL;
        return PYGEN_ERROR;
    }
    *presult = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* ── sending ── */

/* Begins send(message), whose reference it steals; NULL: an exception is set
 * already. */
static int
begin_send(fq_websocket *self, PyObject *message)
{
    if (message == NULL)
        return -1;
    PyObject *awaitable = PyObject_CallOneArg(self->send, message);
    Py_DECREF(message);
    if (awaitable == NULL)
        return -1;
    int status = fq_drive_start(&self->out, awaitable);
    Py_DECREF(awaitable);
    return status;
}

/* Leaves, with |close| as the last word. */
static int
begin_close(fq_websocket *self, const fq_close *close)
{
    self->phase = &phase_leaving;
    self->farewell = fq_asgi_message_close(self->state, close);
    if (self->farewell == NULL)
        return -1;
    self->is_waiting_in = self->in.state != FQ_DRIVE_IDLE;
    cancel_drive(self, &self->in, Py_None);
    return 0;
}

/* A receive() that goes on in spite of its cancellation is not waited for. */
static int
leaving_send_next(fq_websocket *self)
{
    if (self->is_waiting_in)
        return 0;
    PyObject *message = self->farewell;
    self->farewell = NULL;
    self->phase = &phase_closing;
    return begin_send(self, message);
}

static int
begin_close_with(fq_websocket *self, uint16_t code, fq_str reason)
{
    fq_close close = {.code = code, .reason_len = (uint8_t)reason.len};
    if (reason.len > 0)
        memcpy(close.reason, reason.ptr, reason.len);
    return begin_close(self, &close);
}

/* The next delivery, or the close behind the last one. */
static int
open_send_next(fq_websocket *self)
{
    if (!self->has_news)
        return 0;
    fq_queue_item item;
    fq_close close;
    if (fq_port_take(self->base.port, &item, 1, &close) == 1) {
        PyObject *message = fq_asgi_message_send(self->state, &item);
        fq_queue_item_fini(&item);
        return begin_send(self, message);
    }
    self->has_news = false;
    return close.code == 0 ? 0 : begin_close(self, &close);
}

/* ── the handshake ── */

/* 1 when the client offers our subprotocol, 0 when not, -1 on failure. */
static int
offers_subprotocol(fq_websocket *self)
{
    PyObject *offered = fq_asgi_scope_get(self->base.scope,
                                          self->state->str_subprotocols);
    if (offered == NULL)
        return PyErr_Occurred() ? -1 : 0;
    int is_in = offered == Py_None ? 0
                                   : PySequence_Contains(
                                         offered, self->state->ws_subprotocol);
    Py_DECREF(offered);
    return is_in;
}

/* Opens the session and accepts. A service that has ended refuses: a close
 * before the accept is a 403. */
static int
open_session(fq_websocket *self)
{
    fq_state *state = self->state;
    fq_service *service = fq_service_object_peek(self->base.service);
    fq_status status = FQ_ERR_CLOSED;
    if (service != NULL)
        status = fq_session_open(service,
                                 fq_loop_mailbox_peek(self->base.mailbox),
                                 &self->base, &self->base.port);
    else if (!PyErr_ExceptionMatches(state->ClosedError))
        return -1;
    PyErr_Clear();
    if (status == FQ_ERR_CLOSED)
        return begin_close_with(self, CODE_RESTART, FQ_STR_LIT(""));
    if (status != FQ_OK) {
        PyErr_NoMemory();
        return -1;
    }
    self->phase = &phase_accepting;
    return begin_send(self, fq_asgi_message_accept(state, true));
}

static int
begin_start(fq_websocket *self)
{
    self->phase = &phase_starting;
    PyObject *awaitable = PyObject_CallNoArgs(self->start);
    if (awaitable == NULL)
        return -1;
    int status = fq_drive_start(&self->out, awaitable);
    Py_DECREF(awaitable);
    return status;
}

static int
read_message(fq_websocket *self, PyObject *message,
             fq_asgi_message_kind *pkind, fq_rcbuf **ptext)
{
    return fq_asgi_message_read(self->state, message, pkind, ptext);
}

static int
connecting_received(fq_websocket *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (read_message(self, message, &kind, &text) < 0)
        return -1;
    fq_rcbuf_unref(text);
    if (kind == FQ_ASGI_DISCONNECT)
        return websocket_end_clean(self);
    if (kind != FQ_ASGI_CONNECT) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a WebSocket must begin with websocket.connect");
        return -1;
    }
    if (self->base.service == Py_None && self->start == NULL)
        return begin_close_with(self, 1000, FQ_STR_LIT(""));
    int offers = offers_subprotocol(self);
    if (offers < 0)
        return -1;
    if (!offers) {
        self->phase = &phase_rejecting;
        return begin_send(self, fq_asgi_message_accept(self->state, false));
    }
    if (self->base.service == Py_None)
        return begin_start(self);
    return open_session(self);
}

static int
starting_sent(fq_websocket *self, PyObject *service)
{
    if (!PyObject_TypeCheck(service, self->state->service_type)) {
        PyErr_Format(PyExc_TypeError, "start() gave %.100s, not a Service",
                     Py_TYPE(service)->tp_name);
        return -1;
    }
    Py_XSETREF(self->base.service, Py_NewRef(service));
    return open_session(self);
}

static int
accepting_sent(fq_websocket *self, PyObject *Py_UNUSED(result))
{
    self->phase = &phase_open;
    self->has_news = true;
    return 0;
}

static int
rejecting_sent(fq_websocket *self, PyObject *Py_UNUSED(result))
{
    return begin_close_with(self, CODE_SUBPROTOCOL,
                            FQ_STR_LIT(REASON_SUBPROTOCOL));
}

/* ── open ── */

static int
open_received(fq_websocket *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (read_message(self, message, &kind, &text) < 0)
        return -1;
    if (kind == FQ_ASGI_DISCONNECT)
        return websocket_end_clean(self);
    if (kind != FQ_ASGI_RECEIVE)
        return 0;
    fq_status status = fq_port_receive(self->base.port, text,
                                       &self->is_paused);
    if (status == FQ_ERR_NOMEM) {
        PyErr_NoMemory();
        return -1;
    }
    /* The reactor is gone, as in a forked child: the client comes back. */
    if (status != FQ_OK)
        return begin_close_with(self, CODE_RESTART, FQ_STR_LIT(""));
    return 0;
}

static int
ignore_sent(fq_websocket *Py_UNUSED(self), PyObject *Py_UNUSED(result))
{
    return 0;
}

/* ── closing and after ── */

static int
closing_received(fq_websocket *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (read_message(self, message, &kind, &text) < 0)
        return -1;
    fq_rcbuf_unref(text);
    return kind == FQ_ASGI_DISCONNECT ? websocket_end_clean(self) : 0;
}

/* What the server sends after the close frame is not waited for: the closing
 * handshake is its business. */
static int
closing_sent(fq_websocket *self, PyObject *Py_UNUSED(result))
{
    return websocket_end_clean(self);
}

static int
ignore_received(fq_websocket *Py_UNUSED(self), PyObject *Py_UNUSED(message))
{
    return 0;
}

static const websocket_phase phase_new = {false, ignore_received, ignore_sent,
                                          NULL};
static const websocket_phase phase_connecting = {true, connecting_received,
                                                 ignore_sent, NULL};
static const websocket_phase phase_starting = {false, ignore_received,
                                               starting_sent, NULL};
static const websocket_phase phase_accepting = {false, ignore_received,
                                                accepting_sent, NULL};
static const websocket_phase phase_rejecting = {false, ignore_received,
                                                rejecting_sent, NULL};
static const websocket_phase phase_open = {true, open_received, ignore_sent,
                                           open_send_next};
static const websocket_phase phase_leaving = {false, closing_received,
                                              ignore_sent, leaving_send_next};
static const websocket_phase phase_closing = {false, closing_received,
                                              closing_sent, NULL};
static const websocket_phase phase_ending = {false, ignore_received,
                                             ignore_sent, NULL};
static const websocket_phase phase_ended = {false, ignore_received,
                                            ignore_sent, NULL};

/* ── failures ── */

/* The server's send() raised |failure|, and it is not yet clear why: a
 * connection that is gone shows in receive(), without waiting. */
static bool
is_disconnected(fq_websocket *self, const websocket_places *places)
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
        fq_asgi_message_kind kind;
        fq_rcbuf *text;
        int status = read_message(self, message, &kind, &text);
        Py_DECREF(message);
        fq_rcbuf_unref(text);
        if (status < 0)
            return false;
        if (kind == FQ_ASGI_DISCONNECT)
            return true;
    }
}

/* |out| raised. */
static void
out_raised(fq_websocket *self, const websocket_places *places)
{
    PyObject *exception = take_exception();
    bool is_send = self->phase != &phase_starting;
    if (self->phase == &phase_ending) {
        /* Cancelled by us, or the server's word that the client is gone. */
        if (PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception)
            || is_cancellation(self, exception))
            Py_CLEAR(exception);
        websocket_end(self, exception);
        return;
    }
    /* Whoever starts the service has said why it cannot be. */
    if (!is_send
        && PyErr_GivenExceptionMatches(exception,
                                       self->state->FraiseQLError)) {
        Py_DECREF(exception);
        if (begin_close_with(self, CODE_RESTART, FQ_STR_LIT("")) < 0)
            websocket_end(self, take_exception());
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
    websocket_end(self, exception);
}

/* |in| raised. A cancellation goes on to a suspended |out|, for which it may
 * have been meant. */
static void
in_raised(fq_websocket *self)
{
    PyObject *exception = take_exception();
    bool is_cancelled = is_cancellation(self, exception);
    if (self->phase == &phase_ending || self->phase == &phase_leaving
        || self->phase == &phase_closing) {
        /* Cancelled by us, or of no more interest. */
        if (is_cancelled
            || PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception))
            Py_CLEAR(exception);
        if (exception != NULL || self->phase == &phase_ending)
            websocket_end(self, exception);
        return;
    }
    if (is_cancelled && self->out.state != FQ_DRIVE_IDLE) {
        PyObject *msg = cancellation_msg(exception);
        self->is_cancelling = true;
        cancel_drive(self, &self->out, msg);
        Py_DECREF(msg);
        Py_DECREF(exception);
        return;
    }
    websocket_end(self, exception);
}

/* The current exception of a handler. */
static void
websocket_fail(fq_websocket *self)
{
    websocket_end(self, take_exception());
}

/* ── the select ── */

/* Drives |out| one step. True when something came of it. */
static bool
step_out(fq_websocket *self, const websocket_places *places)
{
    if (self->out.state == FQ_DRIVE_IDLE && self->phase->send_next != NULL
        && self->phase->send_next(self) < 0) {
        websocket_fail(self);
        return true;
    }
    if (self->out.state != FQ_DRIVE_READY)
        return false;
    PyObject *result;
    fq_drive_result driven = fq_drive_step(&self->out, &places->out, &result);
    if (driven == FQ_DRIVE_BLOCKED)
        return false;
    self->is_cancelling = false;
    if (driven == FQ_DRIVE_RAISED) {
        out_raised(self, places);
        return true;
    }
    if (self->phase->sent(self, result) < 0)
        websocket_fail(self);
    Py_DECREF(result);
    return true;
}

static int
begin_receive(fq_websocket *self)
{
    if (!self->phase->receives || self->is_cancelling)
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
step_in(fq_websocket *self, const websocket_places *places)
{
    if (self->in.state == FQ_DRIVE_IDLE && begin_receive(self) < 0) {
        websocket_fail(self);
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
    if (self->phase->received(self, message) < 0)
        websocket_fail(self);
    Py_DECREF(message);
    return true;
}

/* Runs until everything waits, the connection has ended, or this step of the
 * task has had its share. */
static PySendResult
websocket_run(fq_websocket *self, PyObject **presult)
{
    PyObject *loop = fq_loop_mailbox_loop(self->base.mailbox);
    PyObject *context = fq_loop_mailbox_context(self->base.mailbox);
    PyObject *owner = (PyObject *)self;
    const websocket_places places = {
        .in = {self->state, loop, context, owner, &in_woken},
        .out = {self->state, loop, context, owner, &out_woken},
    };
    uint64_t deadline_ns = fq_clock_now_ns() + FQ_WEBSOCKET_STEP_NS;
    for (int n = 1;; n++) {
        bool has_sent = step_out(self, &places);
        bool has_received = step_in(self, &places);
        if (self->phase == &phase_ending && self->in.state == FQ_DRIVE_IDLE
            && self->out.state == FQ_DRIVE_IDLE)
            return websocket_finish(self, presult);
        if (!has_sent && !has_received && self->in.state != FQ_DRIVE_READY
            && self->out.state != FQ_DRIVE_READY)
            break;
        if (n == FQ_WEBSOCKET_SENDS_MAX
            || (n % SENDS_PER_CLOCK == 0
                && fq_clock_now_ns() >= deadline_ns)) {
            /* A bare yield brings the task back in the loop's next turn. */
            *presult = Py_NewRef(Py_None);
            return PYGEN_NEXT;
        }
    }
    *presult = fq_waker_arm(self->waker);
    return PYGEN_NEXT;
}

/* ── waking ── */

/* What a cancellation of the task goes to, or NULL. A receive() that was
 * cancelled before the close is of no more interest. */
static fq_drive *
cancelled_drive(fq_websocket *self)
{
    bool is_leaving = self->phase == &phase_leaving
                      || self->phase == &phase_closing;
    if (self->in.state != FQ_DRIVE_IDLE && !is_leaving)
        return &self->in;
    return self->out.state != FQ_DRIVE_IDLE ? &self->out : NULL;
}

/* The owner's side of fq_waker_cancel. */
static int
websocket_cancel_waiting(PyObject *owner, PyObject *msg)
{
    fq_websocket *self = (fq_websocket *)owner;
    if (self->phase == &phase_ending && self->outcome == NULL) {
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
drive_woken(fq_websocket *self, fq_drive *drive, PyObject *future)
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
websocket_in_woken(PyObject *self, PyObject *future)
{
    return drive_woken((fq_websocket *)self, &((fq_websocket *)self)->in,
                       future);
}

static PyObject *
websocket_out_woken(PyObject *self, PyObject *future)
{
    return drive_woken((fq_websocket *)self, &((fq_websocket *)self)->out,
                       future);
}

static PyMethodDef in_woken = {"received", websocket_in_woken, METH_O, NULL};
static PyMethodDef out_woken = {"sent", websocket_out_woken, METH_O, NULL};

/* Port mail. A task that could not go on is not woken. */
static int
websocket_news(fq_port_object *base)
{
    fq_websocket *self = (fq_websocket *)base;
    self->has_news = true;
    if (self->phase != &phase_open || self->waker == NULL)
        return 0;
    bool can_send = self->out.state == FQ_DRIVE_IDLE;
    bool can_receive = self->is_paused && self->in.state == FQ_DRIVE_IDLE;
    if (!can_send && !can_receive)
        return 0;
    return fq_waker_wake_here(self->waker);
}

/* ── the awaitable ── */

/* The first step: a mailbox and a waker, so an asyncio loop. */
static int
websocket_begin(fq_websocket *self)
{
    PyObject *service = self->base.service;
    self->base.service = NULL;
    fq_loop_mailbox *mailbox = fq_loop_mailbox_use(self->state);
    int status = mailbox == NULL
                     ? -1
                     : fq_port_object_start(&self->base, service, mailbox);
    Py_DECREF(service);
    if (status < 0) {
        if (mailbox != NULL)
            fq_loop_mailbox_unuse(mailbox);
        return -1;
    }
    self->waker = fq_waker_new(self->state, fq_loop_mailbox_loop(mailbox),
                               (PyObject *)self, websocket_cancel_waiting);
    if (self->waker == NULL)
        return -1;
    self->phase = &phase_connecting;
    return 0;
}

/* What every way of resuming it begins with. */
static bool
websocket_may_step(fq_websocket *self)
{
    if (self->is_running)
        PyErr_SetString(PyExc_ValueError, "the connection is being served");
    else if (self->phase == &phase_ended)
        PyErr_SetString(PyExc_RuntimeError,
                        "the connection has been served already");
    else
        return true;
    return false;
}

static PySendResult
websocket_step(fq_websocket *self, PyObject **presult)
{
    *presult = NULL;
    if (!websocket_may_step(self))
        return PYGEN_ERROR;
    if (self->phase == &phase_new && websocket_begin(self) < 0) {
        websocket_release(self);
        return PYGEN_ERROR;
    }
    self->is_running = true;
    PySendResult sent = websocket_run(self, presult);
    self->is_running = false;
    return sent;
}

static PySendResult
websocket_am_send(PyObject *self, PyObject *Py_UNUSED(value),
                  PyObject **presult)
{
    return websocket_step((fq_websocket *)self, presult);
}

/* A StopIteration without a value needs no object. */
static PyObject *
as_iteration(PySendResult sent, PyObject *result)
{
    if (sent != PYGEN_RETURN)
        return result;
    Py_DECREF(result);
    return NULL;
}

static PyObject *
websocket_next(fq_websocket *self)
{
    PyObject *result;
    PySendResult sent = websocket_step(self, &result);
    return as_iteration(sent, result);
}

static PyObject *
websocket_send(fq_websocket *self, PyObject *Py_UNUSED(value))
{
    PyObject *result;
    PySendResult sent = websocket_step(self, &result);
    result = as_iteration(sent, result);
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetNone(PyExc_StopIteration);
    return result;
}

/* throw() takes an instance, or a class with a value and a traceback (until
 * CPython drops that form). Returns a new reference to the exception. */
static PyObject *
exception_of_args(PyObject *const *args, Py_ssize_t n_args)
{
    if (n_args < 1 || n_args > 3) {
        PyErr_SetString(PyExc_TypeError, "throw() takes 1 to 3 arguments");
        return NULL;
    }
    PyObject *type = args[0];
    PyObject *value = n_args > 1 && args[1] != Py_None ? args[1] : NULL;
    PyObject *traceback = n_args > 2 && args[2] != Py_None ? args[2] : NULL;
    PyObject *exception;
    if (PyExceptionInstance_Check(type))
        exception = Py_NewRef(type);
    else if (PyExceptionClass_Check(type)) {
        if (value != NULL && PyExceptionInstance_Check(value))
            exception = Py_NewRef(value);
        else
            exception = PyObject_CallFunctionObjArgs(type, value, NULL);
        if (exception != NULL && !PyExceptionInstance_Check(exception))
            Py_CLEAR(exception);
    } else
        exception = NULL;
    if (exception == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "exceptions must be classes or "
                                             "instances of BaseException");
        return NULL;
    }
    if (traceback != NULL
        && PyException_SetTraceback(exception, traceback) < 0)
        Py_CLEAR(exception);
    return exception;
}

/* Takes |exception| to what is suspended. A cancellation cancels what that
 * waits for, if it can, so that a task waited for ends before its waiter. */
static void
throw_into_drive(fq_websocket *self, PyObject *exception)
{
    if (self->phase == &phase_ending)
        websocket_end(self, Py_NewRef(exception));
    fq_drive *drive = cancelled_drive(self);
    if (drive == NULL) {
        websocket_end(self, Py_NewRef(exception));
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

PyDoc_STRVAR(throw_doc, "throw(type[, value[, traceback]])\n--\n\n"
                        "Raise in the suspended receive() or send().");

static PyObject *
websocket_throw(fq_websocket *self, PyObject *const *args, Py_ssize_t n_args)
{
    if (!websocket_may_step(self))
        return NULL;
    PyObject *exception = exception_of_args(args, n_args);
    if (exception == NULL)
        return NULL;
    if (self->phase == &phase_new) {
        websocket_release(self);
        raise_exception(exception);
        return NULL;
    }
    self->is_running = true;
    throw_into_drive(self, exception);
    Py_DECREF(exception);
    PyObject *result;
    PySendResult sent = websocket_run(self, &result);
    self->is_running = false;
    result = as_iteration(sent, result);
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetNone(PyExc_StopIteration);
    return result;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nEnd now, as `del` does.");

static PyObject *
websocket_close(fq_websocket *self, PyObject *Py_UNUSED(ignored))
{
    if (self->is_running) {
        PyErr_SetString(PyExc_ValueError, "the connection is being served");
        return NULL;
    }
    if (self->phase == &phase_ended)
        Py_RETURN_NONE;
    self->is_running = true;
    fq_drive_abandon(&self->in, self->state);
    fq_drive_abandon(&self->out, self->state);
    self->is_running = false;
    Py_CLEAR(self->outcome);
    websocket_release(self);
    Py_RETURN_NONE;
}

/* ── the type ── */

PyObject *
fq_websocket_new(fq_state *state, PyObject *service, PyObject *start,
                 PyObject *scope, PyObject *receive, PyObject *send)
{
    PyTypeObject *type = state->websocket_type;
    if (service != NULL && service != Py_None
        && !PyObject_TypeCheck(service, state->service_type)) {
        PyErr_Format(PyExc_TypeError, "service is %.100s, not a Service",
                     Py_TYPE(service)->tp_name);
        return NULL;
    }
    fq_websocket *self = (fq_websocket *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->state = state;
    self->phase = &phase_new;
    self->base.news = websocket_news;
    self->base.service = Py_NewRef(service == NULL ? Py_None : service);
    self->base.scope = Py_NewRef(scope);
    self->start = Py_XNewRef(start);
    self->receive = Py_NewRef(receive);
    self->send = Py_NewRef(send);
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

static int
websocket_traverse(fq_websocket *self, visitproc visit, void *arg)
{
    int status = fq_port_object_traverse(&self->base, visit, arg);
    if (status == 0)
        status = fq_drive_traverse(&self->in, visit, arg);
    if (status == 0)
        status = fq_drive_traverse(&self->out, visit, arg);
    if (status != 0)
        return status;
    Py_VISIT((PyObject *)self->waker);
    Py_VISIT(self->start);
    Py_VISIT(self->receive);
    Py_VISIT(self->send);
    Py_VISIT(self->farewell);
    Py_VISIT(self->outcome);
    return 0;
}

static int
websocket_clear(fq_websocket *self)
{
    fq_drive_clear(&self->in);
    fq_drive_clear(&self->out);
    websocket_release(self);
    Py_CLEAR(self->outcome);
    return 0;
}

static void
websocket_dealloc(fq_websocket *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    websocket_clear(self);
    fq_port_object_fini(&self->base);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef websocket_methods[] = {
    {"send", (PyCFunction)websocket_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))websocket_throw, METH_FASTCALL,
     throw_doc},
    {"close", (PyCFunction)websocket_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(websocket_doc,
             "WebSocket(service, scope, receive, send, *, start=None)\n--\n\n"
             "The awaitable that serves one connection. Where service is "
             "None, `await start()` gives it; without either the handshake is "
             "refused.");

static PyType_Slot websocket_slots[] = {
    {Py_tp_doc, (void *)websocket_doc},
    {Py_tp_new, websocket_type_new},
    {Py_tp_methods, websocket_methods},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, websocket_am_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, websocket_next},
    {Py_tp_traverse, websocket_traverse},
    {Py_tp_clear, websocket_clear},
    {Py_tp_dealloc, websocket_dealloc},
    {0, NULL},
};

static PyType_Spec websocket_spec = {
    .name = "fraiseql_asgi._core.WebSocket",
    .basicsize = sizeof(fq_websocket),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = websocket_slots,
};

int
fq_websocket_init(PyObject *module, fq_state *state)
{
    state->websocket_type = fq_state_add_type(module, &websocket_spec,
                                              state->port_object_type);
    return state->websocket_type == NULL ? -1 : 0;
}
