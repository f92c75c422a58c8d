/* SPDX-License-Identifier: MIT */
/* ExecutableDefinitions: a document that is to be executed holds operations
 * and fragments only (Sep 2025 5.1.1). */
#include "graphql/rules/rules.h"

static void
enter_document(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)state, (void)node, (void)parent;
    FQ_AST_FOREACH(definition, &validation->document->definitions)
    {
        if (definition->kind != FQ_AST_TYPE_SYSTEM)
            continue;
        fq_str name = ((const fq_ast_type_system *)definition)->name;
        fq_gql_error *error
            = name.ptr == NULL
                  ? fq_validation_report(
                        validation, "The schema definition is not executable.")
                  : fq_validation_report(
                        validation, "The '%.*s' definition is not executable.",
                        FQ_STR_FMT(name));
        fq_validation_locate(validation, error, definition);
    }
}

const fq_rule fq_rule_executable_definitions = {
    .name = "ExecutableDefinitions",
    .handlers = {
        {FQ_AST_DOCUMENT, .enter = enter_document},
    },
};
