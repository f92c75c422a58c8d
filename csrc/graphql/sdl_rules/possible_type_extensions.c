/* SPDX-License-Identifier: MIT */
/* What is extended is defined, and as that kind of type (GraphQL Sep 2025
 * 3.5.3 and the like). */
#include "graphql/sdl_rules/sdl_rules.h"

static void
report_unknown(fq_sdl_validation *validation,
               const fq_ast_type_system *extension)
{
    fq_suggestion suggestion;
    fq_suggestion_init(&suggestion, extension->name);
    size_t i = 0;
    fq_str name;
    void *definition;
    while (fq_map_next(&validation->types, &i, &name, &definition))
        fq_suggestion_offer(&suggestion, name);
    fq_gql_error *error = fq_sdl_report_suggestion(
        validation, &suggestion,
        "Cannot extend type '%.*s' because it is not defined.",
        FQ_STR_FMT(extension->name));
    fq_sdl_locate_name(validation, error, extension->name);
}

void
fq_sdl_possible_type_extensions(fq_sdl_validation *validation,
                                const fq_ast_type_system *extension)
{
    static const char *const kinds[] = {
        [FQ_DEFINITION_SCALAR] = "scalar",
        [FQ_DEFINITION_OBJECT] = "object",
        [FQ_DEFINITION_INTERFACE] = "interface",
        [FQ_DEFINITION_UNION] = "union",
        [FQ_DEFINITION_ENUM] = "enum",
        [FQ_DEFINITION_INPUT_OBJECT] = "input object",
    };
    if (!extension->is_extension || !fq_ast_defines_type(extension))
        return;
    const fq_ast_type_system *definition = fq_map_get(&validation->types,
                                                      extension->name);
    if (definition == NULL) {
        report_unknown(validation, extension);
    } else if (definition->what != extension->what) {
        fq_gql_error *error = fq_sdl_report(
            validation, "Cannot extend non-%s type '%.*s'.",
            kinds[extension->what], FQ_STR_FMT(extension->name));
        fq_sdl_locate(validation, error, &definition->node);
        fq_sdl_locate(validation, error, &extension->node);
    }
}
