/* SPDX-License-Identifier: MIT */
/* KnownFragmentNames (Sep 2025 5.5.2.1). */
#include "graphql/rules/rules.h"

static void
enter_spread(fq_validation *validation, void *state, const fq_ast_node *node,
             const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_spread *spread = (const fq_ast_spread *)node;
    if (spread->fragment != NULL)
        return;
    fq_gql_error *error = fq_validation_report(
        validation, "Unknown fragment '%.*s'.", FQ_STR_FMT(spread->name));
    fq_validation_locate_name(validation, error, spread->name);
}

const fq_rule fq_rule_known_fragment_names = {
    .name = "KnownFragmentNames",
    .handlers = {
        {FQ_AST_FRAGMENT_SPREAD, .enter = enter_spread},
    },
};
