/* SPDX-License-Identifier: MIT */
/* The type SecurityContext. It holds one counted context of the engine and
 * makes Python values when asked for them. Thread: loop (any thread that holds
 * the GIL). */
#include "python/security_context.h"

#include <math.h>

#include "base/alloc.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/event_object.h"
#include "python/parts.h"

/* The last moment a datetime can say, in seconds since 1970. */
#define EXPIRES_MAX_S 253402300799.0

typedef struct context_object {
    PyObject_HEAD
    fq_security_context *context; /* one reference */
} context_object;

/* ── from Python ── */

/* The arguments, by their place in |names|; borrowed, NULL or None: not
 * given. */
enum {
    ARG_USER_ID,
    ARG_TENANT_ID,
    ARG_ROLES,
    ARG_CLAIMS,
    ARG_BOUNDARIES,
    ARG_EXPIRES_AT,
    ARG_FIELDS, /* not of the constructor */
    N_ARGS,
};

static const char *const arg_names[N_ARGS] = {
    "user_id",    "tenant_id",  "roles",  "claims",
    "boundaries", "expires_at", "fields",
};

/* Names while they are read. |list| keeps their texts. */
typedef struct name_list {
    PyObject *list;
    fq_str *names;
    size_t n_names;
} name_list;

static void
free_names(name_list *names)
{
    Py_XDECREF(names->list);
    fq_free(names->names);
}

/* An iterable of str; NULL or None: no names. */
static int
read_names(PyObject *value, const char *what, name_list *names)
{
    if (value == NULL || value == Py_None)
        return 0;
    if (PyUnicode_Check(value) || PyBytes_Check(value)
        || PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be a list of str, not %.200s",
                     what, Py_TYPE(value)->tp_name);
        return -1;
    }
    names->list = PySequence_List(value);
    if (names->list == NULL)
        return -1;
    Py_ssize_t n = PyList_GET_SIZE(names->list);
    names->names = fq_alloc_zero(((size_t)n + 1) * sizeof(fq_str));
    if (names->names == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    names->n_names = (size_t)n;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (fq_convert_peek_str(PyList_GET_ITEM(names->list, i), what,
                                &names->names[i])
            < 0)
            return -1;
    }
    return 0;
}

