/* SPDX-License-Identifier: MIT */
/* One walk over the document that shows every node to the rules in the
 * reference's order, and what the rules share. Operations and fragments may
 * stand beside definitions: the few rules that are about any node see them
 * too. The parser bounds nesting, so the walk recurses. */
#include "graphql/sdl_validator.h"

#include <stdarg.h>
#include <string.h>

#include "graphql/sdl_rules/sdl_rules.h"

static void
validation_fail(fq_sdl_validation *validation)
{
    validation->status = FQ_ERR_NOMEM;
    validation->is_done = true;
}

static fq_gql_error *
report_va(fq_sdl_validation *validation, fq_buf *text, const char *format,
          va_list args)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_format_va(&message, format, args);
    if (text != NULL) {
        if (fq_buf_status(text) != FQ_OK)
            message.status = fq_buf_status(text);
        fq_buf_append_str(&message, fq_buf_str(text));
    }
    fq_gql_error *error = NULL;
    if (fq_buf_status(&message) == FQ_OK)
        error = fq_gql_errors_add_str(validation->errors, "VALIDATION_ERROR",
                                      fq_buf_str(&message));
    if (fq_buf_status(&message) != FQ_OK
        || validation->errors->status != FQ_OK)
        validation_fail(validation);
    if (validation->errors->n_items >= FQ_GQL_ERRORS_MAX)
        validation->is_done = true;
    fq_buf_fini(&message);
    return error;
}

fq_gql_error *
fq_sdl_report(fq_sdl_validation *validation, const char *format, ...)
{
    if (validation->is_done)
        return NULL;
    va_list args;
    va_start(args, format);
    fq_gql_error *error = report_va(validation, NULL, format, args);
    va_end(args);
    return error;
}

fq_gql_error *
fq_sdl_report_suggestion(fq_sdl_validation *validation,
                         fq_suggestion *suggestion, const char *format, ...)
{
    fq_gql_error *error = NULL;
    if (!validation->is_done) {
        fq_buf text;
        fq_buf_init(&text);
        fq_suggestion_write(suggestion, NULL, &text);
        va_list args;
        va_start(args, format);
        error = report_va(validation, &text, format, args);
        va_end(args);
        fq_buf_fini(&text);
    }
    fq_suggestion_fini(suggestion);
    return error;
}

static void
locate_at(fq_sdl_validation *validation, fq_gql_error *error, size_t offset)
{
    fq_gql_error_locate(validation->errors, error,
                        validation->document->source, offset);
    if (validation->errors->status != FQ_OK)
        validation_fail(validation);
}

void
fq_sdl_locate(fq_sdl_validation *validation, fq_gql_error *error,
              const fq_ast_node *node)
{
    locate_at(validation, error, node->start);
}

void
fq_sdl_locate_name(fq_sdl_validation *validation, fq_gql_error *error,
                   fq_str name)
{
    locate_at(validation, error,
              fq_document_offset(validation->document, name));
}

void *
fq_sdl_seen(fq_sdl_validation *validation, fq_sdl_scope scope, fq_str owner,
            fq_str name, const void *value)
{
    if (validation->status != FQ_OK)
        return NULL;
    /* Owner and name are kept apart by a byte that no name has; a number of
     * FQ_SDL_HERE has a fixed length. */
    size_t len = 1 + owner.len + 1 + name.len;
    char *key = fq_arena_alloc(&validation->arena, len);
    if (key == NULL) {
        validation_fail(validation);
        return NULL;
    }
    key[0] = (char)scope;
    if (owner.len > 0)
        memcpy(key + 1, owner.ptr, owner.len);
    key[1 + owner.len] = '\0';
    memcpy(key + 2 + owner.len, name.ptr, name.len);
    fq_status status = fq_map_add(&validation->seen, fq_str_make(key, len),
                                  (void *)value);
    if (status == FQ_ERR_NOMEM)
        validation_fail(validation);
    if (status != FQ_ERR_EXISTS)
        return NULL;
    return fq_map_get(&validation->seen, fq_str_make(key, len));
}

fq_str
fq_sdl_scope_here(fq_sdl_validation *validation)
{
    validation->n_scopes++;
    return fq_str_make((const char *)&validation->n_scopes,
                       sizeof(validation->n_scopes));
}

/* An item of a list whose names should differ. */
typedef struct fq_repeatable {
    fq_str name;
    struct fq_repeatable *first; /* the first one of that name */
    uint32_t n_same;             /* of the first: how many there are */
} fq_repeatable;

static fq_str
name_of(const fq_ast_node *node)
{
    if (node->kind == FQ_AST_INPUT_DEFINITION)
        return ((const fq_ast_input_definition *)node)->name;
    return ((const fq_ast_argument *)node)->name;
}

