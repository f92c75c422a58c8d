/* SPDX-License-Identifier: MIT */
/* LoneAnonymousOperation (Sep 2025 5.2.3.1). */
#include "graphql/rules/rules.h"

static void
enter_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    if (((const fq_ast_operation *)node)->name.ptr != NULL
        || validation->n_operations < 2)
        return;
    fq_gql_error *error = fq_validation_report(
        validation,
        "This anonymous operation must be the only defined operation.");
    fq_validation_locate(validation, error, node);
}

const fq_rule fq_rule_lone_anonymous_operation = {
    .name = "LoneAnonymousOperation",
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_operation},
    },
};
