/* SPDX-License-Identifier: MIT */
/* ValuesOfCorrectType (Sep 2025 5.6.1) where the type is known without a
 * schema: arguments of directives, and defaults of variables whose type is a
 * built-in scalar or a list of one. */
#include "base/buf.h"
#include "graphql/print.h"
#include "graphql/rules/rules.h"
#include "graphql/scalars.h"

/* Reports |message| at |value| and frees it. */
static void
report(fq_validation *validation, const fq_ast_value *value, fq_buf *message)
{
    if (fq_buf_status(message) == FQ_OK) {
        fq_gql_error *error = fq_validation_report_str(validation,
                                                       fq_buf_str(message));
        /* The reference forgets where lists and objects stood. */
        if (value->node.kind != FQ_AST_LIST
            && value->node.kind != FQ_AST_OBJECT)
            fq_validation_locate(validation, error, &value->node);
    } else {
        fq_validation_fail(validation);
    }
    fq_buf_fini(message);
}

static void
check_scalar(fq_validation *validation, fq_str type_name, fq_ast_value *value)
{
    fq_scalar kind = fq_scalar_of(type_name);
    bool is_range;
    if (fq_scalar_accepts_literal(kind, value, &is_range))
        return;
    fq_buf message;
    fq_buf_init(&message);
    fq_scalar_write_refusal(&message, kind, is_range, NULL, value);
    report(validation, value, &message);
}

static void
check_value(fq_validation *validation, const fq_ast_type *type,
            fq_ast_value *value)
{
    if (validation->is_aborted || value->node.kind == FQ_AST_VARIABLE)
        return;
    if (type->node.kind == FQ_AST_NON_NULL_TYPE) {
        if (value->node.kind == FQ_AST_NULL) {
            fq_buf message;
            fq_buf_init(&message);
            fq_buf_append_str(&message,
                              FQ_STR_LIT("Expected value of non-null type '"));
            fq_print_type(&message, type);
            fq_buf_append_str(&message, FQ_STR_LIT("' not to be None."));
            report(validation, value, &message);
            return;
        }
        type = type->of;
    }
    if (value->node.kind == FQ_AST_NULL)
        return;
    if (type->node.kind == FQ_AST_NAMED_TYPE)
        check_scalar(validation, type->name, value);
    else if (value->node.kind != FQ_AST_LIST)
        check_value(validation, type->of, value);
    else
        FQ_AST_FOREACH(item, &value->items)
    check_value(validation, type->of, (fq_ast_value *)item);
}

/* True when the innermost type of |type| is a built-in scalar. */
static bool
is_known_type(const fq_ast_type *type)
{
    while (type->node.kind != FQ_AST_NAMED_TYPE)
        type = type->of;
    return fq_scalar_of(type->name) != FQ_SCALAR_OTHER;
}

static void
enter_variable_definition(fq_validation *validation, void *state,
                          const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_variable_definition *definition
        = (const fq_ast_variable_definition *)node;
    if (definition->default_value != NULL && is_known_type(definition->type))
        check_value(validation, definition->type, definition->default_value);
}

static void
enter_argument(fq_validation *validation, void *state, const fq_ast_node *node,
               const fq_ast_node *parent)
{
    (void)state;
    if (parent->kind != FQ_AST_DIRECTIVE)
        return;
    const fq_ast_argument *argument = (const fq_ast_argument *)node;
    const fq_known_directive *known = fq_known_directive_find(
        ((const fq_ast_directive *)parent)->name);
    const fq_known_argument *expected = known != NULL
                                            ? fq_known_directive_argument(
                                                  known, argument->name)
                                            : NULL;
    if (expected != NULL)
        check_value(validation, expected->type, argument->value);
}

const fq_rule fq_rule_values_of_correct_type = {
    .enter = {
        [FQ_AST_VARIABLE_DEFINITION] = enter_variable_definition,
        [FQ_AST_ARGUMENT] = enter_argument,
    },
};
