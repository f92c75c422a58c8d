/* SPDX-License-Identifier: MIT */
/* A directive that is not repeatable stands once at a node, a type and its
 * extensions being one (GraphQL Sep 2025 5.7.3). */
#include "graphql/sdl_rules/sdl_rules.h"

void
fq_sdl_unique_directives_per_location(fq_sdl_validation *validation,
                                      fq_sdl_scope scope, fq_str owner,
                                      const fq_ast_list *directives)
{
    FQ_AST_FOREACH(node, directives)
    {
        const fq_ast_directive *directive = (const fq_ast_directive *)node;
        const fq_ast_type_system *definition = fq_sdl_directive(
            validation, directive->name);
        if (definition == NULL || definition->is_repeatable)
            continue;
        const fq_ast_directive *first = fq_sdl_seen(
            validation, scope, owner, directive->name, directive);
        if (first == NULL)
            continue;
        fq_gql_error *error = fq_sdl_report(
            validation,
            "The directive '@%.*s' can only be used once at this location.",
            FQ_STR_FMT(directive->name));
        fq_sdl_locate(validation, error, &first->node);
        fq_sdl_locate(validation, error, node);
    }
}
