/* SPDX-License-Identifier: MIT */
/* NoUnusedVariables (Sep 2025 5.8.4). Cost: uses of variables, in each
 * operation that reaches them; metered. */
#include "graphql/rules/rules.h"

typedef struct fq_use_marks {
    const fq_ast_operation **used_by; /* by variable_id, last marked */
    const fq_ast_operation *operation;
} fq_use_marks;

static void
mark_use(fq_validation *validation, void *arg, const fq_ast_value *variable)
{
    (void)validation;
    fq_use_marks *marks = arg;
    marks->used_by[variable->variable_id] = marks->operation;
}

static void
report(fq_validation *validation, const fq_ast_operation *operation,
       const fq_ast_variable_definition *definition)
{
    fq_str name = definition->variable->text;
    fq_gql_error *error
        = operation->name.ptr != NULL
              ? fq_validation_report(
                    validation,
                    "Variable '$%.*s' is never used in operation '%.*s'.",
                    FQ_STR_FMT(name), FQ_STR_FMT(operation->name))
              : fq_validation_report(validation,
                                     "Variable '$%.*s' is never used.",
                                     FQ_STR_FMT(name));
    fq_validation_locate(validation, error, &definition->node);
}

static void
enter_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)parent;
    fq_use_marks *marks = state;
    const fq_ast_operation *operation = (const fq_ast_operation *)node;
    if (operation->variable_definitions.n_items == 0)
        return;
    if (marks->used_by == NULL)
        marks->used_by = fq_validation_alloc(
            validation, validation->document->n_variable_names
                            * sizeof(fq_ast_operation *));
    if (marks->used_by == NULL)
        return;
    marks->operation = operation;
    fq_validation_each_use(validation, operation, mark_use, marks);
    FQ_AST_FOREACH(item, &operation->variable_definitions)
    {
        const fq_ast_variable_definition *definition
            = (const fq_ast_variable_definition *)item;
        if (validation->is_aborted)
            return;
        if (marks->used_by[definition->variable->variable_id] != operation)
            report(validation, operation, definition);
    }
}

const fq_rule fq_rule_no_unused_variables = {
    .name = "NoUnusedVariables",
    .state_size = sizeof(fq_use_marks),
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_operation},
    },
};
