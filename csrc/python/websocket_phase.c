/* SPDX-License-Identifier: MIT */
/* What a message received and a message sent lead to, phase by phase.
 * Thread: loop.
 *
 *   NEW > CONNECTING > STARTING > ACCEPTING > OPEN > LEAVING > CLOSING
 *             |                                         ^          v
 *             +--- no protocol of ours: > REJECTING ---+       EMPTYING
 *             +--- not here, or closed: ----------------+          v
 *             +--- may not come in, or stopping:            ENDING > ENDED
 *                      > DENYING > CLOSING
 *
 * Before the close is sent, the pending receive() is cancelled (LEAVING): with
 * one pending, granian 2.8 sends no close frame. After it, what the server has
 * to give already is taken and dropped (EMPTYING): with its queue full,
 * hypercorn 0.18 neither ends the application nor lets go of the socket. */
#include "python/websocket_state.h"

#include "python/asgi_message.h"
#include "python/asgi_scope.h"
#include "python/entrance.h"
#include "python/service_object.h"
#include "protocol/graphql_transport_ws.h"
#include "protocol/graphql_ws.h"

/* Close codes and reasons: graphql-ws, server.ts; RFC 6455 7.4.1 and IANA. */
#define CODE_SUBPROTOCOL 4406
#define REASON_SUBPROTOCOL "Subprotocol not acceptable"
#define CODE_RESTART 1012

/* Turns of the loop in which a server that waited for room in its queue has
 * put more into it. */
#define EMPTYING_TURNS 2
/* The same behind a message: who sends on has more on its way, which the server
 * has yet to read. */
#define EMPTYING_TURNS_MORE 64

/* ── sending ── */

/* Leaves, with |close| as the last word. */
static int
begin_close(fq_serving *self, const fq_close *close)
{
    self->phase = FQ_WEBSOCKET_LEAVING;
    self->farewell = fq_asgi_message_close(self->state, close);
    if (self->farewell == NULL)
        return -1;
    self->is_waiting_in = self->in.state != FQ_DRIVE_IDLE;
    fq_serving_cancel_drive(self, &self->in, Py_None);
    return 0;
}

/* A receive() that goes on in spite of its cancellation is not waited for. */
static int
leaving_send_next(fq_serving *self)
{
    if (self->is_waiting_in)
        return 0;
    self->phase = FQ_WEBSOCKET_CLOSING;
    return fq_serving_send_farewell(self);
}

static int
begin_close_with(fq_serving *self, uint16_t code, fq_str reason)
{
    fq_close close = {.code = code, .reason_len = (uint8_t)reason.len};
    if (reason.len > 0)
        memcpy(close.reason, reason.ptr, reason.len);
    return begin_close(self, &close);
}

/* The next delivery, or the close behind the last one. */
static int
open_send_next(fq_serving *self)
{
    if (!self->has_news)
        return 0;
    fq_queue_item item;
    fq_close close;
    if (fq_port_take(self->base.port, &item, 1, &close) == 1) {
        PyObject *message = fq_asgi_message_send(self->state, &item);
        fq_queue_item_fini(&item);
        return fq_serving_send(self, message);
    }
    self->has_news = false;
    return close.code == 0 ? 0 : begin_close(self, &close);
}

/* ── the handshake ── */

/* Sets what the client speaks, of all that it offers: the newer protocol if it
 * can; NULL where it is none of ours. Returns 0, or -1 on failure. */
static int
choose_protocol(fq_serving *self)
{
    const struct {
        const fq_protocol_kind *protocol;
        PyObject *name;
    } ours[] = {
        {&fq_graphql_transport_ws, self->state->ws_graphql_transport_ws},
        {&fq_graphql_ws, self->state->ws_graphql_ws},
    };
    PyObject *offered = fq_asgi_scope_get(self->base.scope,
                                          self->state->str_subprotocols);
    if (offered == NULL)
        return PyErr_Occurred() ? -1 : 0;
    int is_in = 0;
    for (size_t i = 0;
         i < Py_ARRAY_LENGTH(ours) && is_in == 0 && offered != Py_None; i++) {
        is_in = PySequence_Contains(offered, ours[i].name);
        if (is_in > 0)
            self->protocol = ours[i].protocol;
    }
    Py_DECREF(offered);
    return is_in < 0 ? -1 : 0;
}

