/* SPDX-License-Identifier: MIT */
/* Service: its life, its resolvers and tasks, and the type with its methods,
 * of which most are in service_*.c. Thread: loop (any thread that holds the
 * GIL). */
#include "python/service_object.h"

#include <stddef.h>
#include <structmember.h>

#include "base/clock.h"
#include "json/utf8.h"
#include "python/entrance.h"
#include "python/errors.h"
#include "python/event_bus.h"
#include "python/feed.h"
#include "python/limits.h"
#include "python/loop_mailbox.h"
#include "python/parts.h"
#include "python/publish.h"
#include "python/resolver.h"
#include "python/resolver_call.h"
#include "python/resolver_task.h"
#include "python/source.h"
#include "python/stream.h"

/* The reactor answers in microseconds unless it has much to dispatch; this is
 * no more than a bound. */
#define ANSWER_TIMEOUT_NS (60 * UINT64_C(1000000000))

/* ── settings ── */

PyDoc_STRVAR(default_limits_doc,
             "default_limits()\n--\n\n"
             "The engine's own limits by name; config.py has the same.");

static PyObject *
service_default_limits(PyObject *Py_UNUSED(type), PyObject *Py_UNUSED(ignored))
{
    return fq_limits_to_dict(&fq_limits_default);
}

int
fq_service_object_read_returns(PyObject *returns, fq_returns *preturns)
{
    if (PyUnicode_Check(returns)) {
        *preturns = FQ_RETURNS_FIELD;
        if (PyUnicode_CompareWithASCIIString(returns, "field") == 0)
            return 0;
        *preturns = FQ_RETURNS_DATA;
        if (PyUnicode_CompareWithASCIIString(returns, "data") == 0)
            return 0;
    }
    PyErr_Format(PyExc_ValueError,
                 "returns must be \"field\" or \"data\", not %R", returns);
    return -1;
}

/* ── life ── */

static PyObject *
service_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {
        "bus",   "limits",        "resolver_timeout", "publish_timeout",
        "debug", "has_init_hook", "legacy_protocol",  NULL};
    fq_state *state = fq_state_of_type(type);
    PyObject *bus, *limits_dict;
    double resolver_timeout, publish_timeout;
    int debug, has_init_hook, legacy_protocol = 1;
    fq_limits limits;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!ddpp|p:Service",
                                     keywords, state->event_bus_type, &bus,
                                     &PyDict_Type, &limits_dict,
                                     &resolver_timeout, &publish_timeout,
                                     &debug, &has_init_hook, &legacy_protocol)
        || fq_limits_from_dict(limits_dict, &limits) < 0)
        return NULL;
    fq_publisher *publisher = NULL;
    fq_service_object *self = (fq_service_object *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    fq_list_init(&self->tasks);
    fq_list_init(&self->sources);
    self->bus = Py_NewRef(bus);
    self->debug = debug;
    self->legacy_protocol = legacy_protocol;
    self->resolver_timeout_ns = (uint64_t)(resolver_timeout * FQ_NS_PER_S);
    self->publish_timeout_ns = (uint64_t)(publish_timeout * FQ_NS_PER_S);
    self->resolvers = PyDict_New();
    if (self->resolvers == NULL || fq_event_bus_connect(bus, &publisher) < 0)
        goto fail;
    self->reactor = fq_state_reactor(state);
    if (self->reactor == NULL)
        goto fail;
    fq_status status = fq_service_new(self->reactor, publisher, &limits,
                                      has_init_hook, &self->service);
    if (status != FQ_OK) {
        fq_errors_raise(state, status, NULL);
        goto fail;
    }
    fq_service_set_owner(self->service, self);
    fq_publisher_unref(publisher);
    return (PyObject *)self;
fail:
    fq_publisher_unref(publisher);
    Py_DECREF(self);
    return NULL;
}

