/* SPDX-License-Identifier: MIT */
/* VariablesAreInputTypes (Sep 2025 5.8.2). */
#include "graphql/rules/rules.h"

static void
enter_variable_definition(fq_validation *validation, void *state,
                          const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_variable_definition *definition
        = (const fq_ast_variable_definition *)node;
    const fq_type *type = definition->type->type;
    if (type == NULL || fq_type_is_input(type))
        return;
    fq_gql_error *error = fq_validation_report(
        validation, "Variable '$%.*s' cannot be non-input type '%.*s'.",
        FQ_STR_FMT(definition->variable->text), FQ_STR_FMT(type->name));
    fq_validation_locate(validation, error, &definition->type->node);
}

const fq_rule fq_rule_variables_are_input_types = {
    .name = "VariablesAreInputTypes",
    .needs_schema = true,
    .handlers = {
        {FQ_AST_VARIABLE_DEFINITION, .enter = enter_variable_definition},
    },
};
