/* SPDX-License-Identifier: MIT */
/* NoFragmentCycles (Sep 2025 5.5.2.2): a depth-first search that enters each
 * fragment once and tells every spread that leads back into the path. Cost:
 * O(spreads), plus the length of each cycle told. */
#include "base/buf.h"
#include "graphql/rules/rules.h"

typedef struct fq_cycle_search {
    bool *visited;        /* by name, that is: effective fragment */
    size_t *path_index;   /* likewise: its place in the path plus one */
    fq_ast_spread **path; /* the spreads that lead here */
    size_t n_path;
} fq_cycle_search;

static void
report_cycle(fq_validation *validation, const fq_cycle_search *search,
             size_t first)
{
    fq_str name = search->path[search->n_path - 1]->name;
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Cannot spread fragment '"));
    fq_buf_append_str(&message, name);
    fq_buf_append_str(&message, FQ_STR_LIT("' within itself"));
    for (size_t i = first; i + 1 < search->n_path; i++) {
        fq_buf_append_str(&message, i == first ? FQ_STR_LIT(" via '")
                                               : FQ_STR_LIT("', '"));
        fq_buf_append_str(&message, search->path[i]->name);
    }
    fq_buf_append_str(&message, first + 1 < search->n_path ? FQ_STR_LIT("'.")
                                                           : FQ_STR_LIT("."));
    fq_gql_error *error = NULL;
    if (fq_buf_status(&message) == FQ_OK)
        error = fq_validation_report_str(validation, fq_buf_str(&message));
    else
        fq_validation_fail(validation);
    for (size_t i = first; i < search->n_path; i++)
        fq_validation_locate(validation, error, &search->path[i]->node);
    fq_buf_fini(&message);
}

static void
search_from(fq_validation *validation, fq_cycle_search *search,
            const fq_ast_fragment *fragment, const fq_definition *definition)
{
    size_t index = fragment->effective->index;
    if (search->visited[index])
        return;
    search->visited[index] = true;
    if (search->n_path >= FQ_RULE_DEPTH_MAX) {
        fq_validation_abort(validation);
        return;
    }
    search->path_index[index] = search->n_path + 1;
    for (uint32_t i = 0; i < definition->n_spreads; i++) {
        if (validation->is_aborted)
            return;
        fq_ast_spread *spread = definition->spreads[i];
        search->path[search->n_path++] = spread;
        const fq_ast_fragment *next = spread->fragment;
        if (next != NULL && search->path_index[next->index] > 0)
            report_cycle(validation, search,
                         search->path_index[next->index] - 1);
        else if (next != NULL)
            search_from(validation, search, next,
                        &validation->fragments[next->index]);
        search->n_path--;
    }
    search->path_index[index] = 0;
}

static void
enter_fragment(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)parent;
    fq_cycle_search *search = state;
    const fq_ast_fragment *fragment = (const fq_ast_fragment *)node;
    size_t n_fragments = validation->document->n_fragments;
    if (search->visited == NULL) {
        search->visited = fq_validation_alloc(validation, n_fragments);
        search->path_index = fq_validation_alloc(validation,
                                                 n_fragments * sizeof(size_t));
        search->path = fq_validation_alloc(
            validation, (n_fragments + 1) * sizeof(fq_ast_spread *));
        if (search->path == NULL || search->path_index == NULL
            || search->visited == NULL)
            return;
    }
    search_from(validation, search, fragment,
                &validation->fragments[fragment->index]);
}

const fq_rule fq_rule_no_fragment_cycles = {
    .name = "NoFragmentCycles",
    .state_size = sizeof(fq_cycle_search),
    .handlers = {
        {FQ_AST_FRAGMENT, .enter = enter_fragment},
    },
};
