/* SPDX-License-Identifier: MIT */
/* The functions behind fraiseql_asgi/graphql.py, and the doors through which
 * tests reach lexer, parser, schema and validator by themselves. Thread: loop
 * (holds the GIL; parsing a long text releases it). What is per event or per
 * subscription does not come through here: the engine calls graphql/. */
#include "python/state.h"

#include "base/buf.h"
#include "graphql/errors.h"
#include "graphql/lexer.h"
#include "graphql/parser.h"
#include "graphql/validator.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/parts.h"
#include "python/schema_cache.h"

/* From this many bytes on a text is parsed without the GIL: some 20
 * microseconds of work, well above the cost of giving it away. */
#define UNLOCKED_PARSE_MIN (16 * 1024)

/* The errors as a list of dicts; NULL with an exception. */
static PyObject *
errors_to_list(fq_state *state, const fq_gql_errors *errors)
{
    if (errors->status != FQ_OK)
        return fq_errors_raise(state, errors->status, NULL);
    fq_buf json = FQ_BUF_INIT;
    fq_gql_errors_write(errors, &json);
    PyObject *list = NULL;
    if (fq_buf_status(&json) != FQ_OK)
        fq_errors_raise(state, fq_buf_status(&json), NULL);
    else
        list = fq_convert_from_json(state, fq_buf_str(&json));
    fq_buf_fini(&json);
    return list;
}

/* Raises for a text that cannot be read, with all of |errors|. */
static void
raise_request(fq_state *state, fq_status status, const fq_gql_errors *errors)
{
    fq_buf json = FQ_BUF_INIT;
    fq_gql_errors_write(errors, &json);
    if (errors->status != FQ_OK || fq_buf_status(&json) != FQ_OK)
        PyErr_NoMemory();
    else
        fq_errors_raise_request(state, status, fq_buf_str(&json), NULL);
    fq_buf_fini(&json);
}

/* Both |document| and |errors| are the caller's to free, on every path. */
static fq_status
parse(fq_str text, fq_document *document, fq_gql_errors *errors)
{
    if (text.len < UNLOCKED_PARSE_MIN)
        return fq_parse(text, NULL, document, errors);
    fq_status status;
    Py_BEGIN_ALLOW_THREADS
    status = fq_parse(text, NULL, document, errors);
    Py_END_ALLOW_THREADS
    return status;
}

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
    fq_status status = parse(text, &document, &errors);
    PyObject *result = NULL;
    if (status == FQ_OK)
        result = definitions_to_list(&document);
    else
        raise_request(state, status, &errors);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return result;
}

/* -- validate ------------------------------------------------------------- */

/* Raises ConfigError with all of |errors|, a line each: what and where. */
static void
raise_schema(fq_state *state, const fq_gql_errors *errors)
{
    fq_buf text = FQ_BUF_INIT;
    for (const fq_gql_error *error = errors->head; error != NULL;
         error = error->next) {
        if (error != errors->head)
            fq_buf_append_char(&text, '\n');
        fq_buf_append_str(&text, error->message);
        if (error->n_locations > 0)
            fq_buf_append_format(&text, " (line %u, column %u)",
                                 (unsigned)error->locations[0].line,
                                 (unsigned)error->locations[0].column);
    }
    fq_buf_append_char(&text, '\0');
    PyObject *context = Py_BuildValue("{s:s}", "setting", "schema");
    if (fq_buf_status(&text) != FQ_OK)
        PyErr_NoMemory();
    else if (context != NULL)
        fq_errors_raise_class(state->ConfigError, text.ptr, context);
    Py_XDECREF(context);
    fq_buf_fini(&text);
}

/* The schema of |sdl| with one reference, or NULL with an exception. */
static fq_schema *
get_schema(fq_state *state, PyObject *sdl)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_schema *schema;
    fq_status status = fq_schema_cache_get(state, sdl, &schema, &errors);
    if (status == FQ_ERR_NOMEM)
        PyErr_NoMemory();
    else if (status != FQ_OK && errors.n_items > 0)
        raise_schema(state, &errors);
    fq_gql_errors_fini(&errors);
    return schema;
}

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
    fq_schema *schema = get_schema(state, sdl);
    if (schema == NULL)
        return NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_document document;
    fq_status status = parse(text, &document, &errors);
    if (status == FQ_OK)
        status = fq_document_link(&document);
    if (status == FQ_OK)
        status = fq_validate(&document, schema, rules, &errors);
    PyObject *result = NULL;
    if (status == FQ_ERR_NOMEM)
        PyErr_NoMemory();
    else
        result = errors_to_list(state, &errors);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    fq_schema_unref(schema);
    return result;
}

/* -- doors for tests ------------------------------------------------------ */

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
        list = errors_to_list(state, &errors);
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
    fq_status status = parse(text, &document, &errors);
    PyObject *result = NULL;
    if (status == FQ_ERR_NOMEM)
        PyErr_NoMemory();
    else
        result = errors_to_list(state, &errors);
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
    if (status == FQ_ERR_NOMEM)
        PyErr_NoMemory();
    else if (status == FQ_OK || errors.n_items > 0)
        result = errors_to_list(state, &errors);
    fq_schema_unref(schema);
    fq_gql_errors_fini(&errors);
    return result;
}

static PyMethodDef graphql_functions[] = {
    {"graphql_validate", graphql_validate, METH_VARARGS, validate_doc},
    {"graphql_schema_errors", graphql_schema_errors, METH_O,
     schema_errors_doc},
    {"graphql_parse", graphql_parse, METH_O, parse_doc},
    {"graphql_tokens", graphql_tokens, METH_O, tokens_doc},
    {"graphql_syntax_errors", graphql_syntax_errors, METH_O,
     syntax_errors_doc},
    {NULL, NULL, 0, NULL},
};

int
fq_graphql_init(PyObject *module, fq_state *Py_UNUSED(state))
{
    return PyModule_AddFunctions(module, graphql_functions);
}
