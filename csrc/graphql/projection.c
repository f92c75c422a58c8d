/* SPDX-License-Identifier: MIT */
/* Projection by memoised shapes. One thread at a time.
 *
 * A *selection* is a place in the response: the selection sets of all field
 * nodes that were merged into one key. What it selects depends on the type of
 * the object found there, of which nothing is known but `__typename`. So a
 * selection has *shapes*: one for objects without a `__typename`, to which
 * every fragment applies; one for each type that is named by a condition
 * there; and one for all other types. A selection without conditions needs
 * the first only. Shapes are made when first needed and kept in the
 * variant's memo.
 *
 * An object is projected in two steps. First its members are walked once and
 * each value is put into the slot its key has in the shape. The walk tries
 * the slot after the last hit first, because data mostly has its keys in one
 * order; a later duplicate overwrites an earlier one, which is what "the last
 * counts" asks for. Then the fields are written in order, each from its slot.
 * So an object costs its members plus its fields, whatever the order.
 *
 * The slots belong to the shape. That is safe because a shape is never
 * entered again before it is left: what is below it is other selections. */
#include "graphql/projection.h"

#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "json/reader.h"
#include "json/writer.h"

/* Slots up to this many are searched one by one: less than the price of a
 * hash (about 15 ns), as most differ in length or first byte. */
#define SHAPE_LINEAR_MAX 8

#define SLOT_NONE UINT32_MAX

/* One selection set merged into a selection. */
typedef struct fq_set_ref {
    struct fq_set_ref *next;
    const fq_ast_selection_set *set;
} fq_set_ref;

/* A response key while its nodes are being collected. */
typedef struct fq_collected_field {
    const fq_ast_field *node; /* the first one */
    fq_set_ref *sets;
    fq_set_ref **sets_tail;
} fq_collected_field;

typedef struct fq_shape_field {
    const char *prefix; /* `,"key":` */
    uint32_t prefix_len;
    uint32_t slot;       /* of the value */
    fq_selection *child; /* NULL: the value whole */
    bool is_typename;
} fq_shape_field;

typedef struct fq_shape {
    fq_shape_field *fields;
    fq_str *names;       /* by slot: the distinct member names wanted */
    yyjson_val **values; /* by slot, during one object */
    uint32_t *table;     /* slots by hash, open addressing; NULL: few slots */
    uint32_t table_mask;
    uint32_t n_fields;
    uint32_t n_slots;
} fq_shape;

/* A type named by a condition of a selection. */
typedef struct fq_shape_case {
    struct fq_shape_case *next;
    fq_str type_name;
    fq_shape *shape; /* NULL until met */
} fq_shape_case;

struct fq_selection {
    fq_set_ref *sets;
    fq_shape *untyped;    /* for objects without __typename */
    fq_shape *other;      /* for types no condition names; NULL until met */
    fq_shape_case *cases; /* NULL: |untyped| does for all */
};

