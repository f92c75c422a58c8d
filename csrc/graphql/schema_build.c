/* SPDX-License-Identifier: MIT */
/* From a checked document to the structs of a schema, in passes: a type for
 * every definition, then their order, which the reference derives from who
 * mentions whom, then what is in them, then who is whose subtype. One thread
 * at a time. */
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "graphql/input_literal.h"
#include "graphql/schema_internal.h"

/* Of as many items or fewer all are compared, as that takes no longer than
 * to hash a name. */
#define SMALL_INDEX_MAX 8

/* The index of a type that has no place yet. */
#define NO_PLACE UINT32_MAX

#define TRY(expression)                                                       \
    do {                                                                      \
        fq_status try_status = (expression);                                  \
        if (try_status != FQ_OK)                                              \
            return try_status;                                                \
    } while (0)

/* A named type and what it is made of. */
typedef struct fq_type_source {
    fq_type *type;
    const fq_ast_type_system **parts; /* definition, then extensions */
    uint32_t n_parts;
    bool is_defined; /* the document defines a type of that name */
} fq_type_source;

typedef struct fq_schema_builder {
    fq_schema *schema;
    fq_arena *arena;   /* of the schema */
    fq_arena *scratch; /* for what the finished schema does not need */
    const fq_document *document;
    const fq_document *standard;
    fq_gql_errors *errors;
    fq_map names;             /* strings in the arena, by themselves */
    fq_map sources;           /* fq_type_source by name */
    fq_type_source **defined; /* in order of definition */
    uint32_t n_defined;
    fq_type_source **standards; /* likewise, of the built-in ones */
    uint32_t n_standards;
    bool has_directive_extensions;
    fq_type **types; /* the schema's */
} fq_schema_builder;

/* A copy of |name|, the same one for equal names. */
static fq_status
intern(fq_schema_builder *builder, fq_str name, fq_str *pcopy)
{
    const char *known = fq_map_get(&builder->names, name);
    if (known == NULL) {
        fq_str copy = fq_arena_copy(builder->arena, name);
        known = copy.ptr;
        if (known == NULL
            || fq_map_add(&builder->names, copy, (void *)known) != FQ_OK)
            return FQ_ERR_NOMEM;
    }
    *pcopy = fq_str_make(known, name.len);
    return FQ_OK;
}

/* The text of |description|, which may be NULL. */
static fq_status
copy_description(fq_schema_builder *builder, const fq_ast_value *description,
                 fq_str *pcopy)
{
    if (description == NULL)
        return FQ_OK;
    *pcopy = fq_arena_copy(builder->arena, description->text);
    return pcopy->ptr != NULL ? FQ_OK : FQ_ERR_NOMEM;
}

/* A deep copy of literal |value|, places included. Bounded by the parser. */
static fq_status
copy_value(fq_schema_builder *builder, const fq_ast_value *value,
           fq_ast_value **pcopy)
{
    fq_ast_value *copy = FQ_ARENA_NEW(builder->arena, fq_ast_value);
    *pcopy = copy;
    if (copy == NULL)
        return FQ_ERR_NOMEM;
    *copy = *value;
    copy->node.next = NULL;
    fq_ast_kind kind = value->node.kind;
    if (kind != FQ_AST_LIST && kind != FQ_AST_OBJECT) {
        copy->text = fq_arena_copy(builder->arena, value->text);
        return copy->text.ptr != NULL ? FQ_OK : FQ_ERR_NOMEM;
    }
    fq_ast_node **tail = &copy->items.first;
    FQ_AST_FOREACH(node, &value->items)
    {
        const fq_ast_value *item = (const fq_ast_value *)node;
        fq_ast_value *item_copy;
        if (kind == FQ_AST_OBJECT) {
            const fq_ast_argument *field = (const fq_ast_argument *)node;
            fq_ast_argument *field_copy = FQ_ARENA_NEW(builder->arena,
                                                       fq_ast_argument);
            if (field_copy == NULL)
                return FQ_ERR_NOMEM;
            field_copy->node = field->node;
            TRY(intern(builder, field->name, &field_copy->name));
            TRY(copy_value(builder, field->value, &field_copy->value));
            *tail = &field_copy->node;
        } else {
            TRY(copy_value(builder, item, &item_copy));
            *tail = &item_copy->node;
        }
        tail = &(*tail)->next;
        *tail = NULL;
    }
    return FQ_OK;
}

/* Makes the index of |n_items| items that are |size| bytes long and start
 * with their name, or, if |size| is 0, are pointers to types. */
