/* SPDX-License-Identifier: MIT */
/* What a message received and a message sent lead to, phase by phase.
 * Thread: loop.
 *
 *   NEW > CONNECTING > STARTING > ACCEPTING > OPEN > LEAVING > CLOSING
 *             |                                         ^          v
 *             +--- no subprotocol: > REJECTING ---------+        ENDING > ENDED
 *             +--- not here, or closed: ----------------+
 *             +--- too many: > DENYING > CLOSING
 *
 * Before the close is sent, the pending receive() is cancelled (LEAVING): with
 * one pending, granian 2.8 sends no close frame. */
#include "python/websocket_state.h"

#include "python/asgi_message.h"
#include "python/asgi_scope.h"
#include "python/service_object.h"
#include "reactor/session.h"

/* Close codes and reasons: graphql-ws, server.ts; RFC 6455 7.4.1 and IANA. */
#define CODE_SUBPROTOCOL 4406
#define REASON_SUBPROTOCOL "Subprotocol not acceptable"
#define CODE_RESTART 1012
#define CODE_TRY_AGAIN 1013

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
    self->phase = FQ_WEBSOCKET_LEAVING;
    self->farewell = fq_asgi_message_close(self->state, close);
    if (self->farewell == NULL)
        return -1;
    self->is_waiting_in = self->in.state != FQ_DRIVE_IDLE;
    fq_websocket_cancel_drive(self, &self->in, Py_None);
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
    self->phase = FQ_WEBSOCKET_CLOSING;
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

int
fq_websocket_come_back(fq_websocket *self)
{
    return begin_close_with(self, CODE_RESTART, FQ_STR_LIT(""));
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

/* 1 when the server takes an http response instead of an accept, 0 when not,
 * -1 on failure. */
static int
takes_response(fq_websocket *self)
{
    PyObject *extensions = fq_asgi_scope_get(self->base.scope,
                                             self->state->str_extensions);
    if (extensions == NULL)
        return PyErr_Occurred() ? -1 : 0;
    int is_in = extensions == Py_None
                    ? 0
                    : PySequence_Contains(extensions,
                                          self->state->ws_response);
    Py_DECREF(extensions);
    return is_in;
}

/* There are as many connections as there may be: 503, or, where the server
 * knows no more than that, a close before the accept, which it makes a 403. */
static int
deny(fq_websocket *self)
{
    int takes = takes_response(self);
    if (takes < 0)
        return -1;
    if (takes == 0)
        return begin_close_with(self, CODE_TRY_AGAIN,
                                FQ_STR_LIT("Too many connections"));
    self->phase = FQ_WEBSOCKET_DENYING;
    return begin_send(self, fq_asgi_message_unavailable_start(self->state));
}

static int
denying_sent(fq_websocket *self, PyObject *Py_UNUSED(result))
{
    self->phase = FQ_WEBSOCKET_CLOSING;
    return begin_send(self, fq_asgi_message_unavailable_body(self->state));
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
        return fq_websocket_come_back(self);
    if (status == FQ_ERR_LIMIT)
        return deny(self);
    if (status != FQ_OK) {
        PyErr_NoMemory();
        return -1;
    }
    self->phase = FQ_WEBSOCKET_ACCEPTING;
    return begin_send(self, fq_asgi_message_accept(state, true));
}

static int
begin_start(fq_websocket *self)
{
    self->phase = FQ_WEBSOCKET_STARTING;
    PyObject *awaitable = PyObject_CallNoArgs(self->start);
    if (awaitable == NULL)
        return -1;
    int status = fq_drive_start(&self->out, awaitable);
    Py_DECREF(awaitable);
    return status;
}

static int
connecting_received(fq_websocket *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (fq_asgi_message_read(self->state, message, &kind, &text) < 0)
        return -1;
    fq_rcbuf_unref(text);
    if (kind == FQ_ASGI_DISCONNECT)
        return fq_websocket_end_clean(self);
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
        self->phase = FQ_WEBSOCKET_REJECTING;
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
    self->phase = FQ_WEBSOCKET_OPEN;
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
    if (fq_asgi_message_read(self->state, message, &kind, &text) < 0)
        return -1;
    if (kind == FQ_ASGI_DISCONNECT)
        return fq_websocket_end_clean(self);
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
        return fq_websocket_come_back(self);
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
    if (fq_asgi_message_read(self->state, message, &kind, &text) < 0)
        return -1;
    fq_rcbuf_unref(text);
    return kind == FQ_ASGI_DISCONNECT ? fq_websocket_end_clean(self) : 0;
}

/* What the server sends after the close frame is not waited for: the closing
 * handshake is its business. */
static int
closing_sent(fq_websocket *self, PyObject *Py_UNUSED(result))
{
    return fq_websocket_end_clean(self);
}

static int
ignore_received(fq_websocket *Py_UNUSED(self), PyObject *Py_UNUSED(message))
{
    return 0;
}

const fq_websocket_phase_ops fq_websocket_phases[] = {
    [FQ_WEBSOCKET_NEW] = {false, ignore_received, ignore_sent, NULL},
    [FQ_WEBSOCKET_CONNECTING] = {true, connecting_received, ignore_sent, NULL},
    [FQ_WEBSOCKET_STARTING] = {false, ignore_received, starting_sent, NULL},
    [FQ_WEBSOCKET_ACCEPTING] = {false, ignore_received, accepting_sent, NULL},
    [FQ_WEBSOCKET_REJECTING] = {false, ignore_received, rejecting_sent, NULL},
    [FQ_WEBSOCKET_DENYING] = {false, ignore_received, denying_sent, NULL},
    [FQ_WEBSOCKET_OPEN] = {true, open_received, ignore_sent, open_send_next},
    [FQ_WEBSOCKET_LEAVING] = {false, closing_received, ignore_sent,
                              leaving_send_next},
    [FQ_WEBSOCKET_CLOSING] = {false, closing_received, closing_sent, NULL},
    [FQ_WEBSOCKET_ENDING] = {false, ignore_received, ignore_sent, NULL},
    [FQ_WEBSOCKET_ENDED] = {false, ignore_received, ignore_sent, NULL},
};
