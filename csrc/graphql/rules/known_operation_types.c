/* SPDX-License-Identifier: MIT */
/* KnownOperationTypes (Sep 2025 5.2.1.1). */
#include "graphql/rules/rules.h"

static void
enter_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    static const char *const names[] = {
        [FQ_OPERATION_QUERY] = "query",
        [FQ_OPERATION_MUTATION] = "mutation",
        [FQ_OPERATION_SUBSCRIPTION] = "subscription",
    };
    (void)state, (void)parent;
    fq_operation_type type = ((const fq_ast_operation *)node)->type;
    if (validation->schema->roots[type] != NULL)
        return;
    fq_gql_error *error = fq_validation_report(
        validation, "The %s operation is not supported by the schema.",
        names[type]);
    fq_validation_locate(validation, error, node);
}

const fq_rule fq_rule_known_operation_types = {
    .name = "KnownOperationTypes",
    .needs_schema = true,
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_operation},
    },
};
