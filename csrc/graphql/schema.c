/* SPDX-License-Identifier: MIT */
/* The life of a schema and the lookups in it; how one is made of a document
 * is schema_build.c. One thread at a time. */
#include "graphql/schema.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "graphql/parser.h"
#include "graphql/schema_internal.h"
#include "graphql/sdl_validator.h"

static fq_status
schema_new(fq_schema **pschema)
{
    fq_arena arena;
    fq_arena_init(&arena, FQ_SCHEMA_MEMORY_MAX);
    fq_schema *schema = FQ_ARENA_NEW(&arena, fq_schema);
    *pschema = schema;
    if (schema == NULL)
        return FQ_ERR_NOMEM;
    schema->n_refs = 1;
    schema->arena = arena;
    return FQ_OK;
}

fq_schema *
fq_schema_ref(fq_schema *schema)
{
    FQ_CHECK(schema->n_refs > 0);
    schema->n_refs++;
    return schema;
}

void
fq_schema_unref(fq_schema *schema)
{
    if (schema == NULL || --schema->n_refs > 0)
        return;
    /* The schema lies in its own arena. */
    fq_arena arena = schema->arena;
    fq_arena_fini(&arena);
}

size_t
fq_schema_n_bytes(const fq_schema *schema)
{
    return schema->arena.n_bytes;
}

/* Arguments |defs|, for fq_schema_each_input. */
static fq_status
each_in(const fq_input_def *defs, uint32_t n_defs,
        fq_status (*each_cb)(void *arg, fq_input_def *def), void *arg)
{
    fq_status status = FQ_OK;
    for (uint32_t i = 0; i < n_defs && status == FQ_OK; i++)
        status = each_cb(arg, (fq_input_def *)&defs[i]);
    return status;
}

fq_status
fq_schema_each_input(fq_schema *schema,
                     fq_status (*each_cb)(void *arg, fq_input_def *def),
                     void *arg)
{
    fq_status status = FQ_OK;
    for (uint32_t i = 0; i < schema->n_directives && status == FQ_OK; i++)
        status = each_in(schema->directives[i].args,
                         schema->directives[i].n_args, each_cb, arg);
    for (uint32_t i = 0; i < schema->n_types && status == FQ_OK; i++) {
        const fq_type *type = schema->types[i];
        if (type->input_fields != NULL)
            status = each_in(type->input_fields, type->n_members, each_cb,
                             arg);
        if (type->fields == NULL)
            continue;
        for (uint32_t j = 0; j < type->n_members && status == FQ_OK; j++)
            status = each_in(type->fields[j].args, type->fields[j].n_args,
                             each_cb, arg);
    }
    return status;
}

static fq_status
forget_node(void *arg, fq_input_def *def)
{
    (void)arg;
    def->node = NULL;
    return FQ_OK;
}

/* Forgets what lies in the document, which dies. */
static void
schema_forget_nodes(fq_schema *schema)
{
    fq_schema_each_input(schema, forget_node, NULL);
    for (uint32_t i = 0; i < schema->n_directives; i++)
        ((fq_directive_def *)&schema->directives[i])->node = NULL;
    for (uint32_t i = 0; i < schema->n_types; i++) {
        fq_type *type = (fq_type *)schema->types[i];
        type->node = NULL;
        type->extensions = NULL;
        type->n_extensions = 0;
        if (type->fields != NULL)
            for (uint32_t j = 0; j < type->n_members; j++)
                ((fq_field_def *)&type->fields[j])->node = NULL;
        if (type->values != NULL)
            for (uint32_t j = 0; j < type->n_members; j++)
                ((fq_enum_def *)&type->values[j])->node = NULL;
    }
}

/* From documents without syntax errors to a finished schema. */
static fq_status
build(fq_schema *schema, const fq_document *document,
      const fq_document *standard, fq_gql_errors *errors)
{
    fq_status status = fq_sdl_validate(document, standard, errors);
    if (status != FQ_OK)
        return status;
    fq_arena scratch;
    fq_arena_init(&scratch, 0);
    status = fq_schema_construct(schema, document, standard, &scratch, errors);
    if (status == FQ_OK)
        status = fq_schema_validate(schema, document, errors);
    if (status == FQ_OK)
        status = fq_schema_coerce_defaults(schema, errors);
    if (status == FQ_OK)
        schema_forget_nodes(schema);
    fq_arena_fini(&scratch);
    return status;
}

