/* SPDX-License-Identifier: MIT */
/* One walk down the definitions with the type of what is around. The parser
 * bounds nesting, so it recurses. One thread at a time.
 *
 * Documents that are not valid are walked as the reference walks them, because
 * its messages depend on it: the arguments of an unknown directive are taken
 * for those of the field around it, input fields are looked up through lists,
 * and whatever stands in a place of unknown type is of unknown type.
 *
 * Types of variables may wrap types as the schema never does. Such wrappers
 * are made once and so many only, as a short text can ask for many. */
#include "graphql/type_info.h"

#include <string.h>

#include "base/map.h"

typedef struct fq_type_walk {
    const fq_schema *schema;
    fq_arena *arena;
    fq_status status;
    const fq_field_def *field; /* the innermost around; NULL: unknown */
    /* Wrappers the schema does not use, by the text of what is in them. */
    fq_map lists;
    fq_map non_nulls;
    size_t n_wrappers;
} fq_type_walk;

/* A wrapper around |of| that the schema does not use; NULL on failure. */
static fq_type *
new_wrapper(fq_type_walk *walk, const fq_type *of, fq_type_kind kind)
{
    if (walk->n_wrappers == FQ_TYPE_INFO_WRAPPERS_MAX) {
        walk->status = FQ_ERR_LIMIT;
        return NULL;
    }
    walk->n_wrappers++;
    fq_type *type = FQ_ARENA_NEW(walk->arena, fq_type);
    char *name = fq_arena_alloc(walk->arena, of->name.len + 2);
    if (type == NULL || name == NULL) {
        walk->status = FQ_ERR_NOMEM;
        return NULL;
    }
    size_t is_list = kind == FQ_TYPE_LIST;
    name[0] = '[';
    memcpy(name + is_list, of->name.ptr, of->name.len);
    name[of->name.len + is_list] = is_list ? ']' : '!';
    type->kind = kind;
    type->name = fq_str_make(name, of->name.len + 1 + is_list);
    type->of = of;
    type->named = of->named;
    return type;
}

/* The wrapper of |kind| around |of|; NULL on failure. */
static const fq_type *
wrap(fq_type_walk *walk, const fq_type *of, fq_type_kind kind)
{
    bool is_list = kind == FQ_TYPE_LIST;
    fq_map *made = is_list ? &walk->lists : &walk->non_nulls;
    fq_type *type = is_list ? of->list : of->non_null;
    if (type == NULL)
        type = fq_map_get(made, of->name);
    if (type != NULL)
        return type;
    type = new_wrapper(walk, of, kind);
    if (type != NULL && fq_map_add(made, of->name, type) != FQ_OK) {
        walk->status = FQ_ERR_NOMEM;
        type = NULL;
    }
    return type;
}

static const fq_type *
find_type(fq_type_walk *walk, const fq_ast_type *ast)
{
    if (ast->node.kind == FQ_AST_NAMED_TYPE)
        return fq_schema_type(walk->schema, ast->name);
    const fq_type *of = find_type(walk, ast->of);
    if (of == NULL)
        return NULL;
    return wrap(walk, of,
                ast->node.kind == FQ_AST_LIST_TYPE ? FQ_TYPE_LIST
                                                   : FQ_TYPE_NON_NULL);
}

/* The type written as |ast|, or NULL. */
static const fq_type *
enter_type(fq_type_walk *walk, fq_ast_type *ast)
{
    ast->type = find_type(walk, ast);
    return ast->type;
}

/* |value| where |type| is expected (NULL: unknown), which is the type of |def|
 * or that of an item; |around| is what is expected of the value it is in. */
static void
enter_value(fq_type_walk *walk, fq_ast_value *value, const fq_type *type,
            const fq_type *around, const fq_input_def *def)
{
    if (value->node.kind == FQ_AST_VARIABLE) {
        value->position = NULL;
        if (type == NULL)
            return;
        fq_variable_position *position = FQ_ARENA_NEW(walk->arena,
                                                      fq_variable_position);
        if (position == NULL) {
            walk->status = FQ_ERR_NOMEM;
            return;
        }
        position->type = type;
        position->has_default = def != NULL && def->default_value != NULL;
        /* A type that is wrapped does not count, as in the reference. */
        if (around != NULL && around->is_one_of)
            position->one_of = around;
        value->position = position;
    } else if (value->node.kind == FQ_AST_LIST) {
        const fq_type *item = NULL;
        if (type != NULL && fq_type_nullable(type)->kind == FQ_TYPE_LIST)
            item = fq_type_nullable(type)->of;
        FQ_AST_FOREACH(node, &value->items)
        enter_value(walk, (fq_ast_value *)node, item, type, NULL);
    } else if (value->node.kind == FQ_AST_OBJECT) {
        FQ_AST_FOREACH(node, &value->items)
        {
            fq_ast_argument *field = (fq_ast_argument *)node;
            field->def = type != NULL
                             ? fq_type_input_field(type->named, field->name)
                             : NULL;
            enter_value(walk, field->value,
                        field->def != NULL ? field->def->type : NULL, type,
                        field->def);
        }
    }
}

