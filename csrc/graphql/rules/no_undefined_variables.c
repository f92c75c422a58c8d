/* SPDX-License-Identifier: MIT */
/* NoUndefinedVariables (Sep 2025 5.8.3). Cost: uses of variables, in each
 * operation that reaches them; metered. */
#include "graphql/rules/rules.h"

typedef struct fq_variable_marks {
    const fq_ast_operation **defined_by; /* by variable_id, last marked */
    const fq_ast_operation *operation;
} fq_variable_marks;

static void
check_use(fq_validation *validation, void *arg, const fq_ast_value *variable)
{
    const fq_variable_marks *marks = arg;
    const fq_ast_operation *operation = marks->operation;
    if (marks->defined_by[variable->variable_id] == operation)
        return;
    fq_gql_error *error
        = operation->name.ptr != NULL
              ? fq_validation_report(
                    validation,
                    "Variable '$%.*s' is not defined by operation '%.*s'.",
                    FQ_STR_FMT(variable->text), FQ_STR_FMT(operation->name))
              : fq_validation_report(validation,
                                     "Variable '$%.*s' is not defined.",
                                     FQ_STR_FMT(variable->text));
    fq_validation_locate(validation, error, &variable->node);
    fq_validation_locate(validation, error, &operation->node);
}

static void
enter_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)parent;
    fq_variable_marks *marks = state;
    const fq_ast_operation *operation = (const fq_ast_operation *)node;
    if (validation->document->n_variables == 0)
        return;
    if (marks->defined_by == NULL)
        marks->defined_by = fq_validation_alloc(
            validation, validation->document->n_variable_names
                            * sizeof(fq_ast_operation *));
    if (marks->defined_by == NULL)
        return;
    marks->operation = operation;
    FQ_AST_FOREACH(item, &operation->variable_definitions)
    {
        const fq_ast_value *variable
            = ((const fq_ast_variable_definition *)item)->variable;
        marks->defined_by[variable->variable_id] = operation;
    }
    fq_validation_each_use(validation, operation, check_use, marks);
}

const fq_rule fq_rule_no_undefined_variables = {
    .name = "NoUndefinedVariables",
    .state_size = sizeof(fq_variable_marks),
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_operation},
    },
};
