/* SPDX-License-Identifier: MIT */
/* Entrance: settings checked once, and scopes judged by them. Thread: loop. */
#include "python/entrance.h"

#include "base/buf.h"
#include "base/clock.h"
#include "protocol/forwarded.h"
#include "protocol/origin.h"
#include "python/asgi_scope.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/parts.h"
#include "python/resolver.h"
#include "python/service_object.h"

typedef struct fq_entrance {
    PyObject_HEAD
    PyObject *texts; /* a tuple of str, of which |origins| has slices */
    fq_origins origins;
    fq_proxies proxies;
    bool has_told; /* a refusal was logged */
} fq_entrance;

/* ── settings ── */

static int
add_origin(fq_state *state, fq_entrance *self, fq_str text)
{
    if (fq_str_eq(text, FQ_STR_LIT("*")))
        self->origins.allows_all = true;
    else if (fq_str_eq(text, FQ_STR_LIT("self")))
        self->origins.allows_same = true;
    else if (fq_str_eq(text, FQ_STR_LIT("null")))
        self->origins.allows_opaque = true;
    else if (fq_origin_parse(text, &self->origins.items[self->origins.n_items])
             == FQ_OK)
        self->origins.n_items++;
    else {
        PyErr_Format(state->ConfigError,
                     "allowed_origins: '%.300s' is no origin: write "
                     "\"https://example.com\" or "
                     "\"https://example.com:8443\", \"self\" or \"*\"",
                     text.len == 0 ? "" : text.ptr);
        return -1;
    }
    return 0;
}

static int
add_proxy(fq_state *state, fq_entrance *self, fq_str text)
{
    if (fq_str_eq(text, FQ_STR_LIT("*")))
        self->proxies.has_all = true;
    else if (fq_str_eq(text, FQ_STR_LIT("unix")))
        self->proxies.has_local = true;
    else if (fq_network_parse(
                 text, &self->proxies.networks[self->proxies.n_networks])
             == FQ_OK)
        self->proxies.n_networks++;
    else {
        PyErr_Format(state->ConfigError,
                     "trusted_proxies: '%.300s' is no address and no "
                     "network: write \"192.0.2.1\", \"10.0.0.0/8\", \"unix\" "
                     "or \"*\"",
                     text.len == 0 ? "" : text.ptr);
        return -1;
    }
    return 0;
}

/* Calls |add| with each of |texts|, a tuple of str. */
static int
add_all(fq_state *state, fq_entrance *self, PyObject *texts, const char *what,
        int (*add)(fq_state *, fq_entrance *, fq_str))
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(texts); i++) {
        fq_str text;
        if (fq_convert_peek_str(PyTuple_GET_ITEM(texts, i), what, &text) < 0
            || add(state, self, text) < 0)
            return -1;
    }
    return 0;
}

static PyObject *
entrance_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"allowed_origins", "trusted_proxies", NULL};
    PyObject *origins, *proxies;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!:Entrance", names,
                                     &origins, &PyTuple_Type, &proxies))
        return NULL;
    if (origins != Py_None && !PyTuple_Check(origins)) {
        PyErr_SetString(PyExc_TypeError,
                        "allowed_origins must be a tuple or None");
        return NULL;
    }
    fq_state *state = fq_state_of_type(type);
    fq_entrance *self = (fq_entrance *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    size_t n_proxies = (size_t)PyTuple_GET_SIZE(proxies);
    self->proxies.networks = PyMem_New(fq_network, n_proxies);
    if (self->proxies.networks == NULL)
        goto nomem;
    if (origins == Py_None)
        self->origins.allows_same = true;
    else {
        size_t n_origins = (size_t)PyTuple_GET_SIZE(origins);
        self->texts = Py_NewRef(origins);
        self->origins.items = PyMem_New(fq_origin, n_origins);
        if (self->origins.items == NULL)
            goto nomem;
        if (add_all(state, self, origins, "an origin", add_origin) < 0)
            goto fail;
    }
    if (add_all(state, self, proxies, "a proxy", add_proxy) < 0)
        goto fail;
    return (PyObject *)self;
nomem:
    PyErr_NoMemory();
fail:
    Py_DECREF(self);
    return NULL;
}

