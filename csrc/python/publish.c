/* SPDX-License-Identifier: MIT */
/* Publishing: conversion, the blocking way, and the way that waits in a loop
 * (the type Publication). Thread: any that holds the GIL. */
#include "python/publish.h"

#include <structmember.h>

#include "base/buf.h"
#include "base/clock.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/event_object.h"
#include "python/exception.h"
#include "python/loop_mailbox.h"
#include "python/parts.h"
#include "python/resolver.h"

/* While a thread waits, signals are served this often: no slower than a hand
 * at Ctrl-C notices. */
#define SIGNAL_SLICE_NS (50 * UINT64_C(1000000))

/* The reactor tells that time is up; a thread that waits asks itself only
 * after this much more. */
#define ANSWER_GRACE_NS UINT64_C(1000000000)

/* ── making the event ── */

/* 0, or -1 with a ValueError: what others are told through is not for
 * publishers. */
static int
refuse_reserved(fq_str channel)
{
    if (!fq_event_is_reserved(channel))
        return 0;
    PyErr_SetString(PyExc_ValueError,
                    "channels that begin with " FQ_EVENT_RESERVED
                    " are reserved");
    return -1;
}

static int
make_event(fq_state *state, fq_str channel, PyObject *data,
           PyObject *event_type, size_t max_bytes, fq_event **pevent)
{
    fq_str type;
    if (event_type == NULL)
        event_type = Py_None;
    if (refuse_reserved(channel) < 0
        || fq_convert_peek_optional_str(event_type, "event_type", &type) < 0)
        return -1;
    if (type.ptr == NULL)
        type = channel;
    int result = -1;
    fq_buf buf;
    fq_buf_init(&buf);
    buf.max = max_bytes;
    if (fq_convert_to_json(state, data, "data", &buf) < 0)
        goto out;
    if (buf.ptr[0] != '{') {
        PyErr_Format(PyExc_TypeError, "data must be a dict, not %.200s",
                     Py_TYPE(data)->tp_name);
        goto out;
    }
    fq_error error = {.status = FQ_OK};
    fq_status status = fq_event_new(channel, type, fq_buf_str(&buf),
                                    fq_clock_wall_ns(), max_bytes, pevent,
                                    &error);
    if (status == FQ_OK)
        result = 0;
    else
        fq_errors_raise(state, status, &error);
out:
    fq_buf_fini(&buf);
    return result;
}

static fq_str
part_str(const fq_rcbuf *part)
{
    return part == NULL ? fq_str_make(NULL, 0) : fq_rcbuf_str(part);
}

/* An event of what the Event |object| is made of. */
static int
copy_event(fq_state *state, PyObject *object, size_t max_bytes,
           fq_event **pevent)
{
    fq_event_parts parts;
    fq_event_object_peek(object, &parts);
    if (refuse_reserved(fq_rcbuf_str(parts.channel)) < 0)
        return -1;
    fq_error error = {.status = FQ_OK};
    fq_status status = fq_event_new(
        fq_rcbuf_str(parts.channel), fq_rcbuf_str(parts.event_type),
        fq_rcbuf_str(parts.data), parts.created_at_ns, max_bytes, pevent,
        &error);
    if (status == FQ_OK)
        status = fq_event_label(*pevent, part_str(parts.tenant_id),
                                part_str(parts.boundary), part_str(parts.meta),
                                &error);
    if (status == FQ_OK)
        return 0;
    if (*pevent != NULL)
        fq_event_unref(*pevent);
    *pevent = NULL;
    fq_errors_raise(state, status, &error);
    return -1;
}

int
fq_publish_make_event(fq_state *state, PyObject *channel, PyObject *data,
                      PyObject *event_type, size_t max_bytes,
                      fq_event **pevent)
{
    *pevent = NULL;
    fq_str name;
    if (!fq_event_object_check(state, channel)) {
        if (data == NULL) {
            PyErr_SetString(PyExc_TypeError,
                            "data is missing: give a channel and data, or an "
                            "Event alone");
            return -1;
        }
        if (fq_convert_peek_str(channel, "channel", &name) < 0)
            return -1;
        return make_event(state, name, data, event_type, max_bytes, pevent);
    }
    if (data != NULL || (event_type != NULL && event_type != Py_None)) {
        PyErr_SetString(PyExc_TypeError, "an Event brings its own data and "
                                         "event_type: give it alone");
        return -1;
    }
    return copy_event(state, channel, max_bytes, pevent);
}