static fq_status
index_init(fq_schema_builder *builder, const void *items, size_t size,
           uint32_t n_items, fq_name_index *index)
{
    const fq_type *const *types = items;
    if (n_items <= SMALL_INDEX_MAX && size > 0)
        return FQ_OK;
    size_t n_slots = 8;
    while (n_slots < (size_t)n_items * 2)
        n_slots *= 2;
    uint32_t *slots = FQ_ARENA_NEW_N(builder->arena, uint32_t, n_slots);
    if (slots == NULL)
        return FQ_ERR_NOMEM;
    index->mask = (uint32_t)(n_slots - 1);
    index->slots = slots;
    for (uint32_t i = 0; i < n_items; i++) {
        fq_str name = size > 0
                          ? *(const fq_str *)((const char *)items + i * size)
                          : types[i]->name;
        uint32_t slot = (uint32_t)fq_hash_bytes(name.ptr, name.len)
                        & index->mask;
        while (slots[slot] != 0)
            slot = (slot + 1) & index->mask;
        slots[slot] = i + 1;
    }
    return FQ_OK;
}

#define INDEX_INIT(builder, items, n_items, index)                            \
    index_init((builder), (items), sizeof(*(items)), (n_items), (index))

/* Adds the one error this stage may have: |before|, then |message|, which is
 * freed, at |node| (NULL: nowhere). */
static fq_status
fail(fq_schema_builder *builder, fq_str before, fq_buf *message,
     const fq_ast_node *node)
{
    fq_buf text;
    fq_buf_init(&text);
    if (before.len > 0) {
        fq_buf_append_str(&text, before);
        fq_buf_append_str(&text, FQ_STR_LIT(" fields cannot be resolved. "));
    }
    fq_buf_append_str(&text, fq_buf_str(message));
    fq_gql_error *error = NULL;
    if (fq_buf_status(message) == FQ_OK && fq_buf_status(&text) == FQ_OK)
        error = fq_gql_errors_add_str(builder->errors, "VALIDATION_ERROR",
                                      fq_buf_str(&text));
    if (node != NULL)
        fq_gql_error_locate(builder->errors, error, builder->document->source,
                            node->start);
    fq_buf_fini(&text);
    fq_buf_fini(message);
    return error != NULL && builder->errors->status == FQ_OK ? FQ_ERR_INVALID
                                                             : FQ_ERR_NOMEM;
}

/* The String! argument |name| of a specified directive; |otherwise| when it
 * is not given and may be left out. What the document says about that
 * directive does not matter. |before| names the type whose field it is on. */
static fq_status
read_argument(fq_schema_builder *builder, const fq_ast_directive *directive,
              fq_str name, const fq_str *otherwise, fq_str before,
              fq_str *pvalue)
{
    const fq_ast_argument *argument = NULL;
    FQ_AST_FOREACH(node, &directive->arguments)
    {
        if (fq_str_eq(((const fq_ast_argument *)node)->name, name))
            argument = (const fq_ast_argument *)node;
    }
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_format(&message, "Argument '%.*s' ", FQ_STR_FMT(name));
    if (argument == NULL && otherwise == NULL) {
        fq_buf_append_str(&message, FQ_STR_LIT("of required type 'String!' "
                                               "was not provided."));
        return fail(builder, before, &message, &directive->node);
    }
    fq_ast_value *value = argument != NULL ? argument->value : NULL;
    if (value != NULL && value->node.kind != FQ_AST_STRING) {
        fq_buf_append_str(&message, FQ_STR_LIT("has invalid value: "));
        if (value->node.kind == FQ_AST_NULL)
            fq_buf_append_str(&message,
                              FQ_STR_LIT("Expected value of non-null type "
                                         "'String!' not to be None."));
        else
            fq_scalar_write_refusal(&message, FQ_SCALAR_STRING, false, NULL,
                                    value);
        return fail(builder, before, &message, fq_input_literal_place(value));
    }
    fq_buf_fini(&message);
    *pvalue = fq_arena_copy(builder->arena,
                            value != NULL ? value->text : *otherwise);
    return pvalue->ptr != NULL ? FQ_OK : FQ_ERR_NOMEM;
}

/* The reason of a @deprecated among |directives|; none: ptr stays NULL. */
static fq_status
read_deprecation(fq_schema_builder *builder, const fq_ast_list *directives,
                 fq_str before, fq_str *preason)
{
    static const fq_str otherwise = FQ_STR("No longer supported");
    const fq_ast_directive *directive = fq_ast_directive_find(
        directives, FQ_STR_LIT("deprecated"));
    if (directive == NULL)
        return FQ_OK;
    return read_argument(builder, directive, FQ_STR_LIT("reason"), &otherwise,
                         before, preason);
}