static void
entrance_dealloc(fq_entrance *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyMem_Free(self->origins.items);
    PyMem_Free(self->proxies.networks);
    Py_XDECREF(self->texts);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ── headers ── */

/* What is read of them. All but |forwarded_for| are slices of the scope's own
 * bytes. */
typedef struct headers {
    fq_str origin;
    fq_str host;
    fq_str forwarded_host;
    fq_str forwarded_proto;
    fq_buf forwarded_for; /* several are one list */
    int n_origins;
    int n_hosts;
} headers;

static void
headers_add(headers *self, fq_str name, fq_str value)
{
    if (fq_str_eq(name, FQ_STR_LIT("origin"))) {
        self->origin = value;
        self->n_origins++;
    } else if (fq_str_eq(name, FQ_STR_LIT("host"))) {
        self->host = value;
        self->n_hosts++;
    } else if (fq_str_eq(name, FQ_STR_LIT("x-forwarded-host"))) {
        self->forwarded_host = value;
    } else if (fq_str_eq(name, FQ_STR_LIT("x-forwarded-proto"))) {
        self->forwarded_proto = value;
    } else if (fq_str_eq(name, FQ_STR_LIT("x-forwarded-for"))) {
        if (self->forwarded_for.len > 0)
            fq_buf_append_char(&self->forwarded_for, ',');
        fq_buf_append_str(&self->forwarded_for, value);
    }
}

/* Reads a name or value, which is bytes. */
static int
peek_bytes(PyObject *bytes, fq_str *pstr)
{
    if (!PyBytes_Check(bytes)) {
        PyErr_Format(PyExc_TypeError,
                     "a header of an ASGI scope is %.100s, not bytes",
                     Py_TYPE(bytes)->tp_name);
        return -1;
    }
    *pstr = fq_str_make(PyBytes_AS_STRING(bytes),
                        (size_t)PyBytes_GET_SIZE(bytes));
    return 0;
}

/* Reads the headers of |scope|. *pheld keeps the slices alive. */
static int
read_headers(fq_state *state, PyObject *scope, headers *self, PyObject **pheld)
{
    *pheld = NULL;
    PyObject *list = fq_asgi_scope_get(scope, state->str_headers);
    if (list == NULL)
        return PyErr_Occurred() ? -1 : 0;
    *pheld = PySequence_Tuple(list);
    Py_DECREF(list);
    if (*pheld == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(*pheld); i++) {
        PyObject *pair = PyTuple_GET_ITEM(*pheld, i);
        fq_str name, value;
        PyObject *items[2];
        if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
            items[0] = PyTuple_GET_ITEM(pair, 0);
            items[1] = PyTuple_GET_ITEM(pair, 1);
        } else if (PyList_Check(pair) && PyList_GET_SIZE(pair) == 2) {
            items[0] = PyList_GET_ITEM(pair, 0);
            items[1] = PyList_GET_ITEM(pair, 1);
        } else {
            PyErr_SetString(PyExc_TypeError,
                            "a header of an ASGI scope is no pair");
            return -1;
        }
        if (peek_bytes(items[0], &name) < 0
            || peek_bytes(items[1], &value) < 0)
            return -1;
        headers_add(self, name, value);
    }
    if (fq_buf_status(&self->forwarded_for) == FQ_OK)
        return 0;
    PyErr_NoMemory();
    return -1;
}

/* The first of a list, without the space around it. */
static fq_str
first_of_list(fq_str list)
{
    const char *comma = list.len == 0 ? NULL : memchr(list.ptr, ',', list.len);
    if (comma != NULL)
        list.len = (size_t)(comma - list.ptr);
    while (list.len > 0 && list.ptr[list.len - 1] == ' ')
        list.len--;
    return list;
}

/* ── where a client is ── */

/* Reads the other end of the connection: 1, or 0 when it has no address, or
 * -1 with an exception. */
