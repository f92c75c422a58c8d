/* SPDX-License-Identifier: MIT */
/* Compiling filters for Python, and a door through which tests evaluate them.
 * Thread: loop (holds the GIL). */
#include "python/filter_object.h"

#include "base/alloc.h"
#include "json/reader.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/parts.h"

/* |value| as a tree. Returns 0, or -1 with an exception. */
static int
read_value(fq_state *state, PyObject *value, const char *name,
           yyjson_doc **pdoc)
{
    *pdoc = NULL;
    fq_rcbuf *text = fq_convert_to_rcbuf(state, value, name, 0);
    if (text == NULL)
        return -1;
    fq_error error;
    fq_status status = fq_json_read(fq_rcbuf_str(text), FQ_JSON_STRICT, pdoc,
                                    &error);
    fq_rcbuf_unref(text);
    if (status == FQ_OK)
        return 0;
    fq_errors_raise(state, status, &error);
    return -1;
}

int
fq_filter_object_compile(fq_state *state, PyObject *ir, fq_filter **pfilter)
{
    *pfilter = NULL;
    yyjson_doc *doc;
    if (read_value(state, ir, "filter", &doc) < 0)
        return -1;
    fq_error error;
    fq_status status = fq_filter_compile(yyjson_doc_get_root(doc), pfilter,
                                         &error);
    fq_json_free(doc);
    if (status == FQ_OK)
        return 0;
    if (status == FQ_ERR_NOMEM)
        PyErr_NoMemory();
    else
        PyErr_SetString(PyExc_ValueError, error.message);
    return -1;
}

PyDoc_STRVAR(check_doc, "filter_check(ir, /)\n--\n\n"
                        "ValueError if the engine does not compile it.");

static PyObject *
filter_check(PyObject *module, PyObject *ir)
{
    fq_filter *filter;
    if (fq_filter_object_compile(fq_state_of_module(module), ir, &filter) < 0)
        return NULL;
    fq_filter_unref(filter);
    Py_RETURN_NONE;
}

/* -- deciding, for tests -------------------------------------------------- */

/* Most names of one list of a context. */
#define PROBE_NAMES_MAX 16

static void
read_names(yyjson_val *list, fq_str *names, size_t *pn_names)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *item;
    *pn_names = 0;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL
           && *pn_names < PROBE_NAMES_MAX)
        names[(*pn_names)++] = fq_json_str(item);
}

/* A context of a dict of its members. Returns 0, or -1 with an exception. */
static int
read_context(fq_state *state, PyObject *members,
             fq_security_context **pcontext)
{
    *pcontext = NULL;
    yyjson_doc *doc;
    if (read_value(state, members, "context", &doc) < 0)
        return -1;
    yyjson_val *root = yyjson_doc_get_root(doc);
    fq_str roles[PROBE_NAMES_MAX], boundaries[PROBE_NAMES_MAX];
    fq_security_context_args args = {
        .user_id = fq_json_str(yyjson_obj_get(root, "user_id")),
        .tenant_id = fq_json_str(yyjson_obj_get(root, "tenant_id")),
        .roles = roles,
        .boundaries = boundaries,
    };
    read_names(yyjson_obj_get(root, "roles"), roles, &args.n_roles);
    read_names(yyjson_obj_get(root, "boundaries"), boundaries,
               &args.n_boundaries);
    fq_rcbuf *claims = NULL;
    PyObject *dict = PyDict_Check(members)
                         ? PyDict_GetItemString(members, "claims")
                         : NULL;
    int result = -1;
    if (dict != NULL) {
        claims = fq_convert_to_rcbuf(state, dict, "claims", 0);
        if (claims == NULL)
            goto out;
        args.claims = fq_rcbuf_str(claims);
    }
    fq_status status = fq_security_context_new(&args, pcontext);
    if (status == FQ_OK)
        result = 0;
    else
        fq_errors_raise(state, status, NULL);
out:
    fq_rcbuf_unref(claims);
    fq_json_free(doc);
    return result;
}

/* An event of (data, event_type, channel, created_at_ns). NULL with an
 * exception. */
static fq_event *
read_event(fq_state *state, PyObject *item)
{
    PyObject *data;
    const char *type, *channel;
    Py_ssize_t type_len, channel_len;
    unsigned long long created_at_ns;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "an event is a tuple");
        return NULL;
    }
    if (!PyArg_ParseTuple(item, "Os#s#K", &data, &type, &type_len, &channel,
                          &channel_len, &created_at_ns))
        return NULL;
    fq_rcbuf *text = fq_convert_to_rcbuf(state, data, "data", 0);
    if (text == NULL)
        return NULL;
    fq_event *event;
    fq_error error;
    fq_status status = fq_event_new(fq_str_make(channel, (size_t)channel_len),
                                    fq_str_make(type, (size_t)type_len),
                                    fq_rcbuf_str(text), created_at_ns, 0,
                                    &event, &error);
    fq_rcbuf_unref(text);
    if (status != FQ_OK)
        fq_errors_raise(state, status, &error);
    return event;
}

