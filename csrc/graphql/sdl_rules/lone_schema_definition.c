/* SPDX-License-Identifier: MIT */
/* A document has one schema definition at most (GraphQL Sep 2025 3.3). */
#include "graphql/sdl_rules/sdl_rules.h"

void
fq_sdl_lone_schema_definition(fq_sdl_validation *validation,
                              const fq_ast_type_system *definition)
{
    if (definition->what != FQ_DEFINITION_SCHEMA || definition->is_extension)
        return;
    if (validation->schema == NULL) {
        validation->schema = definition;
        return;
    }
    fq_gql_error *error = fq_sdl_report(
        validation, "Must provide only one schema definition.");
    fq_sdl_locate(validation, error, &definition->node);
}
