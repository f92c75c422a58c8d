/* SPDX-License-Identifier: MIT */
/* No two fields of an object, interface or input object have one name
 * (GraphQL Sep 2025 3.6, 3.7, 3.10). */
#include "graphql/sdl_rules/sdl_rules.h"

/* The name of |member|, a field or input field. */
static const fq_str *
name_of(const fq_ast_node *member)
{
    if (member->kind == FQ_AST_FIELD_DEFINITION)
        return &((const fq_ast_field_definition *)member)->name;
    return &((const fq_ast_input_definition *)member)->name;
}

void
fq_sdl_unique_field_definition_names(fq_sdl_validation *validation,
                                     const fq_ast_type_system *definition)
{
    if (definition->what != FQ_DEFINITION_OBJECT
        && definition->what != FQ_DEFINITION_INTERFACE
        && definition->what != FQ_DEFINITION_INPUT_OBJECT)
        return;
    FQ_AST_FOREACH(node, &definition->members)
    {
        const fq_str *name = name_of(node);
        const fq_str *first = fq_sdl_seen(validation, FQ_SDL_FIELDS,
                                          definition->name, *name, name);
        if (first == NULL)
            continue;
        fq_gql_error *error = fq_sdl_report(
            validation, "Field '%.*s.%.*s' can only be defined once.",
            FQ_STR_FMT(definition->name), FQ_STR_FMT(*name));
        fq_sdl_locate_name(validation, error, *first);
        fq_sdl_locate_name(validation, error, *name);
    }
}
