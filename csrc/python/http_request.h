/* SPDX-License-Identifier: MIT */
/* What an http scope asks of GraphQL, as its head alone says it. Thread: loop.
 * Who may come in and what the body says is for others. */
#ifndef FQ_PYTHON_HTTP_REQUEST_H
#define FQ_PYTHON_HTTP_REQUEST_H

#include "python/state.h"

#include "base/rcbuf.h"
#include "protocol/media_type.h"

typedef struct fq_http_request {
    bool is_get;
    bool has_credentials; /* an Authorization or a Cookie */
    fq_media_accept accept;
    int64_t body_len;  /* as Content-Length says; -1: it does not */
    fq_rcbuf *opening; /* the first text of the session */
    fq_rcbuf *form;    /* the second, of a GET: its query string */
    int status;        /* 0, or the one it is refused with, */
    const char *fault; /* and what is said then; static */
} fq_http_request;

/* Reads |scope|, of a GET or a POST; what it holds is to be let go by
 * fq_http_request_fini, also after a failure. |authorization|, bytes or NULL,
 * stands for a header that is not there. Returns 0, or -1 with an exception:
 * TypeError for a scope that is none, MemoryError. */
int
fq_http_request_read(fq_state *state, PyObject *scope, PyObject *authorization,
                     fq_http_request *prequest);

/* Harmless twice. */
void
fq_http_request_fini(fq_http_request *request);

#endif
