/* SPDX-License-Identifier: MIT */
/* No field of an object is given twice (GraphQL Sep 2025 5.6.3). */
#include "graphql/sdl_rules/sdl_rules.h"

void
fq_sdl_unique_input_field_names(fq_sdl_validation *validation, fq_str here,
                                const fq_ast_argument *field)
{
    const fq_ast_argument *first = fq_sdl_seen(validation, FQ_SDL_HERE, here,
                                               field->name, field);
    if (first == NULL)
        return;
    fq_gql_error *error = fq_sdl_report(
        validation, "There can be only one input field named '%.*s'.",
        FQ_STR_FMT(field->name));
    fq_sdl_locate_name(validation, error, first->name);
    fq_sdl_locate_name(validation, error, field->name);
}
