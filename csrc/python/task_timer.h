/* SPDX-License-Identifier: MIT */
/* The time that asynchronous resolvers have. All tasks of a service that have
 * the same time stand in one list: in order of their start is in order of
 * their deadlines then, and one timer per loop, for the oldest there, is
 * enough. Services have as many of these as there are different times.
 * Thread: loop. */
#ifndef FQ_PYTHON_TASK_TIMER_H
#define FQ_PYTHON_TASK_TIMER_H

#include "python/state.h"

#include "base/list.h"

typedef struct fq_task_timer {
    struct fq_task_timer *next; /* of the service */
    uint64_t timeout_ns;
    fq_list tasks;     /* fq_timed_task by node, oldest first */
    PyObject *handles; /* dict: loop -> TimerHandle for the oldest there */
} fq_task_timer;

/* A task while its time runs; embedded. */
typedef struct fq_timed_task {
    fq_list node;   /* in timer->tasks; unlinked: its time does not run */
    PyObject *loop; /* borrowed from who embeds it */
    uint64_t deadline_ns;
    /* The time is up; |task| is out of the list. May run any code. */
    void (*expire)(struct fq_timed_task *task);
} fq_timed_task;

/* Starts the time of |task|, whose loop and expire are set: |timeout_ns| from
 * now. |timers| is the service's list, |callback| its method
 * _expire(loop, timeout_ns). To be stopped by fq_list_remove(&task->node).
 * Returns 0, or -1 with an exception. */
int
fq_task_timer_start(fq_task_timer **timers, fq_timed_task *task,
                    uint64_t timeout_ns, PyObject *callback);

/* What the callback does: expires what is overdue on |loop|, and sees that it
 * is called again for the next. Returns 0, or -1 with an exception. */
int
fq_task_timer_run(fq_task_timer **timers, PyObject *loop, uint64_t timeout_ns,
                  PyObject *callback);

/* Takes all timers out of their loops, whichever thread runs these. Keeps the
 * current exception. */
void
fq_task_timer_cancel_all(fq_state *state, fq_task_timer *timers);

int
fq_task_timer_traverse(fq_task_timer *timers, visitproc visit, void *arg);
/* Frees the list; no task may be in it. */
void
fq_task_timer_free_all(fq_task_timer **timers);

#endif
