/* SPDX-License-Identifier: MIT */
/* Collecting fields. One thread at a time. */
#include "graphql/shape.h"

#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "graphql/arguments.h"
#include "json/reader.h"

/* Slots up to this many are searched one by one: less than the price of a
 * hash (about 15 ns), as most differ in length or first byte. */
#define SHAPE_LINEAR_MAX 8

/* A response key while its nodes are being collected. */
typedef struct fq_collected_field {
    const fq_ast_field *node; /* the first one */
    fq_field_ref *nodes;      /* those that are remembered */
    fq_field_ref **nodes_tail;
} fq_collected_field;

/* One collection of a selection's fields. */
typedef struct fq_collector {
    fq_projection *projection;
    const fq_type *type;        /* the object's; NULL without a schema */
    fq_shape_case **cases_tail; /* not NULL: record conditions */
    fq_str type_name;           /* the object's; ptr NULL: unknown */
    bool is_untyped;            /* every condition holds */
    uint32_t n_fields;
    uint32_t depth;              /* fragments open */
    const fq_shape_error *error; /* the collection has failed */
} fq_collector;

fq_status
fq_collect_scratch_init(fq_collect_scratch *scratch, fq_document *document)
{
    fq_arena *arena = &document->arena;
    size_t n_names = document->n_names;
    *scratch = (fq_collect_scratch){
        .n_names = document->n_names,
        .n_fragments = document->n_fragments,
        .name_marks = FQ_ARENA_NEW_N(arena, uint32_t, n_names),
        .name_values = FQ_ARENA_NEW_N(arena, uint32_t, n_names),
        .condition_marks = FQ_ARENA_NEW_N(arena, uint32_t, n_names),
        .fragment_marks = FQ_ARENA_NEW_N(arena, uint32_t,
                                         document->n_fragments),
        .fields = FQ_ARENA_NEW_N(arena, fq_collected_field, n_names),
    };
    return scratch->name_marks != NULL && scratch->name_values != NULL
                   && scratch->condition_marks != NULL
                   && scratch->fragment_marks != NULL
                   && scratch->fields != NULL
               ? FQ_OK
               : FQ_ERR_NOMEM;
}

/* Makes every mark stale. */
static void
scratch_restart(fq_collect_scratch *scratch)
{
    if (++scratch->generation != 0)
        return;
    size_t n_bytes = scratch->n_names * sizeof(uint32_t);
    memset(scratch->name_marks, 0, n_bytes);
    memset(scratch->condition_marks, 0, n_bytes);
    memset(scratch->fragment_marks, 0,
           scratch->n_fragments * sizeof(uint32_t));
    scratch->generation = 1;
}

/* Sets |marks[i]|; true when it was stale. */
static bool
scratch_mark(fq_collect_scratch *scratch, uint32_t *marks, uint32_t i)
{
    if (marks[i] == scratch->generation)
        return false;
    marks[i] = scratch->generation;
    return true;
}

/* An error with |message|, which is copied, at byte |start| of the source;
 * SIZE_MAX: nowhere. NULL when memory is out. */
static fq_shape_error *
error_new(fq_projection *projection, fq_str message, size_t start)
{
    fq_shape_error *error = FQ_ARENA_NEW(&projection->memo, fq_shape_error);
    if (error == NULL)
        return NULL;
    error->message = fq_arena_copy(&projection->memo, message);
    error->has_place = true;
    if (start != SIZE_MAX) {
        error->start = (uint32_t)start;
        error->location = fq_gql_locate(projection->source->document->source,
                                        start);
    }
    return error->message.ptr != NULL ? error : NULL;
}

/* Checks what |node|, a field or directive, gives for |args|. *perror gets
 * what is wrong, or NULL. */
static fq_status
check_arguments(fq_projection *projection, const fq_input_def *args,
                uint32_t n_args, const fq_ast_list *arguments,
                const fq_ast_node *node, const fq_shape_error **perror)
{
    *perror = NULL;
    fq_argument_fault fault;
    fq_status status = fq_arguments_check(args, n_args, arguments, node,
                                          &projection->variables, &fault);
    if (status == FQ_ERR_INVALID) {
        *perror = error_new(projection, fq_buf_str(&fault.message),
                            fault.node != NULL ? fault.node->start : SIZE_MAX);
        status = *perror != NULL ? FQ_OK : FQ_ERR_NOMEM;
    }
    fq_buf_fini(&fault.message);
    return status;
}

/* The argument `if` of |directive|, in *pvalue. What is wrong with it goes to
 * the collector's error. */
