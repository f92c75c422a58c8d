/* SPDX-License-Identifier: MIT */
/* A directive gets every argument that must be given (GraphQL Sep 2025
 * 5.4.3). */
#include "graphql/print.h"
#include "graphql/sdl_rules/sdl_rules.h"

static bool
has_argument(const fq_ast_directive *directive, fq_str name)
{
    FQ_AST_FOREACH(node, &directive->arguments)
    {
        if (fq_str_eq(((const fq_ast_argument *)node)->name, name))
            return true;
    }
    return false;
}

static void
report(fq_sdl_validation *validation, const fq_ast_directive *directive,
       const fq_ast_input_definition *argument)
{
    fq_buf type;
    fq_buf_init(&type);
    fq_print_type(&type, argument->type);
    if (fq_buf_status(&type) != FQ_OK)
        validation->status = FQ_ERR_NOMEM;
    fq_gql_error *error = fq_sdl_report(
        validation,
        "Argument '@%.*s(%.*s:)' of type '%.*s' is required, but it was not "
        "provided.",
        FQ_STR_FMT(directive->name), FQ_STR_FMT(argument->name),
        FQ_STR_FMT(fq_buf_str(&type)));
    fq_buf_fini(&type);
    fq_sdl_locate(validation, error, &directive->node);
}

static bool
is_required(const fq_ast_input_definition *argument)
{
    return argument->type->node.kind == FQ_AST_NON_NULL_TYPE
           && argument->default_value == NULL;
}

/* Of several definitions of one name, which is an error of its own, the last
 * required one counts, in the place of the first: false for any but that. On
 * true *pargument is the one that counts. */
static bool
pick_definition(const fq_ast_list *definitions,
                const fq_ast_input_definition **pargument)
{
    const fq_ast_input_definition *argument = *pargument;
    bool is_earlier = true;
    FQ_AST_FOREACH(node, definitions)
    {
        const fq_ast_input_definition *other
            = (const fq_ast_input_definition *)node;
        if (other == argument)
            is_earlier = false;
        else if (!is_required(other)
                 || !fq_str_eq(other->name, argument->name))
            continue;
        else if (is_earlier)
            return false;
        else
            *pargument = other;
    }
    return true;
}

void
fq_sdl_provided_required_arguments(fq_sdl_validation *validation,
                                   const fq_ast_directive *directive)
{
    const fq_ast_type_system *definition = fq_sdl_directive(validation,
                                                            directive->name);
    if (definition == NULL)
        return;
    FQ_AST_FOREACH(node, &definition->arguments)
    {
        const fq_ast_input_definition *argument
            = (const fq_ast_input_definition *)node;
        if (!validation->is_done && is_required(argument)
            && !has_argument(directive, argument->name)
            && pick_definition(&definition->arguments, &argument))
            report(validation, directive, argument);
    }
}
