/* SPDX-License-Identifier: MIT */
/* ResolverContext: references to what the call was made of, and the Python
 * objects made from it so far. Thread: loop. */
#include "python/resolver_context.h"

#include <string.h>
#include <structmember.h>

#include "engine/security/class.h"
#include "python/convert.h"
#include "python/event_object.h"
#include "python/parts.h"
#include "python/security_context.h"
#include "python/shared_security.h"

/* States that a service remembers. Those of calls that are under way are some
 * dozen; one that is forgotten too early costs a dataloader a second query. */
#define STATES_MAX 128

typedef struct resolver_context {
    PyObject_HEAD
    fq_port_object *owner; /* the client it is for; NULL: a class's */
    fq_service_object *service;
    const void *loop; /* the mailbox, for telling loops apart only */
    fq_security_context *security; /* one reference; NULL: nobody's */
    fq_rcbuf *data;                /* of the event; NULL where there is none */
    fq_rcbuf *channel;
    fq_rcbuf *event_type;
    fq_rcbuf *tenant_id; /* these three may be NULL */
    fq_rcbuf *boundary;
    fq_rcbuf *meta;
    fq_rcbuf *args;
    fq_rcbuf *operation_name; /* NULL: none */
    fq_rcbuf *subscription_id;
    char event_id[FQ_EVENT_ID_MAX];
    uint64_t created_at_ns;
    PyObject *event; /* NULL: not asked for yet; so are the next three */
    PyObject *security_object;
    PyObject *args_dict;
    PyObject *state;
} resolver_context;

static fq_rcbuf *
ref_or_null(fq_rcbuf *rcbuf)
{
    return rcbuf == NULL ? NULL : fq_rcbuf_ref(rcbuf);
}