/* Whether |event| has a value of every key of |bound|. */
static bool
has_keys(const fq_filter_bound *bound, const fq_event *event)
{
    fq_filter_key keys[8];
    size_t n_keys = fq_filter_index_keys(bound, keys, 8);
    for (size_t i = 0; i < n_keys; i++) {
        char room[FQ_FILTER_KEY_ROOM], event_room[FQ_FILTER_KEY_ROOM];
        fq_str value, found;
        if (!fq_filter_event_key(keys[i].path, event, event_room, &found))
            return false;
        bool is_there = false;
        fq_status status = FQ_OK;
        for (size_t j = 0; status != FQ_ERR_NOT_FOUND && !is_there; j++) {
            status = fq_filter_key_value(&keys[i], j, room, &value);
            is_there = status == FQ_OK && fq_str_eq(value, found);
        }
        if (!is_there)
            return false;
    }
    return true;
}

/* Appends a decision for each of |events|: '1', '0', or '!' for one that
 * passes and lacks a key. */
static void
decide_events(const fq_filter_bound *bound, fq_event *const *events,
              Py_ssize_t n_events, fq_buf *decisions)
{
    for (Py_ssize_t i = 0; i < n_events; i++) {
        bool passes = fq_filter_eval(bound, events[i]);
        bool is_right = !passes || has_keys(bound, events[i]);
        fq_buf_append_char(decisions, !is_right ? '!' : passes ? '1' : '0');
    }
}

/* The decisions with |args| for everyone of |contexts|. 0, or -1 with an
 * exception. */
static int
decide_contexts(fq_state *state, fq_filter *filter, PyObject *args,
                PyObject *contexts, fq_event *const *events,
                Py_ssize_t n_events, fq_buf *decisions)
{
    yyjson_doc *doc;
    if (read_value(state, args, "args", &doc) < 0)
        return -1;
    int result = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(contexts) && result == 0; i++) {
        fq_security_context *context;
        result = read_context(state, PyList_GET_ITEM(contexts, i), &context);
        if (result < 0)
            break;
        fq_filter_bound *bound;
        fq_status status = fq_filter_bind(filter, yyjson_doc_get_root(doc),
                                          context, &bound);
        fq_security_context_unref(context);
        if (status == FQ_OK) {
            decide_events(bound, events, n_events, decisions);
        } else {
            fq_errors_raise(state, status, NULL);
            result = -1;
        }
        fq_filter_bound_unref(bound);
    }
    fq_json_free(doc);
    return result;
}

PyDoc_STRVAR(decide_doc,
             "filter_decide(ir, args, contexts, events, /)\n--\n\n"
             "What a filter says for each of `args`, `contexts` and `events`, "
             "the last varying\n"
             "fastest: \"0\" or \"1\"; \"!\" when it is let through without "
             "having the keys by\n"
             "which an index would find it. Private.");

static PyObject *
filter_decide(PyObject *module, PyObject *arguments)
{
    fq_state *state = fq_state_of_module(module);
    PyObject *ir, *args, *contexts, *items;
    if (!PyArg_ParseTuple(arguments, "OO!O!O!:filter_decide", &ir,
                          &PyList_Type, &args, &PyList_Type, &contexts,
                          &PyList_Type, &items))
        return NULL;
    fq_filter *filter;
    if (fq_filter_object_compile(state, ir, &filter) < 0)
        return NULL;
    PyObject *result = NULL;
    fq_buf decisions = FQ_BUF_INIT;
    Py_ssize_t n_events = 0;
    fq_event **events = fq_alloc((size_t)PyList_GET_SIZE(items)
                                 * sizeof(fq_event *));
    if (events == NULL) {
        PyErr_NoMemory();
        goto out;
    }
    for (; n_events < PyList_GET_SIZE(items); n_events++) {
        events[n_events] = read_event(state, PyList_GET_ITEM(items, n_events));
        if (events[n_events] == NULL)
            goto out;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args); i++) {
        if (decide_contexts(state, filter, PyList_GET_ITEM(args, i), contexts,
                            events, n_events, &decisions)
            < 0)
            goto out;
    }
    result = fq_buf_status(&decisions) == FQ_OK
                 ? fq_convert_str(fq_buf_str(&decisions))
                 : PyErr_NoMemory();
out:
    while (n_events > 0)
        fq_event_unref(events[--n_events]);
    fq_free(events);
    fq_buf_fini(&decisions);
    fq_filter_unref(filter);
    return result;
}

static PyMethodDef filter_functions[] = {
    {"filter_check", filter_check, METH_O, check_doc},
    {"filter_decide", filter_decide, METH_VARARGS, decide_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_filter_object_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, filter_functions);
}