/* Closes the service and waits until the reactor has let go of it; nothing of
 * a parent's is touched in a forked child. Returns 0, or -1 with MemoryError
 * (nothing has changed). */
static int
close_service(fq_service_object *self, uint16_t code, fq_str reason)
{
    fq_service *service = self->service;
    fq_reactor *reactor = self->reactor;
    if (reactor == NULL)
        return 0;
    if (fq_reactor_is_forked(reactor)) {
        self->service = NULL;
        self->reactor = NULL;
        return 0;
    }
    fq_ticket *done = NULL;
    fq_status status = FQ_OK;
    if (service != NULL) {
        status = fq_ticket_new(NULL, NULL, &done);
        if (status == FQ_OK)
            status = fq_service_close(service, code, reason, done);
        if (status == FQ_ERR_NOMEM) {
            fq_ticket_unref(done);
            PyErr_NoMemory();
            return -1;
        }
    }
    if (service != NULL)
        fq_service_set_owner(service, NULL);
    fq_resolver_task_cancel_shared(self);
    self->service = NULL;
    self->reactor = NULL;
    Py_BEGIN_ALLOW_THREADS
    if (service != NULL && status == FQ_OK)
        fq_ticket_wait(done, UINT64_MAX);
    fq_ticket_unref(done);
    fq_service_unref(service);
    fq_reactor_release(reactor);
    Py_END_ALLOW_THREADS
    return 0;
}

static void
service_finalize(fq_service_object *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (close_service(self, 1012, FQ_STR_LIT("Service restart")) < 0)
        PyErr_WriteUnraisable((PyObject *)self);
    PyErr_Restore(type, value, traceback);
}

static int
service_traverse(fq_service_object *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->bus);
    Py_VISIT(self->resolvers);
    Py_VISIT(self->hooks);
    Py_VISIT(self->entrance);
    Py_VISIT(self->running);
    Py_VISIT(self->states);
    return fq_task_timer_traverse(self->timers, visit, arg);
}

static int
service_clear(fq_service_object *self)
{
    Py_CLEAR(self->resolvers);
    Py_CLEAR(self->hooks);
    Py_CLEAR(self->entrance);
    Py_CLEAR(self->running);
    Py_CLEAR(self->states);
    fq_task_timer_free_all(&self->timers);
    return 0;
}

static void
service_dealloc(fq_service_object *self)
{
    if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0)
        return;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)self);
    service_clear(self);
    Py_CLEAR(self->bus);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    close_doc,
    "close($self, code, reason, /)\n--\n\n"
    "End everything: connections close with `code` and `reason` behind what "
    "is\n"
    "queued for them, feeds end. Returns when the engine is gone; harmless\n"
    "twice. Thread: any.");

static PyObject *
service_close(fq_service_object *self, PyObject *args)
{
    unsigned short code;
    const char *reason;
    Py_ssize_t len;
    if (!PyArg_ParseTuple(args, "Hs#:close", &code, &reason, &len))
        return NULL;
    fq_str text = fq_utf8_truncate(fq_str_make(reason, (size_t)len),
                                   FQ_CLOSE_REASON_MAX);
    if (close_service(self, code, text) < 0)
        return NULL;
    fq_task_timer_cancel_all(fq_state_of((PyObject *)self), self->timers);
    Py_RETURN_NONE;
}

fq_service *
fq_service_object_peek(PyObject *service)
{
    fq_service_object *self = (fq_service_object *)service;
    if (self->service != NULL && !fq_reactor_is_forked(self->reactor))
        return self->service;
    fq_errors_raise_class(
        fq_state_of(service)->ClosedError,
        self->service == NULL ? "closed" : "closed: this process was forked",
        NULL);
    return NULL;
}

static PyObject *
service_get_is_open(fq_service_object *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->service != NULL
                           && !fq_reactor_is_forked(self->reactor));
}

/* ── resolvers ── */

