/* SPDX-License-Identifier: MIT */
/* What the files of a WebSocket share: its struct and its phases. Thread:
 * loop. websocket_phase.c says what messages lead to, websocket_run.c drives,
 * wakes and ends, websocket.c is the Python type. */
#ifndef FQ_PYTHON_WEBSOCKET_STATE_H
#define FQ_PYTHON_WEBSOCKET_STATE_H

#include "python/state.h"

#include "python/drive.h"
#include "python/port_object.h"
#include "python/waker.h"

typedef struct fq_websocket fq_websocket;

typedef enum fq_websocket_phase {
    FQ_WEBSOCKET_NEW,        /* not awaited yet */
    FQ_WEBSOCKET_CONNECTING, /* receives websocket.connect */
    FQ_WEBSOCKET_STARTING,   /* awaits start() */
    FQ_WEBSOCKET_ACCEPTING,  /* sends websocket.accept */
    FQ_WEBSOCKET_REJECTING,  /* the same, to close with a code */
    FQ_WEBSOCKET_DENYING,    /* sends the head of an http response */
    FQ_WEBSOCKET_OPEN,       /* carries texts both ways */
    FQ_WEBSOCKET_LEAVING,    /* cancels the pending receive() */
    FQ_WEBSOCKET_CLOSING,    /* sends websocket.close */
    FQ_WEBSOCKET_ENDING,     /* lets what is suspended end */
    FQ_WEBSOCKET_ENDED,
} fq_websocket_phase;

/* Handlers return 0, or -1 with an exception that ends the connection. */
typedef struct fq_websocket_phase_ops {
    /* receive() is called, and called again after each message. */
    bool receives;
    /* receive() gave |message|. */
    int (*received)(fq_websocket *self, PyObject *message);
    /* What |out| awaited gave |result|. */
    int (*sent)(fq_websocket *self, PyObject *result);
    /* Nothing is being sent: starts what comes next, if anything does. May be
     * NULL. */
    int (*send_next)(fq_websocket *self);
} fq_websocket_phase_ops;

/* By phase. */
extern const fq_websocket_phase_ops fq_websocket_phases[];

struct fq_websocket {
    fq_port_object base;
    fq_state *state; /* of the module, which the type holds */
    fq_websocket_phase phase;
    fq_drive in;
    fq_drive out;
    fq_waker *waker; /* NULL before the first step and after */
    PyObject *start; /* gives the Service, or NULL */
    PyObject *receive;
    PyObject *send;
    PyObject *farewell; /* LEAVING: the close to be sent */
    PyObject *outcome;  /* ENDING: what to raise, or NULL */
    bool is_running;    /* inside a step */
    bool has_news;      /* the port may have something to take */
    bool is_paused;     /* receive no more until the port may */
    bool is_cancelling; /* a cancellation went on to |out| */
    bool is_waiting_in; /* LEAVING: for |in| to see its cancellation */
};

/* Closes for a reason of ours that passes: 1012, or a refusal before the
 * accept. Clients come back. */
int
fq_websocket_come_back(fq_websocket *self);

/* Runs until everything waits, the connection has ended, or this step of the
 * task has had its share. As PyIter_Send. */
PySendResult
fq_websocket_run(fq_websocket *self, PyObject **presult);

/* Begins the end: |outcome| (stolen) is what will be raised, or NULL. */
void
fq_websocket_end(fq_websocket *self, PyObject *outcome);

/* The same for a handler: nothing will be raised. Returns 0. */
int
fq_websocket_end_clean(fq_websocket *self);

/* Lets go of everything, now. */
void
fq_websocket_release(fq_websocket *self);

/* Makes a drive that is suspended raise CancelledError(|msg|). */
void
fq_websocket_cancel_drive(fq_websocket *self, fq_drive *drive, PyObject *msg);

/* Takes |exception| (borrowed) to what is suspended. */
void
fq_websocket_throw_in(fq_websocket *self, PyObject *exception);

/* The owner's side of fq_waker_cancel and of fq_port_object. */
int
fq_websocket_cancel_waiting(PyObject *owner, PyObject *msg);
int
fq_websocket_news(fq_port_object *base);

#endif
