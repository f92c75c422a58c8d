/* SPDX-License-Identifier: MIT */
/* Schemas between Python and a service. A service gets a schema of its own,
 * built here from the SDL and handed over whole: its count of references is
 * the reactor's from then on. Thread: loop (holds the GIL; building releases
 * it). */
#include "python/state.h"

#include "graphql/schema.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/graphql_common.h"
#include "python/parts.h"
#include "python/service_object.h"

PyObject *
fq_service_object_serve_schema(fq_service_object *self, PyObject *args)
{
    fq_state *state = fq_state_of((PyObject *)self);
    PyObject *sdl;
    fq_str text;
    int serve_undeclared;
    if (!PyArg_ParseTuple(args, "Op:serve_schema", &sdl, &serve_undeclared)
        || fq_convert_peek_str(sdl, "sdl", &text) < 0)
        return NULL;
    /* Says what is wrong with it, if something is. */
    fq_schema *cached = fq_graphql_schema(state, sdl);
    if (cached == NULL)
        return NULL;
    fq_schema_unref(cached);
    fq_service *service = fq_service_object_peek((PyObject *)self);
    if (service == NULL)
        return NULL;
    fq_schema *schema;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_service_ref(service);
    fq_status status;
    Py_BEGIN_ALLOW_THREADS
    status = fq_schema_build(text, &schema, &errors);
    if (status == FQ_OK)
        status = fq_service_steal_schema(service, schema, serve_undeclared);
    Py_END_ALLOW_THREADS
    fq_service_unref(service);
    fq_gql_errors_fini(&errors);
    if (status != FQ_OK)
        return fq_errors_raise(state, status, NULL);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(schema_fields_doc,
             "schema_fields(sdl, /)\n--\n\n"
             "The names of a schema's subscription fields, in order; a "
             "ConfigError if it is none.\n"
             "Private.");

static PyObject *
schema_fields(PyObject *module, PyObject *sdl)
{
    fq_schema *schema = fq_graphql_schema(fq_state_of_module(module), sdl);
    if (schema == NULL)
        return NULL;
    const fq_type *root = schema->roots[FQ_OPERATION_SUBSCRIPTION];
    uint32_t n_fields = root != NULL ? root->n_members : 0;
    PyObject *names = PyList_New(n_fields);
    for (uint32_t i = 0; names != NULL && i < n_fields; i++) {
        PyObject *name = fq_convert_str(root->fields[i].name);
        if (name == NULL)
            Py_CLEAR(names);
        else
            PyList_SET_ITEM(names, i, name);
    }
    fq_schema_unref(schema);
    return names;
}

/* -- all of it, for filters ----------------------------------------------- */

/* {name: type}, for arguments and input fields. */
static PyObject *
describe_inputs(const fq_input_def *inputs, uint32_t n_inputs)
{
    PyObject *dict = PyDict_New();
    for (uint32_t i = 0; dict != NULL && i < n_inputs; i++) {
        PyObject *name = fq_convert_str(inputs[i].name);
        PyObject *type = fq_convert_str(inputs[i].type->name);
        if (name == NULL || type == NULL
            || PyDict_SetItem(dict, name, type) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(name);
        Py_XDECREF(type);
    }
    return dict;
}

/* {name: (type, arguments)} of an object or interface. */
static PyObject *
describe_fields(const fq_type *type)
{
    PyObject *dict = PyDict_New();
    for (uint32_t i = 0; dict != NULL && i < type->n_members; i++) {
        const fq_field_def *field = &type->fields[i];
        PyObject *name = fq_convert_str(field->name);
        PyObject *text = fq_convert_str(field->type->name);
        PyObject *args = describe_inputs(field->args, field->n_args);
        PyObject *pair = NULL;
        if (text != NULL && args != NULL)
            pair = PyTuple_Pack(2, text, args);
        if (name == NULL || pair == NULL
            || PyDict_SetItem(dict, name, pair) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(name);
        Py_XDECREF(text);
        Py_XDECREF(args);
        Py_XDECREF(pair);
    }
    return dict;
}

static PyObject *
describe_type(const fq_type *type)
{
    static const char *const kinds[FQ_TYPE_N_KINDS] = {
        [FQ_TYPE_SCALAR] = "scalar",       [FQ_TYPE_OBJECT] = "object",
        [FQ_TYPE_INTERFACE] = "interface", [FQ_TYPE_UNION] = "union",
        [FQ_TYPE_ENUM] = "enum",           [FQ_TYPE_INPUT_OBJECT] = "input",
    };
    PyObject *members;
    if (type->kind == FQ_TYPE_OBJECT || type->kind == FQ_TYPE_INTERFACE)
        members = describe_fields(type);
    else if (type->kind == FQ_TYPE_INPUT_OBJECT)
        members = describe_inputs(type->input_fields, type->n_members);
    else
        members = PyDict_New();
    if (members == NULL)
        return NULL;
    return Py_BuildValue("sN", kinds[type->kind], members);
}

PyDoc_STRVAR(schema_describe_doc,
             "schema_describe(sdl, /)\n--\n\n"
             "The name of the subscription type, or None, and {type: (kind, "
             "members)}: of an\n"
             "object or interface {field: (type, {argument: type})}, of an "
             "input {field: type}.\n"
             "Private.");

static PyObject *
schema_describe(PyObject *module, PyObject *sdl)
{
    fq_schema *schema = fq_graphql_schema(fq_state_of_module(module), sdl);
    if (schema == NULL)
        return NULL;
    PyObject *types = PyDict_New();
    for (uint32_t i = 0; types != NULL && i < schema->n_types; i++) {
        PyObject *name = fq_convert_str(schema->types[i]->name);
        PyObject *type = describe_type(schema->types[i]);
        if (name == NULL || type == NULL
            || PyDict_SetItem(types, name, type) < 0)
            Py_CLEAR(types);
        Py_XDECREF(name);
        Py_XDECREF(type);
    }
    const fq_type *root = schema->roots[FQ_OPERATION_SUBSCRIPTION];
    PyObject *root_name = root != NULL ? fq_convert_str(root->name)
                                       : Py_NewRef(Py_None);
    fq_schema_unref(schema);
    if (types == NULL || root_name == NULL) {
        Py_XDECREF(types);
        Py_XDECREF(root_name);
        return NULL;
    }
    return Py_BuildValue("NN", root_name, types);
}

static PyMethodDef schema_functions[] = {
    {"schema_describe", schema_describe, METH_O, schema_describe_doc},
    {"schema_fields", schema_fields, METH_O, schema_fields_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_service_schema_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, schema_functions);
}