int
fq_service_object_add_resolver(fq_service_object *self, PyObject *resolver,
                               uint64_t *ptoken)
{
    *ptoken = 0;
    PyObject *key = PyLong_FromUnsignedLongLong(self->last_token + 1);
    if (key == NULL)
        return -1;
    int result = PyDict_SetItem(self->resolvers, key, resolver);
    Py_DECREF(key);
    if (result == 0)
        *ptoken = ++self->last_token;
    return result;
}

void
fq_service_object_drop_resolver(fq_service_object *self, uint64_t token)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *key = PyLong_FromUnsignedLongLong(token);
    if (key != NULL && self->resolvers != NULL)
        PyDict_DelItem(self->resolvers, key);
    Py_XDECREF(key);
    PyErr_Restore(type, value, traceback);
}

PyObject *
fq_service_object_get_resolver(fq_service_object *self, uint64_t token)
{
    PyObject *key = PyLong_FromUnsignedLongLong(token);
    PyObject *resolver = NULL;
    if (key != NULL && self->resolvers != NULL)
        resolver = PyDict_GetItemWithError(self->resolvers, key);
    Py_XDECREF(key);
    PyErr_Clear();
    return Py_XNewRef(resolver);
}

int
fq_service_object_await(fq_state *state, fq_status status, fq_ticket *done)
{
    if (status == FQ_OK) {
        int result = fq_publish_wait_ticket(done, ANSWER_TIMEOUT_NS);
        if (result < 0)
            return -1;
        status = result == 0 ? FQ_ERR_TIMEOUT : done->status;
    }
    if (status != FQ_OK)
        fq_errors_raise(state, status, NULL);
    return status == FQ_OK ? 0 : -1;
}

/* ── the running loop ── */

PyDoc_STRVAR(
    is_behind_doc,
    "is_behind()\n--\n\n"
    "True while the running loop has mail from engines that it has not seen.");

static PyObject *
service_is_behind(PyObject *type, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(
        fq_loop_mailbox_is_behind(fq_state_of_type((PyTypeObject *)type)));
}

PyDoc_STRVAR(is_inside_doc,
             "is_inside()\n--\n\n"
             "True in a resolver or a source, and in what they start.");

static PyObject *
service_is_inside(PyObject *type, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(
        fq_resolver_is_inside(fq_state_of_type((PyTypeObject *)type)));
}

PyDoc_STRVAR(after_fork_doc,
             "after_fork()\n--\n\n"
             "In a forked child: let go of the parent's engine.");

static PyObject *
service_after_fork(PyObject *type, PyObject *Py_UNUSED(ignored))
{
    fq_state_after_fork(fq_state_of_type((PyTypeObject *)type));
    Py_RETURN_NONE;
}

/* ── tasks ── */

static PyObject *
service_expire(fq_service_object *self, PyObject *args)
{
    PyObject *loop;
    unsigned long long timeout_ns;
    if (!PyArg_ParseTuple(args, "OK:_expire", &loop, &timeout_ns))
        return NULL;
    PyObject *expire = PyObject_GetAttrString((PyObject *)self, "_expire");
    if (expire == NULL)
        return NULL;
    int result = fq_task_timer_run(&self->timers, loop, timeout_ns, expire);
    Py_DECREF(expire);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(cancel_tasks_doc, "cancel_tasks($self, /)\n--\n\n"
                               "Cancel the resolvers and close the sources "
                               "that run in the running loop;\n"
                               "returns their tasks, to be waited for.");

static PyObject *
service_cancel_tasks(fq_service_object *self, PyObject *Py_UNUSED(ignored))
{
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *tasks = PyList_New(0);
    PyObject *loop = PyObject_CallNoArgs(state->get_running_loop);
    if (tasks == NULL || loop == NULL
        || fq_resolver_task_cancel_all(self, loop, tasks) < 0
        || fq_source_cancel_all(self, loop, tasks) < 0)
        Py_CLEAR(tasks);
    Py_XDECREF(loop);
    return tasks;
}

/* ── the entrance ── */

PyDoc_STRVAR(admit_by_doc,
             "admit_by($self, entrance, /)\n--\n\n"
             "Let in by an Entrance. To be called before there are "
             "connections.");

static PyObject *
service_admit_by(fq_service_object *self, PyObject *entrance)
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (!PyObject_TypeCheck(entrance, state->entrance_type)) {
        PyErr_SetString(PyExc_TypeError, "entrance must be an Entrance");
        return NULL;
    }
    Py_XSETREF(self->entrance, Py_NewRef(entrance));
    Py_RETURN_NONE;
}

