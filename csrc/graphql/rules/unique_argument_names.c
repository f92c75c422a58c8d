/* SPDX-License-Identifier: MIT */
/* UniqueArgumentNames (Sep 2025 5.4.2). Cost: O(arguments), and the length of
 * the list for each error. */
#include "graphql/rules/rules.h"

/* Tells all of |list| with the name of |first|. */
static void
report_same(fq_validation *validation, const fq_ast_list *list,
            const fq_ast_argument *first)
{
    fq_gql_error *error = fq_validation_report(
        validation, "There can be only one argument named '%.*s'.",
        FQ_STR_FMT(first->name));
    FQ_AST_FOREACH(node, list)
    {
        const fq_ast_argument *argument = (const fq_ast_argument *)node;
        if (error != NULL && argument->first_same == first)
            fq_validation_locate_name(validation, error, argument->name);
    }
}

static void
check(fq_validation *validation, const fq_ast_list *list)
{
    if (list->n_items < 2)
        return;
    fq_validation_link_same(validation, list);
    if (validation->is_aborted)
        return;
    /* A group is told at its first member, of which only a later one tells
     * that it has others: so first find those, then go in order. */
    bool has_same = false;
    FQ_AST_FOREACH(node, list)
    {
        const fq_ast_argument *argument = (const fq_ast_argument *)node;
        has_same = has_same || argument->first_same != argument;
    }
    if (!has_same)
        return;
    FQ_AST_FOREACH(node, list)
    {
        fq_ast_argument *argument = (fq_ast_argument *)node;
        if (argument->first_same != argument)
            argument->first_same->value_key = 1;
    }
    FQ_AST_FOREACH(node, list)
    {
        fq_ast_argument *argument = (fq_ast_argument *)node;
        if (validation->is_aborted)
            return;
        if (argument->value_key == 1)
            report_same(validation, list, argument);
        argument->value_key = 0;
    }
}

static void
enter_field(fq_validation *validation, void *state, const fq_ast_node *node,
            const fq_ast_node *parent)
{
    (void)state, (void)parent;
    check(validation, &((const fq_ast_field *)node)->arguments);
}

static void
enter_directive(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    check(validation, &((const fq_ast_directive *)node)->arguments);
}

const fq_rule fq_rule_unique_argument_names = {
    .name = "UniqueArgumentNames",
    .handlers = {
        {FQ_AST_FIELD, .enter = enter_field},
        {FQ_AST_DIRECTIVE, .enter = enter_directive},
    },
};
