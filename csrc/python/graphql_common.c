/* SPDX-License-Identifier: MIT */
/* What the GraphQL functions share: Python values in, errors out. Thread:
 * loop (holds the GIL). */
#include "python/graphql_common.h"

#include "graphql/parser.h"
#include "json/reader.h"
#include "python/convert.h"
#include "python/errors.h"
#include "python/schema_cache.h"

/* From this many bytes on a text is parsed without the GIL: some 20
 * microseconds of work, well above the cost of giving it away. */
#define UNLOCKED_PARSE_MIN (16 * 1024)

PyObject *
fq_graphql_errors_list(fq_state *state, fq_status status,
                       const fq_gql_errors *errors)
{
    if (status == FQ_ERR_NOMEM)
        return PyErr_NoMemory();
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

void
fq_graphql_raise(fq_state *state, fq_status status,
                 const fq_gql_errors *errors)
{
    fq_buf json = FQ_BUF_INIT;
    fq_gql_errors_write(errors, &json);
    if (errors->status != FQ_OK || fq_buf_status(&json) != FQ_OK)
        PyErr_NoMemory();
    else
        fq_errors_raise_request(state, status, fq_buf_str(&json), NULL);
    fq_buf_fini(&json);
}

fq_status
fq_graphql_read(fq_str text, fq_document *document, fq_gql_errors *errors)
{
    if (text.len < UNLOCKED_PARSE_MIN)
        return fq_parse(text, NULL, document, errors);
    fq_status status;
    Py_BEGIN_ALLOW_THREADS
    status = fq_parse(text, NULL, document, errors);
    Py_END_ALLOW_THREADS
    return status;
}

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

fq_schema *
fq_graphql_schema(fq_state *state, PyObject *sdl)
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

PyObject *
fq_graphql_take_bytes(fq_state *state, fq_status status, fq_buf *response)
{
    if (status == FQ_OK)
        status = fq_buf_status(response);
    PyObject *bytes = NULL;
    if (status != FQ_OK)
        fq_errors_raise(state, status, NULL);
    else
        bytes = PyBytes_FromStringAndSize(response->ptr,
                                          (Py_ssize_t)response->len);
    fq_buf_fini(response);
    return bytes;
}

int
fq_graphql_read_json(fq_state *state, PyObject *value, const char *name,
                     yyjson_doc **pdoc)
{
    *pdoc = NULL;
    fq_error error;
    fq_status status;
    if (PyBytes_Check(value)) {
        fq_str text = fq_str_make(PyBytes_AS_STRING(value),
                                  (size_t)PyBytes_GET_SIZE(value));
        status = fq_json_read(text, FQ_JSON_STRICT, pdoc, &error);
    } else {
        fq_buf json = FQ_BUF_INIT;
        if (fq_convert_to_json(state, value, name, &json) < 0) {
            fq_buf_fini(&json);
            return -1;
        }
        status = fq_json_read(fq_buf_str(&json), FQ_JSON_STRICT, pdoc, &error);
        fq_buf_fini(&json);
    }
    if (status == FQ_OK)
        return 0;
    fq_errors_raise(state, status, &error);
    return -1;
}
