/* SPDX-License-Identifier: MIT */
/* No two arguments of a field or directive have one name (GraphQL Sep 2025
 * 3.6.1, 3.13). */
#include "graphql/sdl_rules/sdl_rules.h"

/* Whose arguments they are. */
typedef struct fq_arguments_owner {
    fq_str type; /* ptr NULL: a directive */
    fq_str name;
} fq_arguments_owner;

static fq_gql_error *
report(fq_sdl_validation *validation, void *arg, fq_str name)
{
    const fq_arguments_owner *owner = arg;
    bool is_directive = owner->type.ptr == NULL;
    return fq_sdl_report(
        validation, "Argument '%.*s%s%.*s(%.*s:)' can only be defined once.",
        FQ_STR_FMT(owner->type), is_directive ? "@" : ".",
        FQ_STR_FMT(owner->name), FQ_STR_FMT(name));
}

void
fq_sdl_unique_argument_definition_names(fq_sdl_validation *validation,
                                        const fq_ast_type_system *definition)
{
    fq_arguments_owner owner = {{NULL, 0}, definition->name};
    if (definition->what == FQ_DEFINITION_DIRECTIVE)
        fq_sdl_each_repeated(validation, &definition->arguments, report,
                             &owner);
    if (definition->what != FQ_DEFINITION_OBJECT
        && definition->what != FQ_DEFINITION_INTERFACE)
        return;
    owner.type = definition->name;
    FQ_AST_FOREACH(node, &definition->members)
    {
        const fq_ast_field_definition *field = (fq_ast_field_definition *)node;
        owner.name = field->name;
        fq_sdl_each_repeated(validation, &field->arguments, report, &owner);
    }
}
