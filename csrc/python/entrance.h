/* SPDX-License-Identifier: MIT */
/* Entrance: which pages may connect, and whose word is taken for where clients
 * come from; both are read from the ASGI scope. With the limits of a service
 * it says who may come in, for WebSockets and http alike. Thread: loop. */
#ifndef FQ_PYTHON_ENTRANCE_H
#define FQ_PYTHON_ENTRANCE_H

#include "python/state.h"

#include "reactor/admission.h"

/* What is said to one that asks to come in. */
typedef struct fq_verdict {
    int http_status;        /* 403, 429, 503; 0: it may come in */
    uint16_t close_code;    /* the same for a WebSocket that takes no http */
    unsigned retry_after_s; /* 0: not said */
    const char *text;       /* what to say; static */
    fq_visitor *visitor;    /* of one that may come in: a connection of the
                             * service's admission, to be given away or back;
                             * may be NULL all the same */
} fq_verdict;

/* Asks whether one with |scope| (NULL: nothing is known of it) may come in to
 * |service|, a Service that is open; |is_page_asked|: its origin counts.
 * Refusals are counted, and the first for its origin is logged. Returns 0, or
 * -1 with an exception: MemoryError, TypeError for a scope that is none. */
int
fq_entrance_ask(PyObject *service, PyObject *scope, bool is_page_asked,
                fq_verdict *pverdict);

/* Whether a page of the origin in |scope| may ask |service| for something: 1,
 * or 0, counted and told as above, or -1 with an exception. */
int
fq_entrance_may_page(PyObject *service, PyObject *scope);

/* The headers of an answer that let a page of another origin read it (Fetch
 * 3.2.3): a new list of pairs of bytes, empty where no page asks or it may
 * not; NULL with an exception. */
PyObject *
fq_entrance_cors(PyObject *service, PyObject *scope);

#endif
