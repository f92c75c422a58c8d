/* SPDX-License-Identifier: MIT */
/* PossibleFragmentSpreads (Sep 2025 5.5.2.3): some object can be of both the
 * type around a fragment and its condition. Cost: possible types of the one,
 * for each fragment used. */
#include "graphql/rules/rules.h"

/* True when both are known and exclude each other. */
static bool
is_fault(const fq_type *condition, const fq_type *parent)
{
    return condition != NULL && fq_type_is_composite(condition)
           && parent != NULL && !fq_type_overlaps(condition, parent);
}

static void
enter_inline_fragment(fq_validation *validation, void *state,
                      const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_type *condition
        = ((const fq_ast_inline_fragment *)node)->type_condition;
    const fq_type *around = validation->parent_type;
    if (condition == NULL || !is_fault(condition->type, around))
        return;
    fq_gql_error *error = fq_validation_report(
        validation,
        "Fragment cannot be spread here as objects of type '%.*s' can never "
        "be of type '%.*s'.",
        FQ_STR_FMT(around->name), FQ_STR_FMT(condition->name));
    fq_validation_locate(validation, error, node);
}

static void
enter_spread(fq_validation *validation, void *state, const fq_ast_node *node,
             const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_spread *spread = (const fq_ast_spread *)node;
    const fq_type *around = validation->parent_type;
    if (spread->fragment == NULL)
        return;
    const fq_ast_type *condition = spread->fragment->type_condition;
    if (!is_fault(condition->type, around))
        return;
    fq_gql_error *error = fq_validation_report(
        validation,
        "Fragment '%.*s' cannot be spread here as objects of type '%.*s' can "
        "never be of type '%.*s'.",
        FQ_STR_FMT(spread->name), FQ_STR_FMT(around->name),
        FQ_STR_FMT(condition->name));
    fq_validation_locate(validation, error, node);
}

const fq_rule fq_rule_possible_fragment_spreads = {
    .name = "PossibleFragmentSpreads",
    .needs_schema = true,
    .handlers = {
        {FQ_AST_INLINE_FRAGMENT, .enter = enter_inline_fragment},
        {FQ_AST_FRAGMENT_SPREAD, .enter = enter_spread},
    },
};