PyDoc_STRVAR(may_ask_doc,
             "may_ask($self, scope, /)\n--\n\n"
             "Whether a page with the Origin of an ASGI scope may ask; a "
             "refusal is counted.");

static PyObject *
service_may_ask(fq_service_object *self, PyObject *scope)
{
    int may = fq_entrance_may_page((PyObject *)self, scope);
    return may < 0 ? NULL : PyBool_FromLong(may);
}

PyDoc_STRVAR(cors_doc, "cors($self, scope, /)\n--\n\n"
                       "Headers by which the page that asks may read the "
                       "answer.");

static PyObject *
service_cors(fq_service_object *self, PyObject *scope)
{
    return fq_entrance_cors((PyObject *)self, scope);
}

/* ── the type ── */

PyDoc_STRVAR(introspect_with_doc,
             "introspect_with($self, handler, /)\n--\n\n"
             "Let a handler answer queries for the schema; None: refuse them. "
             "To be called\n"
             "before there are connections.");

PyDoc_STRVAR(persist_doc,
             "persist($self, documents, only, /)\n--\n\n"
             "Let clients name documents, a dict by SHA-256; `only`: and send "
             "no other. To be\n"
             "called before there are connections, once.");

PyDoc_STRVAR(
    publish_doc,
    "publish($self, channel, data, event_type, waits_for_calls, /)\n--\n\n"
    "Publish and return the id; `channel` may be an Event, data is None "
    "then.\n"
    "Where no loop runs it waits for room, and, with `waits_for_calls`, for "
    "the\n"
    "resolvers that the event calls. Thread: any.");

PyDoc_STRVAR(execute_with_doc,
             "execute_with($self, handler, /)\n--\n\n"
             "Let a Resolver that is a handler execute queries and "
             "mutations. To be called\n"
             "before there are connections.");

PyDoc_STRVAR(
    offer_doc,
    "offer($self, channel, data, event_type, waits_for_calls, /)\n--\n\n"
    "As publish, from a loop: the id, or a Publication to wait with.");

PyDoc_STRVAR(
    offer_all_doc,
    "offer_all($self, events, at, /)\n--\n\n"
    "Publish some of a tuple of events from index `at` on, from a loop: how "
    "many are\n"
    "through the door, and a future of their ids and the first error; or 0, "
    "and one\n"
    "that is done when there is room. With `at` 0 all of them are checked "
    "first.");

PyDoc_STRVAR(metrics_doc,
             "metrics($self, /)\n--\n\n"
             "What was counted, by name: a snapshot that stops nobody.");

PyDoc_STRVAR(count_doc, "count($self, channel, /)\n--\n\n"
                        "How many subscriptions listen on `channel`.");

PyDoc_STRVAR(
    feed_doc,
    "feed($self, subscription_id, connection_id, query, operation_name,\n"
    "     variables, resolver, channels, returns, /)\n--\n\n"
    "Open a Feed. `resolver` is a Resolver or None; with one, its calls run "
    "in\n"
    "the running loop. `channels` is a tuple of names, or None: the root "
    "field's.");

PyDoc_STRVAR(protect_doc,
             "protect($self, policy, sdl, /)\n--\n\n"
             "Judge who subscribes from now on by a policy, a dict as "
             "security.py makes it; sdl\nis that of serve_schema or None. "
             "ConfigError: it cannot work with that.");

