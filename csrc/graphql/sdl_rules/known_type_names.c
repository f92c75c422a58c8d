/* SPDX-License-Identifier: MIT */
/* A type that is named is defined (GraphQL Sep 2025 3.3, 5.5.1.2). Built-in
 * types are known to the type system, not to operations beside it. */
#include "graphql/sdl_rules/sdl_rules.h"

/* Offers the keys of |types|. */
static void
offer(fq_suggestion *suggestion, const fq_map *types)
{
    size_t i = 0;
    fq_str name;
    void *definition;
    while (fq_map_next(types, &i, &name, &definition))
        fq_suggestion_offer(suggestion, name);
}

void
fq_sdl_known_type_names(fq_sdl_validation *validation, const fq_ast_type *type,
                        bool is_type_system)
{
    if (fq_map_get(&validation->types, type->name) != NULL
        || (is_type_system
            && fq_map_get(&validation->standard_types, type->name) != NULL))
        return;
    fq_suggestion suggestion;
    fq_suggestion_init(&suggestion, type->name);
    if (is_type_system)
        offer(&suggestion, &validation->standard_types);
    offer(&suggestion, &validation->types);
    fq_gql_error *error = fq_sdl_report_suggestion(validation, &suggestion,
                                                   "Unknown type '%.*s'.",
                                                   FQ_STR_FMT(type->name));
    fq_sdl_locate(validation, error, &type->node);
}
