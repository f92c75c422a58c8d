/* SPDX-License-Identifier: MIT */
/* KnownTypeNames (Sep 2025 5.5.1.2, 5.8.2): type conditions and the types of
 * variables are defined by the schema or by the document itself, which then
 * cannot be executed anyway. Cost: an error compares its name with all. */
#include "base/buf.h"
#include "graphql/rules/rules.h"
#include "graphql/schemaless.h"
#include "graphql/suggestion.h"

/* The next definition of a type from |node| on, or NULL. */
static const fq_ast_type_system *
next_definition(const fq_ast_node *node)
{
    for (; node != NULL; node = node->next) {
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        if (node->kind == FQ_AST_TYPE_SYSTEM && !definition->is_extension
            && fq_ast_defines_type(definition))
            return definition;
    }
    return NULL;
}

static bool
is_defined_here(const fq_validation *validation, fq_str name)
{
    if (!validation->has_type_system)
        return false;
    const fq_ast_node *node = validation->document->definitions.first;
    const fq_ast_type_system *definition;
    for (; (definition = next_definition(node)) != NULL;
         node = definition->node.next)
        if (fq_str_eq(definition->name, name))
            return true;
    return false;
}

/* Within definitions of the type system the built-in scalars are known, which
 * a schema that does not use them does not have. */
static const fq_schema *
standard_types(const fq_validation *validation)
{
    return validation->definition->kind == FQ_AST_TYPE_SYSTEM ? &fq_schemaless
                                                              : NULL;
}

static void
offer_types(fq_suggestion *suggestion, const fq_schema *schema)
{
    for (uint32_t i = 0; i < schema->n_types; i++)
        fq_suggestion_offer(suggestion, schema->types[i]->name);
}

static void
report(fq_validation *validation, const fq_ast_type *type)
{
    fq_suggestion suggestion;
    fq_buf message;
    fq_suggestion_init(&suggestion, type->name);
    fq_buf_init(&message);
    offer_types(&suggestion, validation->schema);
    if (standard_types(validation) != NULL)
        offer_types(&suggestion, standard_types(validation));
    const fq_ast_node *node = validation->document->definitions.first;
    const fq_ast_type_system *definition;
    for (; (definition = next_definition(node)) != NULL;
         node = definition->node.next)
        fq_suggestion_offer(&suggestion, definition->name);
    fq_buf_append_str(&message, FQ_STR_LIT("Unknown type '"));
    fq_buf_append_str(&message, type->name);
    fq_buf_append_str(&message, FQ_STR_LIT("'."));
    fq_suggestion_write(&suggestion, NULL, &message);
    fq_gql_error *error = fq_validation_report_buf(validation, &message);
    fq_validation_locate(validation, error, &type->node);
    fq_suggestion_fini(&suggestion);
}

static void
enter_named_type(fq_validation *validation, void *state,
                 const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_type *type = (const fq_ast_type *)node;
    const fq_schema *standard = standard_types(validation);
    if (fq_schema_type(validation->schema, type->name) == NULL
        && (standard == NULL || fq_schema_type(standard, type->name) == NULL)
        && !is_defined_here(validation, type->name))
        report(validation, type);
}

const fq_rule fq_rule_known_type_names = {
    .name = "KnownTypeNames",
    .needs_schema = true,
    .handlers = {
        {FQ_AST_NAMED_TYPE, .enter = enter_named_type},
    },
};
