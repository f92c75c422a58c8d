/* SPDX-License-Identifier: MIT */
/* One ASGI scope being served, from its first message to its end, in the task
 * of the server: what a WebSocket (websocket.c) and an http request
 * (http_stream.c) have in common, which is all but the messages. An awaitable
 * that is its own iterator, like a coroutine. Thread: loop. serving_run.c
 * drives, wakes and ends, serving.c is the Python type that both build on;
 * what messages lead to is the kind's. */
#ifndef FQ_PYTHON_SERVING_H
#define FQ_PYTHON_SERVING_H

#include "python/state.h"

#include "python/drive.h"
#include "python/port_object.h"
#include "python/waker.h"
#include "protocol/protocol.h"
#include "reactor/service.h"

typedef struct fq_serving fq_serving;

/* The phases that every kind has; its own follow, from FQ_SERVING_FIRST on. */
enum {
    FQ_SERVING_NEW,    /* not awaited yet */
    FQ_SERVING_ENDING, /* lets what is suspended end */
    FQ_SERVING_ENDED,
    FQ_SERVING_FIRST, /* what it begins with */
};

/* Handlers return 0, or -1 with an exception that ends it. */
typedef struct fq_serving_phase_ops {
    /* receive() is called, and called again after each message. */
    bool receives;
    /* News of the port wake the task. */
    bool takes_news;
    /* |out| is start(), not send(). */
    bool is_starting;
    /* receive() is of no more interest. */
    bool is_leaving;
    /* When everything waits, the task does not, but comes back in the loop's
     * next turn. */
    bool takes_turns;
    /* receive() gave |message|. NULL: it is of no interest. */
    int (*received)(fq_serving *self, PyObject *message);
    /* What |out| awaited gave |result|. NULL: as above. */
    int (*sent)(fq_serving *self, PyObject *result);
    /* Nothing is being sent: starts what comes next, if anything does. May be
     * NULL. */
    int (*send_next)(fq_serving *self);
} fq_serving_phase_ops;

typedef struct fq_serving_kind {
    const fq_serving_phase_ops *phases;
    /* 1 when |message| says that the client has gone, 0 when not, -1 with an
     * exception. */
    int (*is_disconnect)(fq_serving *self, PyObject *message);
    /* start() gave the Service, which is in |base|: asks whether the client
     * may come in. */
    int (*enter)(fq_serving *self);
    /* There is no service for it, whatever the reason: sends the client away
     * for now. */
    int (*unavailable)(fq_serving *self);
    /* Lets go of what is the kind's own. Harmless twice. May be NULL. */
    void (*release)(fq_serving *self);
} fq_serving_kind;

struct fq_serving {
    fq_port_object base;
    fq_state *state; /* of the module, which the type holds */
    const fq_serving_kind *kind;
    int phase;
    fq_drive in;
    fq_drive out;
    fq_waker *waker; /* NULL before the first step and after */
    PyObject *start; /* gives the Service, or NULL */
    PyObject *receive;
    PyObject *send;
    const fq_protocol_kind *protocol; /* the kind's: what the client speaks,
                                       * NULL before it is known */
    PyObject *farewell; /* a message to be sent at last, or NULL */
    PyObject *outcome;  /* ENDING: what to raise, or NULL */
    bool is_running;    /* inside a step */
    bool has_news;      /* the port may have something to take */
    bool is_paused;     /* receive no more until the port may */
    bool is_cancelling; /* a cancellation went on to |out| */
    bool is_waiting_in; /* for |in| to see its cancellation; the kind's */
    uint8_t n_turns;    /* the kind's: it waits for no longer */
};

/* ── the type ── */

/* Makes |self|, fresh from tp_alloc, one of |kind|. |service|: a Service, or
 * None or NULL for what |start| gives; |start| may be NULL. Returns 0, or -1
 * with an exception: TypeError where |service| is something else. */
int
fq_serving_init_object(fq_serving *self, const fq_serving_kind *kind,
                       PyObject *service, PyObject *start, PyObject *scope,
                       PyObject *receive, PyObject *send);

/* For a subclass's slots. */
int
fq_serving_traverse(fq_serving *self, visitproc visit, void *arg);
int
fq_serving_clear(fq_serving *self);
void
fq_serving_dealloc(fq_serving *self);

/* ── for kinds ── */

/* Begins send(message), whose reference it steals; NULL: an exception is set
 * already. Returns 0 or -1. */
int
fq_serving_send(fq_serving *self, PyObject *message);

/* Begins start(), which is to give a Service. */
int
fq_serving_start(fq_serving *self);

/* The |sent| of a phase that is starting: enters, or raises TypeError. */
int
fq_serving_started(fq_serving *self, PyObject *service);

/* Begins to send the farewell, which there must be. */
int
fq_serving_send_farewell(fq_serving *self);

/* Opens the session of |visitor| (given away), a client of |service| that
 * speaks |protocol|. Returns 1; 0 when the service takes nobody any more and
 * the client is sent away for now; -1 with an exception. */
int
fq_serving_open_session(fq_serving *self, fq_service *service,
                        const fq_protocol_kind *protocol, fq_visitor *visitor);

/* Gives |text| (one reference, stolen) to the session; *ppause as
 * fq_port_receive has it. Where the reactor is gone, as in a forked child, the
 * client is sent away for now. Returns 0 or -1. */
int
fq_serving_give(fq_serving *self, fq_rcbuf *text, bool *ppause);

/* ── driving ── */

/* Runs until everything waits, the connection has ended, or this step of the
 * task has had its share. As PyIter_Send. */
PySendResult
fq_serving_run(fq_serving *self, PyObject **presult);

/* Begins the end: |outcome| (stolen) is what will be raised, or NULL. */
void
fq_serving_end(fq_serving *self, PyObject *outcome);

/* The same for a handler: nothing will be raised. Returns 0. */
int
fq_serving_end_clean(fq_serving *self);

/* Lets go of everything, now. */
void
fq_serving_release(fq_serving *self);

/* Makes a drive that is suspended raise CancelledError(|msg|). */
void
fq_serving_cancel_drive(fq_serving *self, fq_drive *drive, PyObject *msg);

/* Takes |exception| (borrowed) to what is suspended. */
void
fq_serving_throw_in(fq_serving *self, PyObject *exception);

/* The owner's side of fq_waker_cancel and of fq_port_object. */
int
fq_serving_cancel_waiting(PyObject *owner, PyObject *msg);
int
fq_serving_news(fq_port_object *base);

#endif