void
fq_sdl_each_repeated(fq_sdl_validation *validation, const fq_ast_list *list,
                     fq_gql_error *(*report_cb)(fq_sdl_validation *validation,
                                                void *arg, fq_str name),
                     void *arg)
{
    if (list->n_items < 2 || validation->is_done)
        return;
    fq_repeatable *items = FQ_ARENA_NEW_N(&validation->arena, fq_repeatable,
                                          list->n_items);
    if (items == NULL) {
        validation_fail(validation);
        return;
    }
    fq_str here = fq_sdl_scope_here(validation);
    fq_repeatable *item = items;
    bool has_repeated = false;
    for (const fq_ast_node *node = list->first; node != NULL;
         node = node->next, item++) {
        item->name = name_of(node);
        fq_repeatable *first = fq_sdl_seen(validation, FQ_SDL_HERE, here,
                                           item->name, item);
        item->first = first != NULL ? first : item;
        has_repeated |= ++item->first->n_same > 1;
    }
    if (!has_repeated)
        return;
    const fq_repeatable *end = items + list->n_items;
    for (item = items; item < end && !validation->is_done; item++) {
        if (item->first != item || item->n_same == 1)
            continue;
        fq_gql_error *error = report_cb(validation, arg, item->name);
        for (const fq_repeatable *same = item; same < end; same++)
            if (same->first == item)
                fq_sdl_locate_name(validation, error, same->name);
    }
}

const fq_ast_type_system *
fq_sdl_directive(const fq_sdl_validation *validation, fq_str name)
{
    return fq_map_get(&validation->directives, name);
}

static void
walk_value(fq_sdl_validation *validation, const fq_ast_value *value)
{
    if (validation->is_done)
        return;
    if (value->node.kind == FQ_AST_LIST) {
        FQ_AST_FOREACH(node, &value->items)
        walk_value(validation, (const fq_ast_value *)node);
    } else if (value->node.kind == FQ_AST_OBJECT) {
        /* Objects within it take numbers of their own. */
        fq_sdl_scope_here(validation);
        uint64_t number = validation->n_scopes;
        fq_str here = fq_str_make((const char *)&number, sizeof(number));
        FQ_AST_FOREACH(node, &value->items)
        {
            const fq_ast_argument *field = (const fq_ast_argument *)node;
            fq_sdl_unique_input_field_names(validation, here, field);
            walk_value(validation, field->value);
        }
    }
}

/* Arguments of a field or directive. */
static void
walk_arguments(fq_sdl_validation *validation, const fq_ast_list *arguments)
{
    FQ_AST_FOREACH(node, arguments)
    walk_value(validation, ((const fq_ast_argument *)node)->value);
}

static void
walk_directives(fq_sdl_validation *validation, const fq_ast_list *directives,
                fq_location location)
{
    FQ_AST_FOREACH(node, directives)
    {
        if (validation->is_done)
            return;
        const fq_ast_directive *directive = (const fq_ast_directive *)node;
        fq_sdl_known_directives(validation, directive, location);
        fq_sdl_known_argument_names(validation, directive);
        fq_sdl_unique_argument_names(validation, &directive->arguments);
        walk_arguments(validation, &directive->arguments);
        fq_sdl_provided_required_arguments(validation, directive);
    }
}

/* On entering a node that shares its directives with no other. */
static void
enter_directives_here(fq_sdl_validation *validation,
                      const fq_ast_list *directives)
{
    if (directives->n_items > 1)
        fq_sdl_unique_directives_per_location(validation, FQ_SDL_HERE,
                                              fq_sdl_scope_here(validation),
                                              directives);
}

static void
walk_type(fq_sdl_validation *validation, const fq_ast_type *type,
          bool is_type_system)
{
    while (type->of != NULL)
        type = type->of;
    fq_sdl_known_type_names(validation, type, is_type_system);
}

/* Named types. */
static void
walk_types(fq_sdl_validation *validation, const fq_ast_list *types)
{
    FQ_AST_FOREACH(node, types)
    walk_type(validation, (const fq_ast_type *)node, true);
}

static void
walk_inputs(fq_sdl_validation *validation, const fq_ast_list *inputs,
            fq_location location)
{
    FQ_AST_FOREACH(node, inputs)
    {
        if (validation->is_done)
            return;
        const fq_ast_input_definition *input
            = (const fq_ast_input_definition *)node;
        enter_directives_here(validation, &input->directives);
        walk_type(validation, input->type, true);
        if (input->default_value != NULL)
            walk_value(validation, input->default_value);
        walk_directives(validation, &input->directives, location);
    }
}

