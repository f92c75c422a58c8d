/* SPDX-License-Identifier: MIT */
/* What the files of a WebSocket share: its phases. Thread: loop.
 * websocket_phase.c says what messages lead to, websocket.c is the Python
 * type, serving.h what it has in common with an http request. */
#ifndef FQ_PYTHON_WEBSOCKET_STATE_H
#define FQ_PYTHON_WEBSOCKET_STATE_H

#include "python/serving.h"

typedef enum fq_websocket_phase {
    FQ_WEBSOCKET_CONNECTING = FQ_SERVING_FIRST, /* receives
                                                 * websocket.connect */
    FQ_WEBSOCKET_STARTING,                      /* awaits start() */
    FQ_WEBSOCKET_ACCEPTING,                     /* sends websocket.accept */
    FQ_WEBSOCKET_REJECTING, /* the same, to close with a code */
    FQ_WEBSOCKET_DENYING,   /* sends the head of a 503 */
    FQ_WEBSOCKET_OPEN,      /* carries texts both ways */
    FQ_WEBSOCKET_LEAVING,   /* cancels the pending receive() */
    FQ_WEBSOCKET_CLOSING,   /* sends websocket.close */
    FQ_WEBSOCKET_EMPTYING,  /* takes what the server has left to give */
} fq_websocket_phase;

extern const fq_serving_kind fq_websocket_kind;

#endif