static fq_status
condition_value(fq_collector *collector, const fq_ast_directive *directive,
                bool *pvalue)
{
    fq_projection *projection = collector->projection;
    const fq_ast_value *value = NULL;
    FQ_AST_FOREACH(node, &directive->arguments)
    {
        const fq_ast_argument *argument = (const fq_ast_argument *)node;
        if (fq_str_eq(argument->name, FQ_STR_LIT("if")))
            value = argument->value;
    }
    *pvalue = false;
    if (value != NULL && value->node.kind == FQ_AST_BOOLEAN) {
        *pvalue = fq_str_eq(value->text, FQ_STR_LIT("true"));
        return FQ_OK;
    }
    fq_variable_state state = FQ_VARIABLE_NONE;
    if (value != NULL && value->node.kind == FQ_AST_VARIABLE)
        state = fq_variable_states_get(&projection->variables, value->text);
    if (state == FQ_VARIABLE_VALUE || state == FQ_VARIABLE_FALSE) {
        *pvalue = state == FQ_VARIABLE_VALUE;
        return FQ_OK;
    }
    const fq_directive_def *def = directive->def;
    if (def == NULL)
        return FQ_OK;
    return check_arguments(projection, def->args, def->n_args,
                           &directive->arguments, &directive->node,
                           &collector->error);
}

/* *pincludes says whether @skip and @include leave their node in. */
static fq_status
collect_directives(fq_collector *collector, const fq_ast_list *directives,
                   bool *pincludes)
{
    *pincludes = true;
    if (directives->first == NULL)
        return FQ_OK;
    bool value;
    fq_status status = FQ_OK;
    const fq_ast_directive *skip = fq_ast_directive_find(directives,
                                                         FQ_STR_LIT("skip"));
    if (skip != NULL) {
        status = condition_value(collector, skip, &value);
        *pincludes = !value;
    }
    const fq_ast_directive *include = fq_ast_directive_find(
        directives, FQ_STR_LIT("include"));
    if (status == FQ_OK && *pincludes && include != NULL
        && collector->error == NULL)
        status = condition_value(collector, include, pincludes);
    if (collector->error != NULL)
        *pincludes = false;
    return status;
}

/* Without a schema: *papplies says whether a fragment on |condition| does. */
static fq_status
match_name(fq_collector *collector, const fq_ast_type *condition,
           bool *papplies)
{
    fq_collect_scratch *scratch = &collector->projection->source->scratch;
    *papplies = collector->is_untyped
                || fq_str_eq(condition->name, collector->type_name);
    if (collector->cases_tail == NULL
        || !scratch_mark(scratch, scratch->condition_marks,
                         condition->name_id))
        return FQ_OK;
    fq_shape_case *new_case = FQ_ARENA_NEW(&collector->projection->memo,
                                           fq_shape_case);
    if (new_case == NULL)
        return FQ_ERR_NOMEM;
    new_case->type_name = condition->name;
    *collector->cases_tail = new_case;
    collector->cases_tail = &new_case->next;
    return FQ_OK;
}

/* *papplies says whether a fragment on |condition| (NULL: none) applies. */
static fq_status
collect_condition(fq_collector *collector, const fq_ast_type *condition,
                  bool *papplies)
{
    *papplies = true;
    if (condition == NULL)
        return FQ_OK;
    if (collector->type == NULL)
        return match_name(collector, condition, papplies);
    const fq_type *type = condition->type;
    *papplies = type == collector->type
                || (type != NULL && fq_type_is_abstract(type)
                    && fq_type_has_subtype(type, collector->type));
    return FQ_OK;
}

static fq_status
collect_field(fq_collector *collector, const fq_ast_field *field)
{
    fq_collect_scratch *scratch = &collector->projection->source->scratch;
    uint32_t key = field->key_id;
    if (scratch_mark(scratch, scratch->name_marks, key)) {
        scratch->name_values[key] = collector->n_fields;
        fq_collected_field *first = &scratch->fields[collector->n_fields++];
        first->node = field;
        first->nodes = NULL;
        first->nodes_tail = &first->nodes;
    }
    if (field->selection_set == NULL && collector->type == NULL)
        return FQ_OK;
    fq_field_ref *ref = FQ_ARENA_NEW(&collector->projection->memo,
                                     fq_field_ref);
    if (ref == NULL)
        return FQ_ERR_NOMEM;
    fq_collected_field *collected
        = &scratch->fields[scratch->name_values[key]];
    ref->set = field->selection_set;
    ref->start = field->node.start;
    *collected->nodes_tail = ref;
    collected->nodes_tail = &ref->next;
    return FQ_OK;
}

