/* SPDX-License-Identifier: MIT */
/* KnownDirectives (Sep 2025 5.7.1, 5.7.2). */
#include "graphql/rules/rules.h"

/* The name of the place where the directives of |node| stand. */
static const char *
location_of(const fq_ast_node *node)
{
    switch (node->kind) {
    case FQ_AST_OPERATION:
        switch (((const fq_ast_operation *)node)->type) {
        case FQ_OPERATION_MUTATION:
            return "mutation";
        case FQ_OPERATION_SUBSCRIPTION:
            return "subscription";
        default:
            return "query";
        }
    case FQ_AST_FRAGMENT:
        return "fragment definition";
    case FQ_AST_VARIABLE_DEFINITION:
        return "variable definition";
    case FQ_AST_FRAGMENT_SPREAD:
        return "fragment spread";
    case FQ_AST_INLINE_FRAGMENT:
        return "inline fragment";
    default:
        return "field";
    }
}

static void
enter_directive(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state;
    fq_str name = ((const fq_ast_directive *)node)->name;
    const fq_known_directive *known = fq_known_directive_find(name);
    bool is_selection = parent->kind == FQ_AST_FIELD
                        || parent->kind == FQ_AST_FRAGMENT_SPREAD
                        || parent->kind == FQ_AST_INLINE_FRAGMENT;
    fq_gql_error *error;
    if (known == NULL)
        error = fq_validation_report(validation, "Unknown directive '@%.*s'.",
                                     FQ_STR_FMT(name));
    else if (!known->on_selections || !is_selection)
        error = fq_validation_report(
            validation, "Directive '@%.*s' may not be used on %s.",
            FQ_STR_FMT(name), location_of(parent));
    else
        return;
    fq_validation_locate(validation, error, node);
}

const fq_rule fq_rule_known_directives = {
    .enter = {[FQ_AST_DIRECTIVE] = enter_directive},
};
