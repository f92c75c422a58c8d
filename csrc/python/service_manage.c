/* SPDX-License-Identifier: MIT */
/* Service: looking at what is live, ending it, and who decides about clients.
 * Each method but drain() waits for the reactor without the GIL. Thread: loop (any thread
 * that holds the GIL). */
#include "python/service_object.h"

#include "base/clock.h"
#include "json/reader.h"
#include "json/utf8.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/loop_mailbox.h"
#include "python/publish.h"
#include "python/resolver.h"
#include "reactor/control.h"
#include "reactor/drain.h"
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

/* ── telling other instances ── */

/* Gives |event| (stolen, if |status| is FQ_OK) to the bus, for others: waits
 * until the bus has it where no loop runs. Returns 0, or -1 with an
 * exception. */
static int
tell_others(fq_service_object *self, fq_publisher *publisher, fq_status status,
            fq_event *event, uint64_t timeout_ns)
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (status != FQ_OK) {
        fq_errors_raise(state, status, NULL);
        return -1;
    }
    fq_publish_how how = {.timeout_ns = timeout_ns};
    PyObject *id = fq_publish_blocking(state, publisher, event, &how);
    Py_XDECREF(id);
    return id == NULL ? -1 : 0;
}

PyObject *
fq_service_object_disconnect(fq_service_object *self, PyObject *const *args,
                             Py_ssize_t n_args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_live_query query = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    fq_str reason;
    if (n_args != 7) {
        PyErr_SetString(PyExc_TypeError, "disconnect() takes 7 arguments");
        return NULL;
    }
    unsigned long code = PyLong_AsUnsignedLong(args[4]);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    int everywhere = PyObject_IsTrue(args[6]);
    if (PyErr_Occurred() || service == NULL || read_query(args, &query) < 0
        || fq_convert_peek_str(args[5], "reason", &reason) < 0)
        return NULL;
    fq_ticket *done = new_ticket(state);
    if (done == NULL)
        return NULL;
    fq_service_ref(service); /* others run while this waits */
    fq_status status = fq_service_disconnect(service, &query, (uint16_t)code,
                                             reason, done);
    PyObject *n = wait_for_count(state, status, done);
    fq_event *event;
    if (n != NULL && everywhere && fq_control_has_others(service)) {
        status = fq_control_new_disconnect(service, &query, (uint16_t)code,
                                           reason, &event);
        if (tell_others(self, fq_service_publisher(service), status, event,
                        self->publish_timeout_ns)
            < 0)
            Py_CLEAR(n);
    }
    fq_service_unref(service);
    return n;
}

/* A filter of |ir|, whose JSON is appended to |buf|; NULL with an
 * exception. */
