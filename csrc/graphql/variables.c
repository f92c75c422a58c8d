/* SPDX-License-Identifier: MIT */
/* Coercion straight to JSON text: a variable's coerced value is a slice of
 * the object that a subscription keeps anyway, and folding it into arguments
 * copies the slice. Texts of errors are graphql-core's. One thread at a time.
 *
 * Values nest as deep as the reader let them (FQ_JSON_DEPTH_MAX), types and
 * literals as deep as the parser did; both bound the recursion here. */
#include "graphql/variables.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "graphql/arguments.h"
#include "graphql/input_literal.h"
#include "graphql/input_value.h"
#include "graphql/print.h"
#include "graphql/scalars.h"
#include "json/reader.h"
#include "json/writer.h"

/* Where in a variable a value stands: an index of each list around it. */
typedef struct fq_value_path {
    const struct fq_value_path *outer; /* NULL: the outermost list */
    size_t index;
} fq_value_path;

/* The coercion of one variable. */
typedef struct fq_coercion {
    const fq_variable_table *table;
    const fq_ast_variable_definition *definition;
    bool is_default; /* the value is the definition's default */
    bool has_failed;
    bool is_done;      /* nothing more is looked at */
    uint32_t n_errors; /* with a schema */
    fq_buf *json;
    fq_gql_errors *errors;
} fq_coercion;

fq_status
fq_variable_table_init(fq_variable_table *table, fq_document *document,
                       const fq_ast_operation *operation,
                       const fq_schema *schema)
{
    const fq_ast_list *list = &operation->variable_definitions;
    *table = (fq_variable_table){.document = document, .schema = schema};
    fq_map_init(&table->by_name);
    table->items = FQ_ARENA_NEW_N(
        &document->arena, const fq_ast_variable_definition *, list->n_items);
    if (table->items == NULL)
        return FQ_ERR_NOMEM;
    FQ_AST_FOREACH(node, list)
    {
        const fq_ast_variable_definition *definition
            = (const fq_ast_variable_definition *)node;
        const fq_ast_variable_definition **place
            = &table->items[table->n_items++];
        *place = definition;
        fq_status status = fq_map_add(
            &table->by_name, definition->variable->text, (void *)place);
        /* Of several with one name, which no valid document has, the first
         * counts. */
        if (status != FQ_OK && status != FQ_ERR_EXISTS)
            return status;
    }
    return FQ_OK;
}

void
fq_variable_table_fini(fq_variable_table *table)
{
    fq_map_fini(&table->by_name);
    *table = (fq_variable_table){.items = NULL};
}

uint32_t
fq_variable_table_find(const fq_variable_table *table, fq_str name)
{
    /* Operations with few variables are spared the hash. */
    if (table->n_items <= 4) {
        for (uint32_t i = 0; i < table->n_items; i++)
            if (fq_str_eq(table->items[i]->variable->text, name))
                return i;
        return UINT32_MAX;
    }
    const fq_ast_variable_definition **place = fq_map_get(&table->by_name,
                                                          name);
    return place != NULL ? (uint32_t)(place - table->items) : UINT32_MAX;
}

fq_variable_state
fq_variable_states_get(const fq_variable_states *states, fq_str name)
{
    uint32_t place = fq_variable_table_find(states->table, name);
    if (place == UINT32_MAX)
        return FQ_VARIABLE_NONE;
    uint64_t word = states->words[place / 32];
    return (fq_variable_state)(word >> (place % 32 * 2) & 3);
}

fq_variable_state
fq_variable_values_state(const fq_variable_values *values, uint32_t place)
{
    struct fq_variable_span span = values->spans[place];
    fq_str text = fq_str_make(values->json.ptr + span.start, span.len);
    if (text.len == 0)
        return FQ_VARIABLE_NONE;
    if (fq_str_eq(text, FQ_STR_LIT("null")))
        return FQ_VARIABLE_NULL;
    return fq_str_eq(text, FQ_STR_LIT("false")) ? FQ_VARIABLE_FALSE
                                                : FQ_VARIABLE_VALUE;
}

static void
append_path(fq_buf *buf, const fq_value_path *path)
{
    if (path->outer != NULL)
        append_path(buf, path->outer);
    fq_buf_append_format(buf, "[%zu]", path->index);
}

