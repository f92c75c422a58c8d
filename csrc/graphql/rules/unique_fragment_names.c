/* SPDX-License-Identifier: MIT */
/* UniqueFragmentNames (Sep 2025 5.5.1.1). */
#include "base/map.h"
#include "graphql/rules/rules.h"

typedef struct fq_fragment_names {
    fq_map known; /* the first fragment of each name */
} fq_fragment_names;

static void
enter_fragment(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)parent;
    fq_fragment_names *names = state;
    fq_str name = ((const fq_ast_fragment *)node)->name;
    if (validation->document->n_fragments < 2)
        return;
    fq_status status = fq_map_add(&names->known, name, (void *)node);
    if (status == FQ_ERR_NOMEM) {
        fq_validation_fail(validation);
    } else if (status == FQ_ERR_EXISTS) {
        const fq_ast_fragment *first = fq_map_get(&names->known, name);
        fq_gql_error *error = fq_validation_report(
            validation, "There can be only one fragment named '%.*s'.",
            FQ_STR_FMT(name));
        fq_validation_locate_name(validation, error, first->name);
        fq_validation_locate_name(validation, error, name);
    }
}

static void
fini(void *state)
{
    fq_map_fini(&((fq_fragment_names *)state)->known);
}

const fq_rule fq_rule_unique_fragment_names = {
    .name = "UniqueFragmentNames",
    .state_size = sizeof(fq_fragment_names),
    .handlers = {
        {FQ_AST_FRAGMENT, .enter = enter_fragment},
    },
    .fini = fini,
};
