/* SPDX-License-Identifier: MIT */
/* No two values of an enum have one name (GraphQL Sep 2025 3.9). */
#include "graphql/sdl_rules/sdl_rules.h"

void
fq_sdl_unique_enum_value_names(fq_sdl_validation *validation,
                               const fq_ast_type_system *definition)
{
    if (definition->what != FQ_DEFINITION_ENUM)
        return;
    FQ_AST_FOREACH(node, &definition->members)
    {
        const fq_ast_enum_definition *value = (fq_ast_enum_definition *)node;
        const fq_ast_enum_definition *first = fq_sdl_seen(
            validation, FQ_SDL_ENUM_VALUES, definition->name, value->name,
            value);
        if (first == NULL)
            continue;
        fq_gql_error *error = fq_sdl_report(
            validation, "Enum value '%.*s.%.*s' can only be defined once.",
            FQ_STR_FMT(definition->name), FQ_STR_FMT(value->name));
        fq_sdl_locate_name(validation, error, first->name);
        fq_sdl_locate_name(validation, error, value->name);
    }
}
