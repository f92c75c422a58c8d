/* SPDX-License-Identifier: MIT */
/* A directive that is used is defined, and for that place (GraphQL Sep 2025
 * 5.7.1, 5.7.2). */
#include "graphql/sdl_rules/sdl_rules.h"

static bool
is_for(const fq_ast_type_system *definition, fq_location location)
{
    FQ_AST_FOREACH(node, &definition->members)
    {
        if (((const fq_ast_location *)node)->location == location)
            return true;
    }
    return false;
}

void
fq_sdl_known_directives(fq_sdl_validation *validation,
                        const fq_ast_directive *directive,
                        fq_location location)
{
    const fq_ast_type_system *definition = fq_sdl_directive(validation,
                                                            directive->name);
    fq_gql_error *error;
    if (definition == NULL)
        error = fq_sdl_report(validation, "Unknown directive '@%.*s'.",
                              FQ_STR_FMT(directive->name));
    else if (!is_for(definition, location))
        error = fq_sdl_report(validation,
                              "Directive '@%.*s' may not be used on %.*s.",
                              FQ_STR_FMT(directive->name),
                              FQ_STR_FMT(fq_location_phrase(location)));
    else
        return;
    fq_sdl_locate(validation, error, &directive->node);
}