/* The type `[of]` or `of!`, made if there is none yet. */
static fq_status
wrap(fq_schema_builder *builder, fq_type *of, fq_type_kind kind,
     fq_type **ptype)
{
    bool is_list = kind == FQ_TYPE_LIST;
    fq_type **pknown = is_list ? &of->list : &of->non_null;
    if (*pknown == NULL) {
        fq_type *type = FQ_ARENA_NEW(builder->arena, fq_type);
        size_t len = of->name.len + 1 + is_list;
        char *name = fq_arena_alloc(builder->arena, len);
        if (type == NULL || name == NULL)
            return FQ_ERR_NOMEM;
        name[0] = '[';
        memcpy(name + is_list, of->name.ptr, of->name.len);
        name[len - 1] = is_list ? ']' : '!';
        type->kind = kind;
        type->name = fq_str_make(name, len);
        type->of = of;
        type->named = of->named;
        *pknown = type;
    }
    *ptype = *pknown;
    return FQ_OK;
}

/* The type written as |ast|, whose name is known. */
static fq_status
resolve(fq_schema_builder *builder, const fq_ast_type *ast, fq_type **ptype)
{
    if (ast->node.kind == FQ_AST_NAMED_TYPE) {
        const fq_type_source *source = fq_map_get(&builder->sources,
                                                  ast->name);
        FQ_CHECK(source != NULL);
        *ptype = source->type;
        return FQ_OK;
    }
    fq_type *of;
    TRY(resolve(builder, ast->of, &of));
    return wrap(builder, of,
                ast->node.kind == FQ_AST_LIST_TYPE ? FQ_TYPE_LIST
                                                   : FQ_TYPE_NON_NULL,
                ptype);
}

/* |ast| as argument or input field. Nodes of built-in types are not told. */
static fq_status
build_input(fq_schema_builder *builder, const fq_ast_input_definition *ast,
            bool is_builtin, fq_str before, fq_input_def *def)
{
    fq_type *type;
    TRY(intern(builder, ast->name, &def->name));
    TRY(resolve(builder, ast->type, &type));
    def->type = type;
    TRY(copy_description(builder, ast->description, &def->description));
    TRY(read_deprecation(builder, &ast->directives, before,
                         &def->deprecation_reason));
    def->node = is_builtin ? NULL : &ast->node;
    if (ast->default_value == NULL)
        return FQ_OK;
    fq_ast_value *value;
    TRY(copy_value(builder, ast->default_value, &value));
    def->default_value = value;
    return FQ_OK;
}

static fq_status
build_args(fq_schema_builder *builder, const fq_ast_list *list,
           bool is_builtin, fq_str before, const fq_input_def **pargs,
           uint32_t *pn_args, fq_name_index *index)
{
    if (list->n_items == 0)
        return FQ_OK;
    fq_input_def *args = FQ_ARENA_NEW_N(builder->arena, fq_input_def,
                                        list->n_items);
    if (args == NULL)
        return FQ_ERR_NOMEM;
    *pargs = args;
    *pn_args = list->n_items;
    FQ_AST_FOREACH(node, list)
    TRY(build_input(builder, (const fq_ast_input_definition *)node, is_builtin,
                    before, args++));
    return INDEX_INIT(builder, *pargs, *pn_args, index);
}

static fq_status
build_field(fq_schema_builder *builder, const fq_ast_field_definition *ast,
            bool is_builtin, fq_str before, fq_field_def *def)
{
    fq_type *type;
    TRY(intern(builder, ast->name, &def->name));
    TRY(resolve(builder, ast->type, &type));
    def->type = type;
    def->node = is_builtin ? NULL : &ast->node;
    TRY(copy_description(builder, ast->description, &def->description));
    TRY(build_args(builder, &ast->arguments, is_builtin, before, &def->args,
                   &def->n_args, &def->arg_index));
    return read_deprecation(builder, &ast->directives, before,
                            &def->deprecation_reason);
}

static fq_status
build_enum_value(fq_schema_builder *builder, const fq_ast_enum_definition *ast,
                 bool is_builtin, fq_enum_def *def)
{
    TRY(intern(builder, ast->name, &def->name));
    TRY(copy_description(builder, ast->description, &def->description));
    def->node = is_builtin ? NULL : &ast->node;
    return read_deprecation(builder, &ast->directives, fq_str_make(NULL, 0),
                            &def->deprecation_reason);
}

/* The members of all parts of |source|, one after the other: an array of as
 * many items. *pitems is NULL when there are none. */
static fq_status
members_new(fq_schema_builder *builder, const fq_type_source *source,
            size_t item_size, void **pitems)
{
    size_t n_members = 0;
    for (uint32_t i = 0; i < source->n_parts; i++)
        n_members += source->parts[i]->members.n_items;
    /* An empty array tells the kind of type apart from others. */
    *pitems = fq_arena_alloc_array(builder->arena, item_size,
                                   n_members > 0 ? n_members : 1);
    source->type->n_members = (uint32_t)n_members;
    return *pitems != NULL ? FQ_OK : FQ_ERR_NOMEM;
}

