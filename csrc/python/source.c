/* SPDX-License-Identifier: MIT */
/* Source: the handle between the engine and the task that drives a user's
 * generator. The task is one for the generator's whole life, because timeouts
 * and task groups inside of it are bound to the task they were entered in; its
 * code is drive() in fraiseql_asgi/_source.py. It hands a value over with
 * give() and waits in asked() until the engine wants another. Thread: loop. */
#include "python/source.h"

#include "python/call_task.h"
#include "python/parts.h"

typedef struct source {
    fq_call_task base;  /* its call: the value asked for; NULL: none is. It has
                        * an owner and is in service->sources */
    PyObject *future;   /* what the task waits for in asked(), or NULL */
    bool is_done;       /* the task has ended */
    bool is_cancelled;  /* the subscription ended: nobody asks any more */
    fq_answer_kind end; /* once done: what a call that comes late gets, */
    fq_rcbuf *end_text; /* with this text */
} source;

/* ── its end ── */

static void
answer_end(source *self, fq_call *call)
{
    fq_rcbuf *text = self->end_text;
    self->end_text = NULL;
    fq_call_answer(call, self->end, text);
}

static void
leave_owner(source *self)
{
    fq_port_object_drop_running(self->base.owner, self->base.sub_id,
                                (PyObject *)self);
}

/* The callback of the task. When the engine has not asked yet (somebody else
 * cancelled the task), the source stays where it is found until it does. */
static PyObject *
source_call(source *self, PyObject *Py_UNUSED(args),
            PyObject *Py_UNUSED(kwargs))
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_list_remove(&self->base.node);
    self->is_done = true;
    self->end = FQ_ANSWER_END;
    PyObject *value = fq_call_task_result(&self->base);
    Py_XDECREF(value);
    if (value == NULL
        && !(self->is_cancelled
             && PyErr_ExceptionMatches(state->cancelled_error))) {
        self->end = FQ_ANSWER_FAIL;
        self->end_text = fq_resolver_take_exception(state, self->base.service,
                                                    self->base.resolver);
    }
    PyErr_Clear();
    fq_call *call = self->base.call;
    self->base.call = NULL;
    if (call != NULL || self->is_cancelled)
        leave_owner(self);
    if (call != NULL)
        answer_end(self, call);
    Py_RETURN_NONE;
}

static PyObject *
cancel_source(fq_call_task *base)
{
    source *self = (source *)base;
    if (self->is_cancelled || self->is_done)
        Py_RETURN_NONE;
    self->is_cancelled = true;
    fq_call_free(self->base.call);
    self->base.call = NULL;
    return fq_call_task_cancel(base);
}

PyDoc_STRVAR(cancel_doc, "cancel($self, /)\n--\n\n"
                         "The subscription ended: close the generator.");

static PyObject *
source_cancel(source *self, PyObject *Py_UNUSED(ignored))
{
    return cancel_source(&self->base);
}

int
fq_source_cancel_all(fq_service_object *service, PyObject *loop,
                     PyObject *list)
{
    return fq_call_task_cancel_all(&service->sources, loop, cancel_source,
                                   list);
}

/* ── between the task and the engine ── */

PyDoc_STRVAR(give_doc, "give($self, value, /)\n--\n\n"
                       "Hand over the value that was asked for.");

static PyObject *
source_give(source *self, PyObject *value)
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (self->base.call == NULL) {
        PyErr_SetNone(state->cancelled_error);
        return NULL;
    }
    if (fq_resolver_answer(state, self->base.service, self->base.call, value)
        < 0)
        return NULL;
    self->base.call = NULL;
    Py_RETURN_NONE;
}

static int
resolve_future(source *self)
{
    PyObject *future = self->future;
    if (future == NULL)
        return 0;
    self->future = NULL;
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *done = PyObject_CallMethodNoArgs(future, state->str_done);
    int is_done = done == NULL ? -1 : PyObject_IsTrue(done);
    Py_XDECREF(done);
    PyObject *set = NULL;
    if (is_done == 0)
        set = PyObject_CallMethodOneArg(future, state->str_set_result,
                                        Py_None);
    Py_DECREF(future);
    Py_XDECREF(set);
    return is_done < 0 || (is_done == 0 && set == NULL) ? -1 : 0;
}

PyDoc_STRVAR(asked_doc, "asked($self, /)\n--\n\n"
                        "A future that is done when another value is wanted.");

