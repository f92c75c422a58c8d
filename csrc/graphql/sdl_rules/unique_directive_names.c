/* SPDX-License-Identifier: MIT */
/* No two directives have one name (GraphQL Sep 2025 3.13). */
#include "graphql/sdl_rules/sdl_rules.h"

void
fq_sdl_unique_directive_names(fq_sdl_validation *validation,
                              const fq_ast_type_system *definition)
{
    if (definition->what != FQ_DEFINITION_DIRECTIVE
        || definition->is_extension)
        return;
    const fq_ast_type_system *first = fq_sdl_seen(
        validation, FQ_SDL_DIRECTIVES, FQ_STR_LIT(""), definition->name,
        definition);
    if (first == NULL)
        return;
    fq_gql_error *error = fq_sdl_report(
        validation, "There can be only one directive named '@%.*s'.",
        FQ_STR_FMT(definition->name));
    fq_sdl_locate_name(validation, error, first->name);
    fq_sdl_locate_name(validation, error, definition->name);
}
