/* SPDX-License-Identifier: MIT */
/* An asynchronous resolver under way: its task, the call it will answer, and
 * the time it has. Thread: loop. */
#ifndef FQ_PYTHON_RESOLVER_TASK_H
#define FQ_PYTHON_RESOLVER_TASK_H

#include "python/resolver_call.h"

/* Answers |call| (given away), which came to |site|, when |task| is done, with
 * an error when that takes longer than it may, not at all when the subscription
 * ends first; the latter two cancel the task. Returns 0, or -1 with an
 * exception; the call is the caller's then, the task cancelled. */
int
fq_resolver_task_start(fq_state *state, const fq_call_site *site,
                       fq_resolver *resolver, PyObject *task, fq_call *call);

/* Lets |call| (given away) wait for what |runs|, a resolver's task, does for an
 * earlier event of the same subscription. */
void
fq_resolver_task_follow(PyObject *runs, fq_call *call);

/* Nobody waits for the answer to the call for the class |id| any more: cancels
 * what runs for it. */
void
fq_resolver_task_cancel_class(fq_service_object *service, uint64_t id);
/* The same for all classes, from any thread. Keeps the current exception. */
void
fq_resolver_task_cancel_shared(fq_service_object *service);

/* Cancels the tasks of |service| that run on |loop| and appends them to |list|.
 * Returns 0, or -1 with an exception. */
int
fq_resolver_task_cancel_all(fq_service_object *service, PyObject *loop,
                            PyObject *list);

#endif
