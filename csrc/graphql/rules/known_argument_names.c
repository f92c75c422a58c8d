/* SPDX-License-Identifier: MIT */
/* KnownArgumentNames (Sep 2025 5.4.1) for directives. */
#include "graphql/rules/rules.h"
#include "graphql/suggest.h"

static void
enter_directive(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_directive *directive = (const fq_ast_directive *)node;
    const fq_known_directive *known = fq_known_directive_find(directive->name);
    if (known == NULL)
        return;
    FQ_AST_FOREACH(item, &directive->arguments)
    {
        fq_str name = ((const fq_ast_argument *)item)->name;
        if (validation->is_aborted)
            return;
        if (fq_known_directive_argument(known, name) != NULL)
            continue;
        fq_str option = known->argument.name;
        bool is_close = option.ptr != NULL
                        && fq_suggest_is_close(name, option);
        fq_gql_error *error = fq_validation_report(
            validation,
            "Unknown argument '%.*s' on directive '@%.*s'.%s%.*s%s",
            FQ_STR_FMT(name), FQ_STR_FMT(known->name),
            is_close ? " Did you mean '" : "", is_close ? (int)option.len : 0,
            is_close ? option.ptr : "", is_close ? "'?" : "");
        fq_validation_locate(validation, error, item);
    }
}

const fq_rule fq_rule_known_argument_names = {
    .enter = {[FQ_AST_DIRECTIVE] = enter_directive},
};