/* ── waiting ── */

int
fq_publish_is_in_loop(fq_state *state)
{
    PyObject *loop = PyObject_CallNoArgs(state->get_running_loop);
    if (loop == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_RuntimeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(loop);
    return 1;
}

int
fq_publish_wait_ticket(fq_ticket *ticket, uint64_t timeout_ns)
{
    uint64_t now_ns = fq_clock_now_ns();
    uint64_t deadline_ns = now_ns + timeout_ns;
    for (;;) {
        uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        fq_status status;
        Py_BEGIN_ALLOW_THREADS
        status = fq_ticket_wait(
            ticket, left_ns < SIGNAL_SLICE_NS ? left_ns : SIGNAL_SLICE_NS);
        Py_END_ALLOW_THREADS
        if (status == FQ_OK)
            return 1;
        if (PyErr_CheckSignals() < 0)
            return -1;
        now_ns = fq_clock_now_ns();
        if (now_ns >= deadline_ns)
            return 0;
    }
}

static void
raise_timeout(fq_state *state, uint64_t timeout_ns)
{
    PyObject *context = Py_BuildValue("{sd}", "timeout",
                                      (double)timeout_ns / FQ_NS_PER_S);
    if (context == NULL)
        return;
    fq_errors_raise_class(state->PublishTimeout,
                          "the bus did not take the event in time", context);
    Py_DECREF(context);
}

static void
raise_full(fq_state *state)
{
    fq_errors_raise_class(
        state->QueueFull,
        "too many events wait for the bus; where an event loop runs, "
        "'await publish_event(...)' waits for room",
        NULL);
}

/* Raises what became of an event that the bus did not take. */
static void
raise_outcome(fq_state *state, const fq_ticket *ticket, uint64_t timeout_ns)
{
    if (ticket->status == FQ_ERR_TIMEOUT && ticket->text != NULL) {
        PyObject *context = NULL;
        if (timeout_ns != 0)
            context = Py_BuildValue("{sd}", "timeout",
                                    (double)timeout_ns / FQ_NS_PER_S);
        if (timeout_ns == 0 || context != NULL)
            fq_errors_raise_class(state->PublishTimeout, ticket->text->bytes,
                                  context);
        Py_XDECREF(context);
        return;
    }
    fq_error error = {.status = ticket->status};
    if (ticket->text != NULL)
        fq_error_set(&error, ticket->status, FQ_ERROR_NO_POS, "%s",
                     ticket->text->bytes);
    fq_errors_raise(state, ticket->status, &error);
}

/* Waits for the door to have room. Returns 0, or -1 with an exception. */
static int
wait_for_room(fq_state *state, fq_ticket *room, uint64_t timeout_ns,
              uint64_t left_ns)
{
    int done = fq_publish_wait_ticket(room, left_ns);
    if (done == 0)
        raise_timeout(state, timeout_ns);
    else if (done == 1 && room->status != FQ_OK)
        fq_errors_raise(state, room->status, NULL);
    return done == 1 && room->status == FQ_OK ? 0 : -1;
}

/* Gives |event| to the door, waiting for room; on 0 it is stolen. */
static int
pass_door(fq_state *state, fq_publisher *publisher, fq_event *event,
          const fq_publish_how *how, fq_publish_wait wait, fq_ticket *done,
          char *id)
{
    uint64_t deadline_ns = fq_clock_now_ns() + how->timeout_ns;
    fq_ticket *room = NULL;
    int result = -1;
    for (;;) {
        fq_status status = fq_publisher_publish(publisher, event, wait,
                                                deadline_ns, done, room, id);
        if (status == FQ_OK) {
            result = 0;
            break;
        }
        if (status != FQ_ERR_FULL) {
            fq_errors_raise(state, status, NULL);
            break;
        }
        if (room != NULL) {
            uint64_t now_ns = fq_clock_now_ns();
            uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
            if (wait_for_room(state, room, how->timeout_ns, left_ns) < 0)
                break;
            fq_ticket_unref(room);
            room = NULL;
            continue;
        }
        int is_in_loop = fq_publish_is_in_loop(state);
        if (is_in_loop != 0) {
            if (is_in_loop > 0)
                raise_full(state);
            break;
        }
        status = fq_ticket_new(NULL, NULL, &room);
        if (status != FQ_OK) {
            fq_errors_raise(state, status, NULL);
            break;
        }
    }
    fq_ticket_unref(room);
    return result;
}

/* From a thread that may wait for it. */
static PyObject *
publish_and_wait(fq_state *state, fq_publisher *publisher, fq_event *event,
                 const fq_publish_how *how, fq_publish_wait wait)
{
    char id[FQ_EVENT_ID_MAX];
    fq_ticket *done = NULL;
    bool answers_later = fq_publisher_answers_later(publisher);
    fq_status status = FQ_OK;
    if (how->waits_for_calls || answers_later)
        status = fq_ticket_new(NULL, NULL, &done);
    if (status != FQ_OK) {
        fq_event_unref(event);
        return fq_errors_raise(state, status, NULL);
    }
    PyObject *result = NULL;
    if (pass_door(state, publisher, event, how, wait, done, id) < 0) {
        fq_event_unref(event);
        goto out;
    }
    int is_done = 1;
    if (done != NULL)
        is_done = fq_publish_wait_ticket(
            done, how->timeout_ns + (answers_later ? ANSWER_GRACE_NS : 0));
    if (is_done < 0)
        goto out;
    /* Resolvers that take longer than the timeout go on: the bus has the
     * event, and to say otherwise would have it published twice. */
    if (!answers_later)
        result = PyUnicode_FromString(id);
    else if (is_done == 0)
        raise_timeout(state, how->timeout_ns);
    else if (done->status != FQ_OK)
        raise_outcome(state, done, how->timeout_ns);
    else if (done->text != NULL)
        result = fq_convert_str(fq_rcbuf_str(done->text));
    else
        PyErr_NoMemory();
out:
    fq_ticket_unref(done);
    return result;
}

/* A ticket told to the running loop, and its future. */
static PyObject *
new_future(fq_state *state, fq_ticket_result result, fq_ticket **pticket)
{
    *pticket = NULL;
    fq_loop_mailbox *mailbox = fq_loop_mailbox_use(state);
    if (mailbox == NULL)
        return NULL;
    PyObject *future = fq_loop_mailbox_await_ticket(mailbox, result, pticket);
    fq_loop_mailbox_unuse(mailbox);
    return future;
}

/* What cannot be told any more: completes the ticket, so that its future and
 * the mailbox are let go of. */
static void
drop_future(PyObject *future, fq_ticket *ticket)
{
    if (ticket != NULL)
        fq_ticket_complete(ticket, FQ_OK, NULL);
    fq_ticket_unref(ticket);
    Py_XDECREF(future);
}

/* Logs what became of an event that nobody waits for. */
static PyObject *
log_outcome(fq_state *state, fq_ticket *ticket)
{
    if (ticket->status == FQ_OK)
        Py_RETURN_NONE;
    PyObject *logger = fq_resolver_logger(state);
    PyObject *result = NULL;
    if (logger != NULL)
        result = PyObject_CallMethod(
            logger, "error", "ss", "an event was not published: %s",
            ticket->text != NULL ? ticket->text->bytes
                                 : fq_status_str(ticket->status));
    if (result == NULL)
        PyErr_WriteUnraisable(logger);
    Py_XDECREF(result);
    Py_RETURN_NONE;
}

/* From a thread that runs a loop: it waits for nothing. */
static PyObject *
publish_at_once(fq_state *state, fq_publisher *publisher, fq_event *event,
                const fq_publish_how *how)
{
    char id[FQ_EVENT_ID_MAX];
    fq_ticket *done = NULL;
    PyObject *future = NULL;
    if (fq_publisher_answers_later(publisher)) {
        future = new_future(state, log_outcome, &done);
        if (future == NULL) {
            fq_event_unref(event);
            return NULL;
        }
    }
    PyObject *result = NULL;
    if (pass_door(state, publisher, event, how, FQ_PUBLISH_ACCEPTED, done, id)
        < 0) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        fq_event_unref(event);
        drop_future(future, done);
        PyErr_Restore(type, value, traceback);
        return NULL;
    }
    result = future == NULL ? PyUnicode_FromString(id) : Py_NewRef(Py_None);
    fq_ticket_unref(done);
    Py_XDECREF(future);
    return result;
}

