/* SPDX-License-Identifier: MIT */
/* The awaitable that serves one ASGI WebSocket connection, from
 * websocket.connect to the end, in the task of the server. Thread: loop. The
 * protocol is the session's, on the reactor; texts are carried here. */
#ifndef FQ_PYTHON_WEBSOCKET_H
#define FQ_PYTHON_WEBSOCKET_H

#include "python/state.h"

/* A new awaitable for one connection of |service|. Where that is None, the
 * awaitable that |start|() returns gives the Service. |service| and |start|
 * NULL: the handshake is refused (403). NULL with an exception. */
PyObject *
fq_websocket_new(fq_state *state, PyObject *service, PyObject *start,
                 PyObject *scope, PyObject *receive, PyObject *send);

#endif