static int
read_peer(fq_state *state, PyObject *scope, fq_address *paddress)
{
    PyObject *client = fq_asgi_scope_get(scope, state->str_client);
    if (client == NULL)
        return PyErr_Occurred() ? -1 : 0;
    int is_known = 0;
    PyObject *host = NULL;
    if (client != Py_None) {
        host = PySequence_GetItem(client, 0);
        if (host == NULL)
            is_known = -1;
    }
    if (host != NULL && PyUnicode_Check(host)) {
        Py_ssize_t len;
        const char *text = PyUnicode_AsUTF8AndSize(host, &len);
        if (text == NULL)
            PyErr_Clear();
        else
            is_known = fq_address_parse(fq_str_make(text, (size_t)len),
                                        paddress)
                       == FQ_OK;
    }
    Py_XDECREF(host);
    Py_DECREF(client);
    return is_known;
}

/* What a scope says of who asks. */
typedef struct asker {
    headers headers;
    PyObject *held;
    fq_str scheme; /* "http" or "https", as the client sees it */
    fq_str host;   /* likewise */
    fq_address address;
    bool has_address;
} asker;

/* True when the scope's scheme is one with TLS. */
static int
read_scheme(fq_state *state, PyObject *scope, bool *pis_tls)
{
    *pis_tls = false;
    PyObject *scheme = fq_asgi_scope_get(scope, state->str_scheme);
    if (scheme == NULL)
        return PyErr_Occurred() ? -1 : 0;
    *pis_tls = PyUnicode_Check(scheme)
               && (PyUnicode_CompareWithASCIIString(scheme, "wss") == 0
                   || PyUnicode_CompareWithASCIIString(scheme, "https") == 0);
    Py_DECREF(scheme);
    return 0;
}

static int
read_asker(fq_state *state, const fq_entrance *self, PyObject *scope,
           asker *asker)
{
    bool is_tls;
    if (read_headers(state, scope, &asker->headers, &asker->held) < 0
        || read_scheme(state, scope, &is_tls) < 0)
        return -1;
    int is_known = read_peer(state, scope, &asker->address);
    if (is_known < 0)
        return -1;
    asker->has_address = is_known;
    asker->host = asker->headers.host;
    if (fq_proxies_have(&self->proxies, is_known ? &asker->address : NULL)) {
        fq_str proto = first_of_list(asker->headers.forwarded_proto);
        fq_str host = first_of_list(asker->headers.forwarded_host);
        fq_str names = fq_buf_str(&asker->headers.forwarded_for);
        if (proto.len > 0)
            is_tls = fq_str_eq(proto, FQ_STR_LIT("https"))
                     || fq_str_eq(proto, FQ_STR_LIT("wss"));
        if (host.len > 0)
            asker->host = host;
        if (names.len > 0
            && fq_forwarded_client(&self->proxies, names, &asker->address))
            asker->has_address = true;
    }
    asker->scheme = is_tls ? FQ_STR_LIT("https") : FQ_STR_LIT("http");
    return 0;
}

static void
asker_fini(asker *asker)
{
    fq_buf_fini(&asker->headers.forwarded_for);
    Py_XDECREF(asker->held);
}

/* Two of a header that there is once are somebody's trick. */
static bool
may_page(const fq_entrance *self, const asker *asker)
{
    const headers *headers = &asker->headers;
    if (headers->n_origins == 0 || self->origins.allows_all)
        return true;
    return headers->n_origins == 1 && headers->n_hosts <= 1
           && fq_origins_allow(&self->origins, headers->origin, asker->scheme,
                               asker->host);
}

/* ── asking ── */

