/* SPDX-License-Identifier: MIT */
/* One awaitable being driven to its end by C code: what asyncio's Task does,
 * without being a task. So several awaitables run in the step of one task, and
 * that task is current while they run, as middleware expects. Thread: loop. */
#ifndef FQ_PYTHON_DRIVE_H
#define FQ_PYTHON_DRIVE_H

#include "python/state.h"

typedef enum fq_drive_state {
    FQ_DRIVE_IDLE,    /* nothing to drive */
    FQ_DRIVE_READY,   /* fq_drive_step goes on */
    FQ_DRIVE_WAITING, /* for |future|, or for the loop's next turn */
} fq_drive_state;

/* Embedded in its owner. */
typedef struct fq_drive {
    fq_drive_state state;
    bool is_loops;    /* the wake-up comes straight from the loop, where no
                        * task is current */
    PyObject *iter;   /* coroutine or iterator; NULL while idle */
    PyObject *future; /* what it waits for; NULL: the loop's next turn */
    PyObject *woken;  /* the callback |future| was given */
    PyObject *thrown; /* the exception that fq_drive_step throws in */
} fq_drive;

typedef enum fq_drive_result {
    FQ_DRIVE_BLOCKED,  /* it waits */
    FQ_DRIVE_RETURNED, /* the result is the caller's */
    FQ_DRIVE_RAISED,   /* the current exception */
} fq_drive_result;

/* Where a drive waits. */
typedef struct fq_drive_place {
    fq_state *state;
    PyObject *loop;
    PyObject *context;  /* in which |woken| is called */
    PyObject *owner;    /* `self` of |woken| */
    PyMethodDef *woken; /* METH_O: gets what was waited for, and passes it to
                         * fq_drive_is_woken */
} fq_drive_place;

/* Begins with |awaitable| (borrowed); it runs at the next step. Returns 0, or
 * -1 with an exception: TypeError when it cannot be awaited. */
int
fq_drive_start(fq_drive *self, PyObject *awaitable);

/* Runs it until it ends or waits. To be called when READY only. *presult is a
 * new reference when RETURNED, else NULL. What can be said about a bad yield
 * is thrown into the awaitable. */
fq_drive_result
fq_drive_step(fq_drive *self, const fq_drive_place *place, PyObject **presult);

/* The callback was called with |future|: READY when it is what is waited for.
 * False for a late call, which means nothing. */
bool
fq_drive_is_woken(fq_drive *self, PyObject *future);

/* True when it is READY, or what it waits for is done and it need not wait for
 * the callback (it is READY then). */
bool
fq_drive_poll(fq_drive *self, fq_state *state);

/* Cancels what it waits for, as Task.cancel does. 1: the awaitable will be
 * woken with CancelledError(msg); 0: that cannot be cancelled (now); -1 with
 * an exception. */
int
fq_drive_cancel(fq_drive *self, fq_state *state, PyObject *msg);

/* Throws |exception| (borrowed, an instance) in at the next step, whatever it
 * waits for. */
void
fq_drive_throw(fq_drive *self, fq_state *state, PyObject *exception);

/* Stops waiting and calls close() of the awaitable, as `del` does. Keeps the
 * current exception. */
void
fq_drive_abandon(fq_drive *self, fq_state *state);

/* For the owner's tp_traverse and tp_clear. */
int
fq_drive_traverse(fq_drive *self, visitproc visit, void *arg);
void
fq_drive_clear(fq_drive *self);

#endif
