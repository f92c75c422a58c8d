/* SPDX-License-Identifier: MIT */
/* KnownArgumentNames (Sep 2025 5.4.1) for directives. */
#include "base/buf.h"
#include "graphql/rules/rules.h"
#include "graphql/suggestion.h"

static void
report(fq_validation *validation, const fq_known_directive *known,
       const fq_ast_argument *argument)
{
    fq_buf message;
    fq_suggestion suggestion;
    fq_buf_init(&message);
    fq_suggestion_init(&suggestion, argument->name);
    if (known->argument.name.ptr != NULL)
        fq_suggestion_offer(&suggestion, known->argument.name);
    fq_buf_append_str(&message, FQ_STR_LIT("Unknown argument '"));
    fq_buf_append_str(&message, argument->name);
    fq_buf_append_str(&message, FQ_STR_LIT("' on directive '@"));
    fq_buf_append_str(&message, known->name);
    fq_buf_append_str(&message, FQ_STR_LIT("'."));
    fq_suggestion_write(&suggestion, NULL, &message);
    if (fq_buf_status(&message) == FQ_OK) {
        fq_gql_error *error = fq_validation_report_str(validation,
                                                       fq_buf_str(&message));
        fq_validation_locate(validation, error, &argument->node);
    } else {
        fq_validation_fail(validation);
    }
    fq_suggestion_fini(&suggestion);
    fq_buf_fini(&message);
}

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
        const fq_ast_argument *argument = (const fq_ast_argument *)item;
        if (validation->is_aborted)
            return;
        if (fq_known_directive_argument(known, argument->name) == NULL)
            report(validation, known, argument);
    }
}

const fq_rule fq_rule_known_argument_names = {
    .enter = {[FQ_AST_DIRECTIVE] = enter_directive},
};
