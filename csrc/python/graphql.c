/* SPDX-License-Identifier: MIT */
/* The functions behind fraiseql_asgi/graphql.py. Thread: loop (holds the GIL;
 * reading a long text releases it). What is per event or per subscription
 * does not come through here: the engine calls graphql/ itself. */
#include "python/state.h"

#include "base/buf.h"
#include "graphql/execute.h"
#include "graphql/validator.h"
#include "json/reader.h"
#include "python/convert.h"
#include "python/graphql_common.h"
#include "python/parts.h"

/* -- parse ---------------------------------------------------------------- */

static PyObject *
new_definition(const char *kind, fq_str name)
{
    PyObject *text = NULL;
    if (name.ptr == NULL)
        text = Py_NewRef(Py_None);
    else
        text = fq_convert_str(name);
    if (text == NULL)
        return NULL;
    return Py_BuildValue("{s:s,s:N}", "kind", kind, "name", text);
}

static PyObject *
definition_to_dict(const fq_ast_node *node)
{
    static const char *const operations[] = {
        [FQ_OPERATION_QUERY] = "query",
        [FQ_OPERATION_MUTATION] = "mutation",
        [FQ_OPERATION_SUBSCRIPTION] = "subscription",
    };
    switch (node->kind) {
    case FQ_AST_OPERATION: {
        const fq_ast_operation *operation = (const fq_ast_operation *)node;
        return new_definition(operations[operation->type], operation->name);
    }
    case FQ_AST_FRAGMENT:
        return new_definition("fragment",
                              ((const fq_ast_fragment *)node)->name);
    default:
        return new_definition("type_system",
                              ((const fq_ast_type_system *)node)->name);
    }
}

static PyObject *
definitions_to_list(const fq_document *document)
{
    PyObject *list = PyList_New(0);
    if (list == NULL)
        return NULL;
    FQ_AST_FOREACH(node, &document->definitions)
    {
        PyObject *item = definition_to_dict(node);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_XDECREF(item);
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(item);
    }
    return list;
}

PyDoc_STRVAR(parse_doc,
             "graphql_parse(document, /)\n--\n\n"
             "The definitions of a document, see graphql.parse. Private.");

static PyObject *
graphql_parse(PyObject *module, PyObject *arg)
{
    fq_state *state = fq_state_of_module(module);
    fq_str text;
    if (fq_convert_peek_str(arg, "document", &text) < 0)
        return NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_document document;
    fq_status status = fq_graphql_read(text, &document, &errors);
    PyObject *result = NULL;
    if (status == FQ_OK)
        result = definitions_to_list(&document);
    else
        fq_graphql_raise(state, status, &errors);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return result;
}

/* -- validate and execute ------------------------------------------------- */

/* The rules a list of names asks for; all for None. 0, or -1 with an
 * exception. */
static int
get_rules(PyObject *names, fq_rule_set *prules)
{
    *prules = FQ_RULES_ALL;
    if (names == Py_None)
        return 0;
    if (!PyList_Check(names)) {
        PyErr_SetString(PyExc_TypeError, "rules must be a list or None");
        return -1;
    }
    *prules = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names); i++) {
        fq_str name;
        if (fq_convert_peek_str(PyList_GET_ITEM(names, i), "rule", &name) < 0)
            return -1;
        if (!fq_rule_set_add(prules, name)) {
            PyErr_Format(PyExc_ValueError, "there is no rule %R",
                         PyList_GET_ITEM(names, i));
            return -1;
        }
    }
    return 0;
}

PyDoc_STRVAR(validate_doc,
             "graphql_validate(schema_sdl, document, rules=None, /)\n--\n\n"
             "The errors of a document, see graphql.validate; `rules` names "
             "those that look at it. Private.");

static PyObject *
graphql_validate(PyObject *module, PyObject *args)
{
    fq_state *state = fq_state_of_module(module);
    PyObject *sdl, *source, *names = Py_None;
    fq_str text;
    fq_rule_set rules;
    if (!PyArg_ParseTuple(args, "OO|O:graphql_validate", &sdl, &source, &names)
        || fq_convert_peek_str(source, "document", &text) < 0
        || get_rules(names, &rules) < 0)
        return NULL;
    fq_schema *schema = fq_graphql_schema(state, sdl);
    if (schema == NULL)
        return NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_document document;
    fq_status status = fq_graphql_read(text, &document, &errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, &errors);
    if (status == FQ_OK)
        status = fq_validate(&document, schema, rules, &errors);
    PyObject *result = fq_graphql_errors_list(state, status, &errors);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    fq_schema_unref(schema);
    return result;
}

/* The response of |execution| as bytes, or NULL with an exception. */
static PyObject *
run_execution(fq_state *state, const fq_execution *execution)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf response = FQ_BUF_INIT;
    fq_status status = fq_execute(execution, &response, &errors);
    if (status == FQ_ERR_SYNTAX) {
        fq_buf_clear(&response);
        fq_buf_append_str(&response, FQ_STR_LIT("{\"errors\":"));
        fq_gql_errors_write(&errors, &response);
        fq_buf_append_char(&response, '}');
        status = errors.status;
    }
    fq_gql_errors_fini(&errors);
    return fq_graphql_take_bytes(state, status, &response);
}

PyDoc_STRVAR(execute_doc,
             "graphql_execute(schema_sdl, document, data, variables=None, "
             "operation_name=None, /)\n--\n\n"
             "The response one event gives, see graphql.execute. Private.");

static PyObject *
graphql_execute(PyObject *module, PyObject *args)
{
    fq_state *state = fq_state_of_module(module);
    PyObject *sdl, *source, *value, *variables = Py_None, *name = Py_None;
    fq_execution execution = {.schema = NULL};
    if (!PyArg_ParseTuple(args, "OOO|OO:graphql_execute", &sdl, &source,
                          &value, &variables, &name)
        || fq_convert_peek_str(source, "document", &execution.document) < 0
        || fq_convert_peek_optional_str(name, "operation_name",
                                        &execution.operation_name)
               < 0)
        return NULL;
    if (variables != Py_None && !PyDict_Check(variables)) {
        PyErr_SetString(PyExc_TypeError, "variables must be a dict or None");
        return NULL;
    }
    PyObject *result = NULL;
    yyjson_doc *data = NULL;
    yyjson_doc *inputs = NULL;
    if (fq_graphql_read_json(state, value, "data", &data) < 0)
        goto out;
    if (variables != Py_None
        && fq_graphql_read_json(state, variables, "variables", &inputs) < 0)
        goto out;
    execution.data = yyjson_doc_get_root(data);
    execution.variables = yyjson_doc_get_root(inputs);
    if (sdl != Py_None) {
        execution.schema = fq_graphql_schema(state, sdl);
        if (execution.schema == NULL)
            goto out;
    }
    result = run_execution(state, &execution);
out:
    fq_schema_unref(execution.schema);
    fq_json_free(inputs);
    fq_json_free(data);
    return result;
}

static PyMethodDef graphql_functions[] = {
    {"graphql_parse", graphql_parse, METH_O, parse_doc},
    {"graphql_validate", graphql_validate, METH_VARARGS, validate_doc},
    {"graphql_execute", graphql_execute, METH_VARARGS, execute_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_graphql_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, graphql_functions);
}
