/* SPDX-License-Identifier: MIT */
/* ProvidedRequiredArguments (Sep 2025 5.4.3). Cost: for each required
 * argument O(given ones). */
#include "graphql/rules/rules.h"

static bool
has_argument(const fq_ast_list *arguments, fq_str name)
{
    FQ_AST_FOREACH(node, arguments)
    {
        if (fq_str_eq(((const fq_ast_argument *)node)->name, name))
            return true;
    }
    return false;
}

static void
leave_directive(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_directive *directive = (const fq_ast_directive *)node;
    const fq_directive_def *def = directive->def;
    for (uint32_t i = 0; def != NULL && i < def->n_args; i++) {
        const fq_input_def *arg = &def->args[i];
        if (validation->is_aborted)
            return;
        if (!fq_input_def_is_required(arg)
            || has_argument(&directive->arguments, arg->name))
            continue;
        fq_gql_error *error = fq_validation_report(
            validation,
            "Argument '@%.*s(%.*s:)' of type '%.*s' is required, "
            "but it was not provided.",
            FQ_STR_FMT(directive->name), FQ_STR_FMT(arg->name),
            FQ_STR_FMT(arg->type->name));
        fq_validation_locate(validation, error, node);
    }
}

/* What stands before the name of a field. */
static fq_str
prefix_of(const fq_validation *validation, const fq_field_def *field)
{
    const fq_type *type = field->type->named;
    if (type->is_builtin && type->kind != FQ_TYPE_SCALAR)
        return FQ_STR_LIT("<meta>");
    return validation->parent_type->name;
}

static void
leave_field(fq_validation *validation, void *state, const fq_ast_node *node,
            const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_field *field = (const fq_ast_field *)node;
    const fq_field_def *def = field->def;
    for (uint32_t i = 0; def != NULL && i < def->n_args; i++) {
        const fq_input_def *arg = &def->args[i];
        if (validation->is_aborted)
            return;
        if (!fq_input_def_is_required(arg)
            || has_argument(&field->arguments, arg->name))
            continue;
        fq_gql_error *error = fq_validation_report(
            validation,
            "Argument '%.*s.%.*s(%.*s:)' of type '%.*s' is required, "
            "but it was not provided.",
            FQ_STR_FMT(prefix_of(validation, def)), FQ_STR_FMT(field->name),
            FQ_STR_FMT(arg->name), FQ_STR_FMT(arg->type->name));
        fq_validation_locate(validation, error, node);
    }
}

const fq_rule fq_rule_provided_required_arguments = {
    .name = "ProvidedRequiredArguments",
    .handlers = {
        {FQ_AST_DIRECTIVE, .leave = leave_directive},
        {FQ_AST_FIELD, .leave = leave_field},
    },
};