/* Appends `Variable '$x' has invalid value`, of the variable looked at. */
static void
append_invalid(fq_buf *buf, const fq_coercion *coercion)
{
    fq_buf_append_str(buf, FQ_STR_LIT("Variable '$"));
    fq_buf_append_str(buf, coercion->definition->variable->text);
    fq_buf_append_str(buf, coercion->is_default
                               ? FQ_STR_LIT("' has invalid default value")
                               : FQ_STR_LIT("' has invalid value"));
}

/* Adds `Variable '$x' has invalid value at [0]: <text>`, located at the
 * definition. */
static void
fail_value(fq_coercion *coercion, const fq_value_path *path, fq_buf *text)
{
    const fq_ast_variable_definition *definition = coercion->definition;
    fq_buf message;
    fq_buf_init(&message);
    append_invalid(&message, coercion);
    if (path != NULL) {
        fq_buf_append_str(&message, FQ_STR_LIT(" at "));
        append_path(&message, path);
    }
    fq_buf_append_str(&message, FQ_STR_LIT(": "));
    fq_buf_append_str(&message, fq_buf_str(text));
    if (fq_buf_status(text) == FQ_OK && fq_buf_status(&message) == FQ_OK) {
        fq_gql_error *error = fq_gql_errors_add_str(coercion->errors, NULL,
                                                    fq_buf_str(&message));
        fq_gql_error_locate(coercion->errors, error,
                            coercion->table->document->source,
                            definition->node.start);
    } else {
        coercion->errors->status = FQ_ERR_NOMEM;
    }
    coercion->has_failed = true;
    fq_buf_fini(&message);
    fq_buf_fini(text);
}

/* The same for a literal that scalar |kind| cannot represent. |is_range|: an
 * integer beyond 32 bits. */
static void
fail_literal(fq_coercion *coercion, const fq_value_path *path, fq_scalar kind,
             bool is_range, fq_ast_value *literal)
{
    fq_buf buf;
    fq_buf_init(&buf);
    fq_scalar_write_refusal(&buf, kind, is_range, NULL, literal);
    fail_value(coercion, path, &buf);
}

/* |before| and |after| surround the type that must not be null. */
static void
fail_null(fq_coercion *coercion, const fq_value_path *path, const char *before,
          const fq_ast_type *type, const char *after)
{
    fq_buf buf;
    fq_buf_init(&buf);
    fq_buf_append_str(&buf, fq_str_of(before));
    fq_print_type(&buf, type);
    fq_buf_append_str(&buf, fq_str_of(after));
    fail_value(coercion, path, &buf);
}

static void
coerce_scalar(fq_coercion *coercion, const fq_value_path *path,
              fq_str type_name, yyjson_val *value)
{
    fq_buf refusal;
    fq_buf_init(&refusal);
    if (!fq_scalar_coerce_value(fq_scalar_of(type_name), value, coercion->json,
                                &refusal))
        fail_value(coercion, path, &refusal);
}

/* Writes |value| as |type| asks for it. Once a value has failed what is
 * written no longer matters, but all others are still looked at. */
static void
coerce_value(fq_coercion *coercion, const fq_value_path *path,
             const fq_ast_type *type, yyjson_val *value)
{
    if (coercion->errors->n_items >= FQ_GQL_ERRORS_MAX)
        return;
    if (type->node.kind == FQ_AST_NON_NULL_TYPE) {
        if (yyjson_is_null(value)) {
            fail_null(coercion, path, "Expected value of non-null type '",
                      type, "' not to be None.");
            return;
        }
        type = type->of;
    }
    if (yyjson_is_null(value)) {
        fq_buf_append_str(coercion->json, FQ_STR_LIT("null"));
        return;
    }
    if (type->node.kind == FQ_AST_NAMED_TYPE) {
        coerce_scalar(coercion, path, type->name, value);
        return;
    }
    fq_buf_append_char(coercion->json, '[');
    if (!yyjson_is_arr(value)) {
        /* A list of one. */
        coerce_value(coercion, path, type->of, value);
    } else {
        fq_value_path item_path = {.outer = path};
        yyjson_arr_iter iter = yyjson_arr_iter_with(value);
        yyjson_val *item;
        while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
            item_path.index = iter.idx - 1;
            if (item_path.index > 0)
                fq_buf_append_char(coercion->json, ',');
            coerce_value(coercion, &item_path, type->of, item);
        }
    }
    fq_buf_append_char(coercion->json, ']');
}

