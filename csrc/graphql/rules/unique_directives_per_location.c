/* SPDX-License-Identifier: MIT */
/* UniqueDirectivesPerLocation (Sep 2025 5.7.3). Of the directives that are
 * known none is repeatable; others are told elsewhere. */
#include "graphql/rules/rules.h"

static const fq_ast_list *
directives_of(const fq_ast_node *node)
{
    switch (node->kind) {
    case FQ_AST_OPERATION:
        return &((const fq_ast_operation *)node)->directives;
    case FQ_AST_FRAGMENT:
        return &((const fq_ast_fragment *)node)->directives;
    case FQ_AST_VARIABLE_DEFINITION:
        return &((const fq_ast_variable_definition *)node)->directives;
    case FQ_AST_FRAGMENT_SPREAD:
        return &((const fq_ast_spread *)node)->directives;
    case FQ_AST_INLINE_FRAGMENT:
        return &((const fq_ast_inline_fragment *)node)->directives;
    default:
        return &((const fq_ast_field *)node)->directives;
    }
}

static void
enter_any(fq_validation *validation, void *state, const fq_ast_node *node,
          const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_list *directives = directives_of(node);
    const fq_ast_directive *firsts[FQ_KNOWN_DIRECTIVES_MAX] = {NULL};
    if (directives->n_items < 2)
        return;
    FQ_AST_FOREACH(item, directives)
    {
        const fq_ast_directive *directive = (const fq_ast_directive *)item;
        if (validation->is_aborted)
            return;
        const fq_known_directive *known = fq_known_directive_find(
            directive->name);
        if (known == NULL)
            continue;
        const fq_ast_directive **first
            = &firsts[fq_known_directive_index(known)];
        if (*first == NULL) {
            *first = directive;
            continue;
        }
        fq_gql_error *error = fq_validation_report(
            validation,
            "The directive '@%.*s' can only be used once at this location.",
            FQ_STR_FMT(directive->name));
        fq_validation_locate(validation, error, &(*first)->node);
        fq_validation_locate(validation, error, item);
    }
}

const fq_rule fq_rule_unique_directives_per_location = {
    .enter = {
        [FQ_AST_OPERATION] = enter_any,
        [FQ_AST_FRAGMENT] = enter_any,
        [FQ_AST_VARIABLE_DEFINITION] = enter_any,
        [FQ_AST_FIELD] = enter_any,
        [FQ_AST_FRAGMENT_SPREAD] = enter_any,
        [FQ_AST_INLINE_FRAGMENT] = enter_any,
    },
};
