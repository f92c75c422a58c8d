/* SPDX-License-Identifier: MIT */
/* A task of user code that answers calls of the reactor: what ResolverTask and
 * Source, which begin with this struct, have in common, from the task's start
 * to its end. Thread: loop. */
#ifndef FQ_PYTHON_CALL_TASK_H
#define FQ_PYTHON_CALL_TASK_H

#include "python/resolver_call.h"

typedef struct fq_call_task {
    PyObject_HEAD
    fq_call *call;         /* to be answered; NULL: nobody waits */
    fq_sub_id sub_id;      /* the subscription it is for */
    fq_port_object *owner; /* where it stands as running, or NULL */
    fq_service_object *service;
    fq_resolver *resolver;
    PyObject *task;
    PyObject *loop; /* of the task */
    fq_list node;   /* in a list of the service until the task is done */
} fq_call_task;

/* Becomes the callback of the task. Returns 0, or -1 with an exception. */
int
fq_call_task_watch(fq_call_task *self);

/* Cancels the task. As a method: None, or NULL with an exception. */
PyObject *
fq_call_task_cancel(fq_call_task *self);

/* What the task, which is done, gave: a new reference, or NULL with its
 * exception. */
PyObject *
fq_call_task_result(fq_call_task *self);

/* Cancels those in |tasks| that run on |loop|, by |cancel|, which returns as
 * fq_call_task_cancel does, and appends their tasks to |list|. Returns 0, or
 * -1 with an exception. */
int
fq_call_task_cancel_all(fq_list *tasks, PyObject *loop,
                        PyObject *(*cancel)(fq_call_task *), PyObject *list);

/* For the slots of both; the latter leaves untracking to the caller. */
int
fq_call_task_traverse(fq_call_task *self, visitproc visit, void *arg);
void
fq_call_task_dealloc(fq_call_task *self);

#endif
