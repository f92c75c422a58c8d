/* SPDX-License-Identifier: MIT */
/* VariablesInAllowedPosition (Sep 2025 5.8.5), where types of variable and
 * position are known. Cost: uses of variables, in each operation that reaches
 * them; metered. */
#include "graphql/rules/rules.h"

typedef struct fq_positions {
    const fq_ast_variable_definition **definitions; /* by variable_id */
    const fq_ast_operation **defined_by;            /* likewise */
    const fq_ast_operation *operation;
} fq_positions;

/* IsVariableUsageAllowed. */
static bool
is_allowed(const fq_type *type, const fq_ast_value *default_value,
           const fq_variable_position *position)
{
    const fq_type *expected = position->type;
    if (expected->kind == FQ_TYPE_NON_NULL && type->kind != FQ_TYPE_NON_NULL) {
        bool has_default = default_value != NULL
                           && default_value->node.kind != FQ_AST_NULL;
        if (!has_default && !position->has_default)
            return false;
        expected = expected->of;
    }
    return fq_type_is_subtype_of(type, expected);
}

static void
check_use(fq_validation *validation, void *arg, const fq_ast_value *variable)
{
    const fq_positions *positions = arg;
    uint32_t id = variable->variable_id;
    const fq_variable_position *position = variable->position;
    if (position == NULL || positions->defined_by[id] != positions->operation)
        return;
    const fq_ast_variable_definition *definition = positions->definitions[id];
    const fq_type *type = definition->type->type;
    if (type == NULL)
        return;
    if (!is_allowed(type, definition->default_value, position)) {
        fq_gql_error *error = fq_validation_report(
            validation,
            "Variable '$%.*s' of type '%.*s' used in position expecting type "
            "'%.*s'.",
            FQ_STR_FMT(variable->text), FQ_STR_FMT(type->name),
            FQ_STR_FMT(position->type->name));
        fq_validation_locate(validation, error, &definition->node);
        fq_validation_locate(validation, error, &variable->node);
    }
    if (position->one_of != NULL && type->kind != FQ_TYPE_NON_NULL) {
        fq_gql_error *error = fq_validation_report(
            validation,
            "Variable '$%.*s' is of type '%.*s' but must be non-nullable to "
            "be used for OneOf Input Object '%.*s'.",
            FQ_STR_FMT(variable->text), FQ_STR_FMT(type->name),
            FQ_STR_FMT(position->one_of->name));
        fq_validation_locate(validation, error, &definition->node);
        fq_validation_locate(validation, error, &variable->node);
    }
}

static void
leave_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)parent;
    fq_positions *positions = state;
    const fq_ast_operation *operation = (const fq_ast_operation *)node;
    size_t n_names = validation->document->n_variable_names;
    if (validation->document->n_variables == 0)
        return;
    if (positions->definitions == NULL) {
        positions->definitions = fq_validation_alloc(
            validation, n_names * sizeof(*positions->definitions));
        positions->defined_by = fq_validation_alloc(
            validation, n_names * sizeof(*positions->defined_by));
    }
    if (validation->is_aborted)
        return;
    positions->operation = operation;
    FQ_AST_FOREACH(item, &operation->variable_definitions)
    {
        const fq_ast_variable_definition *definition
            = (const fq_ast_variable_definition *)item;
        uint32_t id = definition->variable->variable_id;
        positions->definitions[id] = definition;
        positions->defined_by[id] = operation;
    }
    fq_validation_each_use(validation, operation, check_use, positions);
}

const fq_rule fq_rule_variables_in_allowed_position = {
    .name = "VariablesInAllowedPosition",
    .state_size = sizeof(fq_positions),
    .handlers = {
        {FQ_AST_OPERATION, .leave = leave_operation},
    },
};