static PyObject *
source_asked(source *self, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *future = PyObject_CallMethodNoArgs(self->base.loop,
                                                 state->str_create_future);
    if (future == NULL)
        return NULL;
    Py_XSETREF(self->future, Py_NewRef(future));
    if (self->base.call != NULL && resolve_future(self) < 0)
        Py_CLEAR(future);
    return future;
}

void
fq_source_ask(PyObject *object, fq_call *call)
{
    source *self = (source *)object;
    if (self->is_done) {
        leave_owner(self);
        answer_end(self, call);
        return;
    }
    if (self->is_cancelled) {
        fq_call_free(call);
        return;
    }
    self->base.call = call;
    if (resolve_future(self) < 0)
        PyErr_WriteUnraisable(object);
}

/* ── its start ── */

/* Borrowed, or NULL with an exception. */
static PyObject *
get_drive(fq_state *state)
{
    if (state->drive_source == NULL) {
        PyObject *module = PyImport_ImportModule("fraiseql_asgi._source");
        if (module == NULL)
            return NULL;
        state->drive_source = PyObject_GetAttrString(module, "drive");
        Py_DECREF(module);
    }
    return state->drive_source;
}

int
fq_source_start(fq_state *state, const fq_call_site *site,
                fq_resolver *resolver, PyObject *generator, fq_call *call)
{
    fq_port_object *owner = site->owner;
    PyTypeObject *type = state->source_type;
    PyObject *coroutine = NULL;
    PyObject *drive = get_drive(state);
    if (drive == NULL)
        return -1;
    source *self = (source *)type->tp_alloc(type, 0);
    if (self == NULL)
        return -1;
    fq_list_init(&self->base.node);
    self->base.sub_id = call->sub_id;
    self->base.owner = (fq_port_object *)Py_NewRef(owner);
    self->base.service = (fq_service_object *)Py_NewRef(owner->service);
    self->base.resolver = (fq_resolver *)Py_NewRef(resolver);
    self->base.loop = Py_NewRef(fq_loop_mailbox_loop(owner->mailbox));
    if (fq_port_object_set_running(owner, self->base.sub_id, (PyObject *)self)
        < 0)
        goto fail;
    coroutine = PyObject_CallFunctionObjArgs(drive, generator, self, NULL);
    if (coroutine == NULL)
        goto fail;
    self->base.task = PyObject_CallMethodOneArg(
        self->base.loop, state->str_create_task, coroutine);
    Py_DECREF(coroutine);
    if (self->base.task == NULL)
        goto fail;
    if (fq_call_task_watch(&self->base) < 0)
        goto fail;
    self->base.call = call;
    fq_list_push_back(&self->base.service->sources, &self->base.node);
    Py_DECREF(self);
    return 0;

fail:
    leave_owner(self);
    Py_DECREF(self);
    return -1;
}

/* ── the type ── */

static int
source_traverse(source *self, visitproc visit, void *arg)
{
    Py_VISIT(self->future);
    return fq_call_task_traverse(&self->base, visit, arg);
}

static int
source_clear(source *self)
{
    Py_CLEAR(self->future);
    return 0;
}

static void
source_dealloc(source *self)
{
    PyObject_GC_UnTrack(self);
    fq_rcbuf_unref(self->end_text);
    source_clear(self);
    fq_call_task_dealloc(&self->base);
}

static PyMethodDef source_methods[] = {
    {"give", (PyCFunction)source_give, METH_O, give_doc},
    {"asked", (PyCFunction)source_asked, METH_NOARGS, asked_doc},
    {"cancel", (PyCFunction)source_cancel, METH_NOARGS, cancel_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot source_slots[] = {
    {Py_tp_dealloc, source_dealloc},
    {Py_tp_traverse, source_traverse},
    {Py_tp_clear, source_clear},
    {Py_tp_call, source_call},
    {Py_tp_methods, source_methods},
    {Py_tp_doc, (void *)"A source that runs."},
    {0, NULL},
};

static PyType_Spec source_spec = {
    .name = "fraiseql_asgi._core.Source",
    .basicsize = sizeof(source),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = source_slots,
};

int
fq_source_init(PyObject *module, fq_state *state)
{
    state->source_type = fq_state_add_type(module, &source_spec, NULL);
    return state->source_type == NULL ? -1 : 0;
}
