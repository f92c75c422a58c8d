/* SPDX-License-Identifier: MIT */
/* UniqueInputFieldNames (Sep 2025 5.6.3). Cost: O(fields). */
#include "graphql/rules/rules.h"

static void
enter_object(fq_validation *validation, void *state, const fq_ast_node *node,
             const fq_ast_node *parent)
{
    (void)state, (void)parent;
    fq_validation_link_same(validation, &((const fq_ast_value *)node)->items);
}

static void
enter_object_field(fq_validation *validation, void *state,
                   const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_argument *field = (const fq_ast_argument *)node;
    if (field->first_same == field)
        return;
    fq_gql_error *error = fq_validation_report(
        validation, "There can be only one input field named '%.*s'.",
        FQ_STR_FMT(field->name));
    fq_validation_locate_name(validation, error, field->first_same->name);
    fq_validation_locate_name(validation, error, field->name);
}

const fq_rule fq_rule_unique_input_field_names = {
    .name = "UniqueInputFieldNames",
    .handlers = {
        {FQ_AST_OBJECT, .enter = enter_object},
        {FQ_AST_OBJECT_FIELD, .enter = enter_object_field},
    },
};