static fq_status
collect_set(fq_collector *collector, const fq_ast_selection_set *set);

static fq_status
collect_fragment(fq_collector *collector, const fq_ast_type *condition,
                 const fq_ast_selection_set *set)
{
    bool applies;
    fq_status status = collect_condition(collector, condition, &applies);
    if (status != FQ_OK || !applies)
        return status;
    if (collector->depth >= FQ_SHAPE_NESTING_MAX) {
        collector->error = error_new(
            collector->projection,
            FQ_STR_LIT("Selections are nested too deeply."), SIZE_MAX);
        return collector->error != NULL ? FQ_OK : FQ_ERR_NOMEM;
    }
    collector->depth++;
    status = collect_set(collector, set);
    collector->depth--;
    return status;
}

static fq_status
collect_spread(fq_collector *collector, const fq_ast_spread *spread)
{
    fq_collect_scratch *scratch = &collector->projection->source->scratch;
    const fq_ast_fragment *fragment = spread->fragment;
    bool includes;
    fq_status status = collect_directives(collector, &spread->directives,
                                          &includes);
    /* Without validation a fragment may not be there. */
    if (status != FQ_OK || !includes || fragment == NULL
        || !scratch_mark(scratch, scratch->fragment_marks, fragment->index))
        return status;
    return collect_fragment(collector, fragment->type_condition,
                            fragment->selection_set);
}

/* CollectFields of Sep 2025 6.3.2; stops at the first error. */
static fq_status
collect_set(fq_collector *collector, const fq_ast_selection_set *set)
{
    fq_status status = FQ_OK;
    bool includes;
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (node->kind == FQ_AST_FIELD) {
            const fq_ast_field *field = (const fq_ast_field *)node;
            status = collect_directives(collector, &field->directives,
                                        &includes);
            if (status == FQ_OK && includes)
                status = collect_field(collector, field);
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            const fq_ast_inline_fragment *fragment
                = (const fq_ast_inline_fragment *)node;
            status = collect_directives(collector, &fragment->directives,
                                        &includes);
            if (status == FQ_OK && includes)
                status = collect_fragment(collector, fragment->type_condition,
                                          fragment->selection_set);
        } else {
            status = collect_spread(collector, (const fq_ast_spread *)node);
        }
        if (status != FQ_OK || collector->error != NULL)
            return status;
    }
    return FQ_OK;
}

static fq_status
shape_make_table(fq_shape *shape, fq_arena *arena)
{
    uint32_t cap = 1;
    while (cap < shape->n_slots * 2)
        cap *= 2;
    shape->table = FQ_ARENA_NEW_N(arena, uint32_t, cap);
    if (shape->table == NULL)
        return FQ_ERR_NOMEM;
    shape->table_mask = cap - 1;
    memset(shape->table, 0xFF, cap * sizeof(uint32_t)); /* FQ_SLOT_NONE */
    for (uint32_t slot = 0; slot < shape->n_slots; slot++) {
        fq_str name = shape->names[slot];
        size_t i = fq_hash_bytes(name.ptr, name.len) & shape->table_mask;
        while (shape->table[i] != FQ_SLOT_NONE)
            i = (i + 1) & shape->table_mask;
        shape->table[i] = slot;
    }
    return FQ_OK;
}

/* The slot of the member |field| reads, a new one the first time. */
static uint32_t
shape_slot(fq_shape *shape, fq_collect_scratch *scratch,
           const fq_ast_field *field)
{
    uint32_t name = field->name_id;
    if (scratch_mark(scratch, scratch->name_marks, name)) {
        scratch->name_values[name] = shape->n_slots;
        shape->names[shape->n_slots++] = field->name;
    }
    return scratch->name_values[name];
}

/* `,"key":` and |value|, JSON between |quote|s. */
static fq_status
field_set_prefix(fq_shape_field *field, fq_arena *arena, fq_str key,
                 fq_str quote, fq_str value)
{
    /* A GraphQL name has no character that JSON would escape. */
    const fq_str parts[] = {
        FQ_STR(",\""), key, FQ_STR("\":"), quote, value, quote,
    };
    const size_t n_parts = sizeof(parts) / sizeof(parts[0]);
    size_t len = 0;
    for (size_t i = 0; i < n_parts; i++)
        len += parts[i].len;
    char *prefix = fq_arena_alloc(arena, len);
    if (prefix == NULL)
        return FQ_ERR_NOMEM;
    field->prefix = prefix;
    field->prefix_len = (uint32_t)len;
    for (size_t i = 0; i < n_parts; prefix += parts[i++].len)
        if (parts[i].len > 0)
            memcpy(prefix, parts[i].ptr, parts[i].len);
    return FQ_OK;
}

