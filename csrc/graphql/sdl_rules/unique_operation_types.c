/* SPDX-License-Identifier: MIT */
/* A schema and its extensions name one type per operation (GraphQL Sep 2025
 * 3.3.1). */
#include "graphql/sdl_rules/sdl_rules.h"

void
fq_sdl_unique_operation_types(fq_sdl_validation *validation,
                              const fq_ast_type_system *definition)
{
    static const char *const operations[] = {
        [FQ_OPERATION_QUERY] = "query",
        [FQ_OPERATION_MUTATION] = "mutation",
        [FQ_OPERATION_SUBSCRIPTION] = "subscription",
    };
    if (definition->what != FQ_DEFINITION_SCHEMA)
        return;
    FQ_AST_FOREACH(node, &definition->members)
    {
        const fq_ast_root_definition *root = (fq_ast_root_definition *)node;
        const fq_ast_root_definition **pfirst
            = &validation->roots[root->operation];
        if (*pfirst == NULL) {
            *pfirst = root;
            continue;
        }
        fq_gql_error *error = fq_sdl_report(
            validation, "There can be only one %s type in schema.",
            operations[root->operation]);
        fq_sdl_locate(validation, error, &(*pfirst)->node);
        fq_sdl_locate(validation, error, node);
    }
}
