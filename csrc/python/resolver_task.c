/* SPDX-License-Identifier: MIT */
/* ResolverTask: a task, the call it answers, and who may end it: its time
 * (task_timer.c), its subscription, its loop. Thread: loop. */
#include "python/resolver_task.h"

#include "python/auth.h"
#include "python/call_task.h"
#include "python/parts.h"

static const fq_str timed_out = FQ_STR("The resolver timed out");
static const fq_str handler_timed_out = FQ_STR("The operation timed out");

typedef struct resolver_task {
    fq_call_task base; /* in service->tasks; without an owner it stands as
                        * running with the service, sub_id being the class's
                        * id */
    fq_inbox_item *followers; /* calls by mail.item, for later events */
    fq_inbox_item **followers_tail;
    fq_loop_mailbox *mailbox; /* one user, where there is no owner to keep it
                               * open; else NULL */
    fq_timed_task time;
} resolver_task;

/* ── where it stands as running ── */

static int
enter_running(resolver_task *self)
{
    if (self->base.owner != NULL)
        return fq_port_object_set_running(self->base.owner, self->base.sub_id,
                                          (PyObject *)self);
    fq_service_object *service = self->base.service;
    if (service->running == NULL)
        service->running = PyDict_New();
    PyObject *key = PyLong_FromUnsignedLongLong(self->base.sub_id);
    int result = -1;
    if (key != NULL && service->running != NULL)
        result = PyDict_SetItem(service->running, key, (PyObject *)self);
    Py_XDECREF(key);
    return result;
}

/* What runs for the class |id|, taken out; NULL without an exception. */
static PyObject *
take_class(fq_service_object *service, uint64_t id)
{
    PyObject *key = PyLong_FromUnsignedLongLong(id);
    PyObject *runs = NULL;
    if (key != NULL && service->running != NULL)
        runs = PyDict_GetItemWithError(service->running, key);
    Py_XINCREF(runs);
    if (runs != NULL && PyDict_DelItem(service->running, key) < 0)
        Py_CLEAR(runs);
    Py_XDECREF(key);
    PyErr_Clear();
    return runs;
}

/* Takes it out, unless another has its place. */
static void
leave_running(resolver_task *self)
{
    if (self->base.owner != NULL) {
        fq_port_object_drop_running(self->base.owner, self->base.sub_id,
                                    (PyObject *)self);
        return;
    }
    PyObject *runs = take_class(self->base.service, self->base.sub_id);
    if (runs != NULL && runs != (PyObject *)self)
        enter_running((resolver_task *)runs);
    PyErr_Clear();
    Py_XDECREF(runs);
}

/* ── what follows ── */

void
fq_resolver_task_follow(PyObject *runs, fq_call *call)
{
    resolver_task *self = (resolver_task *)runs;
    call->mail.item.next = NULL;
    *self->followers_tail = &call->mail.item;
    self->followers_tail = &call->mail.item.next;
}

static void
drop_followers(resolver_task *self)
{
    fq_inbox_item *item = self->followers;
    self->followers = NULL;
    self->followers_tail = &self->followers;
    while (item != NULL) {
        fq_call *call = FQ_CONTAINER_OF(item, fq_call, mail.item);
        item = item->next;
        fq_call_free(call);
    }
}

/* It is the next one's turn, |now| or soon. Returns 0, or -1 with an exception
 * that the loop must see. */
static int
let_follow(resolver_task *self, bool now)
{
    fq_inbox_item *first = self->followers;
    if (first == NULL || self->base.owner->mailbox == NULL) {
        drop_followers(self);
        return 0;
    }
    fq_inbox_item *last = FQ_CONTAINER_OF(self->followers_tail, fq_inbox_item,
                                          next);
    self->followers = NULL;
    self->followers_tail = &self->followers;
    return fq_loop_mailbox_put_back(self->base.owner->mailbox, first, last,
                                    now);
}

/* ── ending ── */

