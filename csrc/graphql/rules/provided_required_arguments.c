/* SPDX-License-Identifier: MIT */
/* ProvidedRequiredArguments (Sep 2025 5.4.3) for directives. */
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
    const fq_known_directive *known = fq_known_directive_find(directive->name);
    if (known == NULL || known->argument.name.ptr == NULL
        || known->argument.has_default
        || has_argument(&directive->arguments, known->argument.name))
        return;
    fq_gql_error *error = fq_validation_report(
        validation,
        "Argument '@%.*s(%.*s:)' of type '%.*s!' is required, "
        "but it was not provided.",
        FQ_STR_FMT(known->name), FQ_STR_FMT(known->argument.name),
        FQ_STR_FMT(known->argument.type->of->name));
    fq_validation_locate(validation, error, node);
}

const fq_rule fq_rule_provided_required_arguments = {
    .leave = {[FQ_AST_DIRECTIVE] = leave_directive},
};