/* Says once what is wrong, and what to do if it is not. */
static void
tell(fq_state *state, fq_entrance *self, const asker *asker)
{
    if (self->has_told)
        return;
    self->has_told = true;
    fq_str origin = asker->headers.origin, host = asker->host;
    PyObject *logger = fq_resolver_logger(state);
    PyObject *result = NULL;
    if (logger != NULL)
        result = PyObject_CallMethod(
            logger, "warning", "sy#sy#",
            "a page of %.200r may not connect to %s://%.200r: "
            "allowed_origins= says which may, and trusted_proxies= who ends "
            "TLS or changes the host before us; others are counted as "
            "refused_origins",
            origin.ptr, (Py_ssize_t)origin.len,
            asker->scheme.len == 5 ? "https" : "http", host.ptr,
            (Py_ssize_t)host.len);
    if (result == NULL)
        PyErr_WriteUnraisable(logger);
    Py_XDECREF(result);
}

/* By fq_refusal. */
static const struct {
    int http_status;
    uint16_t close_code;
    const char *text;
} refusals[] = {
    [FQ_REFUSAL_NONE] = {0, 0, NULL},
    [FQ_REFUSAL_CONNECTIONS] = {503, 1013, "Too many connections"},
    [FQ_REFUSAL_ADDRESS_CONNECTIONS]
    = {503, 1013, "Too many connections from this address"},
    [FQ_REFUSAL_HANDSHAKES] = {429, 1013, "Too many handshakes"},
    [FQ_REFUSAL_ADDRESS_HANDSHAKES]
    = {429, 1013, "Too many handshakes from this address"},
};

static int
ask_admission(fq_service *service, const fq_address *address,
              fq_verdict *pverdict)
{
    fq_admission *admission = fq_service_admission(service);
    fq_refusal refusal;
    fq_status status = fq_admission_enter(
        admission, address, fq_clock_now_ns(), &pverdict->visitor, &refusal);
    if (status == FQ_ERR_NOMEM) {
        PyErr_NoMemory();
        return -1;
    }
    pverdict->http_status = refusals[refusal].http_status;
    pverdict->close_code = refusals[refusal].close_code;
    pverdict->text = refusals[refusal].text;
    if (status != FQ_OK)
        pverdict->retry_after_s = fq_admission_retry_after_s(admission,
                                                             refusal);
    return 0;
}

/* Refuses a page, and says so. */
static void
refuse_page(fq_service *service, fq_entrance *self, const asker *asker)
{
    fq_service_count_origin(service);
    tell(fq_state_of((PyObject *)self), self, asker);
}

int
fq_entrance_ask(PyObject *service_object, PyObject *scope, bool is_page_asked,
                fq_verdict *pverdict)
{
    *pverdict = (fq_verdict){0};
    fq_state *state = fq_state_of(service_object);
    fq_service *service = fq_service_object_peek(service_object);
    if (service == NULL)
        return -1;
    fq_entrance *self
        = (fq_entrance *)((fq_service_object *)service_object)->entrance;
    if (self == NULL || scope == NULL)
        return ask_admission(service, NULL, pverdict);
    asker asker = {.headers = {.forwarded_for = FQ_BUF_INIT}};
    int status = read_asker(state, self, scope, &asker);
    if (status == 0 && is_page_asked && !may_page(self, &asker)) {
        refuse_page(service, self, &asker);
        pverdict->http_status = 403;
        pverdict->close_code = 1008;
        pverdict->text = "Pages of this origin may not connect";
    } else if (status == 0) {
        status = ask_admission(
            service, asker.has_address ? &asker.address : NULL, pverdict);
    }
    asker_fini(&asker);
    return status;
}

static fq_entrance *
entrance_of(PyObject *service_object)
{
    return (fq_entrance *)((fq_service_object *)service_object)->entrance;
}

int
fq_entrance_may_page(PyObject *service_object, PyObject *scope)
{
    fq_entrance *self = entrance_of(service_object);
    fq_service *service = fq_service_object_peek(service_object);
    if (service == NULL)
        return -1;
    if (self == NULL)
        return 1;
    asker asker = {.headers = {.forwarded_for = FQ_BUF_INIT}};
    int result = read_asker(fq_state_of(service_object), self, scope, &asker);
    if (result == 0) {
        result = may_page(self, &asker);
        if (!result)
            refuse_page(service, self, &asker);
    }
    asker_fini(&asker);
    return result;
}

