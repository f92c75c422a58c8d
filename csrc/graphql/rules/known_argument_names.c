/* SPDX-License-Identifier: MIT */
/* KnownArgumentNames (Sep 2025 5.4.1). */
#include "base/buf.h"
#include "graphql/rules/rules.h"
#include "graphql/suggestion.h"

/* Reports |argument| |where|, a text that ends in a full stop and is freed;
 * |args| are what could have been meant. */
static void
report(fq_validation *validation, const fq_ast_argument *argument,
       fq_buf *where, const fq_input_def *args, uint32_t n_args)
{
    fq_buf message;
    fq_suggestion suggestion;
    fq_buf_init(&message);
    fq_suggestion_init(&suggestion, argument->name);
    for (uint32_t i = 0; i < n_args; i++)
        fq_suggestion_offer(&suggestion, args[i].name);
    fq_buf_append_str(&message, FQ_STR_LIT("Unknown argument '"));
    fq_buf_append_str(&message, argument->name);
    fq_buf_append_str(&message, FQ_STR_LIT("' on "));
    fq_buf_append_str(&message, fq_buf_str(where));
    fq_suggestion_write(&suggestion, NULL, &message);
    if (fq_buf_status(where) != FQ_OK)
        message.status = fq_buf_status(where);
    fq_gql_error *error = fq_validation_report_buf(validation, &message);
    fq_validation_locate(validation, error, &argument->node);
    fq_suggestion_fini(&suggestion);
    fq_buf_fini(where);
}

static void
enter_directive(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_directive *directive = (const fq_ast_directive *)node;
    const fq_directive_def *def = directive->def;
    if (def == NULL)
        return;
    FQ_AST_FOREACH(item, &directive->arguments)
    {
        const fq_ast_argument *argument = (const fq_ast_argument *)item;
        if (validation->is_aborted)
            return;
        if (fq_directive_arg(def, argument->name) != NULL)
            continue;
        fq_buf where;
        fq_buf_init(&where);
        fq_buf_append_str(&where, FQ_STR_LIT("directive '@"));
        fq_buf_append_str(&where, def->name);
        fq_buf_append_str(&where, FQ_STR_LIT("'."));
        report(validation, argument, &where, def->args, def->n_args);
    }
}

static void
enter_argument(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)state;
    const fq_ast_argument *argument = (const fq_ast_argument *)node;
    if (parent->kind != FQ_AST_FIELD || argument->def != NULL)
        return;
    const fq_field_def *field = ((const fq_ast_field *)parent)->def;
    if (field == NULL)
        return;
    fq_buf where;
    fq_buf_init(&where);
    fq_buf_append_str(&where, FQ_STR_LIT("field '"));
    fq_buf_append_str(&where, validation->parent_type->name);
    fq_buf_append_char(&where, '.');
    fq_buf_append_str(&where, field->name);
    fq_buf_append_str(&where, FQ_STR_LIT("'."));
    report(validation, argument, &where, field->args, field->n_args);
}

const fq_rule fq_rule_known_argument_names = {
    .name = "KnownArgumentNames",
    .handlers = {
        {FQ_AST_DIRECTIVE, .enter = enter_directive},
        {FQ_AST_ARGUMENT, .enter = enter_argument},
    },
};
