/* SPDX-License-Identifier: MIT */
/* Policies between Python and a service: checked here against the schema, so
 * that what cannot work is said where it was written, and handed over as their
 * text. Thread: loop (any thread that holds the GIL). */
#include "engine/security/policy.h"
#include "json/reader.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/graphql_common.h"
#include "python/parts.h"
#include "python/publish.h"
#include "python/service_object.h"

/* Compiles |doc| for |sdl| (None: no schema) and throws the result away. */
static int
check_policy(fq_state *state, yyjson_doc *doc, PyObject *sdl)
{
    fq_schema *schema = NULL;
    if (sdl != Py_None) {
        schema = fq_graphql_schema(state, sdl);
        if (schema == NULL)
            return -1;
    }
    fq_policy *policy;
    fq_error error = {.status = FQ_OK};
    fq_status status = fq_policy_new(yyjson_doc_get_root(doc), schema, &policy,
                                     &error);
    fq_policy_free(policy);
    fq_schema_unref(schema);
    if (status == FQ_OK)
        return 0;
    if (status == FQ_ERR_NOMEM)
        PyErr_NoMemory();
    else
        fq_errors_raise_class(state->ConfigError,
                              error.message[0] != '\0' ? error.message
                                                       : fq_status_str(status),
                              NULL);
    return -1;
}

/* The policy |text|, a dict, checked for |sdl|. NULL with an exception. */
static yyjson_doc *
read_policy(fq_state *state, PyObject *text, PyObject *sdl)
{
    yyjson_doc *doc = NULL;
    fq_buf buf = FQ_BUF_INIT;
    if (fq_convert_to_json(state, text, "security", &buf) == 0) {
        fq_status status = fq_json_read(fq_buf_str(&buf), FQ_JSON_STRICT, &doc,
                                        NULL);
        if (status != FQ_OK)
            fq_errors_raise(state, status, NULL);
    }
    fq_buf_fini(&buf);
    if (doc != NULL && check_policy(state, doc, sdl) < 0) {
        fq_json_free(doc);
        doc = NULL;
    }
    return doc;
}

PyObject *
fq_service_object_protect(fq_service_object *self, PyObject *args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *text, *sdl;
    if (!PyArg_ParseTuple(args, "O!O:protect", &PyDict_Type, &text, &sdl))
        return NULL;
    yyjson_doc *doc = read_policy(state, text, sdl);
    if (doc == NULL)
        return NULL;
    fq_service *service = fq_service_object_peek((PyObject *)self);
    fq_ticket *done = NULL;
    fq_status status = FQ_ERR_CLOSED;
    if (service != NULL)
        status = fq_ticket_new(NULL, NULL, &done);
    if (status != FQ_OK) {
        fq_json_free(doc);
        return service == NULL ? NULL : fq_errors_raise(state, status, NULL);
    }
    status = fq_service_steal_policy(service, doc, done);
    int result = fq_service_object_await(state, status, done);
    fq_ticket_unref(done);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(check_doc,
             "check_policy(policy, sdl, /)\n--\n\n"
             "Raise a ConfigError if the policy cannot work with the schema; "
             "None: without\none. Private.");

static PyObject *
security_check_policy(PyObject *module, PyObject *args)
{
    PyObject *text, *sdl;
    if (!PyArg_ParseTuple(args, "O!O:check_policy", &PyDict_Type, &text, &sdl))
        return NULL;
    yyjson_doc *doc = read_policy(fq_state_of_module(module), text, sdl);
    if (doc == NULL)
        return NULL;
    fq_json_free(doc);
    Py_RETURN_NONE;
}

static PyMethodDef security_functions[] = {
    {"check_policy", security_check_policy, METH_VARARGS, check_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_service_security_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, security_functions);
}