static void
coerce_scalar_literal(fq_coercion *coercion, const fq_value_path *path,
                      fq_str type_name, fq_ast_value *literal)
{
    fq_scalar kind = fq_scalar_of(type_name);
    bool is_range;
    if (!fq_scalar_accepts_literal(kind, literal, &is_range))
        fail_literal(coercion, path, kind, is_range, literal);
    else if (kind == FQ_SCALAR_FLOAT)
        fq_json_write_double(coercion->json,
                             fq_scalar_read_number(literal->text));
    else if (kind == FQ_SCALAR_ID)
        fq_json_write_str(coercion->json, literal->text);
    else
        fq_variables_fold_value(coercion->table, NULL, literal,
                                coercion->json);
}

/* As coerce_value, for a default. */
static void
coerce_literal(fq_coercion *coercion, const fq_value_path *path,
               const fq_ast_type *type, fq_ast_value *literal)
{
    if (coercion->errors->n_items >= FQ_GQL_ERRORS_MAX)
        return;
    bool is_null = literal->node.kind == FQ_AST_NULL;
    if (type->node.kind == FQ_AST_NON_NULL_TYPE) {
        if (is_null) {
            fail_null(coercion, path, "Expected value of non-null type '",
                      type, "' not to be None.");
            return;
        }
        type = type->of;
    }
    if (is_null) {
        fq_buf_append_str(coercion->json, FQ_STR_LIT("null"));
        return;
    }
    if (type->node.kind == FQ_AST_NAMED_TYPE) {
        coerce_scalar_literal(coercion, path, type->name, literal);
        return;
    }
    fq_buf_append_char(coercion->json, '[');
    if (literal->node.kind != FQ_AST_LIST) {
        coerce_literal(coercion, path, type->of, literal);
    } else {
        fq_value_path item_path = {.outer = path};
        FQ_AST_FOREACH(node, &literal->items)
        {
            if (item_path.index > 0)
                fq_buf_append_char(coercion->json, ',');
            coerce_literal(coercion, &item_path, type->of,
                           (fq_ast_value *)node);
            item_path.index++;
        }
    }
    fq_buf_append_char(coercion->json, ']');
}

/* Writes variable |i|, whose value in the request is |value| or NULL. */
static fq_status
coerce_variable(fq_coercion *coercion, yyjson_val *value,
                struct fq_variable_span *span)
{
    const fq_ast_variable_definition *definition = coercion->definition;
    const fq_ast_type *type = definition->type;
    fq_buf *json = coercion->json;
    coercion->is_default = value == NULL && definition->default_value != NULL;
    coercion->has_failed = false;
    if (value == NULL && !coercion->is_default) {
        if (type->node.kind == FQ_AST_NON_NULL_TYPE)
            fail_null(coercion, NULL, "Expected a value of non-null type '",
                      type, "' to be provided.");
        return coercion->has_failed ? FQ_ERR_INVALID : FQ_OK;
    }
    if (json->len > 1)
        fq_buf_append_char(json, ',');
    fq_json_write_str(json, definition->variable->text);
    fq_buf_append_char(json, ':');
    size_t start = json->len;
    if (coercion->is_default)
        coerce_literal(coercion, NULL, type, definition->default_value);
    else
        coerce_value(coercion, NULL, type, value);
    *span = (struct fq_variable_span){start, json->len - start};
    return coercion->has_failed ? FQ_ERR_INVALID : FQ_OK;
}

/* With a schema: adds an error with the text |message|, which is freed, at
 * |node| (NULL: nowhere). Beyond the maximum it says so and stops. */
static void
fail_typed(fq_coercion *coercion, fq_buf *message, const fq_ast_node *node)
{
    fq_gql_errors *errors = coercion->errors;
    coercion->has_failed = true;
    if (fq_buf_status(message) != FQ_OK) {
        errors->status = FQ_ERR_NOMEM;
    } else if (coercion->n_errors++ < FQ_VARIABLES_ERRORS_MAX) {
        fq_gql_error *error = fq_gql_errors_add_str(errors, NULL,
                                                    fq_buf_str(message));
        if (node != NULL)
            fq_gql_error_locate(
                errors, error, coercion->table->document->source, node->start);
    } else {
        coercion->is_done = true;
        fq_gql_errors_add(errors, NULL,
                          "Too many errors processing variables, error limit "
                          "reached. Execution aborted.");
    }
    fq_buf_fini(message);
}