/* One collection of a selection's fields. */
typedef struct fq_collector {
    fq_projection *projection;
    fq_shape_case **cases_tail; /* not NULL: record conditions */
    fq_str type_name;           /* the object's; ptr NULL: unknown */
    bool is_untyped;            /* every condition holds */
    uint32_t n_fields;
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

void
fq_projection_init(fq_projection *projection,
                   const fq_ast_operation *operation,
                   fq_collect_scratch *scratch, const uint64_t *bits)
{
    *projection = (fq_projection){
        .operation = operation,
        .scratch = scratch,
        .bits = bits,
    };
    fq_arena_init(&projection->memo, 0);
}

void
fq_projection_fini(fq_projection *projection)
{
    fq_arena_fini(&projection->memo);
    projection->root = NULL;
}

static bool
condition_value(const fq_ast_directive *directive, const uint64_t *bits)
{
    if (directive->bit >= 0)
        return (bits[directive->bit / 64] >> (directive->bit % 64) & 1) != 0;
    FQ_AST_FOREACH(node, &directive->arguments)
    {
        const fq_ast_argument *argument = (const fq_ast_argument *)node;
        if (fq_str_eq(argument->name, FQ_STR_LIT("if")))
            return fq_str_eq(argument->value->text, FQ_STR_LIT("true"));
    }
    return false;
}

bool
fq_directives_include(const fq_ast_list *directives, const uint64_t *bits)
{
    FQ_AST_FOREACH(node, directives)
    {
        const fq_ast_directive *directive = (const fq_ast_directive *)node;
        if (fq_str_eq(directive->name, FQ_STR_LIT("skip"))
            && condition_value(directive, bits))
            return false;
        if (fq_str_eq(directive->name, FQ_STR_LIT("include"))
            && !condition_value(directive, bits))
            return false;
    }
    return true;
}

/* *papplies says whether a fragment on |condition| (NULL: none) applies. */
static fq_status
collect_condition(fq_collector *collector, const fq_ast_type *condition,
                  bool *papplies)
{
    fq_collect_scratch *scratch = collector->projection->scratch;
    *papplies = condition == NULL || collector->is_untyped
                || fq_str_eq(condition->name, collector->type_name);
    if (condition == NULL || collector->cases_tail == NULL
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

static fq_status
collect_field(fq_collector *collector, const fq_ast_field *field)
{
    fq_collect_scratch *scratch = collector->projection->scratch;
    uint32_t key = field->key_id;
    if (scratch_mark(scratch, scratch->name_marks, key)) {
        scratch->name_values[key] = collector->n_fields;
        fq_collected_field *first = &scratch->fields[collector->n_fields++];
        first->node = field;
        first->sets = NULL;
        first->sets_tail = &first->sets;
    }
    if (field->selection_set == NULL)
        return FQ_OK;
    fq_set_ref *ref = FQ_ARENA_NEW(&collector->projection->memo, fq_set_ref);
    if (ref == NULL)
        return FQ_ERR_NOMEM;
    fq_collected_field *collected
        = &scratch->fields[scratch->name_values[key]];
    ref->set = field->selection_set;
    *collected->sets_tail = ref;
    collected->sets_tail = &ref->next;
    return FQ_OK;
}

/* CollectFields of Sep 2025 6.3.2. Recursion is bounded because validation
 * bounds nesting through fragments by FQ_GRAPHQL_NESTING_MAX. */
static fq_status
collect_set(fq_collector *collector, const fq_ast_selection_set *set)
{
    fq_collect_scratch *scratch = collector->projection->scratch;
    const uint64_t *bits = collector->projection->bits;
    fq_status status = FQ_OK;
    FQ_AST_FOREACH(node, &set->selections)
    {
        bool applies = true;
        if (node->kind == FQ_AST_FIELD) {
            const fq_ast_field *field = (const fq_ast_field *)node;
            if (fq_directives_include(&field->directives, bits))
                status = collect_field(collector, field);
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            const fq_ast_inline_fragment *fragment
                = (const fq_ast_inline_fragment *)node;
            if (!fq_directives_include(&fragment->directives, bits))
                continue;
            status = collect_condition(collector, fragment->type_condition,
                                       &applies);
            if (status == FQ_OK && applies)
                status = collect_set(collector, fragment->selection_set);
        } else {
            const fq_ast_spread *spread = (const fq_ast_spread *)node;
            const fq_ast_fragment *fragment = spread->fragment;
            if (!fq_directives_include(&spread->directives, bits)
                || !scratch_mark(scratch, scratch->fragment_marks,
                                 fragment->index))
                continue;
            status = collect_condition(collector, fragment->type_condition,
                                       &applies);
            if (status == FQ_OK && applies)
                status = collect_set(collector, fragment->selection_set);
        }
        if (status != FQ_OK)
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
    memset(shape->table, 0xFF, cap * sizeof(uint32_t)); /* SLOT_NONE */
    for (uint32_t slot = 0; slot < shape->n_slots; slot++) {
        fq_str name = shape->names[slot];
        size_t i = fq_hash_bytes(name.ptr, name.len) & shape->table_mask;
        while (shape->table[i] != SLOT_NONE)
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

static fq_status
shape_set_field(fq_shape_field *field, fq_arena *arena,
                const fq_collected_field *collected)
{
    fq_str key = fq_ast_field_key(collected->node);
    /* A GraphQL name has no character that JSON would escape. */
    char *prefix = fq_arena_alloc(arena, key.len + 4);
    if (prefix == NULL)
        return FQ_ERR_NOMEM;
    memcpy(prefix, ",\"", 2);
    memcpy(prefix + 2, key.ptr, key.len);
    memcpy(prefix + 2 + key.len, "\":", 2);
    field->prefix = prefix;
    field->prefix_len = (uint32_t)key.len + 4;
    field->is_typename = fq_str_eq(collected->node->name,
                                   FQ_STR_LIT("__typename"));
    if (collected->sets == NULL)
        return FQ_OK;
    field->child = FQ_ARENA_NEW(arena, fq_selection);
    if (field->child == NULL)
        return FQ_ERR_NOMEM;
    field->child->sets = collected->sets;
    return FQ_OK;
}

/* A shape of the |n_fields| fields that were just collected. */
static fq_status
shape_new(fq_projection *projection, uint32_t n_fields, fq_shape **pshape)
{
    fq_collect_scratch *scratch = projection->scratch;
    fq_arena *arena = &projection->memo;
    fq_shape *shape = FQ_ARENA_NEW(arena, fq_shape);
    if (shape == NULL)
        return FQ_ERR_NOMEM;
    shape->fields = FQ_ARENA_NEW_N(arena, fq_shape_field, n_fields);
    shape->names = FQ_ARENA_NEW_N(arena, fq_str, n_fields);
    shape->values = FQ_ARENA_NEW_N(arena, yyjson_val *, n_fields);
    if (shape->fields == NULL || shape->names == NULL || shape->values == NULL)
        return FQ_ERR_NOMEM;
    shape->n_fields = n_fields;
    scratch_restart(scratch);
    for (uint32_t i = 0; i < n_fields; i++) {
        fq_shape_field *field = &shape->fields[i];
        field->slot = shape_slot(shape, scratch, scratch->fields[i].node);
        fq_status status = shape_set_field(field, arena, &scratch->fields[i]);
        if (status != FQ_OK)
            return status;
    }
    *pshape = shape;
    return shape->n_slots > SHAPE_LINEAR_MAX ? shape_make_table(shape, arena)
                                             : FQ_OK;
}

/* Collects the shape of |selection| for type |type_name| (ptr NULL with
 * |is_untyped| false: a type no condition names). */
static fq_status
selection_collect(fq_projection *projection, fq_selection *selection,
                  fq_str type_name, bool is_untyped, fq_shape **pshape)
{
    fq_collector collector = {
        .projection = projection,
        .cases_tail = is_untyped ? &selection->cases : NULL,
        .type_name = type_name,
        .is_untyped = is_untyped,
    };
    scratch_restart(projection->scratch);
    for (fq_set_ref *ref = selection->sets; ref != NULL; ref = ref->next) {
        fq_status status = collect_set(&collector, ref->set);
        if (status != FQ_OK)
            return status;
    }
    return shape_new(projection, collector.n_fields, pshape);
}

/* The shape for objects of type |type_name|; ptr NULL: unknown. */
static fq_status
selection_shape(fq_projection *projection, fq_selection *selection,
                fq_str type_name, fq_shape **pshape)
{
    fq_shape **place = &selection->other;
    fq_str name = fq_str_make(NULL, 0);
    if (type_name.ptr == NULL) {
        place = &selection->untyped;
    } else {
        for (fq_shape_case *it = selection->cases; it != NULL; it = it->next)
            if (fq_str_eq(it->type_name, type_name)) {
                place = &it->shape;
                name = it->type_name;
                break;
            }
    }
    fq_status status = FQ_OK;
    if (*place == NULL)
        status = selection_collect(projection, selection, name,
                                   type_name.ptr == NULL, place);
    *pshape = *place;
    return status;
}

/* The slot for member |key|, or SLOT_NONE; |expected| is tried first. */
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
        return SLOT_NONE;
    }
    size_t i = fq_hash_bytes(key.ptr, key.len) & shape->table_mask;
    while ((slot = shape->table[i]) != SLOT_NONE
           && !fq_str_eq(shape->names[slot], key))
        i = (i + 1) & shape->table_mask;
    return slot;
}

/* Puts the members of |object| into the slots of |shape|. */
static void
shape_load(fq_shape *shape, yyjson_val *object)
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
        if (slot == SLOT_NONE)
            continue;
        shape->values[slot] = yyjson_obj_iter_get_val(key);
        expected = slot + 1 < shape->n_slots ? slot + 1 : 0;
    }
}

static fq_status
write_value(fq_projection *projection, fq_selection *selection,
            yyjson_val *value, fq_buf *buf);

static fq_status
write_object(fq_projection *projection, fq_selection *selection,
             yyjson_val *object, fq_buf *buf)
{
    fq_shape *shape = selection->untyped;
    fq_status status = FQ_OK;
    if (shape == NULL)
        status = selection_shape(projection, selection, fq_str_make(NULL, 0),
                                 &shape);
    if (status == FQ_OK && selection->cases != NULL) {
        yyjson_val *type_name = fq_json_get(object, FQ_STR_LIT("__typename"));
        if (yyjson_is_str(type_name))
            status = selection_shape(projection, selection,
                                     fq_json_str(type_name), &shape);
    }
    if (status != FQ_OK)
        return status;
    shape_load(shape, object);
    for (uint32_t i = 0; i < shape->n_fields; i++) {
        const fq_shape_field *field = &shape->fields[i];
        yyjson_val *value = shape->values[field->slot];
        /* The comma of the first prefix turns into the opening brace. */
        char *out = fq_buf_reserve(buf, field->prefix_len);
        if (out == NULL)
            return fq_buf_status(buf);
        memcpy(out, field->prefix, field->prefix_len);
        if (i == 0)
            *out = '{';
        buf->len += field->prefix_len;
        if (field->is_typename && !yyjson_is_str(value))
            value = NULL;
        if (field->child == NULL)
            fq_json_write_val(buf, value);
        else if ((status = write_value(projection, field->child, value, buf))
                 != FQ_OK)
            return status;
    }
    fq_buf_append_str(buf, shape->n_fields == 0 ? FQ_STR_LIT("{}")
                                                : FQ_STR_LIT("}"));
    return FQ_OK;
}

static fq_status
write_list(fq_projection *projection, fq_selection *selection,
           yyjson_val *list, fq_buf *buf)
{
    fq_buf_append_char(buf, '[');
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        if (iter.idx > 1)
            fq_buf_append_char(buf, ',');
        fq_status status = write_value(projection, selection, item, buf);
        if (status != FQ_OK)
            return status;
    }
    fq_buf_append_char(buf, ']');
    return FQ_OK;
}

/* Recursion is bounded by the document's nesting for objects and by
 * FQ_JSON_DEPTH_MAX for lists. */
static fq_status
write_value(fq_projection *projection, fq_selection *selection,
            yyjson_val *value, fq_buf *buf)
{
    if (fq_buf_status(buf) != FQ_OK)
        return fq_buf_status(buf);
    if (yyjson_is_obj(value))
        return write_object(projection, selection, value, buf);
    if (yyjson_is_arr(value))
        return write_list(projection, selection, value, buf);
    fq_json_write_val(buf, NULL);
    return FQ_OK;
}

static fq_status
projection_make_root(fq_projection *projection, fq_shape **pshape)
{
    fq_selection *root = projection->root;
    if (root == NULL) {
        root = FQ_ARENA_NEW(&projection->memo, fq_selection);
        fq_set_ref *ref = FQ_ARENA_NEW(&projection->memo, fq_set_ref);
        if (root == NULL || ref == NULL)
            return FQ_ERR_NOMEM;
        ref->set = projection->operation->selection_set;
        root->sets = ref;
        projection->root = root;
    }
    /* The root type's name is unknown, so every condition there holds. */
    return selection_shape(projection, root, fq_str_make(NULL, 0), pshape);
}

fq_status
fq_projection_write(fq_projection *projection, yyjson_val *value, fq_buf *buf)
{
    if (projection->memo.n_bytes > FQ_PROJECTION_MEMO_MAX)
        fq_projection_fini(projection);
    fq_shape *root;
    fq_status status = projection_make_root(projection, &root);
    if (status != FQ_OK)
        return status;
    if (root->n_fields > 0 && root->fields[0].child != NULL)
        status = write_value(projection, root->fields[0].child, value, buf);
    else
        fq_json_write_val(buf, value);
    return status != FQ_OK ? status : fq_buf_status(buf);
}
