/* SPDX-License-Identifier: MIT */
/* NoUnusedFragments (Sep 2025 5.5.1.4). Cost: O(spreads). */
#include "graphql/rules/rules.h"

/* Marks the fragments spread in |definition| and puts new ones on the list. */
static void
mark_spreads(const fq_definition *definition, bool *is_used,
             const fq_ast_fragment **list, uint32_t *pn_list)
{
    for (uint32_t i = 0; i < definition->n_spreads; i++) {
        const fq_ast_fragment *fragment = definition->spreads[i]->fragment;
        if (fragment == NULL || is_used[fragment->index])
            continue;
        is_used[fragment->index] = true;
        list[(*pn_list)++] = fragment;
    }
}

static void
leave_document(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)state, (void)node, (void)parent;
    const fq_document *document = validation->document;
    uint32_t n_fragments = document->n_fragments;
    if (n_fragments == 0)
        return;
    bool *is_used = fq_validation_alloc(validation, n_fragments);
    const fq_ast_fragment **list = fq_validation_alloc(
        validation, n_fragments * sizeof(fq_ast_fragment *));
    if (is_used == NULL || list == NULL)
        return;
    uint32_t n_list = 0;
    for (uint32_t i = 0; i < validation->n_operations; i++)
        mark_spreads(&validation->operations[i], is_used, list, &n_list);
    /* The list grows while it is walked. */
    for (uint32_t i = 0; i < n_list; i++)
        mark_spreads(&validation->fragments[list[i]->index], is_used, list,
                     &n_list);
    for (const fq_ast_fragment *fragment = document->fragments;
         fragment != NULL; fragment = fragment->next_def) {
        if (is_used[fragment->effective->index])
            continue;
        fq_gql_error *error = fq_validation_report(
            validation, "Fragment '%.*s' is never used.",
            FQ_STR_FMT(fragment->name));
        fq_validation_locate(validation, error, &fragment->node);
    }
}

const fq_rule fq_rule_no_unused_fragments = {
    .name = "NoUnusedFragments",
    .handlers = {
        {FQ_AST_DOCUMENT, .leave = leave_document},
    },
};
