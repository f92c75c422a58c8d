/* SPDX-License-Identifier: MIT */
/* ValuesOfCorrectType (Sep 2025 5.6.1 to 5.6.4) for arguments and defaults of
 * variables whose type is known; what is in a value is checked with it. */
#include "graphql/input_literal.h"
#include "graphql/rules/rules.h"

static bool
report(void *arg, fq_str message, fq_str path, const fq_ast_node *node)
{
    (void)path;
    fq_validation *validation = arg;
    fq_gql_error *error = fq_validation_report_str(validation, message);
    if (node != NULL)
        fq_validation_locate(validation, error, node);
    return !validation->is_aborted;
}

static void
check_value(fq_validation *validation, const fq_type *type,
            fq_ast_value *value)
{
    if (fq_input_literal_check(value, type, report, validation)
        == FQ_ERR_NOMEM)
        fq_validation_fail(validation);
}

static void
enter_variable_definition(fq_validation *validation, void *state,
                          const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_variable_definition *definition
        = (const fq_ast_variable_definition *)node;
    const fq_type *type = definition->type->type;
    if (definition->default_value != NULL && type != NULL
        && fq_type_is_input(type))
        check_value(validation, type, definition->default_value);
}

static void
enter_argument(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_argument *argument = (const fq_ast_argument *)node;
    if (argument->def != NULL)
        check_value(validation, argument->def->type, argument->value);
}

const fq_rule fq_rule_values_of_correct_type = {
    .name = "ValuesOfCorrectType",
    .handlers = {
        {FQ_AST_VARIABLE_DEFINITION, .enter = enter_variable_definition},
        {FQ_AST_ARGUMENT, .enter = enter_argument},
    },
};