static fq_filter *
read_filter(fq_state *state, PyObject *ir, fq_buf *buf)
{
    yyjson_doc *doc = NULL;
    fq_filter *filter = NULL;
    fq_error error = {.message = ""};
    if (fq_convert_to_json(state, ir, "where", buf) < 0)
        return NULL;
    fq_status status = fq_json_read(fq_buf_str(buf), FQ_JSON_STRICT, &doc,
                                    &error);
    if (status == FQ_OK)
        status = fq_filter_compile(yyjson_doc_get_root(doc), &filter, &error);
    if (status == FQ_ERR_NOMEM)
        fq_errors_raise(state, status, NULL);
    else if (status != FQ_OK)
        fq_errors_raise_class(state->ConfigError, error.message, NULL);
    fq_json_free(doc);
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
fq_service_object_invalidate(fq_service_object *self, PyObject *const *args,
                             Py_ssize_t n_args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    if (n_args != 2) {
        PyErr_SetString(PyExc_TypeError, "invalidate() takes 2 arguments");
        return NULL;
    }
    int everywhere = PyObject_IsTrue(args[1]);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    fq_buf text = FQ_BUF_INIT;
    fq_filter *where = NULL;
    PyObject *result = NULL;
    fq_ticket *done = NULL;
    if (everywhere < 0 || service == NULL)
        return NULL;
    fq_service_ref(service);
    where = read_filter(state, args[0], &text);
    if (where == NULL)
        goto out;
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
    fq_event *event;
    if (result != NULL && everywhere && fq_control_has_others(service)) {
        fq_status status = fq_control_new_invalidate(
            service, fq_buf_str(&text), &event);
        if (tell_others(self, fq_service_publisher(service), status, event,
                        self->publish_timeout_ns)
            < 0)
            Py_CLEAR(result);
    }
out:
    fq_filter_unref(where);
    fq_buf_fini(&text);
    fq_service_unref(service);
    return result;
}

/* ── asking other instances ── */

PyObject *
fq_service_object_ask(fq_service_object *self, PyObject *const *args,
                      Py_ssize_t n_args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    fq_live_query query = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (n_args != 6) {
        PyErr_SetString(PyExc_TypeError, "ask() takes 6 arguments");
        return NULL;
    }
    size_t limit = PyLong_AsSize_t(args[4]);
    double timeout = PyFloat_AsDouble(args[5]);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (PyErr_Occurred() || service == NULL || read_query(args, &query) < 0)
        return NULL;
    if (!fq_control_has_others(service))
        Py_RETURN_NONE;
    fq_ticket *done = new_ticket(state);
    if (done == NULL)
        return NULL;
    fq_service_ref(service);
    PyObject *answers = NULL;
    uint64_t timeout_ns = (uint64_t)(timeout * FQ_NS_PER_S);
    uint64_t number;
    fq_event *event = NULL;
    fq_status status = fq_control_ask(service, timeout_ns, done, &number);
    if (status == FQ_OK)
        status = fq_control_new_question(service, number, &query, limit,
                                         &event);
    /* Where the bus does not take the question, nobody waits for its end. */
    if (tell_others(self, fq_service_publisher(service), status, event,
                    timeout_ns)
            == 0
        && fq_service_object_await(state, FQ_OK, done) == 0)
        answers = fq_convert_from_json(state, fq_rcbuf_str(done->text));
    fq_ticket_unref(done);
    fq_service_unref(service);
    return answers;
}

PyObject *
fq_service_object_instance_id(fq_service_object *self,
                              PyObject *Py_UNUSED(ignored))
{
    char id[FQ_CONTROL_ID_LEN + 1];
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    fq_control_write_id(service, id);
    return PyUnicode_FromString(id);
}

static PyObject *
drain_result(fq_state *state, fq_ticket *ticket)
{
    if (ticket->status == FQ_OK)
        return PyLong_FromString(ticket->text->bytes, NULL, 10);
    return fq_errors_raise(state, ticket->status, NULL);
}

PyObject *
fq_service_object_drain(fq_service_object *self, PyObject *args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    unsigned short code;
    const char *reason;
    Py_ssize_t len;
    double window;
    if (!PyArg_ParseTuple(args, "Hs#d:drain", &code, &reason, &len, &window))
        return NULL;
    fq_str text = fq_utf8_truncate(fq_str_make(reason, (size_t)len),
                                   FQ_CLOSE_REASON_MAX);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    fq_loop_mailbox *mailbox = service == NULL ? NULL
                                               : fq_loop_mailbox_use(state);
    if (mailbox == NULL)
        return NULL;
    fq_ticket *done;
    PyObject *future = fq_loop_mailbox_await_ticket(mailbox, drain_result,
                                                    &done);
    if (future != NULL) {
        fq_status status = fq_service_drain(
            service, code, text, (uint64_t)(window * FQ_NS_PER_S), done);
        if (status != FQ_OK)
            fq_ticket_complete(done, status, NULL);
        fq_ticket_unref(done);
    }
    fq_loop_mailbox_unuse(mailbox);
    return future;
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