PyDoc_STRVAR(
    stream_doc,
    "stream($self, subscription_id, query, operation_name, variables,\n"
    "       security, /)\n--\n\n"
    "Open a Stream in the running loop. `security` is a SecurityContext, a "
    "dict\nof one, or None: a client that nobody authenticated.");

PyDoc_STRVAR(serve_schema_doc,
             "serve_schema($self, sdl, serve_undeclared, /)\n--\n\n"
             "Check documents against a schema from now on; serve what "
             "nobody declared of it,\n"
             "or refuse it.");

PyDoc_STRVAR(
    field_add_doc,
    "field_add($self, name, channels, resolver, returns, settings, /)\n--\n\n"
    "Declare a field for all who subscribe later. `channels` is a tuple of "
    "names,\n"
    "`resolver` a Resolver or None, `returns` \"field\" or \"data\", "
    "`settings` a\n"
    "dict of whatever else is declared of it, by name.");

PyDoc_STRVAR(
    live_doc,
    "live($self, user_id, tenant_id, connection_id, channel, limit, "
    "/)\n--\n\n"
    "At most `limit` live subscriptions as dicts; what is None may be "
    "anything.");

PyDoc_STRVAR(disconnect_doc,
             "disconnect($self, user_id, tenant_id, connection_id, channel, "
             "code,\n           reason, everywhere, /)\n--\n\n"
             "Close connections; returns their number here. `everywhere`: "
             "tell other\ninstances to do so, too.");

PyDoc_STRVAR(ask_doc,
             "ask($self, user_id, tenant_id, connection_id, channel, limit, "
             "timeout, /)\n--\n\n"
             "What live() gives at other instances: a dict of answers and who "
             "is missing\nafter `timeout` seconds; None: there are no "
             "others.");

PyDoc_STRVAR(instance_id_doc, "instance_id($self, /)\n--\n\n"
                              "What this engine is called by others.");

PyDoc_STRVAR(invalidate_doc,
             "invalidate($self, where, everywhere, /)\n--\n\n"
             "End the subscriptions for which a filter, as `Filter.ir()` "
             "gives it, is true;\nreturns their number here, see "
             "disconnect().");

PyDoc_STRVAR(drain_doc,
             "drain($self, code, reason, window, /)\n--\n\n"
             "Refuse connections from now on, and close those there are, "
             "spread over part of\n`window` seconds. A future: when all have "
             "gone, or at the window's end, the\nnumber of those left.");

PyDoc_STRVAR(authenticate_with_doc,
             "authenticate_with($self, handler, timeout, grace, code, "
             "/)\n--\n\n"
             "Let a Resolver that is a handler decide about clients. To be "
             "called before\nthere are connections.");

PyDoc_STRVAR(hook_with_doc,
             "hook_with($self, hooks, gate, /)\n--\n\n"
             "Tell `hooks`, a Hooks, of connections; ask `gate`, a Resolver "
             "that is a handler\nor None, about subscriptions. To be called "
             "before there are connections.");

