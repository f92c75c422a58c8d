/* SPDX-License-Identifier: MIT */
/* One mailbox per loop: found by a walk over the few that are open, watched by
 * the loop's add_reader, emptied in bounded passes. Thread: loop. */
#include "python/loop_mailbox.h"

#include <sys/types.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "python/errors.h"
#include "python/exception.h"
#include "python/port_object.h"
#include "python/resolver_call.h"
#include "reactor/call.h"
#include "reactor/port.h"

struct fq_loop_mailbox {
    PyObject_HEAD
    fq_mailbox *mailbox;    /* NULL once closed */
    PyObject *loop;         /* NULL once closed */
    PyObject *context;      /* an empty one, for callbacks of our own */
    PyObject *call_context; /* one marked as inside of user code */
    PyObject *held;   /* set of what lives as long as the loop, or NULL */
    PyObject *module; /* keeps |state| */
    fq_state *state;
    fq_loop_mailbox *next;  /* in state->loop_mailboxes */
    fq_list waits;          /* ticket_wait by link */
    fq_inbox_item *backlog; /* taken, not yet handed on; oldest first */
    fq_inbox_item **backlog_tail;
    size_t n_users;       /* ports, feeds, waits: closed when none is left */
    pid_t pid;            /* of the process that made it */
    unsigned long thread; /* likewise */
    bool is_scheduled;    /* the rest of a pass is due in the next turn */
};

/* A future that waits for a ticket. It counts as a user, but does not hold the
 * mailbox: that is kept by its loop, and ends what waits when it is freed. */
typedef struct ticket_wait {
    fq_list link;
    PyObject *future;
    fq_ticket *ticket; /* one reference; ticket->owner is this struct */
    fq_ticket_result result;
} ticket_wait;

fq_mailbox *
fq_loop_mailbox_peek(const fq_loop_mailbox *self)
{
    return self->mailbox;
}

PyObject *
fq_loop_mailbox_loop(const fq_loop_mailbox *self)
{
    return self->loop;
}

PyObject *
fq_loop_mailbox_context(const fq_loop_mailbox *self)
{
    return self->context;
}

PyObject *
fq_loop_mailbox_call_context(const fq_loop_mailbox *self)
{
    return self->call_context;
}

int
fq_loop_mailbox_hold(fq_loop_mailbox *self, PyObject *object)
{
    if (self->held == NULL)
        self->held = PySet_New(NULL);
    return self->held == NULL ? -1 : PySet_Add(self->held, object);
}

void
fq_loop_mailbox_release(fq_loop_mailbox *self, PyObject *object)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (self->held != NULL && PySet_Discard(self->held, object) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    PyErr_Restore(type, value, traceback);
}

bool
fq_loop_mailbox_is_here(const fq_loop_mailbox *self)
{
    if (self->loop == NULL || self->state->get_running_loop == NULL
        || self->thread != PyThread_get_thread_ident())
        return false;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *loop = PyObject_CallNoArgs(self->state->get_running_loop);
    PyErr_Restore(type, value, traceback);
    Py_XDECREF(loop);
    return loop == self->loop;
}

bool
fq_loop_mailbox_is_behind(fq_state *state)
{
    fq_loop_mailbox *self = state->loop_mailboxes;
    while (self != NULL && !fq_loop_mailbox_is_here(self))
        self = self->next;
    if (self == NULL || self->mailbox == NULL || self->pid != getpid())
        return false;
    return self->backlog != NULL || fq_mailbox_has_mail(self->mailbox);
}

/* ── the end ── */

/* Ends what |mail| is about, as nobody is left to hand it to. */
static void
mail_drop(fq_mail *mail)
{
    switch (mail->kind) {
    case FQ_MAIL_PORT:
        fq_port_mail_taken(FQ_CONTAINER_OF(mail, fq_port, mail));
        break;
    case FQ_MAIL_CALL:
        fq_call_answer(FQ_CONTAINER_OF(mail, fq_call, mail), FQ_ANSWER_ERROR,
                       NULL);
        break;
    case FQ_MAIL_TICKET:
        fq_ticket_unref(FQ_CONTAINER_OF(mail, fq_ticket, mail));
        break;
    }
}