PyObject *
fq_publish_blocking(fq_state *state, fq_publisher *publisher, fq_event *event,
                    const fq_publish_how *how)
{
    /* Without either, what the embedded bus does is the same everywhere. */
    int is_in_loop = 0;
    if (how->waits_for_calls || fq_publisher_answers_later(publisher))
        is_in_loop = fq_publish_is_in_loop(state);
    if (is_in_loop < 0) {
        fq_event_unref(event);
        return NULL;
    }
    if (!is_in_loop)
        return publish_and_wait(state, publisher, event, how,
                                how->waits_for_calls ? FQ_PUBLISH_DONE
                                                     : FQ_PUBLISH_ACCEPTED);
    if (!fq_publisher_answers_later(publisher))
        return publish_and_wait(state, publisher, event, how,
                                FQ_PUBLISH_ACCEPTED);
    return publish_at_once(state, publisher, event, how);
}

/* ── Publication ── */

typedef struct publication {
    PyObject_HEAD
    fq_publisher *publisher; /* one reference */
    fq_event *event;         /* one reference; NULL once accepted */
    bool waits_for_calls;
    uint64_t until_ns;
    PyObject *id;   /* str, or NULL */
    PyObject *done; /* a future, or NULL */
} publication;

/* The id that the bus gave an event, or what became of it. */
static PyObject *
make_outcome(fq_state *state, fq_ticket *ticket)
{
    if (ticket->status == FQ_OK && ticket->text != NULL)
        return fq_convert_str(fq_rcbuf_str(ticket->text));
    if (ticket->status == FQ_OK)
        Py_RETURN_NONE; /* it was let go of */
    raise_outcome(state, ticket, 0);
    return NULL;
}