static PyMethodDef service_methods[] = {
    {"hook_with", (PyCFunction)fq_service_object_hook_with, METH_VARARGS,
     hook_with_doc},
    {"protect", (PyCFunction)fq_service_object_protect, METH_VARARGS,
     protect_doc},
    {"live", (PyCFunction)(void (*)(void))fq_service_object_live,
     METH_FASTCALL, live_doc},
    {"disconnect", (PyCFunction)(void (*)(void))fq_service_object_disconnect,
     METH_FASTCALL, disconnect_doc},
    {"invalidate", (PyCFunction)(void (*)(void))fq_service_object_invalidate,
     METH_FASTCALL, invalidate_doc},
    {"ask", (PyCFunction)(void (*)(void))fq_service_object_ask, METH_FASTCALL,
     ask_doc},
    {"instance_id", (PyCFunction)fq_service_object_instance_id, METH_NOARGS,
     instance_id_doc},
    {"drain", (PyCFunction)fq_service_object_drain, METH_VARARGS, drain_doc},
    {"authenticate_with", (PyCFunction)fq_service_object_authenticate_with,
     METH_VARARGS, authenticate_with_doc},
    {"serve_schema", (PyCFunction)fq_service_object_serve_schema, METH_VARARGS,
     serve_schema_doc},
    {"field_add", (PyCFunction)fq_service_object_field_add, METH_VARARGS,
     field_add_doc},
    {"execute_with", (PyCFunction)fq_service_object_execute_with, METH_O,
     execute_with_doc},
    {"introspect_with", (PyCFunction)fq_service_object_introspect_with, METH_O,
     introspect_with_doc},
    {"persist", (PyCFunction)fq_service_object_persist, METH_VARARGS,
     persist_doc},
    {"publish", (PyCFunction)(void (*)(void))fq_service_object_publish,
     METH_FASTCALL, publish_doc},
    {"offer", (PyCFunction)(void (*)(void))fq_service_object_offer,
     METH_FASTCALL, offer_doc},
    {"offer_all", (PyCFunction)(void (*)(void))fq_service_object_offer_all,
     METH_FASTCALL, offer_all_doc},
    {"feed", (PyCFunction)(void (*)(void))fq_feed_object_open, METH_FASTCALL,
     feed_doc},
    {"stream", (PyCFunction)fq_stream_open, METH_VARARGS, stream_doc},
    {"metrics", (PyCFunction)fq_service_object_metrics, METH_NOARGS,
     metrics_doc},
    {"admit_by", (PyCFunction)service_admit_by, METH_O, admit_by_doc},
    {"may_ask", (PyCFunction)service_may_ask, METH_O, may_ask_doc},
    {"cors", (PyCFunction)service_cors, METH_O, cors_doc},
    {"count", (PyCFunction)fq_service_object_count, METH_O, count_doc},
    {"close", (PyCFunction)service_close, METH_VARARGS, close_doc},
    {"cancel_tasks", (PyCFunction)service_cancel_tasks, METH_NOARGS,
     cancel_tasks_doc},
    {"is_behind", service_is_behind, METH_NOARGS | METH_CLASS, is_behind_doc},
    {"is_inside", service_is_inside, METH_NOARGS | METH_CLASS, is_inside_doc},
    {"after_fork", service_after_fork, METH_NOARGS | METH_CLASS,
     after_fork_doc},
    {"default_limits", service_default_limits, METH_NOARGS | METH_STATIC,
     default_limits_doc},
    {"_expire", (PyCFunction)service_expire, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef service_getset[] = {
    {"is_open", (getter)service_get_is_open, NULL,
     "False after close, and in a forked child.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef service_members[] = {
    {"n_feeds", T_PYSSIZET, offsetof(fq_service_object, n_feeds), READONLY,
     "Feeds that are open."},
    {"bus", T_OBJECT_EX, offsetof(fq_service_object, bus), READONLY,
     "The EventBus."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(fq_service_object, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot service_slots[] = {
    {Py_tp_new, service_new},
    {Py_tp_finalize, service_finalize},
    {Py_tp_dealloc, service_dealloc},
    {Py_tp_traverse, service_traverse},
    {Py_tp_clear, service_clear},
    {Py_tp_methods, service_methods},
    {Py_tp_getset, service_getset},
    {Py_tp_members, service_members},
    {Py_tp_doc, (void *)"The engine of one manager or executor."},
    {0, NULL},
};

static PyType_Spec service_spec = {
    .name = "fraiseql_asgi._core.Service",
    .basicsize = sizeof(fq_service_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = service_slots,
};

int
fq_service_object_init(PyObject *module, fq_state *state)
{
    state->service_type = fq_state_add_type(module, &service_spec, NULL);
    return state->service_type == NULL ? -1 : 0;
}
