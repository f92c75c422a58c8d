/* SPDX-License-Identifier: MIT */
/* ResolverTask. All tasks of a service have the same time, so its list in
 * order of their start is in order of deadlines too; one timer per loop waits
 * for the oldest there. Thread: loop. */
#include "python/resolver_task.h"

#include "base/clock.h"
#include "python/auth.h"
#include "python/parts.h"

static const fq_str timed_out = FQ_STR("The resolver timed out");
static const fq_str handler_timed_out = FQ_STR("The operation timed out");

typedef struct resolver_task {
    PyObject_HEAD
    fq_call *call; /* to be answered; NULL: answered, or nobody waits */
    fq_sub_id sub_id;
    fq_port_object *owner; /* where it stands as running */
    fq_service_object *service;
    fq_resolver *resolver;
    PyObject *task;
    PyObject *loop;
    fq_list node; /* in service->tasks until done */
    uint64_t deadline_ns;
} resolver_task;

/* ── timers ── */

/* Forgets the timers of loops that are closed. */
static int
prune_timers(PyObject *timers)
{
    PyObject *loops = PyDict_Keys(timers);
    if (loops == NULL)
        return -1;
    int result = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(loops) && result == 0; i++) {
        PyObject *loop = PyList_GET_ITEM(loops, i);
        PyObject *closed = PyObject_CallMethod(loop, "is_closed", NULL);
        int is_closed = closed == NULL ? -1 : PyObject_IsTrue(closed);
        Py_XDECREF(closed);
        if (is_closed < 0 || (is_closed && PyDict_DelItem(timers, loop) < 0))
            result = -1;
    }
    Py_DECREF(loops);
    return result;
}

/* Sees that |loop| looks at its oldest task at |deadline_ns|. */
static int
arm_timer(fq_service_object *service, PyObject *loop, uint64_t now_ns,
          uint64_t deadline_ns)
{
    int has_timer = PyDict_Contains(service->timers, loop);
    if (has_timer != 0)
        return has_timer < 0 ? -1 : 0;
    if (PyDict_GET_SIZE(service->timers) > 0
        && prune_timers(service->timers) < 0)
        return -1;
    double delay = deadline_ns > now_ns
                       ? (double)(deadline_ns - now_ns) / FQ_NS_PER_S
                       : 0.0;
    PyObject *expire = PyObject_GetAttrString((PyObject *)service, "_expire");
    if (expire == NULL)
        return -1;
    PyObject *handle = PyObject_CallMethod(loop, "call_later", "dOO", delay,
                                           expire, loop);
    Py_DECREF(expire);
    if (handle == NULL)
        return -1;
    int result = PyDict_SetItem(service->timers, loop, handle);
    Py_DECREF(handle);
    return result;
}

/* ── ending ── */

static void
cancel_task(resolver_task *self)
{
    PyObject *result = PyObject_CallMethodNoArgs(
        self->task, fq_state_of((PyObject *)self)->str_cancel);
    if (result == NULL)
        PyErr_WriteUnraisable(self->task);
    Py_XDECREF(result);
}

/* Takes it from where it stands as running, unless another has its place. */
static void
leave_owner(resolver_task *self)
{
    PyObject *runs = fq_port_object_get_running(self->owner, self->sub_id);
    if (runs == (PyObject *)self)
        Py_XDECREF(fq_port_object_take_running(self->owner, self->sub_id));
    Py_XDECREF(runs);
}

static void
expire(resolver_task *self)
{
    fq_call *call = self->call;
    self->call = NULL;
    fq_list_remove(&self->node);
    if (call == NULL)
        return;
    Py_INCREF(self);
    leave_owner(self);
    fq_resolver_log_timeout(fq_state_of((PyObject *)self), self->resolver);
    fq_rcbuf *text = NULL;
    fq_rcbuf_new(self->resolver->is_handler ? handler_timed_out : timed_out,
                 &text);
    fq_call_answer(call, FQ_ANSWER_ERROR, text);
    cancel_task(self);
    Py_DECREF(self);
}

int
fq_resolver_task_expire(fq_service_object *service, PyObject *loop)
{
    if (PyDict_Contains(service->timers, loop) == 1
        && PyDict_DelItem(service->timers, loop) < 0)
        return -1;
    uint64_t now_ns = fq_clock_now_ns();
    /* User code may run in between and change the list: begin again. */
restart:
    FQ_LIST_FOREACH(node, &service->tasks)
    {
        resolver_task *self = FQ_CONTAINER_OF(node, resolver_task, node);
        if (self->loop != loop)
            continue;
        if (self->deadline_ns > now_ns)
            return arm_timer(service, loop, now_ns, self->deadline_ns);
        expire(self);
        goto restart;
    }
    return 0;
}

PyDoc_STRVAR(cancel_doc,
             "cancel($self, /)\n--\n\n"
             "The subscription ended: nobody waits for the answer any more.");

static PyObject *
resolver_task_cancel(resolver_task *self, PyObject *Py_UNUSED(ignored))
{
    if (self->call == NULL)
        Py_RETURN_NONE;
    fq_call_free(self->call);
    self->call = NULL;
    return PyObject_CallMethodNoArgs(
        self->task, fq_state_of((PyObject *)self)->str_cancel);
}

