/* SPDX-License-Identifier: MIT */
/* Service: who executes queries and mutations, and the documents that clients
 * may name. Thread: loop (any thread that holds the GIL). */
#include "python/service_object.h"

#include "python/convert.h"
#include "python/errors.h"
#include "python/resolver.h"

/* The token of |handler|, a Resolver that is one; 0 with an exception. */
static uint64_t
add_handler(fq_service_object *self, PyObject *handler)
{
    fq_state *state = fq_state_of((PyObject *)self);
    uint64_t token;
    if (!PyObject_TypeCheck(handler, state->resolver_type)
        || !((fq_resolver *)handler)->is_handler) {
        PyErr_SetString(PyExc_TypeError, "handler must be a handler");
        return 0;
    }
    fq_service_object_add_resolver(self, handler, &token);
    return token;
}

PyObject *
fq_service_object_execute_with(fq_service_object *self, PyObject *handler)
{
    fq_service *service = fq_service_object_peek((PyObject *)self);
    uint64_t token = service == NULL ? 0 : add_handler(self, handler);
    if (token == 0)
        return NULL;
    fq_service_set_execute(service, token);
    Py_RETURN_NONE;
}

PyObject *
fq_service_object_introspect_with(fq_service_object *self, PyObject *handler)
{
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    if (handler == Py_None) {
        fq_service_set_introspect(service, FQ_INTROSPECT_REFUSE, 0);
        Py_RETURN_NONE;
    }
    uint64_t token = add_handler(self, handler);
    if (token == 0)
        return NULL;
    fq_service_set_introspect(service, FQ_INTROSPECT_BY, token);
    Py_RETURN_NONE;
}

/* Adds what |documents| has. Returns 0, or -1 with an exception. */
static int
persist_all(fq_state *state, PyObject *documents, fq_persisted *persisted)
{
    Py_ssize_t pos = 0;
    PyObject *key, *value;
    while (PyDict_Next(documents, &pos, &key, &value)) {
        fq_str hash, document;
        if (fq_convert_peek_str(key, "hash", &hash) < 0
            || fq_convert_peek_str(value, "document", &document) < 0)
            return -1;
        fq_status status = fq_persisted_add(persisted, hash, document);
        if (status != FQ_OK) {
            fq_errors_raise(state, status, NULL);
            return -1;
        }
    }
    return 0;
}

PyObject *
fq_service_object_persist(fq_service_object *self, PyObject *args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *documents;
    int only;
    if (!PyArg_ParseTuple(args, "O!p:persist", &PyDict_Type, &documents,
                          &only))
        return NULL;
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    fq_persisted *persisted;
    fq_status status = fq_persisted_new(only, &persisted);
    if (status != FQ_OK)
        return fq_errors_raise(state, status, NULL);
    if (persist_all(state, documents, persisted) < 0) {
        fq_persisted_free(persisted);
        return NULL;
    }
    fq_service_steal_persisted(service, persisted);
    Py_RETURN_NONE;
}
