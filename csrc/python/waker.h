/* SPDX-License-Identifier: MIT */
/* What a connection's task waits for when nothing can go on: an object that
 * asyncio takes for a future, and that can be waited for again and again. It
 * keeps the task's wake-up and its context, so that whoever has news can run
 * the task at once. Thread: loop. What the news are is the owner's. */
#ifndef FQ_PYTHON_WAKER_H
#define FQ_PYTHON_WAKER_H

#include "python/state.h"

/* The task was cancelled: hands |msg| (borrowed) to what the owner waits for.
 * 1: it will end with CancelledError(msg) and wake the task; 0: it cannot, so
 * the task throws CancelledError itself; -1 with an exception. */
typedef int (*fq_waker_cancel)(PyObject *owner, PyObject *msg);

typedef struct fq_waker {
    PyObject_HEAD
    PyObject *loop;
    PyObject *callback;     /* the task's wake-up; NULL: it does not wait */
    PyObject *context;      /* where the wake-up runs */
    PyObject *owner;        /* borrowed; NULL once it let go */
    fq_waker_cancel cancel; /* the owner's */
    char is_blocking;       /* _asyncio_future_blocking (PEP 3156's way to
                             * tell `yield from future` from `yield future`) */
    bool is_done;           /* woken since it was last waited for */
} fq_waker;

/* A waker of |loop| that is not waited for. NULL with an exception. */
fq_waker *
fq_waker_new(fq_state *state, PyObject *loop, PyObject *owner,
             fq_waker_cancel cancel);

/* The value to yield to the task that is to wait: a new reference. */
PyObject *
fq_waker_arm(fq_waker *self);

/* Runs the waiting task now, in its context; nothing when none waits. To be
 * called by the loop's callbacks only, where no task is current. Returns 0, or
 * -1 with an exception that the loop must see. */
int
fq_waker_wake_here(fq_waker *self);

/* The same in the loop's next turn, from anywhere in the loop's thread. */
int
fq_waker_wake_soon(fq_waker *self);

/* The owner goes away. */
void
fq_waker_let_go(fq_waker *self);

#endif