/* Appends a header to |list|. */
static int
append_header(PyObject *list, const char *name, fq_str value)
{
    PyObject *pair = Py_BuildValue("(yy#)", name, value.ptr,
                                   (Py_ssize_t)value.len);
    int status = pair == NULL ? -1 : PyList_Append(list, pair);
    Py_XDECREF(pair);
    return status;
}

PyObject *
fq_entrance_cors(PyObject *service_object, PyObject *scope)
{
    fq_entrance *self = entrance_of(service_object);
    PyObject *list = PyList_New(0);
    if (list == NULL || self == NULL)
        return list;
    asker asker = {.headers = {.forwarded_for = FQ_BUF_INIT}};
    int status = read_asker(fq_state_of(service_object), self, scope, &asker);
    if (status == 0 && asker.headers.n_origins > 0 && may_page(self, &asker)) {
        /* Cookies go to those that are named alone. */
        bool is_named = !self->origins.allows_all;
        status = append_header(list, "access-control-allow-origin",
                               is_named ? asker.headers.origin
                                        : FQ_STR_LIT("*"));
        if (status == 0 && is_named)
            status = append_header(list, "access-control-allow-credentials",
                                   FQ_STR_LIT("true"));
        if (status == 0 && is_named)
            status = append_header(list, "vary", FQ_STR_LIT("origin"));
    }
    asker_fini(&asker);
    if (status < 0)
        Py_CLEAR(list);
    return list;
}

/* ── the type ── */

PyDoc_STRVAR(allows_doc,
             "allows($self, scope, /)\n--\n\n"
             "Whether a page with the Origin of an ASGI scope may ask; "
             "without one anybody may.");

static PyObject *
entrance_allows(fq_entrance *self, PyObject *scope)
{
    asker asker = {.headers = {.forwarded_for = FQ_BUF_INIT}};
    PyObject *result = NULL;
    if (read_asker(fq_state_of((PyObject *)self), self, scope, &asker) == 0)
        result = PyBool_FromLong(may_page(self, &asker));
    asker_fini(&asker);
    return result;
}

PyDoc_STRVAR(client_doc,
             "client($self, scope, /)\n--\n\n"
             "The address of the client behind trusted proxies, a str; None "
             "where it is not known.");

static PyObject *
entrance_client(fq_entrance *self, PyObject *scope)
{
    asker asker = {.headers = {.forwarded_for = FQ_BUF_INIT}};
    PyObject *result = NULL;
    if (read_asker(fq_state_of((PyObject *)self), self, scope, &asker) == 0) {
        char text[FQ_ADDRESS_TEXT_MAX];
        fq_address_write(&asker.address, text);
        result = asker.has_address ? PyUnicode_FromString(text)
                                   : Py_NewRef(Py_None);
    }
    asker_fini(&asker);
    return result;
}

static PyMethodDef entrance_methods[] = {
    {"allows", (PyCFunction)entrance_allows, METH_O, allows_doc},
    {"client", (PyCFunction)entrance_client, METH_O, client_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(entrance_doc,
             "Entrance(allowed_origins, trusted_proxies)\n--\n\n"
             "Which pages may connect: a tuple, or None for those of the host "
             "itself; and whose word\nis taken for where clients come from. "
             "ConfigError: what is none of that.");

static PyType_Slot entrance_slots[] = {
    {Py_tp_doc, (void *)entrance_doc},
    {Py_tp_new, entrance_new},
    {Py_tp_dealloc, entrance_dealloc},
    {Py_tp_methods, entrance_methods},
    {0, NULL},
};

static PyType_Spec entrance_spec = {
    .name = "fraiseql_asgi._core.Entrance",
    .basicsize = sizeof(fq_entrance),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = entrance_slots,
};

int
fq_entrance_init(PyObject *module, fq_state *state)
{
    state->entrance_type = fq_state_add_type(module, &entrance_spec, NULL);
    return state->entrance_type == NULL ? -1 : 0;
}
