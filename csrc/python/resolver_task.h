/* SPDX-License-Identifier: MIT */
/* An asynchronous resolver under way: its task, the call it will answer, and
 * the time it has. Thread: loop. */
#ifndef FQ_PYTHON_RESOLVER_TASK_H
#define FQ_PYTHON_RESOLVER_TASK_H

#include "python/resolver.h"

/* Answers |call| (given away) when |task| is done, with an error when that
 * takes longer than the service's resolver_timeout, not at all when the
 * subscription ends first; the latter two cancel the task. Returns 0, or -1
 * with an exception; the call is the caller's then, the task cancelled. */
int
fq_resolver_task_start(fq_state *state, fq_port_object *owner,
                       fq_resolver *resolver, PyObject *task, fq_call *call);

/* Ends the calls of |service| that are overdue on |loop|, and asks the loop
 * to come back for the next. Returns 0, or -1 with an exception. */
int
fq_resolver_task_expire(fq_service_object *service, PyObject *loop);

/* Cancels the tasks of |service| that run on |loop| (NULL: any) and appends
 * them to |list|. Returns 0, or -1 with an exception. */
int
fq_resolver_task_cancel_all(fq_service_object *service, PyObject *loop,
                            PyObject *list);

#endif
