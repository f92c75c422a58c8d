/* SPDX-License-Identifier: MIT */
/* SharedSecurity: tenant_id, roles, boundaries and fields as SecurityContext
 * has them; to ask for anything else is a SecurityError, because what a shared
 * resolver returns goes to others too. Thread: loop. */
#include "python/shared_security.h"

#include "python/parts.h"
#include "python/security_context.h"

typedef struct shared_security {
    PyObject_HEAD
    PyObject *whole; /* a SecurityContext, or None: never shown */
} shared_security;

PyObject *
fq_shared_security_new(fq_state *state, fq_security_context *context)
{
    PyTypeObject *type = state->shared_security_type;
    PyObject *whole = fq_security_context_object_new(state, context);
    if (whole == NULL)
        return NULL;
    shared_security *self = (shared_security *)type->tp_alloc(type, 0);
    if (self == NULL)
        Py_DECREF(whole);
    else
        self->whole = whole;
    return (PyObject *)self;
}

/* |closure| is the attribute's name. */
static PyObject *
get_common(shared_security *self, void *closure)
{
    return PyObject_GetAttrString(self->whole, closure);
}

static PyObject *
get_personal(shared_security *self, void *closure)
{
    PyErr_Format(fq_state_of((PyObject *)self)->SecurityError,
                 "a resolver with shared=True has no %s: it is called once "
                 "for many users",
                 (const char *)closure);
    return NULL;
}

static PyObject *
shared_security_repr(shared_security *self)
{
    PyObject *parts[4] = {0};
    static const char *const names[] = {"tenant_id", "roles", "boundaries",
                                        "fields"};
    PyObject *text = NULL;
    for (int i = 0; i < 4; i++) {
        parts[i] = PyObject_GetAttrString(self->whole, names[i]);
        if (parts[i] == NULL)
            goto out;
    }
    text = PyUnicode_FromFormat(
        "SharedSecurity(tenant_id=%R, roles=%R, boundaries=%R, fields=%R)",
        parts[0], parts[1], parts[2], parts[3]);
out:
    for (int i = 0; i < 4; i++)
        Py_XDECREF(parts[i]);
    return text;
}

static PyGetSetDef shared_security_getset[] = {
    {"tenant_id", (getter)get_common, NULL, "As of a SecurityContext.",
     "tenant_id"},
    {"roles", (getter)get_common, NULL, "As of a SecurityContext.", "roles"},
    {"boundaries", (getter)get_common, NULL, "As of a SecurityContext.",
     "boundaries"},
    {"fields", (getter)get_common, NULL, "As of a SecurityContext.", "fields"},
    {"user_id", (getter)get_personal, NULL, "SecurityError.", "user_id"},
    {"claims", (getter)get_personal, NULL, "SecurityError.", "claims"},
    {"expires_at", (getter)get_personal, NULL, "SecurityError.", "expires_at"},
    {NULL, NULL, NULL, NULL, NULL},
};

static int
shared_security_traverse(shared_security *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->whole);
    return 0;
}

static void
shared_security_dealloc(shared_security *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->whole);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    shared_security_doc,
    "What the subscriptions that one call of a shared resolver is for "
    "have in common.");

static PyType_Slot shared_security_slots[] = {
    {Py_tp_dealloc, shared_security_dealloc},
    {Py_tp_traverse, shared_security_traverse},
    {Py_tp_repr, shared_security_repr},
    {Py_tp_getset, shared_security_getset},
    {Py_tp_doc, (void *)shared_security_doc},
    {0, NULL},
};

static PyType_Spec shared_security_spec = {
    .name = "fraiseql_asgi._core.SharedSecurity",
    .basicsize = sizeof(shared_security),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
             | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = shared_security_slots,
};

int
fq_shared_security_init(PyObject *module, fq_state *state)
{
    state->shared_security_type = fq_state_add_type(
        module, &shared_security_spec, NULL);
    return state->shared_security_type == NULL ? -1 : 0;
}