static fq_status
field_set_child(fq_shape_field *field, fq_arena *arena, fq_field_ref *nodes)
{
    field->child = FQ_ARENA_NEW(arena, fq_selection);
    if (field->child == NULL)
        return FQ_ERR_NOMEM;
    field->child->nodes = nodes;
    return FQ_OK;
}

/* Without a schema. */
static fq_status
shape_add_untyped(fq_shape *shape, fq_projection *projection,
                  const fq_collected_field *collected)
{
    const fq_ast_field *node = collected->node;
    fq_shape_field *field = &shape->fields[shape->n_fields++];
    field->slot = shape_slot(shape, &projection->source->scratch, node);
    field->is_typename = fq_str_eq(node->name, FQ_STR_LIT("__typename"));
    fq_status status = field_set_prefix(field, &projection->memo,
                                        fq_ast_field_key(node), FQ_STR_LIT(""),
                                        FQ_STR_LIT(""));
    if (status != FQ_OK || collected->nodes == NULL)
        return status;
    return field_set_child(field, &projection->memo, collected->nodes);
}

/* With one. A field the type does not have is left out: the document was not
 * validated then. */
static fq_status
shape_add(fq_shape *shape, fq_projection *projection,
          const fq_collected_field *collected)
{
    const fq_schema *schema = projection->source->schema;
    const fq_ast_field *node = collected->node;
    const fq_field_def *def = fq_schema_field(schema, shape->type, node->name);
    if (def == NULL)
        return FQ_OK;
    fq_shape_field *field = &shape->fields[shape->n_fields++];
    field->def = def;
    field->nodes = collected->nodes;
    fq_str key = fq_ast_field_key(node);
    if (def == schema->meta_typename) {
        field->slot = FQ_SLOT_NONE;
        return field_set_prefix(field, &projection->memo, key,
                                FQ_STR_LIT("\""), shape->type->name);
    }
    if (fq_field_mask_has(projection->mask, shape->type, def)) {
        field->slot = FQ_SLOT_NONE;
        return field_set_prefix(field, &projection->memo, key, FQ_STR_LIT(""),
                                FQ_STR_LIT("null"));
    }
    field->slot = shape_slot(shape, &projection->source->scratch, node);
    fq_status status = field_set_prefix(field, &projection->memo, key,
                                        FQ_STR_LIT(""), FQ_STR_LIT(""));
    if (status == FQ_OK && def->n_args > 0)
        status = check_arguments(projection, def->args, def->n_args,
                                 &node->arguments, &node->node, &field->error);
    if (status == FQ_OK && fq_type_is_composite(def->type->named))
        status = field_set_child(field, &projection->memo, field->nodes);
    return status;
}

/* A shape of the |n_fields| fields that were just collected. */
static fq_status
shape_new(fq_projection *projection, const fq_type *type, uint32_t n_fields,
          fq_shape **pshape)
{
    fq_collect_scratch *scratch = &projection->source->scratch;
    fq_arena *arena = &projection->memo;
    fq_shape *shape = FQ_ARENA_NEW(arena, fq_shape);
    if (shape == NULL)
        return FQ_ERR_NOMEM;
    shape->type = type;
    shape->fields = FQ_ARENA_NEW_N(arena, fq_shape_field, n_fields);
    shape->names = FQ_ARENA_NEW_N(arena, fq_str, n_fields);
    shape->values = FQ_ARENA_NEW_N(arena, yyjson_val *, n_fields);
    if (shape->fields == NULL || shape->names == NULL || shape->values == NULL)
        return FQ_ERR_NOMEM;
    scratch_restart(scratch);
    for (uint32_t i = 0; i < n_fields; i++) {
        fq_status status = type != NULL
                               ? shape_add(shape, projection,
                                           &scratch->fields[i])
                               : shape_add_untyped(shape, projection,
                                                   &scratch->fields[i]);
        if (status != FQ_OK)
            return status;
    }
    *pshape = shape;
    return shape->n_slots > SHAPE_LINEAR_MAX ? shape_make_table(shape, arena)
                                             : FQ_OK;
}

