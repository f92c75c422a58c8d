/* SPDX-License-Identifier: MIT */
/* The messages of ASGI's websocket scope, written and read. Every message is a
 * fresh dict, as a server may keep it. Thread: loop.
 * Source: asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format" 2.4. */
#ifndef FQ_PYTHON_ASGI_MESSAGE_H
#define FQ_PYTHON_ASGI_MESSAGE_H

#include "python/state.h"

#include "base/rcbuf.h"
#include "engine/queue.h"
#include "protocol/protocol.h"
#include "reactor/port.h"

/* {"type": "websocket.accept"}, with the name of |protocol| as the subprotocol,
 * or, where it is NULL, without one. */
PyObject *
fq_asgi_message_accept(fq_state *state, const fq_protocol_kind *protocol);

/* {"type": "websocket.send", "text": str}. */
PyObject *
fq_asgi_message_send(fq_state *state, const fq_queue_item *item);

/* {"type": "websocket.close", "code": int, "reason": str}. */
PyObject *
fq_asgi_message_close(fq_state *state, const fq_close *close);

/* An http response instead of an accept: its head, without Retry-After where
 * |retry_after_s| is 0, and its text, to which a dot is added. */
PyObject *
fq_asgi_message_deny_start(fq_state *state, int http_status,
                           unsigned retry_after_s);
PyObject *
fq_asgi_message_deny_body(fq_state *state, const char *text);

typedef enum fq_asgi_message_kind {
    FQ_ASGI_RECEIVE,
    FQ_ASGI_DISCONNECT,
    FQ_ASGI_CONNECT,
} fq_asgi_message_kind;

/* Says what |message| is; *ptext gets one reference to the bytes of a RECEIVE
 * (binary messages are text here too), else NULL. Returns 0, or -1 with an
 * exception: RuntimeError for anything else. */
int
fq_asgi_message_read(fq_state *state, PyObject *message,
                     fq_asgi_message_kind *pkind, fq_rcbuf **ptext);

#endif