static fq_status
build_fields(fq_schema_builder *builder, const fq_type_source *source)
{
    fq_type *type = source->type;
    void *items;
    TRY(members_new(builder, source, sizeof(fq_field_def), &items));
    fq_field_def *field = items;
    type->fields = field;
    for (uint32_t i = 0; i < source->n_parts; i++)
        FQ_AST_FOREACH(node, &source->parts[i]->members)
    TRY(build_field(builder, (const fq_ast_field_definition *)node,
                    type->is_builtin, type->name, field++));
    return INDEX_INIT(builder, type->fields, type->n_members,
                      &type->member_index);
}

static fq_status
build_input_fields(fq_schema_builder *builder, const fq_type_source *source)
{
    fq_type *type = source->type;
    void *items;
    TRY(members_new(builder, source, sizeof(fq_input_def), &items));
    fq_input_def *field = items;
    type->input_fields = field;
    for (uint32_t i = 0; i < source->n_parts; i++)
        FQ_AST_FOREACH(node, &source->parts[i]->members)
    TRY(build_input(builder, (const fq_ast_input_definition *)node,
                    type->is_builtin, type->name, field++));
    type->is_one_of = fq_ast_directive_find(&source->parts[0]->directives,
                                            FQ_STR_LIT("oneOf"))
                      != NULL;
    return INDEX_INIT(builder, type->input_fields, type->n_members,
                      &type->member_index);
}

static fq_status
build_enum_values(fq_schema_builder *builder, const fq_type_source *source)
{
    fq_type *type = source->type;
    void *items;
    TRY(members_new(builder, source, sizeof(fq_enum_def), &items));
    fq_enum_def *value = items;
    type->values = value;
    for (uint32_t i = 0; i < source->n_parts; i++)
        FQ_AST_FOREACH(node, &source->parts[i]->members)
    TRY(build_enum_value(builder, (const fq_ast_enum_definition *)node,
                         type->is_builtin, value++));
    return INDEX_INIT(builder, type->values, type->n_members,
                      &type->member_index);
}

/* The types named in a list of each part: its interfaces, or the members of a
 * union. */
static fq_status
build_references(fq_schema_builder *builder, const fq_type_source *source,
                 bool is_union, const fq_type *const **ptypes,
                 uint32_t *pn_types)
{
    size_t n_types = 0;
    for (uint32_t i = 0; i < source->n_parts; i++)
        n_types += is_union ? source->parts[i]->members.n_items
                            : source->parts[i]->interfaces.n_items;
    const fq_type **types = FQ_ARENA_NEW_N(builder->arena, const fq_type *,
                                           n_types);
    if (types == NULL)
        return FQ_ERR_NOMEM;
    *ptypes = types;
    *pn_types = (uint32_t)n_types;
    for (uint32_t i = 0; i < source->n_parts; i++) {
        const fq_ast_list *list = is_union ? &source->parts[i]->members
                                           : &source->parts[i]->interfaces;
        FQ_AST_FOREACH(node, list)
        {
            fq_type *type;
            TRY(resolve(builder, (const fq_ast_type *)node, &type));
            *types++ = type;
        }
    }
    return FQ_OK;
}

/* What does not depend on other types failing: everything of |source| that
 * the reference reads when it makes the type. */
static fq_status
build_head(fq_schema_builder *builder, const fq_type_source *source)
{
    fq_type *type = source->type;
    TRY(copy_description(builder, source->parts[0]->description,
                         &type->description));
    if (type->kind != FQ_TYPE_SCALAR)
        return FQ_OK;
    type->scalar = type->is_builtin ? fq_scalar_of(type->name)
                                    : FQ_SCALAR_OTHER;
    for (uint32_t i = 0; i < source->n_parts; i++) {
        const fq_ast_directive *directive = fq_ast_directive_find(
            &source->parts[i]->directives, FQ_STR_LIT("specifiedBy"));
        fq_str url = {NULL, 0};
        if (directive == NULL)
            continue;
        TRY(read_argument(builder, directive, FQ_STR_LIT("url"), NULL,
                          fq_str_make(NULL, 0), &url));
        if (url.len > 0 || i == 0)
            type->specified_by = url;
    }
    return FQ_OK;
}

/* What the reference reads when it needs it. */
static fq_status
build_body(fq_schema_builder *builder, const fq_type_source *source)
{
    fq_type *type = source->type;
    switch (type->kind) {
    case FQ_TYPE_OBJECT:
    case FQ_TYPE_INTERFACE:
        TRY(build_references(builder, source, false, &type->interfaces,
                             &type->n_interfaces));
        return build_fields(builder, source);
    case FQ_TYPE_UNION:
        return build_references(builder, source, true, &type->possible_types,
                                &type->n_possible_types);
    case FQ_TYPE_INPUT_OBJECT:
        return build_input_fields(builder, source);
    default:
        return FQ_OK;
    }
}