/* Seconds since 1970 of an aware datetime or a number. */
static int
read_seconds(fq_state *state, PyObject *value, double *pseconds)
{
    if (fq_event_object_import_datetime(state) < 0)
        return -1;
    int is_datetime = PyObject_IsInstance(value, state->datetime_type);
    if (is_datetime < 0)
        return -1;
    if (!is_datetime) {
        if (!(PyLong_Check(value) || PyFloat_Check(value))
            || PyBool_Check(value)) {
            PyErr_Format(PyExc_TypeError,
                         "expires_at must be a datetime or Unix seconds, not "
                         "%.200s",
                         Py_TYPE(value)->tp_name);
            return -1;
        }
        *pseconds = PyFloat_AsDouble(value);
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *offset = PyObject_CallMethod(value, "utcoffset", NULL);
    if (offset == NULL)
        return -1;
    Py_DECREF(offset);
    if (offset == Py_None) {
        PyErr_SetString(PyExc_ValueError,
                        "expires_at must be an aware datetime: give it a "
                        "timezone");
        return -1;
    }
    PyObject *seconds = PyObject_CallMethod(value, "timestamp", NULL);
    if (seconds == NULL)
        return -1;
    *pseconds = PyFloat_AsDouble(seconds);
    Py_DECREF(seconds);
    return PyErr_Occurred() ? -1 : 0;
}

/* *pms is 0 for never, so the beginning of 1970 and what is before it count as
 * one millisecond later. */
static int
read_expires_at(fq_state *state, PyObject *value, int64_t *pms)
{
    *pms = 0;
    if (value == NULL || value == Py_None)
        return 0;
    double seconds;
    if (read_seconds(state, value, &seconds) < 0)
        return -1;
    if (isnan(seconds) || seconds > EXPIRES_MAX_S) {
        PyErr_Format(PyExc_ValueError,
                     "expires_at must be Unix seconds, not %R", value);
        return -1;
    }
    double ms = floor(seconds * 1000.0 + 0.5);
    *pms = ms < 1.0 ? 1 : (int64_t)ms;
    return 0;
}

/* A mapping; NULL, None or an empty one: no claims. */
static int
read_claims(fq_state *state, PyObject *value, fq_buf *buf, fq_str *pclaims)
{
    *pclaims = fq_str_make(NULL, 0);
    if (value == NULL || value == Py_None)
        return 0;
    if (fq_convert_to_json(state, value, "claims", buf) < 0)
        return -1;
    if (buf->ptr[0] != '{') {
        PyErr_Format(PyExc_TypeError, "claims must be a dict, not %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    if (buf->len > 2)
        *pclaims = fq_buf_str(buf);
    return 0;
}

static int
read_optional(PyObject *value, const char *name, fq_str *pstr)
{
    return fq_convert_peek_optional_str(value == NULL ? Py_None : value, name,
                                        pstr);
}

/* The context that |values| describe. */
static int
make_context(fq_state *state, PyObject *const *values,
             fq_security_context **pcontext)
{
    *pcontext = NULL;
    int result = -1;
    fq_buf claims = FQ_BUF_INIT;
    name_list roles = {0};
    name_list boundaries = {0};
    name_list fields = {0};
    fq_security_context_args args = {0};
    if (read_optional(values[ARG_USER_ID], "user_id", &args.user_id) < 0
        || read_optional(values[ARG_TENANT_ID], "tenant_id", &args.tenant_id)
               < 0
        || read_names(values[ARG_ROLES], "roles", &roles) < 0
        || read_names(values[ARG_BOUNDARIES], "boundaries", &boundaries) < 0
        || read_names(values[ARG_FIELDS], "fields", &fields) < 0
        || read_claims(state, values[ARG_CLAIMS], &claims, &args.claims) < 0
        || read_expires_at(state, values[ARG_EXPIRES_AT], &args.expires_at_ms)
               < 0)
        goto out;
    args.roles = roles.names;
    args.n_roles = roles.n_names;
    args.boundaries = boundaries.names;
    args.n_boundaries = boundaries.n_names;
    args.has_fields = fields.list != NULL;
    args.fields = fields.names;
    args.n_fields = fields.n_names;
    fq_status status = fq_security_context_new(&args, pcontext);
    if (status == FQ_OK)
        result = 0;
    else
        fq_errors_raise(state, status, NULL);
out:
    fq_buf_fini(&claims);
    free_names(&roles);
    free_names(&boundaries);
    free_names(&fields);
    return result;
}

/* The object of |context|, a reference to which is stolen. */
static PyObject *
steal_context(PyTypeObject *type, fq_security_context *context)
{
    context_object *self = (context_object *)type->tp_alloc(type, 0);
    if (self == NULL)
        fq_security_context_unref(context);
    else
        self->context = context;
    return (PyObject *)self;
}

static PyObject *
make_object(PyTypeObject *type, PyObject *const *values)
{
    fq_security_context *context;
    if (make_context(fq_state_of_type(type), values, &context) < 0)
        return NULL;
    return steal_context(type, context);
}

PyObject *
fq_security_context_object_new(fq_state *state, fq_security_context *context)
{
    if (context == NULL)
        Py_RETURN_NONE;
    return steal_context(state->security_context_type,
                         fq_security_context_ref(context));
}

bool
fq_security_context_object_check(fq_state *state, PyObject *object)
{
    return Py_TYPE(object) == state->security_context_type;
}

fq_security_context *
fq_security_context_object_peek(PyObject *object)
{
    return ((context_object *)object)->context;
}

/* The values of |dict| by their names. */
static int
read_dict(PyObject *dict, PyObject **values)
{
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(dict, &pos, &name, &value)) {
        size_t i = 0;
        while (
            i < N_ARGS
            && !(PyUnicode_Check(name)
                 && PyUnicode_CompareWithASCIIString(name, arg_names[i]) == 0))
            i++;
        if (i == N_ARGS) {
            PyErr_Format(PyExc_TypeError,
                         "a security context has no %R: what is the "
                         "application's own goes into claims",
                         name);
            return -1;
        }
        values[i] = value;
    }
    return 0;
}

int
fq_security_context_object_read(fq_state *state, PyObject *value,
                                fq_security_context **pcontext)
{
    *pcontext = NULL;
    if (fq_security_context_object_check(state, value)) {
        *pcontext = fq_security_context_ref(
            fq_security_context_object_peek(value));
        return 0;
    }
    if (!PyMapping_Check(value) || PyUnicode_Check(value)
        || PyBytes_Check(value) || PyList_Check(value)
        || PyTuple_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "a security context is a SecurityContext or a dict, not "
                     "%.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject *values[N_ARGS] = {NULL};
    PyObject *dict = PyDict_New();
    int result = dict == NULL ? -1 : PyDict_Update(dict, value);
    if (result == 0)
        result = read_dict(dict, values);
    if (result == 0)
        result = make_context(state, values, pcontext);
    Py_XDECREF(dict);
    return result;
}

static PyObject *
context_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"user_id",    "tenant_id",  "roles", "claims",
                            "boundaries", "expires_at", NULL};
    PyObject *values[N_ARGS] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOOOO:SecurityContext",
                                     names, &values[0], &values[1], &values[2],
                                     &values[3], &values[4], &values[5]))
        return NULL;
    return make_object(type, values);
}

