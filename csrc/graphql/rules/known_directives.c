/* SPDX-License-Identifier: MIT */
/* KnownDirectives (Sep 2025 5.7.1, 5.7.2). */
#include "graphql/rules/rules.h"

/* The place where the directives of |node|, in |definition|, stand. */
static fq_location
location_of(const fq_ast_node *node, const fq_ast_node *definition)
{
    static const fq_location operations[] = {
        [FQ_OPERATION_QUERY] = FQ_LOCATION_QUERY,
        [FQ_OPERATION_MUTATION] = FQ_LOCATION_MUTATION,
        [FQ_OPERATION_SUBSCRIPTION] = FQ_LOCATION_SUBSCRIPTION,
    };
    static const fq_location definitions[] = {
        [FQ_DEFINITION_SCALAR] = FQ_LOCATION_SCALAR,
        [FQ_DEFINITION_OBJECT] = FQ_LOCATION_OBJECT,
        [FQ_DEFINITION_INTERFACE] = FQ_LOCATION_INTERFACE,
        [FQ_DEFINITION_UNION] = FQ_LOCATION_UNION,
        [FQ_DEFINITION_ENUM] = FQ_LOCATION_ENUM,
        [FQ_DEFINITION_INPUT_OBJECT] = FQ_LOCATION_INPUT_OBJECT,
        [FQ_DEFINITION_SCHEMA] = FQ_LOCATION_SCHEMA,
        [FQ_DEFINITION_DIRECTIVE] = FQ_LOCATION_DIRECTIVE_DEFINITION,
    };
    switch (node->kind) {
    case FQ_AST_OPERATION:
        return operations[((const fq_ast_operation *)node)->type];
    case FQ_AST_FRAGMENT:
        return FQ_LOCATION_FRAGMENT_DEFINITION;
    case FQ_AST_VARIABLE_DEFINITION:
        return FQ_LOCATION_VARIABLE_DEFINITION;
    case FQ_AST_FRAGMENT_SPREAD:
        return FQ_LOCATION_FRAGMENT_SPREAD;
    case FQ_AST_INLINE_FRAGMENT:
        return FQ_LOCATION_INLINE_FRAGMENT;
    case FQ_AST_TYPE_SYSTEM:
        return definitions[((const fq_ast_type_system *)node)->what];
    case FQ_AST_FIELD_DEFINITION:
        return FQ_LOCATION_FIELD_DEFINITION;
    case FQ_AST_ENUM_DEFINITION:
        return FQ_LOCATION_ENUM_VALUE;
    case FQ_AST_INPUT_DEFINITION:
        return ((const fq_ast_type_system *)definition)->what
                       == FQ_DEFINITION_INPUT_OBJECT
                   ? FQ_LOCATION_INPUT_FIELD_DEFINITION
                   : FQ_LOCATION_ARGUMENT_DEFINITION;
    default:
        return FQ_LOCATION_FIELD;
    }
}

static void
enter_directive(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state;
    const fq_ast_directive *directive = (const fq_ast_directive *)node;
    const fq_directive_def *def = directive->def;
    fq_location location = location_of(parent, validation->definition);
    fq_gql_error *error;
    if (def == NULL)
        error = fq_validation_report(validation, "Unknown directive '@%.*s'.",
                                     FQ_STR_FMT(directive->name));
    else if ((def->location_mask >> location & 1) == 0)
        error = fq_validation_report(
            validation, "Directive '@%.*s' may not be used on %.*s.",
            FQ_STR_FMT(directive->name),
            FQ_STR_FMT(fq_location_phrase(location)));
    else
        return;
    fq_validation_locate(validation, error, node);
}

const fq_rule fq_rule_known_directives = {
    .name = "KnownDirectives",
    .handlers = {
        {FQ_AST_DIRECTIVE, .enter = enter_directive},
    },
};
