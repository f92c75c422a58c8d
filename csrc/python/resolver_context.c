/* SPDX-License-Identifier: MIT */
/* ResolverContext: references to what the call was made of, and the Python
 * objects made from it so far. Thread: loop. */
#include "python/resolver_context.h"

#include <string.h>
#include <structmember.h>

#include "python/convert.h"
#include "python/event_object.h"
#include "python/parts.h"

typedef struct resolver_context {
    PyObject_HEAD
    fq_port_object *owner; /* the client it is for */
    fq_rcbuf *data;        /* of the event; NULL where there is none */
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
    PyObject *event; /* NULL: not asked for yet */
    PyObject *args_dict;
} resolver_context;

static fq_rcbuf *
ref_or_null(fq_rcbuf *rcbuf)
{
    return rcbuf == NULL ? NULL : fq_rcbuf_ref(rcbuf);
}

PyObject *
fq_resolver_context_new(fq_state *state, fq_port_object *owner,
                        const fq_call *call)
{
    PyTypeObject *type = state->resolver_context_type;
    resolver_context *self = (resolver_context *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->owner = (fq_port_object *)Py_NewRef(owner);
    if (call->kind == FQ_CALL_RESOLVE)
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

static PyObject *
or_none(PyObject *object)
{
    return Py_NewRef(object == NULL ? Py_None : object);
}

static PyObject *
get_params(resolver_context *self, void *Py_UNUSED(closure))
{
    return or_none(self->owner->params);
}

static PyObject *
get_scope(resolver_context *self, void *Py_UNUSED(closure))
{
    return or_none(self->owner->scope);
}

static PyObject *
get_connection_id(resolver_context *self, void *Py_UNUSED(closure))
{
    return fq_port_object_connection_id(self->owner);
}

static PyObject *
get_subscription_id(resolver_context *self, void *Py_UNUSED(closure))
{
    return fq_convert_rcbuf_str(self->subscription_id);
}

static PyObject *
get_operation_name(resolver_context *self, void *Py_UNUSED(closure))
{
    return fq_convert_rcbuf_str(self->operation_name);
}

static PyGetSetDef context_getset[] = {
    {"event", (getter)get_event, NULL,
     "The Event; None in an async generator and for queries and mutations.",
     NULL},
    {"args", (getter)get_args, NULL,
     "The root field's arguments, coerced: a dict. Empty for queries and "
     "mutations.",
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
    Py_VISIT(self->event);
    Py_VISIT(self->args_dict);
    return 0;
}

/* The owner stays until the end: getters rely on it, and it has a tp_clear of
 * its own to break cycles. */
static int
context_clear(resolver_context *self)
{
    Py_CLEAR(self->event);
    Py_CLEAR(self->args_dict);
    return 0;
}

static void
context_dealloc(resolver_context *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    context_clear(self);
    Py_XDECREF(self->owner);
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
