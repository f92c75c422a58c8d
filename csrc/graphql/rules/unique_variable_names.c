/* SPDX-License-Identifier: MIT */
/* UniqueVariableNames (Sep 2025 5.8.1). */
#include "graphql/rules/rules.h"

static fq_str
name_of(const fq_ast_node *node)
{
    return ((const fq_ast_variable_definition *)node)->variable->text;
}

static uint32_t
id_of(const fq_ast_node *node)
{
    return ((const fq_ast_variable_definition *)node)->variable->variable_id;
}

/* Tells all definitions of the name of |first|. */
static void
report_same(fq_validation *validation, const fq_ast_list *list,
            const fq_ast_node *first)
{
    fq_gql_error *error = fq_validation_report(
        validation, "There can be only one variable named '$%.*s'.",
        FQ_STR_FMT(name_of(first)));
    FQ_AST_FOREACH(node, list)
    {
        if (error != NULL && id_of(node) == id_of(first))
            fq_validation_locate_name(validation, error, name_of(node));
    }
}

typedef struct fq_variable_counts {
    uint32_t *counts; /* by variable_id; zero between operations */
} fq_variable_counts;

static void
enter_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)parent;
    fq_variable_counts *counts = state;
    const fq_ast_list *list
        = &((const fq_ast_operation *)node)->variable_definitions;
    if (list->n_items < 2)
        return;
    if (counts->counts == NULL)
        counts->counts = fq_validation_alloc(
            validation,
            validation->document->n_variable_names * sizeof(uint32_t));
    if (counts->counts == NULL)
        return;
    FQ_AST_FOREACH(item, list)
    counts->counts[id_of(item)]++;
    FQ_AST_FOREACH(item, list)
    {
        if (counts->counts[id_of(item)] > 1)
            report_same(validation, list, item);
        counts->counts[id_of(item)] = 0;
    }
}

const fq_rule fq_rule_unique_variable_names = {
    .name = "UniqueVariableNames",
    .state_size = sizeof(fq_variable_counts),
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_operation},
    },
};
