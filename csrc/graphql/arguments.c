/* SPDX-License-Identifier: MIT */
/* Checking looks at literals and at the states of variables, writing at their
 * values: the first is done once per variant, the second per subscription.
 * Recursion is over literals, which the parser bounds. One thread at a time. */
#include "graphql/arguments.h"

#include "graphql/input_literal.h"
#include "json/writer.h"

/* The argument |name| of |arguments|, the last of several, or NULL. */
static const fq_ast_argument *
find_argument(const fq_ast_list *arguments, fq_str name)
{
    const fq_ast_argument *found = NULL;
    FQ_AST_FOREACH(node, arguments)
    {
        const fq_ast_argument *argument = (const fq_ast_argument *)node;
        if (fq_str_eq(argument->name, name))
            found = argument;
    }
    return found;
}

static void
append_name(fq_buf *buf, const fq_input_def *arg)
{
    fq_buf_append_str(buf, FQ_STR_LIT("Argument '"));
    fq_buf_append_str(buf, arg->name);
    fq_buf_append_char(buf, '\'');
}

typedef struct fq_argument_check {
    const fq_input_def *arg;
    fq_argument_fault *fault;
} fq_argument_check;

static bool
on_fault(void *arg, fq_str message, fq_str path, const fq_ast_node *node)
{
    fq_argument_check *check = arg;
    fq_buf *buf = &check->fault->message;
    append_name(buf, check->arg);
    fq_buf_append_str(buf, FQ_STR_LIT(" has invalid value"));
    if (path.len > 0)
        fq_buf_append_str(buf, FQ_STR_LIT(" at "));
    fq_buf_append_str(buf, path);
    fq_buf_append_str(buf, FQ_STR_LIT(": "));
    fq_buf_append_str(buf, message);
    check->fault->node = node;
    return false;
}

fq_status
fq_arguments_check(const fq_input_def *args, uint32_t n_args,
                   const fq_ast_list *arguments, const fq_ast_node *node,
                   const fq_variable_states *variables,
                   fq_argument_fault *fault)
{
    fq_buf_init(&fault->message);
    fault->node = NULL;
    fq_status status = FQ_OK;
    for (uint32_t i = 0; i < n_args && status == FQ_OK; i++) {
        const fq_input_def *arg = &args[i];
        const fq_ast_argument *given = find_argument(arguments, arg->name);
        bool is_required = fq_input_def_is_required(arg);
        if (given == NULL) {
            if (!is_required)
                continue;
            append_name(&fault->message, arg);
            fq_buf_append_format(&fault->message,
                                 " of required type '%.*s' was not provided.",
                                 FQ_STR_FMT(arg->type->name));
            fault->node = node;
            status = FQ_ERR_INVALID;
        } else if (is_required || given->value->node.kind != FQ_AST_VARIABLE
                   || fq_variable_states_get(variables, given->value->text)
                          != FQ_VARIABLE_NONE) {
            fq_argument_check check = {.arg = arg, .fault = fault};
            status = fq_input_literal_check_bound(given->value, arg->type,
                                                  variables, on_fault, &check);
        }
    }
    return status == FQ_ERR_INVALID && fq_buf_status(&fault->message) != FQ_OK
               ? FQ_ERR_NOMEM
               : status;
}

/* True when |given| (NULL: not given) is a variable without a value. */
static bool
has_value(const fq_ast_argument *given, const fq_variable_table *table,
          const fq_variable_values *values)
{
    return given != NULL
           && (given->value->node.kind != FQ_AST_VARIABLE
               || fq_variable_values_text(table, values, given->value->text)
                          .len
                      > 0);
}

/* Arguments or input fields: what |given| gives for |defs|. */
static void
write_members(const fq_input_def *defs, uint32_t n_defs,
              const fq_ast_list *given, const fq_variable_table *table,
              const fq_variable_values *values, fq_buf *buf)
{
    bool is_first = true;
    fq_buf_append_char(buf, '{');
    for (uint32_t i = 0; i < n_defs; i++) {
        const fq_input_def *def = &defs[i];
        const fq_ast_argument *member = find_argument(given, def->name);
        bool is_given = has_value(member, table, values);
        if (!is_given && def->default_value == NULL)
            continue;
        if (!is_first)
            fq_buf_append_char(buf, ',');
        is_first = false;
        fq_json_write_str(buf, def->name);
        fq_buf_append_char(buf, ':');
        if (is_given)
            fq_arguments_write_value(member->value, def->type, table, values,
                                     buf);
        else
            fq_buf_append_str(buf, def->default_json);
    }
    fq_buf_append_char(buf, '}');
}

void
fq_arguments_write(const fq_input_def *args, uint32_t n_args,
                   const fq_ast_list *arguments,
                   const fq_variable_table *table,
                   const fq_variable_values *values, fq_buf *buf)
{
    write_members(args, n_args, arguments, table, values, buf);
}

static void
write_list(const fq_ast_value *literal, const fq_type *type,
           const fq_variable_table *table, const fq_variable_values *values,
           fq_buf *buf)
{
    fq_buf_append_char(buf, '[');
    if (literal->node.kind != FQ_AST_LIST)
        fq_arguments_write_value(literal, type->of, table, values, buf);
    else
        FQ_AST_FOREACH(node, &literal->items)
        {
            if (node != literal->items.first)
                fq_buf_append_char(buf, ',');
            fq_arguments_write_value((const fq_ast_value *)node, type->of,
                                     table, values, buf);
        }
    fq_buf_append_char(buf, ']');
}

void
fq_arguments_write_value(const fq_ast_value *literal, const fq_type *type,
                         const fq_variable_table *table,
                         const fq_variable_values *values, fq_buf *buf)
{
    type = fq_type_nullable(type);
    fq_ast_kind kind = literal->node.kind;
    if (kind == FQ_AST_NULL || kind == FQ_AST_VARIABLE)
        /* A variable's value has the type already. */
        fq_variables_fold_value(table, values, literal, buf);
    else if (type->kind == FQ_TYPE_LIST)
        write_list(literal, type, table, values, buf);
    else if (type->kind == FQ_TYPE_INPUT_OBJECT)
        write_members(type->input_fields, type->n_members, &literal->items,
                      table, values, buf);
    else if (type->scalar == FQ_SCALAR_FLOAT && type->kind == FQ_TYPE_SCALAR)
        fq_json_write_double(buf, fq_scalar_read_number(literal->text));
    else if (type->scalar == FQ_SCALAR_ID && type->kind == FQ_TYPE_SCALAR)
        fq_json_write_str(buf, literal->text);
    else
        fq_variables_fold_value(table, values, literal, buf);
}
