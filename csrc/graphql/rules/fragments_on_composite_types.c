/* SPDX-License-Identifier: MIT */
/* FragmentsOnCompositeTypes (Sep 2025 5.5.1.3). */
#include "graphql/rules/rules.h"

static bool
is_fault(const fq_ast_type *condition)
{
    return condition != NULL && condition->type != NULL
           && !fq_type_is_composite(condition->type);
}

static void
enter_inline_fragment(fq_validation *validation, void *state,
                      const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_type *condition
        = ((const fq_ast_inline_fragment *)node)->type_condition;
    if (!is_fault(condition))
        return;
    fq_gql_error *error = fq_validation_report(
        validation, "Fragment cannot condition on non composite type '%.*s'.",
        FQ_STR_FMT(condition->name));
    fq_validation_locate(validation, error, &condition->node);
}

static void
enter_fragment(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_fragment *fragment = (const fq_ast_fragment *)node;
    const fq_ast_type *condition = fragment->type_condition;
    if (!is_fault(condition))
        return;
    fq_gql_error *error = fq_validation_report(
        validation,
        "Fragment '%.*s' cannot condition on non composite type '%.*s'.",
        FQ_STR_FMT(fragment->name), FQ_STR_FMT(condition->name));
    fq_validation_locate(validation, error, &condition->node);
}

const fq_rule fq_rule_fragments_on_composite_types = {
    .name = "FragmentsOnCompositeTypes",
    .needs_schema = true,
    .handlers = {
        {FQ_AST_INLINE_FRAGMENT, .enter = enter_inline_fragment},
        {FQ_AST_FRAGMENT, .enter = enter_fragment},
    },
};
