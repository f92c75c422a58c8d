/* SPDX-License-Identifier: MIT */
/* Source: the handle between the engine and the task that drives a user's
 * generator. The task is one for the generator's whole life, because timeouts
 * and task groups inside of it are bound to the task they were entered in; its
 * code is drive() in fraiseql_asgi/_source.py. It hands a value over with
 * give() and waits in asked() until the engine wants another. Thread: loop. */
#include "python/source.h"

#include "python/parts.h"

typedef struct source {
    PyObject_HEAD
    fq_call *call; /* the value asked for; NULL: none is */
    fq_sub_id sub_id;
    fq_port_object *owner; /* where it stands as running */
    fq_service_object *service;
    fq_resolver *resolver;
    PyObject *task;
    PyObject *loop;
    PyObject *future;   /* what the task waits for in asked(), or NULL */
    fq_list node;       /* in service->sources until done */
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
    PyObject *runs = fq_port_object_get_running(self->owner, self->sub_id);
    if (runs == (PyObject *)self)
        Py_XDECREF(fq_port_object_take_running(self->owner, self->sub_id));
    Py_XDECREF(runs);
}

/* The callback of the task. When the engine has not asked yet (somebody else
 * cancelled the task), the source stays where it is found until it does. */
static PyObject *
source_call(source *self, PyObject *Py_UNUSED(args),
            PyObject *Py_UNUSED(kwargs))
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_list_remove(&self->node);
    self->is_done = true;
    self->end = FQ_ANSWER_END;
    PyObject *value = PyObject_CallMethodNoArgs(self->task, state->str_result);
    Py_XDECREF(value);
    if (value == NULL
        && !(self->is_cancelled
             && PyErr_ExceptionMatches(state->cancelled_error))) {
        self->end = FQ_ANSWER_FAIL;
        self->end_text = fq_resolver_take_exception(state, self->service,
                                                    self->resolver);
    }
    PyErr_Clear();
    fq_call *call = self->call;
    self->call = NULL;
    if (call != NULL || self->is_cancelled)
        leave_owner(self);
    if (call != NULL)
        answer_end(self, call);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(cancel_doc, "cancel($self, /)\n--\n\n"
                         "The subscription ended: close the generator.");

static PyObject *
source_cancel(source *self, PyObject *Py_UNUSED(ignored))
{
    if (self->is_cancelled || self->is_done)
        Py_RETURN_NONE;
    self->is_cancelled = true;
    fq_call_free(self->call);
    self->call = NULL;
    return PyObject_CallMethodNoArgs(
        self->task, fq_state_of((PyObject *)self)->str_cancel);
}

int
fq_source_cancel_all(fq_service_object *service, PyObject *loop,
                     PyObject *list)
{
    PyObject *mine = PyList_New(0);
    if (mine == NULL)
        return -1;
    int result = 0;
    FQ_LIST_FOREACH(node, &service->sources)
    {
        source *self = FQ_CONTAINER_OF(node, source, node);
        if (self->loop == loop
            && (PyList_Append(mine, (PyObject *)self) < 0
                || PyList_Append(list, self->task) < 0)) {
            result = -1;
            break;
        }
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(mine) && result == 0; i++) {
        PyObject *done = source_cancel((source *)PyList_GET_ITEM(mine, i),
                                       NULL);
        if (done == NULL)
            result = -1;
        Py_XDECREF(done);
    }
    Py_DECREF(mine);
    return result;
}

/* ── between the task and the engine ── */

PyDoc_STRVAR(give_doc, "give($self, value, /)\n--\n\n"
                       "Hand over the value that was asked for.");

static PyObject *
source_give(source *self, PyObject *value)
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (self->call == NULL) {
        PyErr_SetNone(state->cancelled_error);
        return NULL;
    }
    if (fq_resolver_answer(state, self->service, self->call, value) < 0)
        return NULL;
    self->call = NULL;
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
    PyObject *future = PyObject_CallMethodNoArgs(self->loop,
                                                 state->str_create_future);
    if (future == NULL)
        return NULL;
    Py_XSETREF(self->future, Py_NewRef(future));
    if (self->call != NULL && resolve_future(self) < 0)
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
    self->call = call;
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
    PyObject *coroutine = NULL, *added = NULL;
    PyObject *drive = get_drive(state);
    if (drive == NULL)
        return -1;
    source *self = (source *)type->tp_alloc(type, 0);
    if (self == NULL)
        return -1;
    fq_list_init(&self->node);
    self->sub_id = call->sub_id;
    self->owner = (fq_port_object *)Py_NewRef(owner);
    self->service = (fq_service_object *)Py_NewRef(owner->service);
    self->resolver = (fq_resolver *)Py_NewRef(resolver);
    self->loop = Py_NewRef(fq_loop_mailbox_loop(owner->mailbox));
    if (fq_port_object_set_running(owner, self->sub_id, (PyObject *)self) < 0)
        goto fail;
    coroutine = PyObject_CallFunctionObjArgs(drive, generator, self, NULL);
    if (coroutine == NULL)
        goto fail;
    self->task = PyObject_CallMethodOneArg(self->loop, state->str_create_task,
                                           coroutine);
    Py_DECREF(coroutine);
    if (self->task == NULL)
        goto fail;
    added = PyObject_CallMethodOneArg(self->task, state->str_add_done_callback,
                                      (PyObject *)self);
    if (added == NULL)
        goto fail;
    Py_DECREF(added);
    self->call = call;
    fq_list_push_back(&self->service->sources, &self->node);
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
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    Py_VISIT(self->service);
    Py_VISIT(self->resolver);
    Py_VISIT(self->task);
    Py_VISIT(self->loop);
    Py_VISIT(self->future);
    return 0;
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
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    fq_list_remove(&self->node);
    fq_call_free(self->call);
    fq_rcbuf_unref(self->end_text);
    source_clear(self);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->service);
    Py_XDECREF(self->resolver);
    Py_XDECREF(self->task);
    Py_XDECREF(self->loop);
    type->tp_free(self);
    Py_DECREF(type);
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