/* A source for |definition| under its name. */
static fq_status
source_new(fq_schema_builder *builder, const fq_ast_type_system *definition,
           bool is_builtin, fq_type_source **psource)
{
    static const fq_type_kind kinds[] = {
        [FQ_DEFINITION_SCALAR] = FQ_TYPE_SCALAR,
        [FQ_DEFINITION_OBJECT] = FQ_TYPE_OBJECT,
        [FQ_DEFINITION_INTERFACE] = FQ_TYPE_INTERFACE,
        [FQ_DEFINITION_UNION] = FQ_TYPE_UNION,
        [FQ_DEFINITION_ENUM] = FQ_TYPE_ENUM,
        [FQ_DEFINITION_INPUT_OBJECT] = FQ_TYPE_INPUT_OBJECT,
    };
    fq_type_source *source = FQ_ARENA_NEW(builder->scratch, fq_type_source);
    fq_type *type = FQ_ARENA_NEW(builder->arena, fq_type);
    if (source == NULL || type == NULL)
        return FQ_ERR_NOMEM;
    *psource = source;
    source->type = type;
    source->n_parts = 1; /* extensions are counted later */
    type->kind = kinds[definition->what];
    type->index = NO_PLACE;
    type->named = type;
    type->is_builtin = is_builtin;
    type->scalar = FQ_SCALAR_OTHER;
    type->node = is_builtin ? NULL : &definition->node;
    TRY(intern(builder, definition->name, &type->name));
    return fq_map_add(&builder->sources, type->name, source);
}

static bool
is_type_definition(const fq_ast_node *node)
{
    const fq_ast_type_system *definition = (const fq_ast_type_system *)node;
    return node->kind == FQ_AST_TYPE_SYSTEM && !definition->is_extension
           && fq_ast_defines_type(definition);
}

/* A source for each definition. A built-in type stays what it is even if the
 * document defines one of its name, but takes its place in the order. */
static fq_status
list_sources(fq_schema_builder *builder)
{
    const fq_ast_list *standards = &builder->standard->definitions;
    const fq_ast_list *definitions = &builder->document->definitions;
    builder->standards = FQ_ARENA_NEW_N(builder->scratch, fq_type_source *,
                                        standards->n_items);
    builder->defined = FQ_ARENA_NEW_N(builder->scratch, fq_type_source *,
                                      definitions->n_items);
    if (builder->standards == NULL || builder->defined == NULL)
        return FQ_ERR_NOMEM;
    FQ_AST_FOREACH(node, standards)
    {
        if (is_type_definition(node))
            TRY(source_new(builder, (const fq_ast_type_system *)node, true,
                           &builder->standards[builder->n_standards++]));
    }
    FQ_AST_FOREACH(node, definitions)
    {
        if (!is_type_definition(node))
            continue;
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        fq_type_source *source = fq_map_get(&builder->sources,
                                            definition->name);
        if (source == NULL)
            TRY(source_new(builder, definition, false, &source));
        source->is_defined = true;
        builder->defined[builder->n_defined++] = source;
    }
    return FQ_OK;
}

/* The source |node| is a part of, or NULL. */
static fq_type_source *
source_of(const fq_schema_builder *builder, const fq_ast_node *node,
          bool is_standard)
{
    const fq_ast_type_system *definition = (const fq_ast_type_system *)node;
    if (node->kind != FQ_AST_TYPE_SYSTEM || !fq_ast_defines_type(definition))
        return NULL;
    fq_type_source *source = fq_map_get(&builder->sources, definition->name);
    if (source == NULL || source->type->is_builtin != is_standard)
        return NULL;
    return source;
}

/* Gives each source its definition and extensions, in source order but for
 * the definition, which comes first. */
static fq_status
attach_parts(fq_schema_builder *builder, const fq_document *document,
             bool is_standard)
{
    FQ_AST_FOREACH(node, &document->definitions)
    {
        fq_type_source *source = source_of(builder, node, is_standard);
        if (source != NULL && ((const fq_ast_type_system *)node)->is_extension)
            source->n_parts++;
    }
    FQ_AST_FOREACH(node, &document->definitions)
    {
        fq_type_source *source = source_of(builder, node, is_standard);
        if (source == NULL)
            continue;
        if (source->parts == NULL) {
            source->parts = FQ_ARENA_NEW_N(
                builder->scratch, const fq_ast_type_system *, source->n_parts);
            if (source->parts == NULL)
                return FQ_ERR_NOMEM;
            source->n_parts = 1;
        }
        const fq_ast_type_system *part = (const fq_ast_type_system *)node;
        if (part->is_extension)
            source->parts[source->n_parts++] = part;
        else
            source->parts[0] = part;
    }
    return FQ_OK;
}

