/* SPDX-License-Identifier: MIT */
/* The messages of ASGI's http scope, written and read. Every message is a
 * fresh dict, as a server may keep it. Thread: loop.
 * Source: asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format" 2.4. */
#ifndef FQ_PYTHON_HTTP_MESSAGE_H
#define FQ_PYTHON_HTTP_MESSAGE_H

#include "python/state.h"

#include "base/buf.h"
#include "protocol/media_type.h"

/* The head of a stream of |type|, with the headers of the list |more| (NULL:
 * none) as well. */
PyObject *
fq_http_message_stream(fq_state *state, fq_media_type type, PyObject *more);

/* The head of an answer of |len| bytes. 401, 405, 429 and 503 come with the
 * header that goes with them, and |more| as above. */
PyObject *
fq_http_message_answer(fq_state *state, int status, fq_media_type type,
                       size_t len, PyObject *more);

/* Content: |bytes| (stolen; NULL: an exception is set), and whether there is
 * more to come. */
PyObject *
fq_http_message_body(fq_state *state, PyObject *bytes, bool has_more);

typedef enum fq_http_message_kind {
    FQ_HTTP_REQUEST,
    FQ_HTTP_DISCONNECT,
} fq_http_message_kind;

/* Says what |message| is, and of a REQUEST whether there is more of it; its
 * body is appended to |body| (NULL: it is of no interest). Returns 0, or -1
 * with an exception: RuntimeError for anything else, MemoryError. */
int
fq_http_message_read(fq_state *state, PyObject *message,
                     fq_http_message_kind *pkind, bool *phas_more,
                     fq_buf *body);

#endif