/* Accepts without a subprotocol, to close with a code that says so. */
static int
reject_protocol(fq_serving *self)
{
    self->phase = FQ_WEBSOCKET_REJECTING;
    return fq_serving_send(self, fq_asgi_message_accept(self->state, NULL));
}

/* 1 when the server takes an http response instead of an accept, 0 when not,
 * -1 on failure. */
static int
takes_response(fq_serving *self)
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

/* It may not come in, and an http response says why; where the server knows no
 * such thing, a close with |reason| before the accept, which it makes a 403. */
static int
deny(fq_serving *self, const fq_verdict *verdict, fq_str reason)
{
    int takes = takes_response(self);
    if (takes < 0)
        return -1;
    if (takes == 0)
        return begin_close_with(self, verdict->close_code, reason);
    self->phase = FQ_WEBSOCKET_DENYING;
    self->farewell = fq_asgi_message_deny_body(self->state, verdict->text);
    if (self->farewell == NULL)
        return -1;
    return fq_serving_send(
        self, fq_asgi_message_deny_start(self->state, verdict->http_status,
                                         verdict->retry_after_s));
}

static int
denying_sent(fq_serving *self, PyObject *Py_UNUSED(result))
{
    self->phase = FQ_WEBSOCKET_CLOSING;
    return fq_serving_send_farewell(self);
}

/* Ends it for a reason of ours that passes: before the accept a 503, where the
 * server can send one, else a close 1012. Clients come back. */
static int
come_back(fq_serving *self)
{
    static const fq_verdict unavailable = {
        .http_status = 503,
        .close_code = CODE_RESTART,
        .retry_after_s = 1,
        .text = "The service is not available; try again later",
    };
    if (self->phase == FQ_WEBSOCKET_CONNECTING
        || self->phase == FQ_WEBSOCKET_STARTING)
        return deny(self, &unavailable, FQ_STR_LIT(""));
    return begin_close_with(self, CODE_RESTART, FQ_STR_LIT(""));
}

/* Opens the session of |visitor| (given away) and accepts. A service that
 * stops, or has, refuses. */
static int
open_session(fq_serving *self, fq_service *service, fq_visitor *visitor)
{
    int opened = fq_serving_open_session(self, service, self->protocol,
                                         visitor);
    if (opened <= 0)
        return opened;
    self->phase = FQ_WEBSOCKET_ACCEPTING;
    return fq_serving_send(
        self, fq_asgi_message_accept(self->state, self->protocol));
}

/* Whether the client speaks a protocol that is served; 0, and -1 on failure.
 */
static int
speaks_protocol(fq_serving *self)
{
    if (choose_protocol(self) < 0)
        return -1;
    return self->protocol != NULL
           && (self->protocol != &fq_graphql_ws
               || ((fq_service_object *)self->base.service)->legacy_protocol);
}

/* Asks whether the client may come in, and what it speaks. A service that has
 * ended refuses: a close before the accept is a 403. */
static int
enter(fq_serving *self)
{
    fq_verdict verdict;
    if (fq_entrance_ask(self->base.service, self->base.scope, true, &verdict)
        < 0) {
        if (!PyErr_ExceptionMatches(self->state->ClosedError))
            return -1;
        PyErr_Clear();
        return come_back(self);
    }
    if (verdict.http_status != 0)
        return deny(self, &verdict, fq_str_of(verdict.text));
    fq_service *service = fq_service_object_peek(self->base.service);
    int speaks = speaks_protocol(self);
    if (speaks > 0)
        return open_session(self, service, verdict.visitor);
    fq_admission_leave(fq_service_admission(service), verdict.visitor);
    return speaks < 0 ? -1 : reject_protocol(self);
}

static int
begin_start(fq_serving *self)
{
    self->phase = FQ_WEBSOCKET_STARTING;
    return fq_serving_start(self);
}