/* Arguments of |directive| or, if that is NULL, of |field| (or NULL). */
static void
enter_arguments(fq_type_walk *walk, const fq_ast_list *arguments,
                const fq_directive_def *directive, const fq_field_def *field)
{
    FQ_AST_FOREACH(node, arguments)
    {
        fq_ast_argument *argument = (fq_ast_argument *)node;
        if (directive != NULL)
            argument->def = fq_directive_arg(directive, argument->name);
        else if (field != NULL)
            argument->def = fq_field_arg(field, argument->name);
        else
            argument->def = NULL;
        enter_value(walk, argument->value,
                    argument->def != NULL ? argument->def->type : NULL, NULL,
                    argument->def);
    }
}

static void
enter_directive(fq_type_walk *walk, fq_ast_directive *directive)
{
    directive->def = fq_schema_directive(walk->schema, directive->name);
    enter_arguments(walk, &directive->arguments, directive->def, walk->field);
}

static void
enter_directives(fq_type_walk *walk, const fq_ast_list *directives)
{
    FQ_AST_FOREACH(node, directives)
    enter_directive(walk, (fq_ast_directive *)node);
}

static void
enter_selections(fq_type_walk *walk, fq_ast_selection_set *set,
                 const fq_type *type);

static void
enter_field(fq_type_walk *walk, fq_ast_field *field, const fq_type *parent)
{
    const fq_field_def *outer = walk->field;
    field->def = parent != NULL
                     ? fq_schema_field(walk->schema, parent, field->name)
                     : NULL;
    walk->field = field->def;
    enter_arguments(walk, &field->arguments, NULL, field->def);
    enter_directives(walk, &field->directives);
    if (field->selection_set != NULL)
        enter_selections(walk, field->selection_set,
                         field->def != NULL ? field->def->type->named : NULL);
    walk->field = outer;
}

/* |type| is what the selections are made on, NULL when unknown. */
static void
enter_selections(fq_type_walk *walk, fq_ast_selection_set *set,
                 const fq_type *type)
{
    set->parent_type = type != NULL && fq_type_is_composite(type) ? type
                                                                  : NULL;
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (node->kind == FQ_AST_FIELD) {
            enter_field(walk, (fq_ast_field *)node, set->parent_type);
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            fq_ast_inline_fragment *fragment = (fq_ast_inline_fragment *)node;
            const fq_type *inner = type;
            if (fragment->type_condition != NULL)
                inner = enter_type(walk, fragment->type_condition);
            enter_directives(walk, &fragment->directives);
            enter_selections(walk, fragment->selection_set, inner);
        } else {
            enter_directives(walk, &((fq_ast_spread *)node)->directives);
        }
    }
}

static void
enter_operation(fq_type_walk *walk, fq_ast_operation *operation)
{
    FQ_AST_FOREACH(node, &operation->variable_definitions)
    {
        fq_ast_variable_definition *definition = (fq_ast_variable_definition *)
            node;
        const fq_type *type = enter_type(walk, definition->type);
        if (type != NULL && !fq_type_is_input(type))
            type = NULL;
        if (definition->default_value != NULL)
            enter_value(walk, definition->default_value, type, NULL, NULL);
        enter_directives(walk, &definition->directives);
    }
    enter_directives(walk, &operation->directives);
    enter_selections(walk, operation->selection_set,
                     walk->schema->roots[operation->type]);
}

static void
enter_fragment(fq_type_walk *walk, fq_ast_fragment *fragment)
{
    const fq_type *type = enter_type(walk, fragment->type_condition);
    enter_directives(walk, &fragment->directives);
    enter_selections(walk, fragment->selection_set, type);
}

/* The directives that stand in |definition|; the list from |*pnext| on starts
 * there or before, and moves on. */
static void
enter_type_system(fq_type_walk *walk, const fq_ast_node *definition,
                  fq_ast_directive **pnext)
{
    fq_ast_directive *directive = *pnext;
    while (directive != NULL && directive->node.start < definition->start)
        directive = directive->next_directive;
    while (directive != NULL && directive->node.start < definition->end) {
        enter_directive(walk, directive);
        directive = directive->next_directive;
    }
    *pnext = directive;
}

fq_status
fq_type_info_enter(fq_document *document, const fq_schema *schema)
{
    fq_type_walk walk = {.schema = schema, .arena = &document->arena};
    fq_map_init(&walk.lists);
    fq_map_init(&walk.non_nulls);
    fq_ast_directive *directive = document->directives;
    FQ_AST_FOREACH(node, &document->definitions)
    {
        if (node->kind == FQ_AST_TYPE_SYSTEM)
            enter_type_system(&walk, node, &directive);
        else if (node->kind == FQ_AST_OPERATION)
            enter_operation(&walk, (fq_ast_operation *)node);
        else if (node->kind == FQ_AST_FRAGMENT)
            enter_fragment(&walk, (fq_ast_fragment *)node);
    }
    fq_map_fini(&walk.non_nulls);
    fq_map_fini(&walk.lists);
    return walk.status;
}
