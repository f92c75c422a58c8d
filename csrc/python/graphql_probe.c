/* SPDX-License-Identifier: MIT */
/* Doors through which tests and benches reach lexer, parser, schema and plan by
 * themselves; nobody else uses them. Thread: loop (holds the GIL). */
#include "python/state.h"

#include "base/buf.h"
#include "graphql/lexer.h"
#include "graphql/plan.h"
#include "json/reader.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/graphql_common.h"
#include "python/parts.h"
#include "python/schema_cache.h"

/* -- tokens, syntax, schema ----------------------------------------------- */

/* Counts the code points of a text on the way, so that offsets go from bytes
 * to what Python counts. */
typedef struct code_points {
    fq_str text;
    size_t pos;      /* bytes counted */
    Py_ssize_t seen; /* code points in them */
} code_points;

static Py_ssize_t
code_points_at(code_points *points, size_t pos)
{
    for (; points->pos < pos; points->pos++) {
        /* All but continuation bytes start a code point. */
        if (((unsigned char)points->text.ptr[points->pos] & 0xC0) != 0x80)
            points->seen++;
    }
    return points->seen;
}

/* (kind, start, end, value or None) */
static PyObject *
token_to_tuple(const fq_token *token, code_points *points)
{
    fq_str kind = fq_str_of(fq_token_kind_str(token->kind));
    if (kind.ptr[0] == '\'') /* punctuation, quoted for messages */
        kind = fq_str_make(kind.ptr + 1, kind.len - 2);
    Py_ssize_t start = code_points_at(points, token->start);
    Py_ssize_t end = code_points_at(points, token->end);
    if (token->value.ptr == NULL)
        return Py_BuildValue("s#nnO", kind.ptr, (Py_ssize_t)kind.len, start,
                             end, Py_None);
    PyObject *value = fq_convert_str(token->value);
    if (value == NULL)
        return NULL;
    return Py_BuildValue("s#nnN", kind.ptr, (Py_ssize_t)kind.len, start, end,
                         value);
}

/* Appends the tokens of |lexer| to |list| up to the end or the first error,
 * which is in the lexer's errors. 0, or -1 with an exception. */
static int
append_tokens(fq_state *state, fq_lexer *lexer, PyObject *list)
{
    code_points points = {.text = lexer->source};
    fq_token token = {.kind = FQ_TOKEN_SOF};
    while (token.kind != FQ_TOKEN_EOF) {
        fq_status status = fq_lexer_next(lexer, &token);
        if (status == FQ_ERR_SYNTAX)
            return 0;
        if (status != FQ_OK) {
            fq_errors_raise(state, status, NULL);
            return -1;
        }
        PyObject *item = token_to_tuple(&token, &points);
        if (item == NULL)
            return -1;
        int result = PyList_Append(list, item);
        Py_DECREF(item);
        if (result < 0)
            return -1;
    }
    return 0;
}

PyDoc_STRVAR(tokens_doc,
             "graphql_tokens(document, /)\n--\n\n"
             "The tokens of a text, [(kind, start, end, value)], and its "
             "errors. Private.");

static PyObject *
graphql_tokens(PyObject *module, PyObject *arg)
{
    fq_state *state = fq_state_of_module(module);
    fq_str text;
    if (fq_convert_peek_str(arg, "document", &text) < 0)
        return NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_arena arena;
    fq_arena_init(&arena, 0);
    fq_lexer lexer;
    fq_lexer_init(&lexer, text, &arena, &errors);
    PyObject *result = NULL;
    PyObject *tokens = PyList_New(0);
    PyObject *list = NULL;
    if (tokens != NULL && append_tokens(state, &lexer, tokens) == 0)
        list = fq_graphql_errors_list(state, FQ_OK, &errors);
    if (list != NULL)
        result = PyTuple_Pack(2, tokens, list);
    Py_XDECREF(list);
    Py_XDECREF(tokens);
    fq_arena_fini(&arena);
    fq_gql_errors_fini(&errors);
    return result;
}

PyDoc_STRVAR(syntax_errors_doc,
             "graphql_syntax_errors(document, /)\n--\n\n"
             "What keeps a document from being parsed: a list of at most one "
             "error. Private.");

static PyObject *
graphql_syntax_errors(PyObject *module, PyObject *arg)
{
    fq_state *state = fq_state_of_module(module);
    fq_str text;
    if (fq_convert_peek_str(arg, "document", &text) < 0)
        return NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_document document;
    fq_status status = fq_graphql_read(text, &document, &errors);
    PyObject *result = fq_graphql_errors_list(state, status, &errors);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return result;
}

PyDoc_STRVAR(schema_errors_doc,
             "graphql_schema_errors(schema_sdl, /)\n--\n\n"
             "What keeps an SDL from being a schema: a list of errors. "
             "Private.");