/* Tries the door. Returns 1 when the event is through, 0 when it is full, -1
 * with an exception. |room| as fq_publisher_publish has it. */
static int
try_door(fq_state *state, publication *self, fq_ticket *room)
{
    fq_ticket *done = NULL;
    PyObject *future = NULL;
    bool answers_later = fq_publisher_answers_later(self->publisher);
    if (self->waits_for_calls || answers_later) {
        future = new_future(state, answers_later ? make_outcome : NULL, &done);
        if (future == NULL)
            return -1;
    }
    char id[FQ_EVENT_ID_MAX];
    fq_status status = fq_publisher_publish(
        self->publisher, self->event,
        self->waits_for_calls ? FQ_PUBLISH_DONE : FQ_PUBLISH_ACCEPTED,
        self->until_ns, done, room, id);
    if (status != FQ_OK) {
        drop_future(future, done);
        if (status == FQ_ERR_FULL)
            return 0;
        fq_errors_raise(state, status, NULL);
        return -1;
    }
    self->event = NULL;
    self->done = future;
    fq_ticket_unref(done);
    if (id[0] != '\0')
        self->id = PyUnicode_FromString(id);
    return id[0] != '\0' && self->id == NULL ? -1 : 1;
}

PyObject *
fq_publish_offer(fq_state *state, fq_publisher *publisher, fq_event *event,
                 const fq_publish_how *how)
{
    uint64_t until_ns = fq_clock_now_ns() + how->timeout_ns;
    bool waits = how->waits_for_calls || fq_publisher_answers_later(publisher);
    if (!waits) {
        char id[FQ_EVENT_ID_MAX];
        fq_status status = fq_publisher_publish(
            publisher, event, FQ_PUBLISH_ACCEPTED, until_ns, NULL, NULL, id);
        if (status == FQ_OK)
            return PyUnicode_FromString(id);
        if (status != FQ_ERR_FULL) {
            fq_event_unref(event);
            return fq_errors_raise(state, status, NULL);
        }
    }
    PyTypeObject *type = state->publication_type;
    publication *self = (publication *)type->tp_alloc(type, 0);
    if (self == NULL) {
        fq_event_unref(event);
        return NULL;
    }
    self->publisher = fq_publisher_ref(publisher);
    self->event = event;
    self->waits_for_calls = how->waits_for_calls;
    self->until_ns = until_ns;
    if (waits && try_door(state, self, NULL) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

/* ── many at once ── */

/* (ids, error) of a batch: the id of each event, None where it has none, and
 * the exception of the first that failed, or None. */
static PyObject *
make_outcomes(fq_state *state, fq_ticket *ticket)
{
    PyObject *ids = PyList_New(0);
    PyObject *error = Py_NewRef(Py_None);
    const fq_rcbuf *text = ticket->text;
    size_t at = text == NULL ? 0 : strlen(text->bytes) + 1;
    while (ids != NULL && text != NULL && at < text->len) {
        fq_str id = fq_str_of(text->bytes + at);
        PyObject *item = id.len == 0 ? Py_NewRef(Py_None) : fq_convert_str(id);
        if (item == NULL || PyList_Append(ids, item) < 0)
            Py_CLEAR(ids);
        Py_XDECREF(item);
        at += id.len + 1;
    }
    if (ids != NULL && ticket->status != FQ_OK) {
        raise_outcome(state, ticket, 0);
        Py_SETREF(error, fq_exception_take());
    }
    if (ids != NULL)
        return Py_BuildValue("NN", ids, error);
    Py_DECREF(error);
    return NULL;
}

int
fq_publish_check_events(fq_state *state, PyObject *events, size_t max_bytes)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(events); i++) {
        PyObject *object = PyTuple_GET_ITEM(events, i);
        if (!fq_event_object_check(state, object)) {
            PyErr_Format(PyExc_TypeError,
                         "events must be Event objects, not %.200s",
                         Py_TYPE(object)->tp_name);
            return -1;
        }
        fq_event_parts parts;
        fq_event_object_peek(object, &parts);
        /* What alone can be wrong with one. Made here it raises. */
        bool is_big = (max_bytes > 0 && parts.data->len > max_bytes)
                      || part_str(parts.tenant_id).len > FQ_EVENT_NAME_MAX
                      || part_str(parts.boundary).len > FQ_EVENT_NAME_MAX
                      || part_str(parts.meta).len > FQ_EVENT_META_MAX;
        fq_event *event;
        if (!is_big)
            continue;
        if (copy_event(state, object, max_bytes, &event) < 0)
            return -1;
        fq_event_unref(event);
    }
    return 0;
}

