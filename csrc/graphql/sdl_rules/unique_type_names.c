/* SPDX-License-Identifier: MIT */
/* No two types have one name (GraphQL Sep 2025 3.3). */
#include "graphql/sdl_rules/sdl_rules.h"

void
fq_sdl_unique_type_names(fq_sdl_validation *validation,
                         const fq_ast_type_system *definition)
{
    if (definition->is_extension || !fq_ast_defines_type(definition))
        return;
    const fq_ast_type_system *first = fq_sdl_seen(
        validation, FQ_SDL_TYPES, FQ_STR_LIT(""), definition->name,
        definition);
    if (first == NULL)
        return;
    fq_gql_error *error = fq_sdl_report(
        validation, "There can be only one type named '%.*s'.",
        FQ_STR_FMT(definition->name));
    fq_sdl_locate_name(validation, error, first->name);
    fq_sdl_locate_name(validation, error, definition->name);
}