/* Tells validation about the extensions of |source|. */
static void
attach_extensions(const fq_type_source *source)
{
    fq_type *type = source->type;
    if (type->is_builtin)
        return;
    /* A definition starts with its node. */
    type->extensions = (const fq_ast_node *const *)(source->parts + 1);
    type->n_extensions = source->n_parts - 1;
}

/* A directive that is not deprecated may become so by an extension. */
static fq_status
read_extensions(fq_schema_builder *builder, fq_directive_def *def)
{
    FQ_AST_FOREACH(node, &builder->document->definitions)
    {
        const fq_ast_type_system *extension = (const fq_ast_type_system *)node;
        if (def->deprecation_reason.ptr == NULL
            && node->kind == FQ_AST_TYPE_SYSTEM && extension->is_extension
            && extension->what == FQ_DEFINITION_DIRECTIVE
            && fq_str_eq(extension->name, def->name))
            TRY(read_deprecation(builder, &extension->directives,
                                 fq_str_make(NULL, 0),
                                 &def->deprecation_reason));
    }
    return FQ_OK;
}

static fq_status
build_directive(fq_schema_builder *builder, const fq_ast_type_system *ast,
                bool is_builtin, fq_directive_def *def)
{
    fq_str nobody = {NULL, 0};
    TRY(intern(builder, ast->name, &def->name));
    TRY(copy_description(builder, ast->description, &def->description));
    def->is_repeatable = ast->is_repeatable;
    def->node = is_builtin ? NULL : &ast->node;
    uint8_t *locations = fq_arena_alloc(builder->arena, ast->members.n_items);
    if (locations == NULL)
        return FQ_ERR_NOMEM;
    def->locations = locations;
    def->n_locations = ast->members.n_items;
    FQ_AST_FOREACH(node, &ast->members)
    {
        fq_location location = ((const fq_ast_location *)node)->location;
        *locations++ = (uint8_t)location;
        def->location_mask |= 1u << location;
    }
    TRY(read_deprecation(builder, &ast->directives, nobody,
                         &def->deprecation_reason));
    if (!is_builtin && builder->has_directive_extensions)
        TRY(read_extensions(builder, def));
    return build_args(builder, &ast->arguments, is_builtin, nobody, &def->args,
                      &def->n_args, &def->arg_index);
}

/* The directives |document| defines that have not been before. */
static fq_status
build_directives_of(fq_schema_builder *builder, const fq_document *document,
                    bool is_builtin, fq_directive_def *defs)
{
    fq_schema *schema = builder->schema;
    uint32_t n_before = schema->n_directives;
    FQ_AST_FOREACH(node, &document->definitions)
    {
        const fq_ast_type_system *ast = (const fq_ast_type_system *)node;
        if (node->kind != FQ_AST_TYPE_SYSTEM || ast->is_extension
            || ast->what != FQ_DEFINITION_DIRECTIVE)
            continue;
        bool is_known = false;
        for (uint32_t i = 0; i < n_before && !is_known; i++)
            is_known = fq_str_eq(defs[i].name, ast->name);
        if (!is_known)
            TRY(build_directive(builder, ast, is_builtin,
                                &defs[schema->n_directives++]));
    }
    return FQ_OK;
}

/* The definitions of directives in |document|; notices extensions of some. */
static size_t
count_directives(fq_schema_builder *builder, const fq_document *document)
{
    size_t n = 0;
    FQ_AST_FOREACH(node, &document->definitions)
    {
        const fq_ast_type_system *ast = (const fq_ast_type_system *)node;
        if (node->kind != FQ_AST_TYPE_SYSTEM
            || ast->what != FQ_DEFINITION_DIRECTIVE)
            continue;
        n += !ast->is_extension;
        builder->has_directive_extensions |= ast->is_extension;
    }
    return n;
}

static fq_status
build_directives(fq_schema_builder *builder)
{
    fq_schema *schema = builder->schema;
    size_t n_max = count_directives(builder, builder->document)
                   + count_directives(builder, builder->standard);
    fq_directive_def *defs = FQ_ARENA_NEW_N(builder->arena, fq_directive_def,
                                            n_max);
    if (defs == NULL)
        return FQ_ERR_NOMEM;
    schema->directives = defs;
    TRY(build_directives_of(builder, builder->document, false, defs));
    TRY(build_directives_of(builder, builder->standard, true, defs));
    return INDEX_INIT(builder, schema->directives, schema->n_directives,
                      &schema->directive_index);
}

/* Gives |type| the next place. */
static void
place(fq_schema_builder *builder, fq_type *type)
{
    type->index = builder->schema->n_types;
    builder->types[builder->schema->n_types++] = type;
}

static void
place_references(fq_schema_builder *builder, const fq_type *type);