int
fq_resolver_task_cancel_all(fq_service_object *service, PyObject *loop,
                            PyObject *list)
{
    PyObject *mine = PyList_New(0);
    if (mine == NULL)
        return -1;
    int result = 0;
    FQ_LIST_FOREACH(node, &service->tasks)
    {
        resolver_task *self = FQ_CONTAINER_OF(node, resolver_task, node);
        if (self->loop == loop
            && (PyList_Append(mine, (PyObject *)self) < 0
                || PyList_Append(list, self->task) < 0)) {
            result = -1;
            break;
        }
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(mine) && result == 0; i++) {
        resolver_task *self = (resolver_task *)PyList_GET_ITEM(mine, i);
        leave_owner(self);
        PyObject *done = resolver_task_cancel(self, NULL);
        if (done == NULL)
            result = -1;
        Py_XDECREF(done);
    }
    Py_DECREF(mine);
    return result;
}

/* ── its end ── */

/* The task's result, or NULL with its exception. */
static PyObject *
take_result(resolver_task *self)
{
    return PyObject_CallMethodNoArgs(
        self->task, fq_state_of((PyObject *)self)->str_result);
}

/* The callback of the task. Raises nothing: the loop has seen a
 * KeyboardInterrupt when it left the task. */
static PyObject *
resolver_task_call(resolver_task *self, PyObject *Py_UNUSED(args),
                   PyObject *Py_UNUSED(kwargs))
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_list_remove(&self->node);
    fq_call *call = self->call;
    self->call = NULL;
    if (call != NULL)
        leave_owner(self);
    PyObject *value = take_result(self);
    if (call != NULL && value != NULL
        && fq_resolver_answer(state, self->service, call, value) == 0)
        call = NULL;
    Py_XDECREF(value);
    bool is_cancelled = call == NULL
                        && PyErr_ExceptionMatches(state->cancelled_error);
    if (call != NULL && PyErr_Occurred() && fq_auth_is_call(call)) {
        fq_auth_fail(state, self->service, self->resolver, call);
    } else if (PyErr_Occurred() && !is_cancelled) {
        fq_rcbuf *text = fq_resolver_take_exception(state, self->service,
                                                    self->resolver);
        if (call != NULL)
            fq_call_answer(call, FQ_ANSWER_ERROR, text);
        else
            fq_rcbuf_unref(text);
    }
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* ── its start ── */

int
fq_resolver_task_start(fq_state *state, fq_port_object *owner,
                       fq_resolver *resolver, PyObject *task, fq_call *call)
{
    PyTypeObject *type = state->resolver_task_type;
    fq_service_object *service = (fq_service_object *)owner->service;
    PyObject *added = NULL;
    resolver_task *self = (resolver_task *)type->tp_alloc(type, 0);
    if (self == NULL)
        goto fail;
    uint64_t now_ns = fq_clock_now_ns();
    fq_list_init(&self->node);
    self->sub_id = call->sub_id;
    self->owner = (fq_port_object *)Py_NewRef(owner);
    self->service = (fq_service_object *)Py_NewRef(service);
    self->resolver = (fq_resolver *)Py_NewRef(resolver);
    self->task = Py_NewRef(task);
    self->loop = Py_NewRef(fq_loop_mailbox_loop(owner->mailbox));
    self->deadline_ns = now_ns + service->resolver_timeout_ns;
    if (arm_timer(service, self->loop, now_ns, self->deadline_ns) < 0)
        goto fail;
    added = PyObject_CallMethodOneArg(task, state->str_add_done_callback,
                                      (PyObject *)self);
    if (added == NULL)
        goto fail;
    Py_DECREF(added);
    if (fq_port_object_set_running(owner, self->sub_id, (PyObject *)self) < 0)
        goto fail;
    self->call = call;
    fq_list_push_back(&service->tasks, &self->node);
    Py_DECREF(self);
    return 0;

fail:;
    PyObject *exc_type, *exception, *traceback;
    PyErr_Fetch(&exc_type, &exception, &traceback);
    Py_XDECREF(PyObject_CallMethodNoArgs(task, state->str_cancel));
    PyErr_Clear();
    PyErr_Restore(exc_type, exception, traceback);
    Py_XDECREF(self);
    return -1;
}

/* ── the type ── */

static int
resolver_task_traverse(resolver_task *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    Py_VISIT(self->service);
    Py_VISIT(self->resolver);
    Py_VISIT(self->task);
    Py_VISIT(self->loop);
    return 0;
}

/* Its task can break every cycle; the members are needed while it lives. */
static void
resolver_task_dealloc(resolver_task *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->service != NULL)
        fq_list_remove(&self->node);
    fq_call_free(self->call);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->service);
    Py_XDECREF(self->resolver);
    Py_XDECREF(self->task);
    Py_XDECREF(self->loop);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef resolver_task_methods[] = {
    {"cancel", (PyCFunction)resolver_task_cancel, METH_NOARGS, cancel_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot resolver_task_slots[] = {
    {Py_tp_dealloc, resolver_task_dealloc},
    {Py_tp_traverse, resolver_task_traverse},
    {Py_tp_call, resolver_task_call},
    {Py_tp_methods, resolver_task_methods},
    {Py_tp_doc, (void *)"An asynchronous resolver under way."},
    {0, NULL},
};

static PyType_Spec resolver_task_spec = {
    .name = "fraiseql_asgi._core.ResolverTask",
    .basicsize = sizeof(resolver_task),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = resolver_task_slots,
};

int
fq_resolver_task_init(PyObject *module, fq_state *state)
{
    state->resolver_task_type = fq_state_add_type(module, &resolver_task_spec,
                                                  NULL);
    return state->resolver_task_type == NULL ? -1 : 0;
}