static void
walk_fields(fq_sdl_validation *validation, const fq_ast_list *fields)
{
    FQ_AST_FOREACH(node, fields)
    {
        if (validation->is_done)
            return;
        const fq_ast_field_definition *field
            = (const fq_ast_field_definition *)node;
        enter_directives_here(validation, &field->directives);
        walk_inputs(validation, &field->arguments,
                    FQ_LOCATION_ARGUMENT_DEFINITION);
        walk_type(validation, field->type, true);
        walk_directives(validation, &field->directives,
                        FQ_LOCATION_FIELD_DEFINITION);
    }
}

static void
walk_enum_values(fq_sdl_validation *validation, const fq_ast_list *values)
{
    FQ_AST_FOREACH(node, values)
    {
        if (validation->is_done)
            return;
        const fq_ast_list *directives
            = &((const fq_ast_enum_definition *)node)->directives;
        enter_directives_here(validation, directives);
        walk_directives(validation, directives, FQ_LOCATION_ENUM_VALUE);
    }
}

static void
enter_definition(fq_sdl_validation *validation,
                 const fq_ast_type_system *definition)
{
    fq_sdl_lone_schema_definition(validation, definition);
    fq_sdl_unique_operation_types(validation, definition);
    fq_sdl_unique_type_names(validation, definition);
    fq_sdl_unique_enum_value_names(validation, definition);
    fq_sdl_unique_field_definition_names(validation, definition);
    fq_sdl_unique_argument_definition_names(validation, definition);
    fq_sdl_unique_directive_names(validation, definition);
    fq_sdl_unique_directives_per_location(
        validation,
        definition->what == FQ_DEFINITION_SCHEMA      ? FQ_SDL_ON_SCHEMA
        : definition->what == FQ_DEFINITION_DIRECTIVE ? FQ_SDL_ON_DIRECTIVE
                                                      : FQ_SDL_ON_TYPE,
        definition->name, &definition->directives);
    fq_sdl_possible_type_extensions(validation, definition);
}

static void
walk_members(fq_sdl_validation *validation,
             const fq_ast_type_system *definition)
{
    switch (definition->what) {
    case FQ_DEFINITION_SCHEMA:
        FQ_AST_FOREACH(node, &definition->members)
        walk_type(validation, ((const fq_ast_root_definition *)node)->type,
                  true);
        break;
    case FQ_DEFINITION_OBJECT:
    case FQ_DEFINITION_INTERFACE:
        walk_fields(validation, &definition->members);
        break;
    case FQ_DEFINITION_UNION:
        walk_types(validation, &definition->members);
        break;
    case FQ_DEFINITION_ENUM:
        walk_enum_values(validation, &definition->members);
        break;
    case FQ_DEFINITION_INPUT_OBJECT:
        walk_inputs(validation, &definition->members,
                    FQ_LOCATION_INPUT_FIELD_DEFINITION);
        break;
    case FQ_DEFINITION_SCALAR:
    case FQ_DEFINITION_DIRECTIVE:
        break;
    }
}

static void
walk_definition(fq_sdl_validation *validation,
                const fq_ast_type_system *definition)
{
    static const fq_location locations[] = {
        [FQ_DEFINITION_SCHEMA] = FQ_LOCATION_SCHEMA,
        [FQ_DEFINITION_SCALAR] = FQ_LOCATION_SCALAR,
        [FQ_DEFINITION_OBJECT] = FQ_LOCATION_OBJECT,
        [FQ_DEFINITION_INTERFACE] = FQ_LOCATION_INTERFACE,
        [FQ_DEFINITION_UNION] = FQ_LOCATION_UNION,
        [FQ_DEFINITION_ENUM] = FQ_LOCATION_ENUM,
        [FQ_DEFINITION_INPUT_OBJECT] = FQ_LOCATION_INPUT_OBJECT,
        [FQ_DEFINITION_DIRECTIVE] = FQ_LOCATION_DIRECTIVE_DEFINITION,
    };
    enter_definition(validation, definition);
    walk_types(validation, &definition->interfaces);
    walk_inputs(validation, &definition->arguments,
                FQ_LOCATION_ARGUMENT_DEFINITION);
    walk_directives(validation, &definition->directives,
                    locations[definition->what]);
    walk_members(validation, definition);
}

static void
walk_selections(fq_sdl_validation *validation,
                const fq_ast_selection_set *set);

static void
walk_field(fq_sdl_validation *validation, const fq_ast_field *field)
{
    enter_directives_here(validation, &field->directives);
    fq_sdl_unique_argument_names(validation, &field->arguments);
    walk_arguments(validation, &field->arguments);
    walk_directives(validation, &field->directives, FQ_LOCATION_FIELD);
    if (field->selection_set != NULL)
        walk_selections(validation, field->selection_set);
}