static void
mail_drop_all(fq_inbox_item *item)
{
    while (item != NULL) {
        fq_inbox_item *next = item->next;
        mail_drop(FQ_CONTAINER_OF(item, fq_mail, item));
        item = next;
    }
}

/* Takes |wait| out and frees it; its future is the caller's. */
static PyObject *
wait_steal_future(ticket_wait *wait)
{
    PyObject *future = wait->future;
    fq_list_remove(&wait->link);
    wait->ticket->owner = NULL;
    fq_ticket_unref(wait->ticket);
    fq_free(wait);
    return future;
}

/* Takes the descriptor out of the loop. In a forked child the loop's epoll is
 * the parent's too, so it is left alone. */
static void
stop_watching(fq_loop_mailbox *self)
{
    if (self->pid != getpid() || self->state->str_remove_reader == NULL)
        return;
    PyObject *fd = PyLong_FromLong(fq_mailbox_fd(self->mailbox));
    PyObject *result = NULL;
    if (fd != NULL)
        result = PyObject_CallMethodOneArg(self->loop,
                                           self->state->str_remove_reader, fd);
    /* A closed loop watches nothing and says so. */
    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
    Py_XDECREF(fd);
}

static void
unlink_from_state(fq_loop_mailbox *self)
{
    fq_loop_mailbox **plink = &self->state->loop_mailboxes;
    while (*plink != NULL && *plink != self)
        plink = &(*plink)->next;
    if (*plink != NULL)
        *plink = self->next;
}

static void
loop_mailbox_close(fq_loop_mailbox *self)
{
    if (self->mailbox == NULL)
        return;
    unlink_from_state(self);
    stop_watching(self);
    fq_mailbox *mailbox = self->mailbox;
    fq_inbox_item *backlog = self->backlog;
    self->mailbox = NULL;
    self->backlog = NULL;
    self->backlog_tail = &self->backlog;
    if (self->pid == getpid()) {
        fq_mail *left = fq_mailbox_close(mailbox);
        mail_drop_all(backlog);
        mail_drop_all(left == NULL ? NULL : &left->item);
        fq_mailbox_unref(mailbox);
    } else
        fq_mailbox_abandon(mailbox);
    while (!fq_list_is_empty(&self->waits)) {
        ticket_wait *wait = FQ_CONTAINER_OF(self->waits.next, ticket_wait,
                                            link);
        Py_DECREF(wait_steal_future(wait));
    }
    Py_CLEAR(self->loop);
}

/* Closes in the loop's own thread; a loop that takes no more callbacks is
 * closed itself. */
static void
close_in_loop(fq_loop_mailbox *self)
{
    if (self->thread != PyThread_get_thread_ident() && self->pid == getpid()
        && self->state->str_call_soon_threadsafe != NULL) {
        PyObject *hook = PyObject_GetAttrString((PyObject *)self, "_close");
        PyObject *handle = NULL;
        if (hook != NULL)
            handle = PyObject_CallMethodOneArg(
                self->loop, self->state->str_call_soon_threadsafe, hook);
        Py_XDECREF(hook);
        Py_XDECREF(handle);
        if (handle != NULL)
            return;
        PyErr_Clear();
    }
    loop_mailbox_close(self);
}

static void
drop_user(fq_loop_mailbox *self)
{
    FQ_CHECK(self->n_users > 0);
    self->n_users--;
    if (self->n_users > 0 || self->mailbox == NULL)
        return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    close_in_loop(self);
    PyErr_Restore(type, value, traceback);
}

fq_loop_mailbox *
fq_loop_mailbox_join(fq_loop_mailbox *self)
{
    self->n_users++;
    return (fq_loop_mailbox *)Py_NewRef((PyObject *)self);
}

void
fq_loop_mailbox_unuse(fq_loop_mailbox *self)
{
    drop_user(self);
    Py_DECREF(self);
}

static PyObject *
loop_mailbox_close_if_unused(fq_loop_mailbox *self,
                             PyObject *Py_UNUSED(ignored))
{
    if (self->n_users == 0)
        loop_mailbox_close(self);
    Py_RETURN_NONE;
}

/* ── handing mail on ── */