PyDoc_STRVAR(
    with_rbac_doc,
    "with_rbac($type, /, user_id, tenant_id, requested_fields)\n--\n\n"
    "One that may select the root fields and types named in "
    "`requested_fields` only.");

static PyObject *
context_with_rbac(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"user_id", "tenant_id", "requested_fields", NULL};
    PyObject *values[N_ARGS] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OOO:with_rbac", names, &values[ARG_USER_ID],
            &values[ARG_TENANT_ID], &values[ARG_FIELDS]))
        return NULL;
    if (values[ARG_FIELDS] == Py_None) {
        PyErr_SetString(PyExc_TypeError,
                        "requested_fields must be a list of str, not None");
        return NULL;
    }
    return make_object((PyTypeObject *)type, values);
}

static PyObject *
context_restore(PyObject *type, PyObject *args)
{
    PyObject *values[N_ARGS];
    long long expires_at_ms;
    if (!PyArg_ParseTuple(args, "OOOOOOL:_restore", &values[ARG_USER_ID],
                          &values[ARG_TENANT_ID], &values[ARG_ROLES],
                          &values[ARG_CLAIMS], &values[ARG_BOUNDARIES],
                          &values[ARG_FIELDS], &expires_at_ms))
        return NULL;
    values[ARG_EXPIRES_AT] = NULL;
    PyObject *self = make_object((PyTypeObject *)type, values);
    if (self != NULL)
        fq_security_context_object_peek(self)->expires_at_ms = expires_at_ms;
    return self;
}

static void
context_dealloc(context_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    fq_security_context_unref(self->context);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ── to Python ── */

static PyObject *
text_or_none(fq_str text)
{
    if (text.ptr == NULL)
        Py_RETURN_NONE;
    return fq_convert_str(text);
}

static PyObject *
names_tuple(const fq_name_set *set)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)set->n_names);
    for (size_t i = 0; tuple != NULL && i < set->n_names; i++) {
        PyObject *name = fq_convert_str(set->names[i]);
        if (name == NULL)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, name);
    }
    return tuple;
}