static int
connecting_received(fq_serving *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (fq_asgi_message_read(self->state, message, &kind, &text) < 0)
        return -1;
    fq_rcbuf_unref(text);
    if (kind == FQ_ASGI_DISCONNECT)
        return fq_serving_end_clean(self);
    if (kind != FQ_ASGI_CONNECT) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a WebSocket must begin with websocket.connect");
        return -1;
    }
    if (self->base.service == Py_None && self->start == NULL)
        return begin_close_with(self, 1000, FQ_STR_LIT(""));
    if (self->base.service == Py_None)
        return begin_start(self);
    return enter(self);
}

static int
accepting_sent(fq_serving *self, PyObject *Py_UNUSED(result))
{
    self->phase = FQ_WEBSOCKET_OPEN;
    self->has_news = true;
    return 0;
}

static int
rejecting_sent(fq_serving *self, PyObject *Py_UNUSED(result))
{
    return begin_close_with(self, CODE_SUBPROTOCOL,
                            FQ_STR_LIT(REASON_SUBPROTOCOL));
}

/* ── open ── */

static int
open_received(fq_serving *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (fq_asgi_message_read(self->state, message, &kind, &text) < 0)
        return -1;
    if (kind == FQ_ASGI_DISCONNECT)
        return fq_serving_end_clean(self);
    if (kind != FQ_ASGI_RECEIVE)
        return 0;
    return fq_serving_give(self, text, &self->is_paused);
}

/* ── closing and after ── */

static int
closing_received(fq_serving *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (fq_asgi_message_read(self->state, message, &kind, &text) < 0)
        return -1;
    fq_rcbuf_unref(text);
    return kind == FQ_ASGI_DISCONNECT ? fq_serving_end_clean(self) : 0;
}

static int
closing_sent(fq_serving *self, PyObject *Py_UNUSED(result))
{
    self->phase = FQ_WEBSOCKET_EMPTYING;
    self->is_paused = false;
    self->n_turns = 0;
    return 0;
}

static int
emptying_received(fq_serving *self, PyObject *message)
{
    self->n_turns = EMPTYING_TURNS_MORE;
    return closing_received(self, message);
}

/* What the server gives after the close frame is not waited for: the closing
 * handshake is its business. */
static int
emptying_send_next(fq_serving *self)
{
    if (self->in.state == FQ_DRIVE_IDLE
        || fq_drive_poll(&self->in, self->state))
        return 0;
    if (self->n_turns == 0)
        return fq_serving_end_clean(self);
    self->n_turns--;
    return 0;
}

static int
is_disconnect(fq_serving *self, PyObject *message)
{
    fq_asgi_message_kind kind;
    fq_rcbuf *text;
    if (fq_asgi_message_read(self->state, message, &kind, &text) < 0)
        return -1;
    fq_rcbuf_unref(text);
    return kind == FQ_ASGI_DISCONNECT;
}

/* In the phases that every kind has nothing is of interest. */
static const fq_serving_phase_ops phases[] = {
    [FQ_WEBSOCKET_CONNECTING] = {.receives = true,
                                 .received = connecting_received},
    [FQ_WEBSOCKET_STARTING] = {.is_starting = true,
                               .sent = fq_serving_started},
    [FQ_WEBSOCKET_ACCEPTING] = {.sent = accepting_sent},
    [FQ_WEBSOCKET_REJECTING] = {.sent = rejecting_sent},
    [FQ_WEBSOCKET_DENYING] = {.sent = denying_sent},
    [FQ_WEBSOCKET_OPEN] = {.receives = true,
                           .takes_news = true,
                           .received = open_received,
                           .send_next = open_send_next},
    [FQ_WEBSOCKET_LEAVING] = {.is_leaving = true,
                              .received = closing_received,
                              .send_next = leaving_send_next},
    [FQ_WEBSOCKET_CLOSING] = {.is_leaving = true,
                              .received = closing_received,
                              .sent = closing_sent},
    [FQ_WEBSOCKET_EMPTYING] = {.receives = true,
                               .is_leaving = true,
                               .takes_turns = true,
                               .received = emptying_received,
                               .send_next = emptying_send_next},
};

const fq_serving_kind fq_websocket_kind = {
    .phases = phases,
    .is_disconnect = is_disconnect,
    .enter = enter,
    .unavailable = come_back,
};
