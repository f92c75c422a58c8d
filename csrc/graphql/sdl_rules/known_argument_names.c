/* SPDX-License-Identifier: MIT */
/* An argument given to a directive is defined (GraphQL Sep 2025 5.4.1). */
#include "graphql/sdl_rules/sdl_rules.h"

static bool
has_argument(const fq_ast_type_system *definition, fq_str name)
{
    FQ_AST_FOREACH(node, &definition->arguments)
    {
        if (fq_str_eq(((const fq_ast_input_definition *)node)->name, name))
            return true;
    }
    return false;
}

void
fq_sdl_known_argument_names(fq_sdl_validation *validation,
                            const fq_ast_directive *directive)
{
    const fq_ast_type_system *definition = fq_sdl_directive(validation,
                                                            directive->name);
    if (definition == NULL)
        return;
    FQ_AST_FOREACH(node, &directive->arguments)
    {
        fq_str name = ((const fq_ast_argument *)node)->name;
        if (validation->is_done || has_argument(definition, name))
            continue;
        fq_suggestion suggestion;
        fq_suggestion_init(&suggestion, name);
        FQ_AST_FOREACH(known, &definition->arguments)
        fq_suggestion_offer(&suggestion,
                            ((const fq_ast_input_definition *)known)->name);
        fq_gql_error *error = fq_sdl_report_suggestion(
            validation, &suggestion,
            "Unknown argument '%.*s' on directive '@%.*s'.", FQ_STR_FMT(name),
            FQ_STR_FMT(directive->name));
        fq_sdl_locate(validation, error, node);
    }
}
