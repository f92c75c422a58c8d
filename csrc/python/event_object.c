/* SPDX-License-Identifier: MIT */
/* The type Event. Everything in it is counted bytes, and Python values are
 * made when asked for: most resolvers never look at the envelope, and a fresh
 * dict at each look keeps the event unchanged whatever is done with it.
 * Thread: loop. */
#include "python/event_object.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bus/event.h"
#include "python/convert.h"
#include "python/parts.h"

typedef struct event_object {
    PyObject_HEAD
    fq_event_parts parts; /* id points to what follows */
    char id[FQ_EVENT_ID_MAX];
} event_object;

static event_object *
event_alloc(PyTypeObject *type)
{
    event_object *self = (event_object *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->parts.id = self->id;
    return self;
}

static fq_rcbuf *
ref_or_null(fq_rcbuf *rcbuf)
{
    return rcbuf == NULL ? NULL : fq_rcbuf_ref(rcbuf);
}

PyObject *
fq_event_object_new(fq_state *state, const fq_event_parts *parts)
{
    FQ_CHECK(parts->channel != NULL && parts->event_type != NULL
             && parts->data != NULL);
    event_object *self = event_alloc(state->event_type);
    if (self == NULL)
        return NULL;
    self->parts.channel = fq_rcbuf_ref(parts->channel);
    self->parts.event_type = fq_rcbuf_ref(parts->event_type);
    self->parts.data = fq_rcbuf_ref(parts->data);
    self->parts.tenant_id = ref_or_null(parts->tenant_id);
    self->parts.boundary = ref_or_null(parts->boundary);
    self->parts.meta = ref_or_null(parts->meta);
    self->parts.created_at_ns = parts->created_at_ns;
    if (parts->id != NULL)
        snprintf(self->id, sizeof(self->id), "%s", parts->id);
    return (PyObject *)self;
}

bool
fq_event_object_check(fq_state *state, PyObject *object)
{
    return Py_TYPE(object) == state->event_type;
}

void
fq_event_object_peek(PyObject *event, fq_event_parts *parts)
{
    *parts = ((event_object *)event)->parts;
}

static int
keep(fq_str text, fq_rcbuf **prcbuf)
{
    if (fq_rcbuf_new(text, prcbuf) == FQ_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

/* The channel and the event type: what fq_event_new refuses too. */
static int
take_name(PyObject *text, const char *name, fq_rcbuf **prcbuf)
{
    fq_str utf8;
    if (fq_convert_peek_str(text, name, &utf8) < 0)
        return -1;
    if (utf8.len == 0) {
        PyErr_Format(PyExc_ValueError, "%s cannot be empty", name);
        return -1;
    }
    if (utf8.len > FQ_EVENT_NAME_MAX) {
        PyErr_Format(PyExc_ValueError,
                     "%s is %zu bytes long; at most %d are allowed", name,
                     utf8.len, FQ_EVENT_NAME_MAX);
        return -1;
    }
    return keep(utf8, prcbuf);
}

static int
take_optional_str(PyObject *text, const char *name, fq_rcbuf **prcbuf)
{
    fq_str utf8;
    if (fq_convert_peek_optional_str(text, name, &utf8) < 0)
        return -1;
    return utf8.ptr == NULL ? 0 : keep(utf8, prcbuf);
}

static int
take_object(fq_state *state, PyObject *value, const char *name,
            fq_rcbuf **prcbuf)
{
    *prcbuf = fq_convert_to_rcbuf(state, value, name, 0);
    if (*prcbuf == NULL)
        return -1;
    if ((*prcbuf)->bytes[0] == '{')
        return 0;
    PyErr_Format(PyExc_TypeError,
                 "%s must be a dict or another object with fields, not "
                 "%.200s",
                 name, Py_TYPE(value)->tp_name);
    return -1;
}

static int
event_fill(event_object *self, PyObject *const *values)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_event_parts *parts = &self->parts;
    if (take_name(values[0], "event_type", &parts->event_type) < 0
        || take_name(values[1], "channel", &parts->channel) < 0
        || take_object(state, values[2], "data", &parts->data) < 0
        || take_optional_str(values[3], "tenant_id", &parts->tenant_id) < 0
        || take_optional_str(values[4], "boundary", &parts->boundary) < 0)
        return -1;
    if (values[5] == Py_None)
        return 0;
    return take_object(state, values[5], "meta", &parts->meta);
}

static PyObject *
event_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"event_type", "channel", "data", "tenant_id",
                            "boundary",   "meta",    NULL};
    PyObject *values[] = {NULL, NULL, NULL, Py_None, Py_None, Py_None};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$OOO:Event", names,
                                     &values[0], &values[1], &values[2],
                                     &values[3], &values[4], &values[5]))
        return NULL;
    event_object *self = event_alloc(type);
    if (self == NULL)
        return NULL;
    self->parts.created_at_ns = fq_clock_wall_ns();
    if (event_fill(self, values) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void
event_dealloc(event_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    fq_rcbuf_unref(self->parts.channel);
    fq_rcbuf_unref(self->parts.event_type);
    fq_rcbuf_unref(self->parts.data);
    fq_rcbuf_unref(self->parts.tenant_id);
    fq_rcbuf_unref(self->parts.boundary);
    fq_rcbuf_unref(self->parts.meta);
    type->tp_free(self);
    Py_DECREF(type);
}

/* The closure of a getter: where its buffer is. */
#define PART(name) ((void *)offsetof(event_object, parts.name))

static fq_rcbuf *
part_of(PyObject *self, void *closure)
{
    return *(fq_rcbuf **)((char *)self + (uintptr_t)closure);
}

static PyObject *
event_get_str(PyObject *self, void *closure)
{
    return fq_convert_rcbuf_str(part_of(self, closure));
}

static PyObject *
event_get_json(PyObject *self, void *closure)
{
    fq_rcbuf *json = part_of(self, closure);
    if (json == NULL)
        Py_RETURN_NONE;
    return fq_convert_from_json(fq_state_of(self), fq_rcbuf_str(json));
}

static PyObject *
event_get_id(PyObject *self, void *Py_UNUSED(closure))
{
    const char *id = ((event_object *)self)->id;
    if (id[0] == '\0')
        Py_RETURN_NONE;
    return fq_convert_str(fq_str_of(id));
}

/* The C API of datetime is a pointer that one interpreter may free while
 * another still holds it, so its class is called like any other. */
int
fq_event_object_import_datetime(fq_state *state)
{
    if (state->utc != NULL && state->datetime_type != NULL)
        return 0;
    PyObject *module = PyImport_ImportModule("datetime");
    if (module == NULL)
        return -1;
    PyObject *timezone = PyObject_GetAttrString(module, "timezone");
    if (timezone != NULL) {
        Py_XSETREF(state->utc, PyObject_GetAttrString(timezone, "utc"));
        Py_DECREF(timezone);
    }
    Py_XSETREF(state->datetime_type,
               PyObject_GetAttrString(module, "datetime"));
    Py_DECREF(module);
    return state->utc == NULL || state->datetime_type == NULL ? -1 : 0;
}

static PyObject *
event_get_created_at(PyObject *self, void *Py_UNUSED(closure))
{
    fq_state *state = fq_state_of(self);
    if (fq_event_object_import_datetime(state) < 0)
        return NULL;
    uint64_t ns = ((event_object *)self)->parts.created_at_ns;
    time_t seconds = (time_t)(ns / FQ_NS_PER_S);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyObject_CallFunction(state->datetime_type, "iiiiiiiO",
                                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                                 tm.tm_hour, tm.tm_min, tm.tm_sec,
                                 (int)(ns % FQ_NS_PER_S / 1000), state->utc);
}

/* Adds |value| (stolen; NULL: an exception is set) to |dict|. */
static int
dict_add(PyObject *dict, const char *name, PyObject *value)
{
    if (value == NULL)
        return -1;
    int result = PyDict_SetItemString(dict, name, value);
    Py_DECREF(value);
    return result;
}

static PyObject *
created_at_text(PyObject *self)
{
    PyObject *created_at = event_get_created_at(self, NULL);
    if (created_at == NULL)
        return NULL;
    PyObject *text = PyObject_CallMethodNoArgs(
        created_at, fq_state_of(self)->str_isoformat);
    Py_DECREF(created_at);
    return text;
}

static PyObject *
event_to_dict(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const fq_event_parts *parts = &((event_object *)self)->parts;
    PyObject *dict = PyDict_New();
    if (dict == NULL)
        return NULL;
    if (dict_add(dict, "id", event_get_id(self, NULL)) < 0
        || dict_add(dict, "event_type", event_get_str(self, PART(event_type)))
               < 0
        || dict_add(dict, "channel", event_get_str(self, PART(channel))) < 0
        || dict_add(dict, "data", event_get_json(self, PART(data))) < 0
        || dict_add(dict, "created_at", created_at_text(self)) < 0)
        goto fail;
    if (parts->tenant_id != NULL
        && dict_add(dict, "tenant_id", event_get_str(self, PART(tenant_id)))
               < 0)
        goto fail;
    if (parts->boundary != NULL
        && dict_add(dict, "boundary", event_get_str(self, PART(boundary))) < 0)
        goto fail;
    if (parts->meta != NULL
        && dict_add(dict, "meta", event_get_json(self, PART(meta))) < 0)
        goto fail;
    return dict;

fail:
    Py_DECREF(dict);
    return NULL;
}

/* What a pickle holds: the arguments of event_restore. */
static PyObject *
event_reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const event_object *event = (event_object *)self;
    PyObject *type = (PyObject *)Py_TYPE(self);
    PyObject *restore = PyObject_GetAttrString(type, "_restore");
    if (restore == NULL)
        return NULL;
    return Py_BuildValue(
        "N(NNNNNNNK)", restore, event_get_str(self, PART(event_type)),
        event_get_str(self, PART(channel)), event_get_json(self, PART(data)),
        event_get_str(self, PART(tenant_id)),
        event_get_str(self, PART(boundary)), event_get_json(self, PART(meta)),
        event_get_id(self, NULL),
        (unsigned long long)event->parts.created_at_ns);
}

