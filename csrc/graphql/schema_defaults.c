/* SPDX-License-Identifier: MIT */
/* Default values as JSON (GraphQL Sep 2025 3.10, input coercion): literals
 * become values of their type, and fields an object leaves out get their own
 * defaults. Each default is worked out once and then copied. One thread at a
 * time. */
#include "graphql/input_literal.h"
#include "graphql/schema_internal.h"
#include "json/writer.h"

typedef struct fq_defaults {
    fq_schema *schema;
    fq_gql_errors *errors;
    size_t n_bytes; /* of all JSON so far */
    size_t depth;
} fq_defaults;

static fq_status
write_value(fq_defaults *defaults, fq_buf *buf, const fq_ast_value *literal,
            const fq_type *type);

static fq_status
fail_limit(fq_defaults *defaults, const char *message)
{
    return fq_gql_errors_add(defaults->errors, "LIMIT_REACHED", "%s", message)
                   != NULL
               ? FQ_ERR_LIMIT
               : FQ_ERR_NOMEM;
}

/* Sets default_json of |def|; for fq_schema_each_input. */
static fq_status
set_default(void *arg, fq_input_def *def)
{
    fq_defaults *defaults = arg;
    if (def->default_value == NULL || def->default_json.ptr != NULL)
        return FQ_OK;
    if (++defaults->depth > FQ_SCHEMA_DEPTH_MAX)
        return fail_limit(defaults, "Default values are nested too deeply.");
    if (defaults->n_bytes >= FQ_SCHEMA_DEFAULTS_MAX)
        return fail_limit(defaults, "Default values are too large.");
    fq_buf buf;
    fq_buf_init(&buf);
    buf.max = FQ_SCHEMA_DEFAULTS_MAX - defaults->n_bytes;
    fq_status status = write_value(defaults, &buf, def->default_value,
                                   def->type);
    if (status == FQ_OK)
        status = fq_buf_status(&buf);
    if (status == FQ_ERR_LIMIT && defaults->errors->n_items == 0)
        status = fail_limit(defaults, "Default values are too large.");
    if (status == FQ_OK) {
        def->default_json = fq_arena_copy(&defaults->schema->arena,
                                          fq_buf_str(&buf));
        if (def->default_json.ptr == NULL)
            status = FQ_ERR_NOMEM;
    }
    defaults->n_bytes += buf.len;
    fq_buf_fini(&buf);
    defaults->depth--;
    return status;
}

/* A literal as it is; what custom scalars get. */
static void
write_untyped(fq_buf *buf, const fq_ast_value *literal)
{
    switch (literal->node.kind) {
    case FQ_AST_STRING:
    case FQ_AST_ENUM:
        fq_json_write_str(buf, literal->text);
        break;
    case FQ_AST_LIST:
        fq_buf_append_char(buf, '[');
        FQ_AST_FOREACH(node, &literal->items)
        {
            if (node != literal->items.first)
                fq_buf_append_char(buf, ',');
            write_untyped(buf, (const fq_ast_value *)node);
        }
        fq_buf_append_char(buf, ']');
        break;
    case FQ_AST_OBJECT:
        fq_buf_append_char(buf, '{');
        FQ_AST_FOREACH(node, &literal->items)
        {
            const fq_ast_argument *field = (const fq_ast_argument *)node;
            if (node != literal->items.first)
                fq_buf_append_char(buf, ',');
            fq_json_write_str(buf, field->name);
            fq_buf_append_char(buf, ':');
            write_untyped(buf, field->value);
        }
        fq_buf_append_char(buf, '}');
        break;
    default:
        /* Numbers of GraphQL are numbers of JSON; true, false, null. */
        fq_buf_append_str(buf, literal->text);
        break;
    }
}

static void
write_leaf(fq_buf *buf, const fq_ast_value *literal, const fq_type *type)
{
    if (type->scalar == FQ_SCALAR_FLOAT)
        fq_json_write_double(buf, fq_scalar_read_number(literal->text));
    else if (type->scalar == FQ_SCALAR_ID)
        fq_json_write_str(buf, literal->text);
    else
        write_untyped(buf, literal);
}

static fq_status
write_object(fq_defaults *defaults, fq_buf *buf, const fq_ast_value *literal,
             const fq_type *type)
{
    bool has_fields = false;
    fq_buf_append_char(buf, '{');
    for (uint32_t i = 0; i < type->n_members; i++) {
        const fq_input_def *def = &type->input_fields[i];
        const fq_ast_argument *field = fq_input_literal_field(literal,
                                                              def->name);
        if (field == NULL && def->default_value == NULL)
            continue;
        if (has_fields)
            fq_buf_append_char(buf, ',');
        has_fields = true;
        fq_json_write_str(buf, def->name);
        fq_buf_append_char(buf, ':');
        fq_status status;
        if (field != NULL) {
            status = write_value(defaults, buf, field->value, def->type);
        } else {
            status = set_default(defaults, (fq_input_def *)def);
            if (status == FQ_OK)
                fq_buf_append_str(buf, def->default_json);
        }
        if (status != FQ_OK)
            return status;
    }
    fq_buf_append_char(buf, '}');
    return FQ_OK;
}

static fq_status
write_list(fq_defaults *defaults, fq_buf *buf, const fq_ast_value *literal,
           const fq_type *type)
{
    fq_status status = FQ_OK;
    fq_buf_append_char(buf, '[');
    if (literal->node.kind != FQ_AST_LIST)
        status = write_value(defaults, buf, literal, type->of);
    else
        FQ_AST_FOREACH(node, &literal->items)
        {
            if (node != literal->items.first)
                fq_buf_append_char(buf, ',');
            status = write_value(defaults, buf, (const fq_ast_value *)node,
                                 type->of);
            if (status != FQ_OK)
                return status;
        }
    fq_buf_append_char(buf, ']');
    return status;
}

/* |literal| is a value of |type|. */
static fq_status
write_value(fq_defaults *defaults, fq_buf *buf, const fq_ast_value *literal,
            const fq_type *type)
{
    type = fq_type_nullable(type);
    if (literal->node.kind == FQ_AST_NULL)
        fq_buf_append_str(buf, FQ_STR_LIT("null"));
    else if (type->kind == FQ_TYPE_LIST)
        return write_list(defaults, buf, literal, type);
    else if (type->kind == FQ_TYPE_INPUT_OBJECT)
        return write_object(defaults, buf, literal, type);
    else
        write_leaf(buf, literal, type);
    return FQ_OK;
}

fq_status
fq_schema_coerce_defaults(fq_schema *schema, fq_gql_errors *errors)
{
    fq_defaults defaults = {.schema = schema, .errors = errors};
    return fq_schema_each_input(schema, set_default, &defaults);
}