static PyObject *
graphql_schema_errors(PyObject *module, PyObject *sdl)
{
    fq_state *state = fq_state_of_module(module);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_schema *schema;
    fq_status status = fq_schema_cache_get(state, sdl, &schema, &errors);
    PyObject *result = NULL;
    if (status == FQ_OK || status == FQ_ERR_NOMEM || errors.n_items > 0)
        result = fq_graphql_errors_list(state, status, &errors);
    fq_schema_unref(schema);
    fq_gql_errors_fini(&errors);
    return result;
}

/* -- a plan, as the engine keeps it --------------------------------------- */

/* Bytes a response is given room for at first. */
#define PROJECT_ROOM 1024

static const char plan_name[] = "fraiseql_asgi._core.graphql_plan";

static void
plan_free(PyObject *capsule)
{
    fq_plan_variant_unref(PyCapsule_GetPointer(capsule, plan_name));
}

/* Compiles |request| and binds |variables|. *pvariant gets one reference. */
static fq_status
prepare(const fq_plan_request *request, yyjson_val *variables,
        fq_plan_variant **pvariant, fq_gql_errors *errors)
{
    *pvariant = NULL;
    fq_plan *plan;
    fq_status status = fq_plan_compile(request, NULL, &plan, errors);
    if (status != FQ_OK)
        return status;
    fq_binding binding;
    status = fq_plan_bind(plan, variables, NULL, &binding, errors);
    if (status == FQ_OK) {
        *pvariant = fq_plan_variant_ref(binding.variant);
        fq_binding_fini(&binding);
    }
    fq_plan_unref(plan);
    return status;
}

PyDoc_STRVAR(prepare_doc,
             "graphql_prepare(schema_sdl, document, variables=None, "
             "operation_name=None, /)\n--\n\n"
             "A plan for graphql_project. Private.");

static PyObject *
graphql_prepare(PyObject *module, PyObject *args)
{
    fq_state *state = fq_state_of_module(module);
    PyObject *sdl, *source, *variables = Py_None, *name = Py_None;
    fq_plan_request request = {.schema = NULL};
    if (!PyArg_ParseTuple(args, "OO|OO:graphql_prepare", &sdl, &source,
                          &variables, &name)
        || fq_convert_peek_str(source, "document", &request.query) < 0
        || fq_convert_peek_optional_str(name, "operation_name",
                                        &request.operation_name)
               < 0)
        return NULL;
    yyjson_doc *inputs = NULL;
    if (variables != Py_None
        && fq_graphql_read_json(state, variables, "variables", &inputs) < 0)
        return NULL;
    PyObject *result = NULL;
    fq_plan_variant *variant = NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    if (sdl != Py_None) {
        request.schema = fq_graphql_schema(state, sdl);
        if (request.schema == NULL)
            goto out;
    }
    fq_status status = prepare(&request, yyjson_doc_get_root(inputs), &variant,
                               &errors);
    if (status != FQ_OK) {
        fq_graphql_raise(state, status, &errors);
        goto out;
    }
    result = PyCapsule_New(variant, plan_name, plan_free);
    if (result == NULL)
        fq_plan_variant_unref(variant);
out:
    fq_gql_errors_fini(&errors);
    fq_schema_unref(request.schema);
    fq_json_free(inputs);
    return result;
}

PyDoc_STRVAR(project_doc,
             "graphql_project(plan, data, /)\n--\n\n"
             "The response that `data` gives, as graphql_execute takes it. "
             "Private.");

static PyObject *
graphql_project(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    fq_state *state = fq_state_of_module(module);
    if (n_args != 2) {
        PyErr_SetString(PyExc_TypeError,
                        "graphql_project takes plan and data");
        return NULL;
    }
    yyjson_doc *data;
    fq_plan_variant *variant = PyCapsule_GetPointer(args[0], plan_name);
    if (variant == NULL
        || fq_graphql_read_json(state, args[1], "data", &data) < 0)
        return NULL;
    /* One block instead of a few that grow; the engine reuses its buffer. */
    fq_buf response = FQ_BUF_INIT;
    fq_buf_reserve(&response, PROJECT_ROOM);
    fq_status status = fq_plan_variant_project(
        variant, yyjson_doc_get_root(data), &response);
    fq_buf_append_char(&response, '}');
    fq_json_free(data);
    return fq_graphql_take_bytes(state, status, &response);
}

static PyMethodDef probe_functions[] = {
    {"graphql_tokens", graphql_tokens, METH_O, tokens_doc},
    {"graphql_syntax_errors", graphql_syntax_errors, METH_O,
     syntax_errors_doc},
    {"graphql_schema_errors", graphql_schema_errors, METH_O,
     schema_errors_doc},
    {"graphql_prepare", graphql_prepare, METH_VARARGS, prepare_doc},
    {"graphql_project", (PyCFunction)(void (*)(void))graphql_project,
     METH_FASTCALL, project_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_graphql_probe_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, probe_functions);
}