static PyObject *
event_restore(PyObject *type, PyObject *args)
{
    PyObject *values[6];
    const char *id;
    unsigned long long created_at_ns;
    if (!PyArg_ParseTuple(args, "OOOOOOzK:_restore", &values[0], &values[1],
                          &values[2], &values[3], &values[4], &values[5], &id,
                          &created_at_ns))
        return NULL;
    event_object *self = event_alloc((PyTypeObject *)type);
    if (self == NULL)
        return NULL;
    self->parts.created_at_ns = created_at_ns;
    if (id != NULL)
        snprintf(self->id, sizeof(self->id), "%s", id);
    if (event_fill(self, values) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static PyObject *
event_repr(PyObject *self)
{
    PyObject *id = event_get_id(self, NULL);
    PyObject *event_type = event_get_str(self, PART(event_type));
    PyObject *channel = event_get_str(self, PART(channel));
    PyObject *data = event_get_json(self, PART(data));
    PyObject *text = NULL;
    if (id != NULL && event_type != NULL && channel != NULL && data != NULL)
        text = id == Py_None
                   ? PyUnicode_FromFormat("Event(%R, %R, %R)", event_type,
                                          channel, data)
                   : PyUnicode_FromFormat("<Event %U: %R, %R, %R>", id,
                                          event_type, channel, data);
    Py_XDECREF(id);
    Py_XDECREF(event_type);
    Py_XDECREF(channel);
    Py_XDECREF(data);
    return text;
}

static bool
is_same(const fq_rcbuf *a, const fq_rcbuf *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a == b || fq_str_eq(fq_rcbuf_str(a), fq_rcbuf_str(b));
}

static PyObject *
event_richcompare(PyObject *a, PyObject *b, int op)
{
    if (Py_TYPE(a) != Py_TYPE(b) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    const fq_event_parts *x = &((event_object *)a)->parts;
    const fq_event_parts *y = &((event_object *)b)->parts;
    bool equal = x->created_at_ns == y->created_at_ns
                 && strcmp(x->id, y->id) == 0
                 && is_same(x->event_type, y->event_type)
                 && is_same(x->channel, y->channel)
                 && is_same(x->data, y->data)
                 && is_same(x->tenant_id, y->tenant_id)
                 && is_same(x->boundary, y->boundary)
                 && is_same(x->meta, y->meta);
    return PyBool_FromLong(equal == (op == Py_EQ));
}

/* Equal events have equal times, and few others have. */
static Py_hash_t
event_hash(PyObject *self)
{
    uint64_t ns = ((event_object *)self)->parts.created_at_ns;
    Py_hash_t hash = (Py_hash_t)(ns ^ ns >> 32);
    return hash == -1 ? -2 : hash;
}

static PyGetSetDef event_getset[] = {
    {"id", event_get_id, NULL,
     PyDoc_STR("What the bus calls it, a str; None until it is published."),
     NULL},
    {"created_at", event_get_created_at, NULL,
     PyDoc_STR("When it was made: an aware datetime in UTC."), NULL},
    {"event_type", event_get_str, NULL,
     PyDoc_STR("What happened, such as 'orderUpdated'."), PART(event_type)},
    {"channel", event_get_str, NULL,
     PyDoc_STR("The channel it is published to."), PART(channel)},
    {"data", event_get_json, NULL,
     PyDoc_STR("What it says: a fresh dict, as read from its JSON."),
     PART(data)},
    {"tenant_id", event_get_str, NULL,
     PyDoc_STR("The tenant it belongs to, or None."), PART(tenant_id)},
    {"boundary", event_get_str, NULL,
     PyDoc_STR("The subgraph that owns it, or None."), PART(boundary)},
    {"meta", event_get_json, NULL,
     PyDoc_STR("What travels along, such as 'traceparent': a fresh dict, or "
               "None."),
     PART(meta)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef event_methods[] = {
    {"to_dict", event_to_dict, METH_NOARGS,
     PyDoc_STR("to_dict($self, /)\n--\n\n"
               "The event as a dict for json.dumps: `id`, `event_type`, "
               "`channel`, `data`,\n`created_at` in ISO 8601, and, where "
               "given, `tenant_id`, `boundary`, `meta`.")},
    {"_restore", event_restore, METH_VARARGS | METH_CLASS, NULL},
    {"__reduce__", event_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    event_doc,
    "Event(event_type, channel, data, *, tenant_id=None, boundary=None, "
    "meta=None)\n--\n\n"
    "Something that happened, immutable.\n\n"
    "`data` is converted to JSON when the event is made: later changes of "
    "what was\ngiven do not reach it.\n\n"
    "Raises:\n"
    "    TypeError: a name is no str, `data` or `meta` no object, or "
    "something in them\n        has no JSON.\n"
    "    ValueError: a name is empty or over 1,024 bytes, or `data` holds "
    "NaN, an\n        infinity, a lone surrogate, or more than 200 levels; "
    "the text begins\n        with the path.");

static PyType_Slot event_slots[] = {
    {Py_tp_doc, (void *)event_doc},
    {Py_tp_new, event_new},
    {Py_tp_dealloc, event_dealloc},
    {Py_tp_repr, event_repr},
    {Py_tp_richcompare, event_richcompare},
    {Py_tp_hash, event_hash},
    {Py_tp_getset, event_getset},
    {Py_tp_methods, event_methods},
    {0, NULL},
};

static PyType_Spec event_spec = {
    .name = "fraiseql_asgi.Event",
    .basicsize = sizeof(event_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = event_slots,
};

int
fq_event_object_init(PyObject *module, fq_state *state)
{
    state->event_type = fq_state_add_type(module, &event_spec, NULL);
    return state->event_type == NULL ? -1 : 0;
}
