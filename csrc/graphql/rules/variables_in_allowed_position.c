/* SPDX-License-Identifier: MIT */
/* VariablesInAllowedPosition (Sep 2025 5.8.5) where the position's type is
 * known without a schema: arguments of directives, all of which are of a
 * non-null scalar. Cost: uses of variables, in each operation that reaches
 * them; metered. */
#include "base/buf.h"
#include "graphql/print.h"
#include "graphql/rules/rules.h"
#include "graphql/scalars.h"

typedef struct fq_positions {
    bool has_expected; /* some use has an expected type */
    const fq_ast_variable_definition **definitions; /* by variable_id */
    const fq_ast_operation **defined_by;            /* likewise */
    const fq_ast_operation *operation;
} fq_positions;

/* Finds the uses whose expected type is known. */
static void
enter_document(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)node, (void)parent;
    fq_positions *positions = state;
    for (const fq_ast_directive *directive = validation->document->directives;
         directive != NULL; directive = directive->next_directive) {
        const fq_known_directive *known = fq_known_directive_find(
            directive->name);
        if (known == NULL)
            continue;
        FQ_AST_FOREACH(item, &directive->arguments)
        {
            const fq_ast_argument *argument = (const fq_ast_argument *)item;
            const fq_known_argument *expected = fq_known_directive_argument(
                known, argument->name);
            if (expected == NULL
                || argument->value->node.kind != FQ_AST_VARIABLE)
                continue;
            argument->value->expected = expected;
            positions->has_expected = true;
        }
    }
}

/* IsVariableUsageAllowed; the type of |expected| is a non-null scalar. */
static bool
is_allowed(const fq_ast_variable_definition *definition,
           const fq_known_argument *expected)
{
    const fq_ast_type *type = definition->type;
    if (type->node.kind == FQ_AST_NON_NULL_TYPE)
        type = type->of;
    else if (!expected->has_default
             && (definition->default_value == NULL
                 || definition->default_value->node.kind == FQ_AST_NULL))
        return false;
    return type->node.kind == FQ_AST_NAMED_TYPE
           && fq_str_eq(type->name, expected->type->of->name);
}

/* False for types of which nothing is known. */
static bool
is_known_type(const fq_ast_type *type)
{
    while (type->node.kind != FQ_AST_NAMED_TYPE)
        type = type->of;
    return fq_scalar_of(type->name) != FQ_SCALAR_OTHER;
}

static void
check_use(fq_validation *validation, void *arg, const fq_ast_value *variable)
{
    const fq_positions *positions = arg;
    uint32_t id = variable->variable_id;
    if (variable->expected == NULL
        || positions->defined_by[id] != positions->operation)
        return;
    const fq_ast_variable_definition *definition = positions->definitions[id];
    if (!is_known_type(definition->type)
        || is_allowed(definition, variable->expected))
        return;
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Variable '$"));
    fq_buf_append_str(&message, variable->text);
    fq_buf_append_str(&message, FQ_STR_LIT("' of type '"));
    fq_print_type(&message, definition->type);
    fq_buf_append_str(&message,
                      FQ_STR_LIT("' used in position expecting type '"));
    fq_print_type(&message, variable->expected->type);
    fq_buf_append_str(&message, FQ_STR_LIT("'."));
    if (fq_buf_status(&message) == FQ_OK) {
        fq_gql_error *error = fq_validation_report_str(validation,
                                                       fq_buf_str(&message));
        fq_validation_locate(validation, error, &definition->node);
        fq_validation_locate(validation, error, &variable->node);
    } else {
        fq_validation_fail(validation);
    }
    fq_buf_fini(&message);
}

static void
leave_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)parent;
    fq_positions *positions = state;
    const fq_ast_operation *operation = (const fq_ast_operation *)node;
    size_t n_names = validation->document->n_variable_names;
    if (!positions->has_expected
        || operation->variable_definitions.n_items == 0)
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
    .state_size = sizeof(fq_positions),
    .enter = {[FQ_AST_DOCUMENT] = enter_document},
    .leave = {[FQ_AST_OPERATION] = leave_operation},
};