#define CONTEXT(self) (((context_object *)(self))->context)

static PyObject *
context_get_user_id(PyObject *self, void *Py_UNUSED(closure))
{
    return text_or_none(CONTEXT(self)->user_id);
}

static PyObject *
context_get_tenant_id(PyObject *self, void *Py_UNUSED(closure))
{
    return text_or_none(CONTEXT(self)->tenant_id);
}

static PyObject *
context_get_roles(PyObject *self, void *Py_UNUSED(closure))
{
    return names_tuple(&CONTEXT(self)->roles);
}

static PyObject *
context_get_boundaries(PyObject *self, void *Py_UNUSED(closure))
{
    return names_tuple(&CONTEXT(self)->boundaries);
}

static PyObject *
context_get_fields(PyObject *self, void *Py_UNUSED(closure))
{
    if (!CONTEXT(self)->has_fields)
        Py_RETURN_NONE;
    return names_tuple(&CONTEXT(self)->fields);
}

static PyObject *
context_get_claims(PyObject *self, void *Py_UNUSED(closure))
{
    if (CONTEXT(self)->claims == NULL)
        return PyDict_New();
    return fq_convert_from_json(fq_state_of(self), CONTEXT(self)->claims_text);
}

static PyObject *
context_get_expires_at(PyObject *self, void *Py_UNUSED(closure))
{
    fq_state *state = fq_state_of(self);
    int64_t ms = CONTEXT(self)->expires_at_ms;
    if (ms == 0)
        Py_RETURN_NONE;
    if (fq_event_object_import_datetime(state) < 0)
        return NULL;
    return PyObject_CallMethod(state->datetime_type, "fromtimestamp", "dO",
                               (double)ms / 1000.0, state->utc);
}

static PyObject *
context_reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *restore = PyObject_GetAttrString((PyObject *)Py_TYPE(self),
                                               "_restore");
    if (restore == NULL)
        return NULL;
    return Py_BuildValue(
        "N(NNNNNNL)", restore, context_get_user_id(self, NULL),
        context_get_tenant_id(self, NULL), context_get_roles(self, NULL),
        context_get_claims(self, NULL), context_get_boundaries(self, NULL),
        context_get_fields(self, NULL),
        (long long)CONTEXT(self)->expires_at_ms);
}

/* Adds `, name=value` to |parts| where the value says something; |value| is
 * stolen. */
static int
repr_add(PyObject *parts, const char *name, PyObject *value)
{
    if (value == NULL)
        return -1;
    int result = 0;
    bool is_empty = value == Py_None
                    || (PyTuple_Check(value) && PyTuple_GET_SIZE(value) == 0
                        && strcmp(name, "fields") != 0);
    if (!is_empty) {
        PyObject *part = PyUnicode_FromFormat("%s=%R", name, value);
        result = part == NULL ? -1 : PyList_Append(parts, part);
        Py_XDECREF(part);
    }
    Py_DECREF(value);
    return result;
}

/* Claims may be secrets, and a repr ends in logs. */
static PyObject *
context_repr(PyObject *self)
{
    PyObject *parts = PyList_New(0);
    PyObject *text = NULL;
    if (parts == NULL
        || repr_add(parts, "user_id", context_get_user_id(self, NULL)) < 0
        || repr_add(parts, "tenant_id", context_get_tenant_id(self, NULL)) < 0
        || repr_add(parts, "roles", context_get_roles(self, NULL)) < 0
        || repr_add(parts, "boundaries", context_get_boundaries(self, NULL))
               < 0
        || repr_add(parts, "expires_at", context_get_expires_at(self, NULL))
               < 0
        || repr_add(parts, "fields", context_get_fields(self, NULL)) < 0)
        goto out;
    PyObject *comma = PyUnicode_FromString(", ");
    PyObject *inner = comma == NULL ? NULL : PyUnicode_Join(comma, parts);
    Py_XDECREF(comma);
    if (inner != NULL)
        text = PyUnicode_FromFormat(
            "SecurityContext(%U%s)", inner,
            CONTEXT(self)->claims == NULL ? "" : ", claims=<hidden>");
    Py_XDECREF(inner);
out:
    Py_XDECREF(parts);
    return text;
}