/* Makes events of |n| items of |events| from |at| on. */
static int
copy_events(fq_state *state, PyObject *events, Py_ssize_t at, size_t n,
            size_t max_bytes, fq_event **copies)
{
    for (size_t i = 0; i < n; i++) {
        PyObject *object = PyTuple_GET_ITEM(events, at + (Py_ssize_t)i);
        if (copy_event(state, object, max_bytes, &copies[i]) == 0)
            continue;
        while (i > 0)
            fq_event_unref(copies[--i]);
        return -1;
    }
    return 0;
}

/* Tries the door for |n| |events|. *pfuture is that of their outcome, or, when
 * none is taken, of room. */
static int
try_door_all(fq_state *state, fq_publisher *publisher, fq_event **events,
             size_t n, uint64_t until_ns, size_t *pn_taken, PyObject **pfuture)
{
    fq_ticket *done, *room = NULL;
    PyObject *has_room = NULL;
    *pn_taken = 0;
    *pfuture = new_future(state, make_outcomes, &done);
    if (*pfuture == NULL)
        return -1;
    fq_status status = fq_publisher_publish_all(publisher, events, n, until_ns,
                                                done, NULL, pn_taken);
    if (status == FQ_ERR_FULL) {
        has_room = new_future(state, NULL, &room);
        status = has_room == NULL
                     ? FQ_ERR_NOMEM
                     : fq_publisher_publish_all(publisher, events, n, until_ns,
                                                done, room, pn_taken);
    }
    if (status == FQ_OK) {
        fq_ticket_unref(done);
        if (has_room != NULL)
            drop_future(has_room, room);
        return 0;
    }
    drop_future(*pfuture, done);
    *pfuture = has_room;
    if (status == FQ_ERR_FULL) {
        fq_ticket_unref(room);
        return 0;
    }
    *pfuture = NULL;
    if (has_room != NULL)
        drop_future(has_room, room);
    if (!PyErr_Occurred())
        fq_errors_raise(state, status, NULL);
    return -1;
}

