/* SPDX-License-Identifier: MIT */
/* Declared fields on their way from Python to the engine: each setting of a
 * declaration is read by a function of its own. Thread: loop (any thread that
 * holds the GIL). */
#include "python/service_object.h"

#include "python/convert.h"
#include "python/errors.h"
#include "python/filter_object.h"
#include "python/resolver.h"

/* A field being read. What |field| points to is owned here or by the
 * arguments. */
typedef struct declaration {
    fq_service_object *service;
    fq_field field;
    fq_str channels[FQ_FIELD_CHANNELS_MAX];
} declaration;

/* A setting beyond those every field has: its name in the dict, and how its
 * value gets into the field. Returns 0, or -1 with an exception. */
typedef struct setting_reader {
    const char *name;
    int (*read)(fq_state *state, PyObject *value, declaration *declaration);
} setting_reader;

/* The Resolver of the initial value. */
static int
read_initial(fq_state *state, PyObject *value, declaration *declaration)
{
    if (!PyObject_TypeCheck(value, state->resolver_type)
        || !((fq_resolver *)value)->is_initial) {
        PyErr_SetString(PyExc_TypeError, "initial must be a Resolver of one");
        return -1;
    }
    return fq_service_object_add_resolver(declaration->service, value,
                                          &declaration->field.initial_token);
}

static int
read_shared(fq_state *Py_UNUSED(state), PyObject *value,
            declaration *declaration)
{
    int is_shared = PyObject_IsTrue(value);
    declaration->field.is_shared = is_shared == 1;
    return is_shared < 0 ? -1 : 0;
}

static int
read_where(fq_state *state, PyObject *ir, declaration *declaration)
{
    return fq_filter_object_compile(state, ir, &declaration->field.where);
}

static int
read_public(fq_state *state, PyObject *value, declaration *declaration)
{
    (void)state;
    int is_public = PyObject_IsTrue(value);
    declaration->field.is_public = is_public > 0;
    return is_public < 0 ? -1 : 0;
}

static int
read_client_filter(fq_state *Py_UNUSED(state), PyObject *name,
                   declaration *declaration)
{
    return fq_convert_peek_str(name, "client_filter",
                               &declaration->field.client_filter);
}

/* The policies of overflow.h as users name them. */
static int
read_overflow(fq_state *Py_UNUSED(state), PyObject *value,
              declaration *declaration)
{
    static const char *const names[] = {
        [FQ_OVERFLOW_DISCONNECT] = "disconnect",
        [FQ_OVERFLOW_DROP_OLDEST] = "drop_oldest",
        [FQ_OVERFLOW_DROP_NEWEST] = "drop_newest",
        [FQ_OVERFLOW_CONFLATE] = "conflate",
    };
    for (size_t i = 0; PyUnicode_Check(value) && i < 4; i++) {
        if (PyUnicode_CompareWithASCIIString(value, names[i]) == 0) {
            declaration->field.overflow = (fq_overflow)i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "no overflow policy %R", value);
    return -1;
}

static int
read_conflate_key(fq_state *Py_UNUSED(state), PyObject *value,
                  declaration *declaration)
{
    fq_str path;
    if (fq_convert_peek_str(value, "conflate_key", &path) < 0)
        return -1;
    if (fq_rcbuf_new(path, &declaration->field.conflate_path) == FQ_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static const setting_reader setting_readers[] = {
    {"client_filter", read_client_filter},
    {"initial", read_initial},
    {"shared", read_shared},
    {"where", read_where},
    {"public", read_public},
    {"overflow", read_overflow},
    {"conflate_key", read_conflate_key},
    {NULL, NULL},
};

static int
read_settings(fq_state *state, PyObject *settings, declaration *declaration)
{
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(settings, &pos, &name, &value)) {
        const setting_reader *reader = setting_readers;
        while (
            reader->name != NULL
            && !(PyUnicode_Check(name)
                 && PyUnicode_CompareWithASCIIString(name, reader->name) == 0))
            reader++;
        if (reader->name == NULL) {
            PyErr_Format(PyExc_TypeError, "no setting %R", name);
            return -1;
        }
        if (reader->read(state, value, declaration) < 0)
            return -1;
    }
    return 0;
}

static int
read_channels(PyObject *channels, declaration *declaration)
{
    Py_ssize_t n_channels = PyTuple_GET_SIZE(channels);
    if (n_channels > FQ_FIELD_CHANNELS_MAX) {
        PyErr_SetString(PyExc_ValueError, "too many channels");
        return -1;
    }
    for (Py_ssize_t i = 0; i < n_channels; i++) {
        if (fq_convert_peek_str(PyTuple_GET_ITEM(channels, i), "channel",
                                &declaration->channels[i])
            < 0)
            return -1;
    }
    declaration->field.channels = declaration->channels;
    declaration->field.n_channels = (size_t)n_channels;
    declaration->field.has_templates = true;
    return 0;
}

static int
read_resolver(fq_state *state, fq_service_object *service, PyObject *resolver,
              fq_field *field)
{
    field->kind = FQ_FIELD_EVENT;
    if (resolver == Py_None)
        return 0;
    if (!PyObject_TypeCheck(resolver, state->resolver_type)) {
        PyErr_SetString(PyExc_TypeError, "resolver must be a Resolver");
        return -1;
    }
    bool is_source = ((fq_resolver *)resolver)->is_source;
    field->kind = is_source ? FQ_FIELD_SOURCE : FQ_FIELD_RESOLVER;
    return fq_service_object_add_resolver(service, resolver, &field->token);
}

static int
add_field(fq_state *state, fq_service *service, const fq_field *field)
{
    fq_ticket *done;
    fq_status status = fq_ticket_new(NULL, NULL, &done);
    if (status != FQ_OK) {
        fq_errors_raise(state, status, NULL);
        return -1;
    }
    status = fq_service_field_add(service, field, done);
    int result = fq_service_object_await(state, status, done);
    fq_ticket_unref(done);
    return result;
}

PyObject *
fq_service_object_field_add(fq_service_object *self, PyObject *args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *name, *channels, *resolver, *returns, *settings;
    if (!PyArg_ParseTuple(args, "OO!OOO!:field_add", &name, &PyTuple_Type,
                          &channels, &resolver, &returns, &PyDict_Type,
                          &settings))
        return NULL;
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    declaration declaration = {.service = self};
    fq_field *field = &declaration.field;
    bool is_added = fq_convert_peek_str(name, "name", &field->name) == 0
                    && fq_service_object_read_returns(returns, &field->returns)
                           == 0
                    && read_channels(channels, &declaration) == 0
                    && read_settings(state, settings, &declaration) == 0
                    && read_resolver(state, self, resolver, field) == 0
                    && add_field(state, service, field) == 0;
    fq_filter_unref(field->where);
    fq_rcbuf_unref(field->conflate_path);
    if (is_added)
        Py_RETURN_NONE;
    if (field->token != 0)
        fq_service_object_drop_resolver(self, field->token);
    if (field->initial_token != 0)
        fq_service_object_drop_resolver(self, field->initial_token);
    return NULL;
}