/* A type that is mentioned gets the next place unless it has one or will get
 * one as definition: so only built-in types, which nest little. */
static void
place_mentioned(fq_schema_builder *builder, const fq_type *mentioned)
{
    fq_type *type = (fq_type *)mentioned->named;
    if (type->index != NO_PLACE || !type->is_builtin)
        return;
    const fq_type_source *source = fq_map_get(&builder->sources, type->name);
    if (source->is_defined)
        return;
    place(builder, type);
    place_references(builder, type);
}

/* The types |type| mentions, in the reference's order. */
static void
place_references(fq_schema_builder *builder, const fq_type *type)
{
    if (type->kind == FQ_TYPE_UNION)
        for (uint32_t i = 0; i < type->n_possible_types; i++)
            place_mentioned(builder, type->possible_types[i]);
    for (uint32_t i = 0; i < type->n_interfaces; i++)
        place_mentioned(builder, type->interfaces[i]);
    if (type->fields != NULL)
        for (uint32_t i = 0; i < type->n_members; i++) {
            const fq_field_def *field = &type->fields[i];
            place_mentioned(builder, field->type);
            for (uint32_t j = 0; j < field->n_args; j++)
                place_mentioned(builder, field->args[j].type);
        }
    if (type->input_fields != NULL)
        for (uint32_t i = 0; i < type->n_members; i++)
            place_mentioned(builder, type->input_fields[i].type);
}

/* Puts the types in order. */
static fq_status
order_types(fq_schema_builder *builder)
{
    fq_schema *schema = builder->schema;
    builder->types = FQ_ARENA_NEW_N(builder->arena, fq_type *,
                                    (size_t)builder->n_defined
                                        + builder->n_standards);
    if (builder->types == NULL)
        return FQ_ERR_NOMEM;
    schema->types = (const fq_type *const *)builder->types;
    for (uint32_t i = 0; i < builder->n_defined; i++) {
        place(builder, builder->defined[i]->type);
        place_references(builder, builder->defined[i]->type);
    }
    for (uint32_t i = 0; i < 3; i++)
        if (schema->roots[i] != NULL)
            place_mentioned(builder, schema->roots[i]);
    for (uint32_t i = 0; i < schema->n_directives; i++)
        for (uint32_t j = 0; j < schema->directives[i].n_args; j++)
            place_mentioned(builder, schema->directives[i].args[j].type);
    const fq_type_source *introspection = fq_map_get(&builder->sources,
                                                     FQ_STR_LIT("__Schema"));
    place_mentioned(builder, introspection->type);
    return index_init(builder, schema->types, 0, schema->n_types,
                      &schema->type_index);
}

/* The roots a schema definition or extension names. */
static void
build_roots_of(fq_schema_builder *builder,
               const fq_ast_type_system *definition)
{
    FQ_AST_FOREACH(node, &definition->members)
    {
        const fq_ast_root_definition *root = (const fq_ast_root_definition *)
            node;
        const fq_type_source *source = fq_map_get(&builder->sources,
                                                  root->type->name);
        FQ_CHECK(source != NULL);
        builder->schema->roots[root->operation] = source->type;
    }
}

/* What the schema definition says; without one, types of certain names. */
static fq_status
build_roots(fq_schema_builder *builder)
{
    static const fq_str names[] = {
        [FQ_OPERATION_QUERY] = FQ_STR("Query"),
        [FQ_OPERATION_MUTATION] = FQ_STR("Mutation"),
        [FQ_OPERATION_SUBSCRIPTION] = FQ_STR("Subscription"),
    };
    bool has_definition = false;
    FQ_AST_FOREACH(node, &builder->document->definitions)
    {
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        if (node->kind != FQ_AST_TYPE_SYSTEM
            || definition->what != FQ_DEFINITION_SCHEMA)
            continue;
        build_roots_of(builder, definition);
        if (definition->is_extension)
            continue;
        has_definition = true;
        TRY(copy_description(builder, definition->description,
                             &builder->schema->description));
    }
    for (uint32_t i = 0; i < 3 && !has_definition; i++) {
        const fq_type_source *source = fq_map_get(&builder->sources, names[i]);
        if (source != NULL)
            builder->schema->roots[i] = source->type;
    }
    return FQ_OK;
}

/* True when |type| is to count as implementing its interface |i|. */
static bool
implements(const fq_type *type, uint32_t i)
{
    return type->interfaces[i]->kind == FQ_TYPE_INTERFACE;
}

static void
set_subtype(const fq_type *abstract, const fq_type *type)
{
    ((uint64_t *)abstract->subtypes)[type->index / 64] |= (uint64_t)1
                                                          << (type->index
                                                              % 64);
}

/* Lists the objects that implement each interface and who is a subtype of
 * what. */