static PyObject *
context_richcompare(PyObject *a, PyObject *b, int op)
{
    if (Py_TYPE(a) != Py_TYPE(b) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    bool equal = fq_security_context_eq(CONTEXT(a), CONTEXT(b));
    return PyBool_FromLong(equal == (op == Py_EQ));
}

/* Of what equal ones have in common, and others rarely. */
static Py_hash_t
context_hash(PyObject *self)
{
    const fq_security_context *context = CONTEXT(self);
    PyObject *key = Py_BuildValue(
        "(NNNNL)", context_get_user_id(self, NULL),
        context_get_tenant_id(self, NULL), context_get_roles(self, NULL),
        context_get_boundaries(self, NULL), (long long)context->expires_at_ms);
    if (key == NULL)
        return -1;
    Py_hash_t hash = PyObject_Hash(key);
    Py_DECREF(key);
    return hash;
}

/* ── the type ── */

static PyGetSetDef context_getset[] = {
    {"user_id", context_get_user_id, NULL, PyDoc_STR("Who it is, or None."),
     NULL},
    {"tenant_id", context_get_tenant_id, NULL,
     PyDoc_STR("The tenant they belong to, or None."), NULL},
    {"roles", context_get_roles, NULL,
     PyDoc_STR("What they are: names in order, each once."), NULL},
    {"claims", context_get_claims, NULL,
     PyDoc_STR("What else is known of them: a fresh dict."), NULL},
    {"boundaries", context_get_boundaries, NULL,
     PyDoc_STR("Subgraphs they may reach: names in order, each once."), NULL},
    {"fields", context_get_fields, NULL,
     PyDoc_STR("The only root fields and types they may select; None: all."),
     NULL},
    {"expires_at", context_get_expires_at, NULL,
     PyDoc_STR("When deliveries stop: an aware datetime in UTC; None: "
               "never."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef context_methods[] = {
    {"with_rbac", (PyCFunction)(void (*)(void))context_with_rbac,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, with_rbac_doc},
    {"_restore", context_restore, METH_VARARGS | METH_CLASS, NULL},
    {"__reduce__", context_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    context_doc,
    "SecurityContext(user_id, tenant_id=None, roles=(), claims={}, "
    "boundaries=(),\n"
    "                expires_at=None)\n--\n\n"
    "Who a client is and what it may reach, immutable.\n\n"
    "An empty user_id or tenant_id is none. `claims` is converted to JSON "
    "when the\ncontext is made. `expires_at` is an aware datetime or Unix "
    "seconds: from then\non nothing is delivered.\n\n"
    "Raises:\n"
    "    TypeError: an argument has the wrong type.\n"
    "    ValueError: `expires_at` has no timezone or is no time, `claims` "
    "hold what is\n        not JSON.");

static PyType_Slot context_slots[] = {
    {Py_tp_doc, (void *)context_doc},
    {Py_tp_new, context_new},
    {Py_tp_dealloc, context_dealloc},
    {Py_tp_repr, context_repr},
    {Py_tp_richcompare, context_richcompare},
    {Py_tp_hash, context_hash},
    {Py_tp_getset, context_getset},
    {Py_tp_methods, context_methods},
    {0, NULL},
};

static PyType_Spec context_spec = {
    .name = "fraiseql_asgi.SecurityContext",
    .basicsize = sizeof(context_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = context_slots,
};

int
fq_security_context_init(PyObject *module, fq_state *state)
{
    state->security_context_type = fq_state_add_type(module, &context_spec,
                                                     NULL);
    return state->security_context_type == NULL ? -1 : 0;
}