PyObject *
fq_resolver_context_new(fq_state *state, const fq_call_site *site,
                        const fq_call *call)
{
    PyTypeObject *type = state->resolver_context_type;
    resolver_context *self = (resolver_context *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (site->owner != NULL)
        self->owner = (fq_port_object *)Py_NewRef(site->owner);
    self->service = (fq_service_object *)Py_NewRef(site->service);
    self->loop = site->mailbox;
    if (call->context != NULL)
        self->security = fq_security_context_ref(call->context);
    if (call->kind == FQ_CALL_RESOLVE || call->kind == FQ_CALL_SHARED)
        self->data = ref_or_null(call->data);
    self->channel = ref_or_null(call->channel);
    self->event_type = ref_or_null(call->event_type);
    self->tenant_id = ref_or_null(call->tenant_id);
    self->boundary = ref_or_null(call->boundary);
    self->meta = ref_or_null(call->meta);
    self->args = ref_or_null(call->args);
    self->operation_name = ref_or_null(call->operation_name);
    self->subscription_id = ref_or_null(call->subscription_id);
    memcpy(self->event_id, call->event_id, sizeof(self->event_id));
    self->created_at_ns = call->created_at_ns;
    return (PyObject *)self;
}

static PyObject *
get_event(resolver_context *self, void *Py_UNUSED(closure))
{
    if (self->data == NULL)
        Py_RETURN_NONE;
    if (self->event == NULL) {
        fq_event_parts parts = {
            .channel = self->channel,
            .event_type = self->event_type,
            .tenant_id = self->tenant_id,
            .boundary = self->boundary,
            .meta = self->meta,
            .data = self->data,
            .id = self->event_id,
            .created_at_ns = self->created_at_ns,
        };
        self->event = fq_event_object_new(fq_state_of((PyObject *)self),
                                          &parts);
    }
    return Py_XNewRef(self->event);
}

static PyObject *
get_args(resolver_context *self, void *Py_UNUSED(closure))
{
    if (self->args_dict == NULL) {
        if (self->args == NULL)
            self->args_dict = PyDict_New();
        else
            self->args_dict = fq_convert_from_json(
                fq_state_of((PyObject *)self), fq_rcbuf_str(self->args));
    }
    return Py_XNewRef(self->args_dict);
}

/* The connection's own object where that is still the one. */
static PyObject *
make_security(fq_state *state, resolver_context *self)
{
    if (self->owner == NULL)
        return fq_shared_security_new(state, self->security);
    PyObject *kept = self->owner->security;
    if (kept != NULL && fq_security_context_object_check(state, kept)
        && fq_security_context_object_peek(kept) == self->security)
        return Py_NewRef(kept);
    return fq_security_context_object_new(state, self->security);
}

static PyObject *
get_security(resolver_context *self, void *Py_UNUSED(closure))
{
    if (self->security_object == NULL)
        self->security_object = make_security(fq_state_of((PyObject *)self),
                                              self);
    return Py_XNewRef(self->security_object);
}

/* ── the state ── */

/* What is equal for the calls that share a state. */
static PyObject *
state_key(const resolver_context *self)
{
    fq_buf buf = FQ_BUF_INIT;
    fq_buf_append(&buf, &self->loop, sizeof(self->loop));
    fq_buf_append(&buf, self->event_id, sizeof(self->event_id));
    fq_security_class_write(self->security, &buf);
    PyObject *key = NULL;
    if (fq_buf_status(&buf) == FQ_OK)
        key = PyBytes_FromStringAndSize(buf.ptr, (Py_ssize_t)buf.len);
    else
        PyErr_NoMemory();
    fq_buf_fini(&buf);
    return key;
}

static int
forget_oldest(PyObject *states)
{
    Py_ssize_t pos = 0;
    PyObject *key, *value;
    if (PyDict_GET_SIZE(states) < STATES_MAX
        || !PyDict_Next(states, &pos, &key, &value))
        return 0;
    Py_INCREF(key);
    int result = PyDict_DelItem(states, key);
    Py_DECREF(key);
    return result;
}

/* The dict under |key|, made at first need: a new reference. */
static PyObject *
find_state(fq_service_object *service, PyObject *key)
{
    if (service->states == NULL)
        service->states = PyDict_New();
    PyObject *states = service->states;
    PyObject *found = NULL;
    if (states == NULL)
        return NULL;
    found = PyDict_GetItemWithError(states, key);
    if (found != NULL || PyErr_Occurred())
        return Py_XNewRef(found);
    found = PyDict_New();
    if (found == NULL || forget_oldest(states) < 0
        || PyDict_SetItem(states, key, found) < 0)
        Py_CLEAR(found);
    return found;
}

/* Without an event it is the call's own. */
static PyObject *
get_state(resolver_context *self, void *Py_UNUSED(closure))
{
    if (self->state == NULL && self->data == NULL)
        self->state = PyDict_New();
    if (self->state == NULL) {
        PyObject *key = state_key(self);
        if (key != NULL)
            self->state = find_state(self->service, key);
        Py_XDECREF(key);
    }
    return Py_XNewRef(self->state);
}

/* ── the client's ── */

/* The client's own, which calls for a class do not have: NULL with a
 * SecurityError then. */
static fq_port_object *
peek_owner(resolver_context *self, const char *name)
{
    if (self->owner != NULL)
        return self->owner;
    PyErr_Format(fq_state_of((PyObject *)self)->SecurityError,
                 "a resolver with shared=True has no %s: it is called once "
                 "for many subscriptions",
                 name);
    return NULL;
}

static PyObject *
or_none(PyObject *object)
{
    return Py_NewRef(object == NULL ? Py_None : object);
}

static PyObject *
get_params(resolver_context *self, void *Py_UNUSED(closure))
{
    fq_port_object *owner = peek_owner(self, "connection_params");
    return owner == NULL ? NULL : or_none(owner->params);
}

static PyObject *
get_scope(resolver_context *self, void *Py_UNUSED(closure))
{
    fq_port_object *owner = peek_owner(self, "scope");
    return owner == NULL ? NULL : or_none(owner->scope);
}

static PyObject *
get_connection_id(resolver_context *self, void *Py_UNUSED(closure))
{
    fq_port_object *owner = peek_owner(self, "connection_id");
    return owner == NULL ? NULL : fq_port_object_connection_id(owner);
}

static PyObject *
get_subscription_id(resolver_context *self, void *Py_UNUSED(closure))
{
    if (peek_owner(self, "subscription_id") == NULL)
        return NULL;
    return fq_convert_rcbuf_str(self->subscription_id);
}

static PyObject *
get_operation_name(resolver_context *self, void *Py_UNUSED(closure))
{
    return fq_convert_rcbuf_str(self->operation_name);
}

static PyGetSetDef context_getset[] = {
    {"event", (getter)get_event, NULL,
     "The Event; None in an async generator, in initial= and for queries and "
     "mutations.",
     NULL},
    {"args", (getter)get_args, NULL,
     "The root field's arguments, coerced: a dict. Empty for queries and "
     "mutations.",
     NULL},
    {"security", (getter)get_security, NULL,
     "Who it is for: a SecurityContext. With shared=True what all have in "
     "common: tenant_id, roles, boundaries, fields.",
     NULL},
    {"state", (getter)get_state, NULL,
     "A dict for whatever calls for the same event on the same loop may "
     "share, "
     "such as dataloaders: one per security class (tenant, roles, boundaries, "
     "fields). Without an event it is the call's own.",
     NULL},
    {"connection_params", (getter)get_params, NULL,
     "The payload of connection_init, a dict; None without one.", NULL},
    {"scope", (getter)get_scope, NULL,
     "The ASGI scope of the connection; None without one.", NULL},
    {"connection_id", (getter)get_connection_id, NULL,
     "What tells this connection from others, a str.", NULL},
    {"subscription_id", (getter)get_subscription_id, NULL,
     "The operation's id, as the client chose it.", NULL},
    {"operation_name", (getter)get_operation_name, NULL,
     "The operation's name, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static int
context_traverse(resolver_context *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    Py_VISIT(self->service);
    Py_VISIT(self->event);
    Py_VISIT(self->security_object);
    Py_VISIT(self->args_dict);
    Py_VISIT(self->state);
    return 0;
}

/* The owner stays until the end: getters rely on it, and it has a tp_clear of
 * its own to break cycles. */
static int
context_clear(resolver_context *self)
{
    Py_CLEAR(self->event);
    Py_CLEAR(self->security_object);
    Py_CLEAR(self->args_dict);
    Py_CLEAR(self->state);
    return 0;
}

static void
context_dealloc(resolver_context *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    context_clear(self);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->service);
    fq_security_context_unref(self->security);
    fq_rcbuf_unref(self->data);
    fq_rcbuf_unref(self->channel);
    fq_rcbuf_unref(self->event_type);
    fq_rcbuf_unref(self->tenant_id);
    fq_rcbuf_unref(self->boundary);
    fq_rcbuf_unref(self->meta);
    fq_rcbuf_unref(self->args);
    fq_rcbuf_unref(self->operation_name);
    fq_rcbuf_unref(self->subscription_id);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    context_doc,
    "What a call of a resolver (or source, or handler) is about: its third "
    "(second)\nparameter."
    "\n\nValid as long as it is kept; reading it costs nothing until asked.");

static PyType_Slot context_slots[] = {
    {Py_tp_dealloc, context_dealloc}, {Py_tp_traverse, context_traverse},
    {Py_tp_clear, context_clear},     {Py_tp_getset, context_getset},
    {Py_tp_doc, (void *)context_doc}, {0, NULL},
};

static PyType_Spec context_spec = {
    .name = "fraiseql_asgi._core.ResolverContext",
    .basicsize = sizeof(resolver_context),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = context_slots,
};

int
fq_resolver_context_init(PyObject *module, fq_state *state)
{
    state->resolver_context_type = fq_state_add_type(module, &context_spec,
                                                     NULL);
    return state->resolver_context_type == NULL ? -1 : 0;
}
