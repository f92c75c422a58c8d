/* SPDX-License-Identifier: MIT */
/* Directives a document defines itself. It cannot be executed, but what the
 * other rules say of it goes by its own definitions. */
#include "base/map.h"
#include "graphql/print.h"
#include "graphql/rules/rules.h"

const fq_ast_list *
fq_ast_directives(const fq_ast_node *node)
{
    switch (node->kind) {
    case FQ_AST_OPERATION:
        return &((const fq_ast_operation *)node)->directives;
    case FQ_AST_FRAGMENT:
        return &((const fq_ast_fragment *)node)->directives;
    case FQ_AST_TYPE_SYSTEM:
        return &((const fq_ast_type_system *)node)->directives;
    case FQ_AST_FIELD_DEFINITION:
        return &((const fq_ast_field_definition *)node)->directives;
    case FQ_AST_INPUT_DEFINITION:
        return &((const fq_ast_input_definition *)node)->directives;
    case FQ_AST_ENUM_DEFINITION:
        return &((const fq_ast_enum_definition *)node)->directives;
    case FQ_AST_VARIABLE_DEFINITION:
        return &((const fq_ast_variable_definition *)node)->directives;
    case FQ_AST_FIELD:
        return &((const fq_ast_field *)node)->directives;
    case FQ_AST_FRAGMENT_SPREAD:
        return &((const fq_ast_spread *)node)->directives;
    case FQ_AST_INLINE_FRAGMENT:
        return &((const fq_ast_inline_fragment *)node)->directives;
    default:
        return NULL;
    }
}

/* A type that has what messages about a missing argument show: its text and
 * whether it is non-null. NULL out of memory. */
static const fq_type *
type_of_argument(fq_validation *validation, const fq_ast_type *ast)
{
    fq_type *type = fq_validation_alloc(validation, sizeof(*type));
    fq_buf text;
    fq_buf_init(&text);
    fq_print_type(&text, ast);
    if (type != NULL && fq_buf_status(&text) == FQ_OK) {
        bool is_required = ast->node.kind == FQ_AST_NON_NULL_TYPE;
        type->kind = is_required ? FQ_TYPE_NON_NULL : FQ_TYPE_SCALAR;
        type->name = fq_arena_copy(&validation->arena, fq_buf_str(&text));
    }
    if (fq_buf_status(&text) != FQ_OK
        || (type != NULL && type->name.ptr == NULL)) {
        fq_validation_fail(validation);
        type = NULL;
    }
    fq_buf_fini(&text);
    return type;
}

static fq_directive_def *
new_directive(fq_validation *validation, const fq_ast_type_system *definition)
{
    fq_directive_def *def = fq_validation_alloc(validation, sizeof(*def));
    fq_input_def *args = fq_validation_alloc(
        validation, definition->arguments.n_items * sizeof(*args));
    if (def == NULL || args == NULL)
        return NULL;
    def->name = definition->name;
    def->is_repeatable = definition->is_repeatable;
    def->args = args;
    FQ_AST_FOREACH(node, &definition->arguments)
    {
        const fq_ast_input_definition *input
            = (const fq_ast_input_definition *)node;
        fq_input_def *arg = &args[def->n_args++];
        arg->name = input->name;
        arg->default_value = input->default_value;
        arg->type = type_of_argument(validation, input->type);
        if (arg->type == NULL)
            return NULL;
    }
    FQ_AST_FOREACH(node, &definition->members)
    def->location_mask |= UINT32_C(1)
                          << ((const fq_ast_location *)node)->location;
    return def;
}

/* Lists the definitions by name; of several the last counts. */
static void
list_definitions(fq_validation *validation, fq_map *map)
{
    FQ_AST_FOREACH(node, &validation->document->definitions)
    {
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        if (node->kind != FQ_AST_TYPE_SYSTEM
            || definition->what != FQ_DEFINITION_DIRECTIVE
            || definition->is_extension)
            continue;
        fq_directive_def *def = new_directive(validation, definition);
        if (def == NULL)
            return;
        fq_map_remove(map, def->name);
        if (fq_map_add(map, def->name, def) != FQ_OK) {
            fq_validation_fail(validation);
            return;
        }
    }
}

void
fq_validation_link_directives(fq_validation *validation)
{
    fq_map own;
    if (!validation->has_type_system)
        return;
    fq_map_init(&own);
    list_definitions(validation, &own);
    for (fq_ast_directive *directive = validation->document->directives;
         directive != NULL; directive = directive->next_directive) {
        const fq_directive_def *def = fq_map_get(&own, directive->name);
        if (def == NULL)
            def = fq_schema_directive(validation->schema, directive->name);
        directive->def = def;
    }
    fq_map_fini(&own);
}
