/* SPDX-License-Identifier: MIT */
/* ScalarLeafs (Sep 2025 5.3.3): scalars and enums have no selection, other
 * types have one. */
#include "graphql/rules/rules.h"

static void
enter_field(fq_validation *validation, void *state, const fq_ast_node *node,
            const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_field *field = (const fq_ast_field *)node;
    if (field->def == NULL)
        return;
    const fq_type *type = field->def->type;
    bool is_leaf = fq_type_is_leaf(type->named);
    if (is_leaf && field->selection_set != NULL) {
        fq_gql_error *error = fq_validation_report(
            validation,
            "Field '%.*s' must not have a selection since type '%.*s' has no "
            "subfields.",
            FQ_STR_FMT(field->name), FQ_STR_FMT(type->name));
        fq_validation_locate(validation, error, &field->selection_set->node);
    } else if (!is_leaf && field->selection_set == NULL) {
        fq_gql_error *error = fq_validation_report(
            validation,
            "Field '%.*s' of type '%.*s' must have a selection of subfields. "
            "Did you mean '%.*s { ... }'?",
            FQ_STR_FMT(field->name), FQ_STR_FMT(type->name),
            FQ_STR_FMT(field->name));
        fq_validation_locate(validation, error, node);
    }
}

const fq_rule fq_rule_scalar_leafs = {
    .name = "ScalarLeafs",
    .needs_schema = true,
    .handlers = {
        {FQ_AST_FIELD, .enter = enter_field},
    },
};