fq_status
fq_schema_build(fq_str sdl, fq_schema **pschema, fq_gql_errors *errors)
{
    static const fq_document_limits limits = {
        .max_bytes = FQ_SCHEMA_SDL_MAX,
        .max_memory = FQ_SCHEMA_MEMORY_MAX,
    };
    fq_document document, standard;
    fq_status status = schema_new(pschema);
    if (status != FQ_OK)
        return status;
    status = fq_parse(sdl, &limits, &document, errors);
    fq_status standard_status = fq_parse(fq_schema_standard_sdl, NULL,
                                         &standard, errors);
    if (status == FQ_OK)
        status = standard_status;
    if (status == FQ_OK)
        status = build(*pschema, &document, &standard, errors);
    fq_document_fini(&standard);
    fq_document_fini(&document);
    if (status != FQ_OK) {
        fq_schema_unref(*pschema);
        *pschema = NULL;
    }
    return status;
}

/* The place of the item named |name| among |n_items| that are |size| bytes
 * long and start with their name; |n_items|: nowhere. */
static uint32_t
find(const fq_name_index *index, const void *items, size_t size,
     uint32_t n_items, fq_str name)
{
    const char *base = items;
    if (index->slots == NULL) {
        uint32_t i = 0;
        while (i < n_items
               && !fq_str_eq(*(const fq_str *)(base + i * size), name))
            i++;
        return i;
    }
    uint32_t slot = (uint32_t)fq_hash_bytes(name.ptr, name.len) & index->mask;
    for (; index->slots[slot] != 0; slot = (slot + 1) & index->mask) {
        uint32_t i = index->slots[slot] - 1;
        if (fq_str_eq(*(const fq_str *)(base + i * size), name))
            return i;
    }
    return n_items;
}

#define FIND(index, items, n_items, name)                                     \
    find((index), (items), sizeof(*(items)), (n_items), (name))

const fq_type *
fq_schema_type(const fq_schema *schema, fq_str name)
{
    const fq_name_index *index = &schema->type_index;
    if (index->slots == NULL) {
        for (uint32_t i = 0; i < schema->n_types; i++)
            if (fq_str_eq(schema->types[i]->name, name))
                return schema->types[i];
        return NULL;
    }
    uint32_t slot = (uint32_t)fq_hash_bytes(name.ptr, name.len) & index->mask;
    for (; index->slots[slot] != 0; slot = (slot + 1) & index->mask) {
        const fq_type *type = schema->types[index->slots[slot] - 1];
        if (fq_str_eq(type->name, name))
            return type;
    }
    return NULL;
}

const fq_directive_def *
fq_schema_directive(const fq_schema *schema, fq_str name)
{
    uint32_t i = FIND(&schema->directive_index, schema->directives,
                      schema->n_directives, name);
    return i < schema->n_directives ? &schema->directives[i] : NULL;
}

const fq_input_def *
fq_directive_arg(const fq_directive_def *directive, fq_str name)
{
    uint32_t i = FIND(&directive->arg_index, directive->args,
                      directive->n_args, name);
    return i < directive->n_args ? &directive->args[i] : NULL;
}

const fq_input_def *
fq_field_arg(const fq_field_def *field, fq_str name)
{
    uint32_t i = FIND(&field->arg_index, field->args, field->n_args, name);
    return i < field->n_args ? &field->args[i] : NULL;
}

const fq_field_def *
fq_type_field(const fq_type *type, fq_str name)
{
    if (type->fields == NULL)
        return NULL;
    uint32_t i = FIND(&type->member_index, type->fields, type->n_members,
                      name);
    return i < type->n_members ? &type->fields[i] : NULL;
}

const fq_input_def *
fq_type_input_field(const fq_type *type, fq_str name)
{
    if (type->input_fields == NULL)
        return NULL;
    uint32_t i = FIND(&type->member_index, type->input_fields, type->n_members,
                      name);
    return i < type->n_members ? &type->input_fields[i] : NULL;
}