/* One fault in the value of the variable; for fq_input_value_coerce. */
static bool
on_typed_error(void *arg, fq_str text, fq_str path)
{
    fq_coercion *coercion = arg;
    const fq_ast_variable_definition *definition = coercion->definition;
    fq_buf message;
    fq_buf_init(&message);
    append_invalid(&message, coercion);
    if (path.len > 0)
        fq_buf_append_str(&message, FQ_STR_LIT(" at "));
    fq_buf_append_str(&message, path);
    fq_buf_append_str(&message, FQ_STR_LIT(": "));
    fq_buf_append_str(&message, text);
    fail_typed(coercion, &message, &definition->node);
    return !coercion->is_done;
}

static bool
on_default_error(void *arg, fq_str text, fq_str path, const fq_ast_node *node)
{
    (void)node; /* the definition is told */
    return on_typed_error(arg, text, path);
}

static void
fail_type(fq_coercion *coercion)
{
    const fq_ast_variable_definition *definition = coercion->definition;
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Variable '$"));
    fq_buf_append_str(&message, definition->variable->text);
    fq_buf_append_str(&message, FQ_STR_LIT("' expected value of type '"));
    fq_print_type(&message, definition->type);
    fq_buf_append_str(&message,
                      FQ_STR_LIT("' which cannot be used as an input type."));
    fail_typed(coercion, &message, &definition->type->node);
}

/* Adds an error that ends the coercion of all variables. */
static fq_status
fail_whole(fq_coercion *coercion, const char *code, const char *message)
{
    fq_gql_errors_add(coercion->errors, code, "%s", message);
    coercion->has_failed = true;
    coercion->is_done = true;
    return FQ_ERR_INVALID;
}

/* The value of the variable: |value|, or its default when that is NULL. */
static fq_status
coerce_typed_value(fq_coercion *coercion, const fq_type *type,
                   yyjson_val *value)
{
    if (!coercion->is_default && fq_input_value_is_too_deep(value, type))
        return fail_whole(coercion, NULL,
                          "Variable values are nested too deeply.");
    fq_status status;
    if (!coercion->is_default) {
        status = fq_input_value_coerce(value, type, coercion->json,
                                       on_typed_error, coercion);
        if (status == FQ_ERR_LIMIT)
            status = fail_whole(coercion, "LIMIT_REACHED",
                                "Variables have too many fields.");
        return status;
    }
    fq_ast_value *literal = coercion->definition->default_value;
    status = fq_input_literal_check(literal, type, on_default_error, coercion);
    if (status == FQ_OK)
        fq_arguments_write_value(literal, type, coercion->table, NULL,
                                 coercion->json);
    return status;
}

/* As coerce_variable, with a schema. */
static fq_status
coerce_typed(fq_coercion *coercion, yyjson_val *value,
             struct fq_variable_span *span)
{
    const fq_ast_variable_definition *definition = coercion->definition;
    const fq_type *type = definition->type->type;
    fq_buf *json = coercion->json;
    coercion->has_failed = false;
    coercion->is_default = value == NULL && definition->default_value != NULL;
    if (type == NULL || !fq_type_is_input(type)) {
        fail_type(coercion);
        return FQ_ERR_INVALID;
    }
    if (value == NULL && !coercion->is_default) {
        if (type->kind != FQ_TYPE_NON_NULL)
            return FQ_OK;
        fq_buf text;
        fq_buf_init(&text);
        fq_buf_append_format(
            &text, "Expected a value of non-null type '%.*s' to be provided.",
            FQ_STR_FMT(type->name));
        on_typed_error(coercion, fq_buf_str(&text), fq_str_make(NULL, 0));
        if (fq_buf_status(&text) != FQ_OK)
            coercion->errors->status = FQ_ERR_NOMEM;
        fq_buf_fini(&text);
        return FQ_ERR_INVALID;
    }
    if (json->len > 1)
        fq_buf_append_char(json, ',');
    fq_json_write_str(json, definition->variable->text);
    fq_buf_append_char(json, ':');
    size_t start = json->len;
    fq_status status = coerce_typed_value(coercion, type, value);
    *span = (struct fq_variable_span){start, json->len - start};
    return status;
}

/* Finds the value of each variable in |input|, the last of several. */
static void
match_inputs(const fq_variable_table *table, yyjson_val *input,
             yyjson_val **found)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(input);
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        uint32_t place = fq_variable_table_find(table, fq_json_str(key));
        if (place != UINT32_MAX)
            found[place] = yyjson_obj_iter_get_val(key);
    }
}