PyObject *
fq_publish_offer_all(fq_state *state, fq_publisher *publisher,
                     PyObject *events, Py_ssize_t at, size_t max_bytes,
                     uint64_t timeout_ns)
{
    fq_event *copies[FQ_PUBLISHER_BATCH_MAX];
    Py_ssize_t left = PyTuple_GET_SIZE(events) - at;
    if (at < 0 || left <= 0)
        return PyErr_Format(PyExc_IndexError, "there is no event %zd", at);
    size_t n = left < FQ_PUBLISHER_BATCH_MAX ? (size_t)left
                                             : FQ_PUBLISHER_BATCH_MAX;
    if (copy_events(state, events, at, n, max_bytes, copies) < 0)
        return NULL;
    size_t n_taken;
    PyObject *future;
    int result = try_door_all(state, publisher, copies, n,
                              fq_clock_now_ns() + timeout_ns, &n_taken,
                              &future);
    if (n_taken < n) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        for (size_t i = n_taken; i < n; i++)
            fq_event_unref(copies[i]);
        PyErr_Restore(type, value, traceback);
    }
    return result < 0 ? NULL
                      : Py_BuildValue("nN", (Py_ssize_t)n_taken, future);
}

/* ── the type ── */

PyDoc_STRVAR(
    send_doc,
    "send($self, /)\n--\n\n"
    "Try again: None when the event is through the door, else a future that "
    "is\n"
    "done when there is room. Thread: the loop that made the Publication.");

static PyObject *
publication_send(publication *self, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (self->event == NULL)
        Py_RETURN_NONE;
    fq_ticket *room;
    PyObject *future = new_future(state, NULL, &room);
    if (future == NULL)
        return NULL;
    int result = try_door(state, self, room);
    if (result == 0) {
        fq_ticket_unref(room);
        return future;
    }
    drop_future(future, room);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int
publication_traverse(publication *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->done);
    return 0;
}

static int
publication_clear(publication *self)
{
    Py_CLEAR(self->done);
    return 0;
}

static void
publication_dealloc(publication *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    publication_clear(self);
    Py_XDECREF(self->id);
    if (self->event != NULL)
        fq_event_unref(self->event);
    fq_publisher_unref(self->publisher);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef publication_methods[] = {
    {"send", (PyCFunction)publication_send, METH_NOARGS, send_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef publication_members[] = {
    {"id", T_OBJECT, offsetof(publication, id), READONLY,
     "What the bus gave it at the door, once it is through; else None."},
    {"done", T_OBJECT, offsetof(publication, done), READONLY,
     "A future: the resolvers it called have answered; or, where the bus "
     "gives "
     "the\nid later, that id; or None."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot publication_slots[] = {
    {Py_tp_dealloc, publication_dealloc},
    {Py_tp_traverse, publication_traverse},
    {Py_tp_clear, publication_clear},
    {Py_tp_methods, publication_methods},
    {Py_tp_members, publication_members},
    {Py_tp_doc, (void *)"One event that waits for room, or for resolvers."},
    {0, NULL},
};

static PyType_Spec publication_spec = {
    .name = "fraiseql_asgi._core.Publication",
    .basicsize = sizeof(publication),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = publication_slots,
};

int
fq_publish_init(PyObject *module, fq_state *state)
{
    state->publication_type = fq_state_add_type(module, &publication_spec,
                                                NULL);
    return state->publication_type == NULL ? -1 : 0;
}