static void
cancel_task(resolver_task *self)
{
    PyObject *result = fq_call_task_cancel(&self->base);
    if (result == NULL)
        PyErr_WriteUnraisable(self->base.task);
    Py_XDECREF(result);
}

static void
expire(fq_timed_task *time)
{
    resolver_task *self = FQ_CONTAINER_OF(time, resolver_task, time);
    fq_call *call = self->base.call;
    self->base.call = NULL;
    fq_list_remove(&self->base.node);
    if (call == NULL)
        return;
    Py_INCREF(self);
    leave_running(self);
    fq_resolver_log_timeout(fq_state_of((PyObject *)self),
                            self->base.resolver);
    fq_rcbuf *text = NULL;
    fq_rcbuf_new(self->base.resolver->is_handler ? handler_timed_out
                                                 : timed_out,
                 &text);
    fq_call_answer(call, FQ_ANSWER_ERROR, text);
    if (let_follow(self, false) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    cancel_task(self);
    Py_DECREF(self);
}

PyDoc_STRVAR(cancel_doc,
             "cancel($self, /)\n--\n\n"
             "The subscription ended: nobody waits for the answer any more.");

static PyObject *
resolver_task_cancel(resolver_task *self, PyObject *Py_UNUSED(ignored))
{
    if (self->base.call == NULL)
        Py_RETURN_NONE;
    fq_call_free(self->base.call);
    self->base.call = NULL;
    drop_followers(self);
    return fq_call_task_cancel(&self->base);
}

void
fq_resolver_task_cancel_class(fq_service_object *service, uint64_t id)
{
    PyObject *runs = take_class(service, id);
    if (runs == NULL)
        return;
    PyObject *result = resolver_task_cancel((resolver_task *)runs, NULL);
    if (result == NULL)
        PyErr_WriteUnraisable(runs);
    Py_XDECREF(result);
    Py_DECREF(runs);
}

void
fq_resolver_task_cancel_shared(fq_service_object *service)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *running = service->running;
    service->running = NULL;
    Py_ssize_t pos = 0;
    PyObject *key, *runs;
    while (running != NULL && PyDict_Next(running, &pos, &key, &runs)) {
        PyObject *loop = ((fq_call_task *)runs)->loop;
        PyObject *cancel = PyObject_GetAttrString(runs, "cancel");
        PyObject *result = NULL;
        if (cancel != NULL)
            result = PyObject_CallMethod(loop, "call_soon_threadsafe", "O",
                                         cancel);
        /* A closed loop runs nothing any more. */
        if (result == NULL)
            PyErr_Clear();
        Py_XDECREF(result);
        Py_XDECREF(cancel);
    }
    Py_XDECREF(running);
    PyErr_Restore(type, value, traceback);
}

static PyObject *
leave_and_cancel(fq_call_task *base)
{
    leave_running((resolver_task *)base);
    return resolver_task_cancel((resolver_task *)base, NULL);
}

int
fq_resolver_task_cancel_all(fq_service_object *service, PyObject *loop,
                            PyObject *list)
{
    return fq_call_task_cancel_all(&service->tasks, loop, leave_and_cancel,
                                   list);
}

/* ── its end ── */

static void
leave_mailbox(resolver_task *self)
{
    fq_loop_mailbox *mailbox = self->mailbox;
    self->mailbox = NULL;
    if (mailbox != NULL)
        fq_loop_mailbox_unuse(mailbox);
}

/* The callback of the task. Raises nothing of that: the loop has seen a
 * KeyboardInterrupt when it left the task. */