fq_status
fq_variables_coerce(const fq_variable_table *table, yyjson_val *input,
                    fq_variable_values *values, fq_gql_errors *errors)
{
    fq_buf_init(&values->json);
    values->json.max = FQ_VARIABLES_MAX;
    values->spans = NULL;
    size_t n_items = table->n_items;
    yyjson_val **found = NULL;
    fq_status status = FQ_OK;
    if (n_items > 0) {
        values->spans = fq_alloc_zero(n_items * sizeof(*values->spans));
        found = fq_alloc_zero(n_items * sizeof(yyjson_val *));
        if (values->spans == NULL || found == NULL) {
            status = FQ_ERR_NOMEM;
            goto out;
        }
        match_inputs(table, input, found);
    }
    fq_coercion coercion = {
        .table = table,
        .json = &values->json,
        .errors = errors,
    };
    fq_buf_append_char(&values->json, '{');
    for (size_t i = 0; i < n_items && !coercion.is_done; i++) {
        coercion.definition = table->items[i];
        fq_status result = (table->schema != NULL ? coerce_typed
                                                  : coerce_variable)(
            &coercion, found[i], &values->spans[i]);
        if (result == FQ_ERR_NOMEM)
            errors->status = FQ_ERR_NOMEM;
        else if (result != FQ_OK)
            status = FQ_ERR_INVALID;
    }
    fq_buf_append_char(&values->json, '}');
    if (fq_buf_status(&values->json) == FQ_ERR_LIMIT && status == FQ_OK) {
        fq_gql_errors_add(errors, "LIMIT_REACHED",
                          "Variables are larger than %d bytes.",
                          FQ_VARIABLES_MAX);
        status = FQ_ERR_LIMIT;
    } else if (fq_buf_status(&values->json) == FQ_ERR_NOMEM) {
        status = FQ_ERR_NOMEM;
    }
    if (errors->status != FQ_OK)
        status = errors->status;
out:
    fq_free(found);
    return status;
}

void
fq_variable_values_fini(fq_variable_values *values)
{
    fq_buf_fini(&values->json);
    fq_free(values->spans);
    values->spans = NULL;
}

fq_str
fq_variable_values_text(const fq_variable_table *table,
                        const fq_variable_values *values, fq_str name)
{
    uint32_t place = fq_variable_table_find(table, name);
    if (values == NULL || place == UINT32_MAX)
        return fq_str_make(NULL, 0);
    struct fq_variable_span span = values->spans[place];
    return fq_str_make(values->json.ptr + span.start, span.len);
}

/* Arguments or input fields as an object. */
static void
fold_fields(const fq_variable_table *table, const fq_variable_values *values,
            const fq_ast_list *fields, fq_buf *buf)
{
    fq_buf_append_char(buf, '{');
    bool is_first = true;
    FQ_AST_FOREACH(node, fields)
    {
        const fq_ast_argument *field = (const fq_ast_argument *)node;
        if (field->value->node.kind == FQ_AST_VARIABLE
            && fq_variable_values_text(table, values, field->value->text).len
                   == 0)
            continue;
        if (!is_first)
            fq_buf_append_char(buf, ',');
        is_first = false;
        fq_json_write_str(buf, field->name);
        fq_buf_append_char(buf, ':');
        fq_variables_fold_value(table, values, field->value, buf);
    }
    fq_buf_append_char(buf, '}');
}

void
fq_variables_fold_value(const fq_variable_table *table,
                        const fq_variable_values *values,
                        const fq_ast_value *value, fq_buf *buf)
{
    fq_str text;
    switch (value->node.kind) {
    case FQ_AST_VARIABLE:
        text = fq_variable_values_text(table, values, value->text);
        fq_buf_append_str(buf, text.len > 0 ? text : FQ_STR_LIT("null"));
        break;
    case FQ_AST_STRING:
    case FQ_AST_ENUM:
        fq_json_write_str(buf, value->text);
        break;
    case FQ_AST_LIST:
        fq_buf_append_char(buf, '[');
        FQ_AST_FOREACH(node, &value->items)
        {
            if (node != value->items.first)
                fq_buf_append_char(buf, ',');
            fq_variables_fold_value(table, values, (const fq_ast_value *)node,
                                    buf);
        }
        fq_buf_append_char(buf, ']');
        break;
    case FQ_AST_OBJECT:
        fold_fields(table, values, &value->items, buf);
        break;
    default:
        /* Numbers of GraphQL are numbers of JSON; true, false, null. */
        fq_buf_append_str(buf, value->text);
        break;
    }
}

void
fq_variables_fold(const fq_variable_table *table,
                  const fq_variable_values *values,
                  const fq_ast_list *arguments, fq_buf *buf)
{
    fold_fields(table, values, arguments, buf);
}