static fq_status
build_subtypes(fq_schema_builder *builder)
{
    const fq_schema *schema = builder->schema;
    size_t n_words = (schema->n_types + 63) / 64;
    for (uint32_t i = 0; i < schema->n_types; i++) {
        const fq_type *type = builder->types[i];
        for (uint32_t j = 0;
             type->kind == FQ_TYPE_OBJECT && j < type->n_interfaces; j++)
            if (implements(type, j))
                ((fq_type *)type->interfaces[j])->n_possible_types++;
    }
    for (uint32_t i = 0; i < schema->n_types; i++) {
        fq_type *type = builder->types[i];
        if (!fq_type_is_abstract(type))
            continue;
        type->subtypes = FQ_ARENA_NEW_N(builder->arena, uint64_t, n_words);
        if (type->kind == FQ_TYPE_INTERFACE) {
            type->possible_types = FQ_ARENA_NEW_N(
                builder->arena, const fq_type *, type->n_possible_types);
            type->n_possible_types = 0;
        }
        if (type->subtypes == NULL || type->possible_types == NULL)
            return FQ_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < schema->n_types; i++) {
        const fq_type *type = builder->types[i];
        if (type->kind == FQ_TYPE_UNION)
            for (uint32_t j = 0; j < type->n_possible_types; j++)
                set_subtype(type, type->possible_types[j]);
        for (uint32_t j = 0; j < type->n_interfaces; j++) {
            fq_type *interface = (fq_type *)type->interfaces[j];
            if (!implements(type, j))
                continue;
            set_subtype(interface, type);
            if (type->kind == FQ_TYPE_OBJECT)
                ((const fq_type **)
                     interface->possible_types)[interface->n_possible_types++]
                    = type;
        }
    }
    return FQ_OK;
}

/* The fields of __Meta. */
static fq_status
build_meta_fields(fq_schema_builder *builder)
{
    fq_schema *schema = builder->schema;
    const fq_field_def **fields[] = {
        &schema->meta_schema,
        &schema->meta_type,
        &schema->meta_typename,
    };
    const fq_ast_type_system *meta = NULL;
    FQ_AST_FOREACH(node, &builder->standard->definitions)
    {
        if (((const fq_ast_type_system *)node)->is_extension)
            meta = (const fq_ast_type_system *)node;
    }
    size_t i = 0;
    FQ_AST_FOREACH(node, &meta->members)
    {
        fq_field_def *field = FQ_ARENA_NEW(builder->arena, fq_field_def);
        if (field == NULL)
            return FQ_ERR_NOMEM;
        *fields[i++] = field;
        TRY(build_field(builder, (const fq_ast_field_definition *)node, true,
                        meta->name, field));
    }
    FQ_CHECK(i == sizeof(fields) / sizeof(fields[0]));
    return FQ_OK;
}

/* Calls |build_cb| for every type: built-in ones, then those defined. */
static fq_status
each_source(fq_schema_builder *builder,
            fq_status (*build_cb)(fq_schema_builder *builder,
                                  const fq_type_source *source))
{
    for (uint32_t i = 0; i < builder->n_standards; i++)
        TRY(build_cb(builder, builder->standards[i]));
    for (uint32_t i = 0; i < builder->n_defined; i++)
        if (!builder->defined[i]->type->is_builtin)
            TRY(build_cb(builder, builder->defined[i]));
    return FQ_OK;
}

static fq_status
build_values(fq_schema_builder *builder, const fq_type_source *source)
{
    attach_extensions(source);
    if (source->type->kind != FQ_TYPE_ENUM)
        return FQ_OK;
    return build_enum_values(builder, source);
}

/* The passes, in the order in which the reference would fail. */
static fq_status
builder_run(fq_schema_builder *builder)
{
    TRY(list_sources(builder));
    TRY(attach_parts(builder, builder->standard, true));
    TRY(attach_parts(builder, builder->document, false));
    TRY(each_source(builder, build_head));
    TRY(build_directives(builder));
    TRY(build_roots(builder));
    TRY(each_source(builder, build_body));
    TRY(each_source(builder, build_values));
    TRY(build_meta_fields(builder));
    TRY(order_types(builder));
    return build_subtypes(builder);
}

fq_status
fq_schema_construct(fq_schema *schema, const fq_document *document,
                    const fq_document *standard, fq_arena *scratch,
                    fq_gql_errors *errors)
{
    fq_schema_builder builder = {
        .schema = schema,
        .arena = &schema->arena,
        .scratch = scratch,
        .document = document,
        .standard = standard,
        .errors = errors,
    };
    fq_map_init(&builder.names);
    fq_map_init(&builder.sources);
    fq_status status = builder_run(&builder);
    fq_map_fini(&builder.sources);
    fq_map_fini(&builder.names);
    return status;
}
