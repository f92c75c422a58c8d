/* SPDX-License-Identifier: MIT */
/* Service: looking at what is live, ending it, and who decides about clients.
 * Each method waits for the reactor without the GIL. Thread: loop (any thread
 * that holds the GIL). */
#include "python/service_object.h"

#include "base/clock.h"
#include "json/reader.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/resolver.h"
#include "reactor/management.h"

/* (user_id, tenant_id, connection_id, channel), each a str or None. */
static int
read_query(PyObject *const *args, fq_live_query *query)
{
    if (fq_convert_peek_optional_str(args[0], "user_id", &query->user_id) < 0
        || fq_convert_peek_optional_str(args[1], "tenant_id",
                                        &query->tenant_id)
               < 0
        || fq_convert_peek_optional_str(args[2], "connection_id",
                                        &query->connection_id)
               < 0
        || fq_convert_peek_optional_str(args[3], "channel", &query->channel)
               < 0)
        return -1;
    return 0;
}

static fq_ticket *
new_ticket(fq_state *state)
{
    fq_ticket *done;
    fq_status status = fq_ticket_new(NULL, NULL, &done);
    if (status == FQ_OK)
        return done;
    fq_errors_raise(state, status, NULL);
    return NULL;
}

/* The number that |done| (stolen) is completed with; |status| is that of
 * asking. */
static PyObject *
wait_for_count(fq_state *state, fq_status status, fq_ticket *done)
{
    PyObject *number = NULL;
    if (fq_service_object_await(state, status, done) == 0)
        number = PyLong_FromString(done->text->bytes, NULL, 10);
    fq_ticket_unref(done);
    return number;
}

PyObject *
fq_service_object_live(fq_service_object *self, PyObject *const *args,
                       Py_ssize_t n_args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_live_query query = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (n_args != 5) {
        PyErr_SetString(PyExc_TypeError, "live() takes 5 arguments");
        return NULL;
    }
    size_t limit = PyLong_AsSize_t(args[4]);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (PyErr_Occurred() || service == NULL || read_query(args, &query) < 0)
        return NULL;
    fq_ticket *done = new_ticket(state);
    if (done == NULL)
        return NULL;
    fq_status status = fq_service_list_subs(service, &query, limit, done);
    PyObject *list = NULL;
    if (fq_service_object_await(state, status, done) == 0)
        list = fq_convert_from_json(state, fq_rcbuf_str(done->text));
    fq_ticket_unref(done);
    return list;
}

PyObject *
fq_service_object_disconnect(fq_service_object *self, PyObject *const *args,
                             Py_ssize_t n_args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_live_query query = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    fq_str reason;
    if (n_args != 6) {
        PyErr_SetString(PyExc_TypeError, "disconnect() takes 6 arguments");
        return NULL;
    }
    unsigned long code = PyLong_AsUnsignedLong(args[4]);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (PyErr_Occurred() || service == NULL || read_query(args, &query) < 0
        || fq_convert_peek_str(args[5], "reason", &reason) < 0)
        return NULL;
    fq_ticket *done = new_ticket(state);
    if (done == NULL)
        return NULL;
    fq_status status = fq_service_disconnect(service, &query, (uint16_t)code,
                                             reason, done);
    return wait_for_count(state, status, done);
}

/* A filter of |ir|, the JSON of its notation; NULL with an exception. */
static fq_filter *
read_filter(fq_state *state, PyObject *ir)
{
    fq_buf buf = FQ_BUF_INIT;
    yyjson_doc *doc = NULL;
    fq_filter *filter = NULL;
    fq_error error = {.message = ""};
    if (fq_convert_to_json(state, ir, "where", &buf) < 0)
        return NULL;
    fq_status status = fq_json_read(fq_buf_str(&buf), FQ_JSON_STRICT, &doc,
                                    &error);
    if (status == FQ_OK)
        status = fq_filter_compile(yyjson_doc_get_root(doc), &filter, &error);
    if (status == FQ_ERR_NOMEM)
        fq_errors_raise(state, status, NULL);
    else if (status != FQ_OK)
        fq_errors_raise_class(state->ConfigError, error.message, NULL);
    fq_json_free(doc);
    fq_buf_fini(&buf);
    return filter;
}

static bool
refuse_path(const fq_filter_path *path, void *arg)
{
    (void)path;
    (void)arg;
    return false;
}

PyObject *
fq_service_object_invalidate(fq_service_object *self, PyObject *ir)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    fq_filter *where = service == NULL ? NULL : read_filter(state, ir);
    if (where == NULL)
        return NULL;
    PyObject *result = NULL;
    fq_ticket *done = NULL;
    if (!fq_filter_each_path(where, refuse_path, NULL))
        fq_errors_raise_class(state->ConfigError,
                              "where is about subscriptions: it may compare "
                              "ctx and arg, and no event",
                              NULL);
    else
        done = new_ticket(state);
    if (done != NULL)
        result = wait_for_count(
            state, fq_service_invalidate(service, where, done), done);
    fq_filter_unref(where);
    return result;
}

/* The token of |handler|, a Resolver that is one; 0 with an exception. */
static uint64_t
add_handler(fq_service_object *self, PyObject *handler)
{
    fq_state *state = fq_state_of((PyObject *)self);
    uint64_t token = 0;
    if (!PyObject_TypeCheck(handler, state->resolver_type)
        || !((fq_resolver *)handler)->is_handler)
        PyErr_SetString(PyExc_TypeError, "handler must be a handler");
    else if (fq_service_object_add_resolver(self, handler, &token) < 0)
        token = 0;
    return token;
}

PyObject *
fq_service_object_hook_with(fq_service_object *self, PyObject *args)
{
    PyObject *hooks, *gate;
    uint64_t token = 0;
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL
        || !PyArg_ParseTuple(args, "OO:hook_with", &hooks, &gate))
        return NULL;
    if (gate != Py_None && (token = add_handler(self, gate)) == 0)
        return NULL;
    Py_XSETREF(self->hooks, Py_NewRef(hooks));
    fq_service_set_hooks(service, token);
    Py_RETURN_NONE;
}

PyObject *
fq_service_object_authenticate_with(fq_service_object *self, PyObject *args)
{
    PyObject *handler;
    double timeout, grace;
    unsigned short code;
    if (!PyArg_ParseTuple(args, "OddH:authenticate_with", &handler, &timeout,
                          &grace, &code))
        return NULL;
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    fq_auth_settings auth = {
        .timeout_ns = (uint64_t)(timeout * FQ_NS_PER_S),
        .expiry_grace_ns = (uint64_t)(grace * FQ_NS_PER_S),
        .expiry_code = code,
    };
    auth.token = add_handler(self, handler);
    if (auth.token == 0)
        return NULL;
    fq_service_set_auth(service, &auth);
    Py_RETURN_NONE;
}