static int
future_finish(fq_state *state, PyObject *future, fq_ticket *ticket,
              fq_ticket_result result)
{
    PyObject *done = PyObject_CallMethodNoArgs(future, state->str_done);
    if (done == NULL)
        return -1;
    int is_done = PyObject_IsTrue(done);
    Py_DECREF(done);
    if (is_done != 0)
        return is_done < 0 ? -1 : 0;

    PyObject *value = NULL;
    if (result != NULL)
        value = result(state, ticket);
    else if (ticket->status == FQ_OK)
        value = Py_NewRef(Py_None);
    else
        fq_errors_raise(state, ticket->status, NULL);
    PyObject *name = state->str_set_result;
    if (value == NULL) {
        value = fq_exception_take();
        name = state->str_set_exception;
    }
    PyObject *set = PyObject_CallMethodOneArg(future, name, value);
    Py_DECREF(value);
    Py_XDECREF(set);
    return set == NULL ? -1 : 0;
}

static int
hand_on_ticket(fq_loop_mailbox *self, fq_ticket *ticket)
{
    int status = 0;
    ticket_wait *wait = ticket->owner;
    if (wait != NULL) {
        fq_ticket_result result = wait->result;
        PyObject *future = wait_steal_future(wait);
        status = future_finish(self->state, future, ticket, result);
        Py_DECREF(future);
        drop_user(self);
    }
    fq_ticket_unref(ticket);
    return status;
}

static int
hand_on_port(fq_port *port)
{
    fq_port_object *owner = port->owner;
    Py_XINCREF((PyObject *)owner);
    fq_port_mail_taken(port);
    int status = 0;
    if (owner != NULL && owner->news != NULL)
        status = owner->news(owner);
    Py_XDECREF((PyObject *)owner);
    return status;
}

static int
hand_on(fq_loop_mailbox *self, fq_mail *mail)
{
    switch (mail->kind) {
    case FQ_MAIL_PORT:
        return hand_on_port(FQ_CONTAINER_OF(mail, fq_port, mail));
    case FQ_MAIL_CALL:
        return fq_resolver_call(self->state, self,
                                FQ_CONTAINER_OF(mail, fq_call, mail));
    case FQ_MAIL_TICKET:
        return hand_on_ticket(self, FQ_CONTAINER_OF(mail, fq_ticket, mail));
    }
    return 0;
}

/* Goes on with the backlog in the loop's next turn. */
static int
schedule_rest(fq_loop_mailbox *self)
{
    if (self->backlog == NULL || self->is_scheduled || self->loop == NULL)
        return 0;
    PyObject *hook = PyObject_GetAttrString((PyObject *)self, "_go_on");
    if (hook == NULL)
        return -1;
    PyObject *handle = PyObject_CallMethodOneArg(
        self->loop, self->state->str_call_soon, hook);
    Py_DECREF(hook);
    if (handle == NULL)
        return -1;
    Py_DECREF(handle);
    self->is_scheduled = true;
    return 0;
}

/* Hands on what this turn has time for. Returns 0, or -1 with an exception of
 * user code that the loop must see. */