const fq_enum_def *
fq_type_enum_value(const fq_type *type, fq_str name)
{
    if (type->values == NULL)
        return NULL;
    uint32_t i = FIND(&type->member_index, type->values, type->n_members,
                      name);
    return i < type->n_members ? &type->values[i] : NULL;
}

const fq_field_def *
fq_schema_field(const fq_schema *schema, const fq_type *parent, fq_str name)
{
    /* Only fields of the query root and __typename start like this. */
    if (name.len > 2 && name.ptr[0] == '_' && name.ptr[1] == '_') {
        if (fq_str_eq(name, schema->meta_typename->name))
            return fq_type_is_composite(parent) ? schema->meta_typename : NULL;
        bool is_schema = fq_str_eq(name, schema->meta_schema->name);
        if (is_schema || fq_str_eq(name, schema->meta_type->name)) {
            if (parent != schema->roots[FQ_OPERATION_QUERY])
                return NULL;
            return is_schema ? schema->meta_schema : schema->meta_type;
        }
    }
    return fq_type_field(parent, name);
}

/* A wrapper no schema knows. */
static fq_type *
wrap_in(fq_arena *arena, const fq_type *of, fq_type_kind kind)
{
    fq_type *type = FQ_ARENA_NEW(arena, fq_type);
    char *name = fq_arena_alloc(arena, of->name.len + 2);
    if (type == NULL || name == NULL)
        return NULL;
    bool is_list = kind == FQ_TYPE_LIST;
    name[0] = '[';
    memcpy(name + is_list, of->name.ptr, of->name.len);
    name[of->name.len + is_list] = is_list ? ']' : '!';
    type->kind = kind;
    type->name = fq_str_make(name, of->name.len + 1 + is_list);
    type->of = of;
    type->named = of->named;
    return type;
}

fq_status
fq_schema_type_of(const fq_schema *schema, const fq_ast_type *ast,
                  fq_arena *arena, const fq_type **ptype)
{
    *ptype = NULL;
    if (ast->node.kind == FQ_AST_NAMED_TYPE) {
        *ptype = fq_schema_type(schema, ast->name);
        return *ptype != NULL ? FQ_OK : FQ_ERR_NOT_FOUND;
    }
    const fq_type *of;
    fq_status status = fq_schema_type_of(schema, ast->of, arena, &of);
    if (status != FQ_OK)
        return status;
    bool is_list = ast->node.kind == FQ_AST_LIST_TYPE;
    *ptype = is_list ? of->list : of->non_null;
    if (*ptype == NULL)
        *ptype = wrap_in(arena, of, is_list ? FQ_TYPE_LIST : FQ_TYPE_NON_NULL);
    return *ptype != NULL ? FQ_OK : FQ_ERR_NOMEM;
}

bool
fq_type_is_subtype_of(const fq_type *type, const fq_type *super)
{
    while (type != super) {
        if (super->kind == FQ_TYPE_NON_NULL) {
            if (type->kind != FQ_TYPE_NON_NULL)
                return false;
            super = super->of;
            type = type->of;
        } else if (type->kind == FQ_TYPE_NON_NULL) {
            type = type->of;
        } else if (super->kind == FQ_TYPE_LIST || type->kind == FQ_TYPE_LIST) {
            if (super->kind != type->kind)
                return false;
            super = super->of;
            type = type->of;
        } else {
            return fq_type_is_abstract(super)
                   && (type->kind == FQ_TYPE_INTERFACE
                       || type->kind == FQ_TYPE_OBJECT)
                   && fq_type_has_subtype(super, type);
        }
    }
    return true;
}

bool
fq_type_overlaps(const fq_type *a, const fq_type *b)
{
    if (a == b)
        return true;
    if (!fq_type_is_abstract(a))
        return fq_type_is_abstract(b) && fq_type_has_subtype(b, a);
    if (!fq_type_is_abstract(b))
        return fq_type_has_subtype(a, b);
    for (uint32_t i = 0; i < a->n_possible_types; i++)
        if (fq_type_has_subtype(b, a->possible_types[i]))
            return true;
    return false;
}
