/* SPDX-License-Identifier: MIT */
/* The awaitable that answers one GraphQL request over http, from its first
 * message to the last chunk, in the task of the server. Thread: loop. The
 * protocol is the session's, on the reactor (protocol/graphql_http.h); here
 * its texts become a response: one result, or a stream of chunks. */
#ifndef FQ_PYTHON_HTTP_STREAM_H
#define FQ_PYTHON_HTTP_STREAM_H

#include "python/serving.h"

#include "base/buf.h"
#include "python/http_request.h"

/* What waits for a client goes out in chunks of so many texts: a burst is few
 * sends, and other tasks have their turn between them. */
#define FQ_HTTP_CHUNK_MAX 64

typedef struct fq_http_stream {
    fq_serving base;
    bool is_shared; /* by many operations, which other requests bring */
    PyObject *authorization; /* bytes: stands for a header that is not there;
                              * or NULL */
    fq_http_request request;
    fq_buf body; /* of a POST, as far as it came */
    size_t body_max;
    fq_media_type media; /* of the response; NONE: it has not begun */
    PyObject *cors;  /* headers for the page that asks: a list; NULL: none */
    PyObject *chunk; /* to be sent next, before the queue is looked at; or
                          * NULL */
} fq_http_stream;

extern const fq_serving_kind fq_http_stream_kind;

#endif