static PyObject *
resolver_task_call(resolver_task *self, PyObject *Py_UNUSED(args),
                   PyObject *Py_UNUSED(kwargs))
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_list_remove(&self->base.node);
    fq_list_remove(&self->time.node);
    fq_call *call = self->base.call;
    self->base.call = NULL;
    if (call != NULL)
        leave_running(self);
    PyObject *value = fq_call_task_result(&self->base);
    if (call != NULL && value != NULL
        && fq_resolver_answer(state, self->base.service, call, value) == 0)
        call = NULL;
    Py_XDECREF(value);
    bool is_cancelled = call == NULL
                        && PyErr_ExceptionMatches(state->cancelled_error);
    if (call != NULL && PyErr_Occurred() && fq_auth_is_call(call)) {
        fq_auth_fail(state, self->base.service, self->base.resolver, call);
    } else if (PyErr_Occurred() && !is_cancelled) {
        fq_rcbuf *text = fq_resolver_take_exception(state, self->base.service,
                                                    self->base.resolver);
        if (call != NULL)
            fq_call_answer(call, FQ_ANSWER_ERROR, text);
        else
            fq_rcbuf_unref(text);
    }
    PyErr_Clear();
    leave_mailbox(self);
    if (let_follow(self, true) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ── its start ── */

/* Lets the time of |self| run. */
static int
start_time(resolver_task *self)
{
    fq_service_object *service = self->base.service;
    uint64_t timeout_ns = self->base.resolver->timeout_ns;
    if (timeout_ns == 0)
        timeout_ns = service->resolver_timeout_ns;
    PyObject *callback = PyObject_GetAttrString((PyObject *)service,
                                                "_expire");
    if (callback == NULL)
        return -1;
    int result = fq_task_timer_start(&service->timers, &self->time, timeout_ns,
                                     callback);
    Py_DECREF(callback);
    return result;
}

int
fq_resolver_task_start(fq_state *state, const fq_call_site *site,
                       fq_resolver *resolver, PyObject *task, fq_call *call)
{
    PyTypeObject *type = state->resolver_task_type;
    resolver_task *self = (resolver_task *)type->tp_alloc(type, 0);
    if (self == NULL)
        goto fail;
    fq_list_init(&self->base.node);
    fq_list_init(&self->time.node);
    self->followers_tail = &self->followers;
    self->base.sub_id = call->sub_id;
    if (site->owner != NULL)
        self->base.owner = (fq_port_object *)Py_NewRef(site->owner);
    else
        self->mailbox = fq_loop_mailbox_join(site->mailbox);
    self->base.service = (fq_service_object *)Py_NewRef(site->service);
    self->base.resolver = (fq_resolver *)Py_NewRef(resolver);
    self->base.task = Py_NewRef(task);
    self->base.loop = Py_NewRef(fq_loop_mailbox_loop(site->mailbox));
    self->time.loop = self->base.loop;
    self->time.expire = expire;
    if (start_time(self) < 0)
        goto fail;
    if (fq_call_task_watch(&self->base) < 0 || enter_running(self) < 0)
        goto fail;
    self->base.call = call;
    fq_list_push_back(&self->base.service->tasks, &self->base.node);
    Py_DECREF(self);
    return 0;

fail:;
    PyObject *exc_type, *exception, *traceback;
    PyErr_Fetch(&exc_type, &exception, &traceback);
    if (self != NULL)
        fq_list_remove(&self->time.node);
    Py_XDECREF(PyObject_CallMethodNoArgs(task, state->str_cancel));
    PyErr_Clear();
    PyErr_Restore(exc_type, exception, traceback);
    Py_XDECREF(self);
    return -1;
}

/* ── the type ── */

static void
resolver_task_dealloc(resolver_task *self)
{
    PyObject_GC_UnTrack(self);
    fq_list_remove(&self->time.node);
    leave_mailbox(self);
    drop_followers(self);
    fq_call_task_dealloc(&self->base);
}

static PyMethodDef resolver_task_methods[] = {
    {"cancel", (PyCFunction)resolver_task_cancel, METH_NOARGS, cancel_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot resolver_task_slots[] = {
    {Py_tp_dealloc, resolver_task_dealloc},
    {Py_tp_traverse, fq_call_task_traverse},
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