static void
walk_inline_fragment(fq_sdl_validation *validation,
                     const fq_ast_inline_fragment *fragment)
{
    enter_directives_here(validation, &fragment->directives);
    if (fragment->type_condition != NULL)
        walk_type(validation, fragment->type_condition, false);
    walk_directives(validation, &fragment->directives,
                    FQ_LOCATION_INLINE_FRAGMENT);
    walk_selections(validation, fragment->selection_set);
}

static void
walk_selections(fq_sdl_validation *validation, const fq_ast_selection_set *set)
{
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (validation->is_done)
            return;
        if (node->kind == FQ_AST_FIELD) {
            walk_field(validation, (const fq_ast_field *)node);
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            walk_inline_fragment(validation,
                                 (const fq_ast_inline_fragment *)node);
        } else {
            const fq_ast_list *directives
                = &((const fq_ast_spread *)node)->directives;
            enter_directives_here(validation, directives);
            walk_directives(validation, directives,
                            FQ_LOCATION_FRAGMENT_SPREAD);
        }
    }
}

static void
walk_operation(fq_sdl_validation *validation,
               const fq_ast_operation *operation)
{
    static const fq_location locations[] = {
        [FQ_OPERATION_QUERY] = FQ_LOCATION_QUERY,
        [FQ_OPERATION_MUTATION] = FQ_LOCATION_MUTATION,
        [FQ_OPERATION_SUBSCRIPTION] = FQ_LOCATION_SUBSCRIPTION,
    };
    enter_directives_here(validation, &operation->directives);
    FQ_AST_FOREACH(node, &operation->variable_definitions)
    {
        const fq_ast_variable_definition *variable
            = (const fq_ast_variable_definition *)node;
        enter_directives_here(validation, &variable->directives);
        walk_type(validation, variable->type, false);
        if (variable->default_value != NULL)
            walk_value(validation, variable->default_value);
        walk_directives(validation, &variable->directives,
                        FQ_LOCATION_VARIABLE_DEFINITION);
    }
    walk_directives(validation, &operation->directives,
                    locations[operation->type]);
    walk_selections(validation, operation->selection_set);
}

static void
walk_fragment(fq_sdl_validation *validation, const fq_ast_fragment *fragment)
{
    enter_directives_here(validation, &fragment->directives);
    walk_type(validation, fragment->type_condition, false);
    walk_directives(validation, &fragment->directives,
                    FQ_LOCATION_FRAGMENT_DEFINITION);
    walk_selections(validation, fragment->selection_set);
}

static void
walk_document(fq_sdl_validation *validation)
{
    FQ_AST_FOREACH(node, &validation->document->definitions)
    {
        if (validation->is_done)
            return;
        if (node->kind == FQ_AST_TYPE_SYSTEM)
            walk_definition(validation, (const fq_ast_type_system *)node);
        else if (node->kind == FQ_AST_OPERATION)
            walk_operation(validation, (const fq_ast_operation *)node);
        else
            walk_fragment(validation, (const fq_ast_fragment *)node);
    }
}

/* Enters |definition| under its name, in the place of an earlier one. */
static void
put(fq_sdl_validation *validation, fq_map *map,
    const fq_ast_type_system *definition)
{
    fq_map_remove(map, definition->name);
    if (fq_map_add(map, definition->name, (void *)definition) != FQ_OK)
        validation_fail(validation);
}

/* Lists what |document| defines. */
static void
validation_list(fq_sdl_validation *validation, fq_map *types,
                const fq_document *document)
{
    FQ_AST_FOREACH(node, &document->definitions)
    {
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        if (node->kind != FQ_AST_TYPE_SYSTEM || definition->is_extension)
            continue;
        if (fq_ast_defines_type(definition))
            put(validation, types, definition);
        else if (definition->what == FQ_DEFINITION_DIRECTIVE)
            put(validation, &validation->directives, definition);
    }
}

fq_status
fq_sdl_validate(const fq_document *document, const fq_document *standard,
                fq_gql_errors *errors)
{
    size_t n_before = errors->n_items;
    fq_sdl_validation validation = {.document = document, .errors = errors};
    fq_arena_init(&validation.arena, 0);
    fq_map_init(&validation.standard_types);
    fq_map_init(&validation.types);
    fq_map_init(&validation.directives);
    fq_map_init(&validation.seen);
    validation_list(&validation, &validation.standard_types, standard);
    validation_list(&validation, &validation.types, document);
    walk_document(&validation);
    fq_map_fini(&validation.seen);
    fq_map_fini(&validation.directives);
    fq_map_fini(&validation.types);
    fq_map_fini(&validation.standard_types);
    fq_arena_fini(&validation.arena);
    if (validation.status != FQ_OK)
        return validation.status;
    return errors->n_items == n_before ? FQ_OK : FQ_ERR_INVALID;
}