static int
run_pass(fq_loop_mailbox *self)
{
    uint64_t deadline_ns = fq_clock_now_ns() + FQ_LOOP_MAILBOX_PASS_NS;
    int n_calls = 0;
    int status = 0;
    while (self->backlog != NULL && status == 0) {
        fq_inbox_item *item = self->backlog;
        self->backlog = item->next;
        if (self->backlog == NULL)
            self->backlog_tail = &self->backlog;
        fq_mail *mail = FQ_CONTAINER_OF(item, fq_mail, item);
        n_calls += mail->kind == FQ_MAIL_CALL;
        status = hand_on(self, mail);
        if (n_calls == FQ_LOOP_MAILBOX_CALLS_MAX
            || fq_clock_now_ns() >= deadline_ns)
            break;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (schedule_rest(self) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    PyErr_Restore(type, value, traceback);
    return status;
}

static PyObject *
none_or_null(int status)
{
    return status < 0 ? NULL : Py_NewRef(Py_None);
}

int
fq_loop_mailbox_put_back(fq_loop_mailbox *self, fq_inbox_item *first,
                         fq_inbox_item *last, bool now)
{
    if (self->mailbox == NULL) {
        last->next = NULL;
        mail_drop_all(first);
        return 0;
    }
    last->next = self->backlog;
    if (self->backlog == NULL)
        self->backlog_tail = &last->next;
    self->backlog = first;
    return now ? run_pass(self) : schedule_rest(self);
}

/* The loop's reader. */
static PyObject *
loop_mailbox_read(fq_loop_mailbox *self, PyObject *Py_UNUSED(ignored))
{
    /* What is in the socket of a parent is the parent's. */
    if (self->mailbox == NULL || self->pid != getpid())
        Py_RETURN_NONE;
    fq_mail *mail = fq_mailbox_take(self->mailbox);
    if (mail != NULL) {
        fq_inbox_item *last = &mail->item;
        while (last->next != NULL)
            last = last->next;
        *self->backlog_tail = &mail->item;
        self->backlog_tail = &last->next;
    }
    return none_or_null(run_pass(self));
}

static PyObject *
loop_mailbox_go_on(fq_loop_mailbox *self, PyObject *Py_UNUSED(ignored))
{
    self->is_scheduled = false;
    return none_or_null(run_pass(self));
}

/* ── the beginning ── */

static PyObject *
running_loop(fq_state *state)
{
    PyObject *loop = PyObject_CallNoArgs(state->get_running_loop);
    if (loop == NULL && PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        PyErr_Clear();
        PyErr_SetString(state->ConfigError,
                        "no asyncio event loop runs here: fraiseql_asgi works "
                        "on asyncio and uvloop only, so start hypercorn with "
                        "--worker-class asyncio or uvloop, not trio");
    }
    return loop;
}

static int
start_watching(fq_loop_mailbox *self)
{
    PyObject *fd = PyLong_FromLong(fq_mailbox_fd(self->mailbox));
    PyObject *reader = PyObject_GetAttrString((PyObject *)self, "_read");
    PyObject *result = NULL;
    if (fd != NULL && reader != NULL)
        result = PyObject_CallMethodObjArgs(
            self->loop, self->state->str_add_reader, fd, reader, NULL);
    Py_XDECREF(fd);
    Py_XDECREF(reader);
    if (result == NULL
        && (PyErr_ExceptionMatches(PyExc_NotImplementedError)
            || PyErr_ExceptionMatches(PyExc_AttributeError))) {
        PyErr_Clear();
        PyErr_Format(self->state->ConfigError,
                     "%R cannot watch a socket (it has no add_reader): use "
                     "asyncio.SelectorEventLoop or uvloop",
                     self->loop);
    }
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static fq_loop_mailbox *
loop_mailbox_new(fq_state *state, PyObject *loop)
{
    PyTypeObject *type = state->loop_mailbox_type;
    fq_loop_mailbox *self = (fq_loop_mailbox *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    fq_list_init(&self->waits);
    self->backlog_tail = &self->backlog;
    self->pid = getpid();
    self->thread = PyThread_get_thread_ident();
    self->state = state;
    self->module = Py_NewRef(PyType_GetModule(type));
    self->loop = Py_NewRef(loop);
    self->context = PyContext_New();
    self->call_context = PyContext_New();
    if (self->context == NULL || self->call_context == NULL
        || fq_resolver_mark_inside(state, self->call_context) < 0)
        goto fail;
    fq_status status = fq_mailbox_new(&self->mailbox);
    if (status == FQ_ERR_SYSTEM) {
        PyErr_SetFromErrno(PyExc_OSError);
        goto fail;
    }
    if (status != FQ_OK) {
        fq_errors_raise(state, status, NULL);
        goto fail;
    }
    self->next = state->loop_mailboxes;
    state->loop_mailboxes = self;
    if (start_watching(self) == 0)
        return self;

fail:
    Py_DECREF(self);
    return NULL;
}

fq_loop_mailbox *
fq_loop_mailbox_use(fq_state *state)
{
    PyObject *loop = running_loop(state);
    if (loop == NULL)
        return NULL;
    pid_t pid = getpid();
    fq_loop_mailbox *self = state->loop_mailboxes;
    while (self != NULL && (self->loop != loop || self->pid != pid))
        self = self->next;
    if (self == NULL)
        self = loop_mailbox_new(state, loop);
    else
        Py_INCREF(self);
    Py_DECREF(loop);
    if (self != NULL)
        self->n_users++;
    return self;
}

/* ── tickets ── */

PyObject *
fq_loop_mailbox_await_ticket(fq_loop_mailbox *self, fq_ticket_result result,
                             fq_ticket **pticket)
{
    FQ_CHECK(self->mailbox != NULL);
    *pticket = NULL;
    PyObject *future = PyObject_CallMethodNoArgs(
        self->loop, self->state->str_create_future);
    if (future == NULL)
        return NULL;
    ticket_wait *wait = fq_alloc_zero(sizeof(*wait));
    if (wait == NULL
        || fq_ticket_new(self->mailbox, wait, &wait->ticket) != FQ_OK) {
        fq_free(wait);
        Py_DECREF(future);
        return PyErr_NoMemory();
    }
    wait->future = Py_NewRef(future);
    wait->result = result;
    fq_list_push_back(&self->waits, &wait->link);
    self->n_users++;
    *pticket = fq_ticket_ref(wait->ticket);
    return future;
}

void
fq_loop_mailbox_forget(fq_loop_mailbox *self, fq_ticket *ticket)
{
    if (ticket->owner == NULL)
        return;
    Py_DECREF(wait_steal_future(ticket->owner));
    drop_user(self);
}

/* ── the type ── */

static int
loop_mailbox_traverse(fq_loop_mailbox *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->context);
    Py_VISIT(self->call_context);
    Py_VISIT(self->held);
    Py_VISIT(self->module);
    FQ_LIST_FOREACH(node, &self->waits)
    {
        Py_VISIT(FQ_CONTAINER_OF(node, ticket_wait, link)->future);
    }
    return 0;
}

static int
loop_mailbox_clear(fq_loop_mailbox *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    loop_mailbox_close(self);
    PyErr_Restore(type, value, traceback);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->context);
    Py_CLEAR(self->call_context);
    Py_CLEAR(self->held);
    return 0;
}

static void
loop_mailbox_dealloc(fq_loop_mailbox *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    loop_mailbox_clear(self);
    Py_CLEAR(self->module);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef loop_mailbox_methods[] = {
    {"_read", (PyCFunction)loop_mailbox_read, METH_NOARGS, NULL},
    {"_go_on", (PyCFunction)loop_mailbox_go_on, METH_NOARGS, NULL},
    {"_close", (PyCFunction)loop_mailbox_close_if_unused, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(loop_mailbox_doc,
             "The mailbox through which a loop hears from the reactor.");

static PyType_Slot loop_mailbox_slots[] = {
    {Py_tp_doc, (void *)loop_mailbox_doc},
    {Py_tp_methods, loop_mailbox_methods},
    {Py_tp_traverse, loop_mailbox_traverse},
    {Py_tp_clear, loop_mailbox_clear},
    {Py_tp_dealloc, loop_mailbox_dealloc},
    {0, NULL},
};

static PyType_Spec loop_mailbox_spec = {
    .name = "fraiseql_asgi._core.LoopMailbox",
    .basicsize = sizeof(fq_loop_mailbox),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = loop_mailbox_slots,
};

int
fq_loop_mailbox_init(PyObject *module, fq_state *state)
{
    PyObject *asyncio = PyImport_ImportModule("asyncio");
    if (asyncio == NULL)
        return -1;
    state->get_running_loop = PyObject_GetAttrString(asyncio,
                                                     "get_running_loop");
    state->future_type = PyObject_GetAttrString(asyncio, "Future");
    state->task_type = PyObject_GetAttrString(asyncio, "Task");
    state->cancelled_error = PyObject_GetAttrString(asyncio, "CancelledError");
    Py_DECREF(asyncio);
    if (state->get_running_loop == NULL || state->future_type == NULL
        || state->task_type == NULL || state->cancelled_error == NULL)
        return -1;
    state->loop_mailbox_type = fq_state_add_type(module, &loop_mailbox_spec,
                                                 NULL);
    return state->loop_mailbox_type == NULL ? -1 : 0;
}