/* Collects |selection| as |collector| says. */
static fq_status
selection_collect(fq_collector *collector, const fq_selection *selection,
                  fq_shape **pshape)
{
    scratch_restart(&collector->projection->source->scratch);
    for (fq_field_ref *ref = selection->nodes;
         ref != NULL && collector->error == NULL; ref = ref->next) {
        if (ref->set == NULL)
            continue;
        fq_status status = collect_set(collector, ref->set);
        if (status != FQ_OK)
            return status;
    }
    if (collector->error != NULL)
        collector->n_fields = 0;
    fq_status status = shape_new(collector->projection, collector->type,
                                 collector->n_fields, pshape);
    if (status == FQ_OK)
        (*pshape)->error = collector->error;
    return status;
}

fq_status
fq_selection_root(fq_projection *projection, fq_selection **pselection)
{
    if (projection->root == NULL) {
        fq_selection *root = FQ_ARENA_NEW(&projection->memo, fq_selection);
        fq_field_ref *ref = FQ_ARENA_NEW(&projection->memo, fq_field_ref);
        if (root == NULL || ref == NULL)
            return FQ_ERR_NOMEM;
        ref->set = projection->source->operation->selection_set;
        root->nodes = ref;
        projection->root = root;
    }
    *pselection = projection->root;
    return FQ_OK;
}

fq_status
fq_selection_shape(fq_projection *projection, fq_selection *selection,
                   const fq_type *type, fq_shape **pshape)
{
    for (fq_shape_case *it = selection->cases; it != NULL; it = it->next)
        if (it->type == type) {
            *pshape = it->shape;
            return FQ_OK;
        }
    *pshape = NULL;
    fq_shape_case *new_case = FQ_ARENA_NEW(&projection->memo, fq_shape_case);
    if (new_case == NULL)
        return FQ_ERR_NOMEM;
    fq_collector collector = {.projection = projection, .type = type};
    fq_status status = selection_collect(&collector, selection, pshape);
    if (status != FQ_OK)
        return status;
    new_case->type = type;
    new_case->type_name = type->name;
    new_case->shape = *pshape;
    new_case->next = selection->cases;
    selection->cases = new_case;
    return FQ_OK;
}

fq_status
fq_selection_shape_named(fq_projection *projection, fq_selection *selection,
                         fq_str type_name, fq_shape **pshape)
{
    fq_shape **place = &selection->other;
    fq_str name = fq_str_make(NULL, 0);
    bool is_untyped = type_name.ptr == NULL;
    if (is_untyped)
        place = &selection->untyped;
    for (fq_shape_case *it = selection->cases; it != NULL && !is_untyped;
         it = it->next)
        if (fq_str_eq(it->type_name, type_name)) {
            place = &it->shape;
            name = it->type_name;
            break;
        }
    fq_status status = FQ_OK;
    if (*place == NULL) {
        fq_collector collector = {
            .projection = projection,
            .cases_tail = is_untyped ? &selection->cases : NULL,
            .type_name = name,
            .is_untyped = is_untyped,
        };
        status = selection_collect(&collector, selection, place);
    }
    *pshape = *place;
    return status;
}

/* The slot for member |key|, or FQ_SLOT_NONE; |expected| is tried first. */
static inline uint32_t
shape_find(const fq_shape *shape, fq_str key, uint32_t expected)
{
    uint32_t slot = expected;
    if (fq_str_eq(shape->names[slot], key))
        return slot;
    if (shape->table == NULL) {
        for (uint32_t i = 1; i < shape->n_slots; i++) {
            slot = slot + 1 < shape->n_slots ? slot + 1 : 0;
            if (fq_str_eq(shape->names[slot], key))
                return slot;
        }
        return FQ_SLOT_NONE;
    }
    size_t i = fq_hash_bytes(key.ptr, key.len) & shape->table_mask;
    while ((slot = shape->table[i]) != FQ_SLOT_NONE
           && !fq_str_eq(shape->names[slot], key))
        i = (i + 1) & shape->table_mask;
    return slot;
}

void
fq_shape_load(fq_shape *shape, yyjson_val *object)
{
    if (shape->n_slots == 0)
        return;
    memset(shape->values, 0, shape->n_slots * sizeof(*shape->values));
    uint32_t expected = 0;
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        uint32_t slot = shape_find(shape,
                                   fq_str_make(unsafe_yyjson_get_str(key),
                                               unsafe_yyjson_get_len(key)),
                                   expected);
        if (slot == FQ_SLOT_NONE)
            continue;
        shape->values[slot] = yyjson_obj_iter_get_val(key);
        expected = slot + 1 < shape->n_slots ? slot + 1 : 0;
    }
}
