/* SPDX-License-Identifier: MIT */
/* An array sorted by the place of type and field in the schema, so that equal
 * sets are equal arrays and the first field found is always the same one. One
 * thread at a time. */
#include "graphql/mask.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

typedef struct fq_mask_item {
    const fq_type *type;       /* an object type; NULL without a schema */
    const fq_field_def *field; /* one of its fields; likewise */
    fq_str name;               /* of the field */
} fq_mask_item;

struct fq_field_mask {
    size_t n_refs;
    fq_schema *schema; /* one reference, or NULL */
    size_t n_items;    /* distinct, in order of item_cmp() */
    size_t n_bytes;
    fq_mask_item items[]; /* without a schema their texts follow */
};

static int
item_cmp(const void *a, const void *b)
{
    const fq_mask_item *left = a;
    const fq_mask_item *right = b;
    if (left->type == NULL)
        return fq_str_cmp(left->name, right->name);
    if (left->type != right->type)
        return left->type->index < right->type->index ? -1 : 1;
    if (left->field == right->field)
        return 0;
    /* Both are in the one array of their type. */
    return left->field < right->field ? -1 : 1;
}

/* Whether |coordinate| is one. */
static bool
is_known(const fq_schema *schema, const fq_field_coordinate *coordinate)
{
    if (schema == NULL)
        return fq_str_eq(coordinate->type_name, FQ_STR_LIT("Subscription"))
               && coordinate->field_name.len > 0;
    const fq_type *type = fq_schema_type(schema, coordinate->type_name);
    return type != NULL && !type->is_builtin && type->fields != NULL
           && fq_type_field(type, coordinate->field_name) != NULL;
}

/* The fields |coordinate|, a known one, stands for, written to |items| unless
 * that is NULL; returns their number, which is zero for an interface that
 * nobody implements. */
static size_t
resolve(const fq_schema *schema, const fq_field_coordinate *coordinate,
        fq_mask_item *items)
{
    const fq_type *type = fq_schema_type(schema, coordinate->type_name);
    const fq_type *const *objects = &type;
    size_t n_objects = 1;
    if (type->kind == FQ_TYPE_INTERFACE) {
        objects = type->possible_types;
        n_objects = type->n_possible_types;
    }
    for (size_t i = 0; i < n_objects && items != NULL; i++) {
        const fq_field_def *def = fq_type_field(objects[i],
                                                coordinate->field_name);
        FQ_CHECK(def != NULL);
        items[i] = (fq_mask_item){objects[i], def, def->name};
    }
    return n_objects;
}

/* Drops repeated items of |mask|, which is sorted. */
static void
drop_repeated(fq_field_mask *mask)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < mask->n_items; i++)
        if (n_kept == 0
            || item_cmp(&mask->items[n_kept - 1], &mask->items[i]) != 0)
            mask->items[n_kept++] = mask->items[i];
    mask->n_items = n_kept;
}

static void
fill(fq_field_mask *mask, const fq_field_coordinate *coordinates, size_t n)
{
    char *text = (char *)&mask->items[mask->n_items];
    fq_mask_item *item = mask->items;
    for (size_t i = 0; i < n; i++) {
        if (mask->schema != NULL) {
            item += resolve(mask->schema, &coordinates[i], item);
            continue;
        }
        fq_str name = coordinates[i].field_name;
        memcpy(text, name.ptr, name.len);
        *item++ = (fq_mask_item){.name = fq_str_make(text, name.len)};
        text += name.len;
    }
    if (mask->n_items > 0)
        qsort(mask->items, mask->n_items, sizeof(mask->items[0]), item_cmp);
    drop_repeated(mask);
}

fq_status
fq_field_mask_new(fq_schema *schema, const fq_field_coordinate *coordinates,
                  size_t n_coordinates, const fq_field_mask **pmask,
                  size_t *pbad)
{
    *pmask = NULL;
    *pbad = 0;
    size_t n_items = 0;
    size_t n_text = 0;
    for (size_t i = 0; i < n_coordinates; i++) {
        if (!is_known(schema, &coordinates[i])) {
            *pbad = i;
            return FQ_ERR_NOT_FOUND;
        }
        if (schema != NULL) {
            n_items += resolve(schema, &coordinates[i], NULL);
        } else {
            n_items++;
            n_text += coordinates[i].field_name.len;
        }
    }
    size_t n_bytes = sizeof(fq_field_mask) + n_items * sizeof(fq_mask_item)
                     + n_text;
    fq_field_mask *mask = fq_alloc_zero(n_bytes);
    if (mask == NULL)
        return FQ_ERR_NOMEM;
    mask->n_refs = 1;
    mask->n_items = n_items;
    mask->n_bytes = n_bytes;
    if (schema != NULL)
        mask->schema = fq_schema_ref(schema);
    fill(mask, coordinates, n_coordinates);
    *pmask = mask;
    return FQ_OK;
}

const fq_field_mask *
fq_field_mask_ref(const fq_field_mask *mask)
{
    ((fq_field_mask *)mask)->n_refs++;
    return mask;
}

void
fq_field_mask_unref(const fq_field_mask *mask)
{
    fq_field_mask *owned = (fq_field_mask *)mask;
    if (owned == NULL || --owned->n_refs > 0)
        return;
    fq_schema_unref(owned->schema);
    fq_free(owned);
}

static bool
is_empty(const fq_field_mask *mask)
{
    return mask == NULL || mask->n_items == 0;
}

bool
fq_field_mask_eq(const fq_field_mask *a, const fq_field_mask *b)
{
    if (a == b || (is_empty(a) && is_empty(b)))
        return true;
    if (is_empty(a) || is_empty(b) || a->schema != b->schema
        || a->n_items != b->n_items)
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (item_cmp(&a->items[i], &b->items[i]) != 0)
            return false;
    return true;
}

bool
fq_field_mask_suits(const fq_field_mask *mask, const fq_schema *schema)
{
    return is_empty(mask) || mask->schema == schema;
}

size_t
fq_field_mask_n_fields(const fq_field_mask *mask)
{
    return mask->n_items;
}

static fq_field_coordinate
item_coordinate(const fq_mask_item *item)
{
    return (fq_field_coordinate){
        .type_name = item->type != NULL ? item->type->name
                                        : FQ_STR_LIT("Subscription"),
        .field_name = item->name,
    };
}

fq_field_coordinate
fq_field_mask_coordinate(const fq_field_mask *mask, size_t i)
{
    FQ_CHECK(i < mask->n_items);
    return item_coordinate(&mask->items[i]);
}

bool
fq_field_mask_find_non_null(const fq_field_mask *mask,
                            fq_field_coordinate *pcoordinate)
{
    *pcoordinate = (fq_field_coordinate){{NULL, 0}, {NULL, 0}};
    for (size_t i = 0; i < mask->n_items; i++) {
        const fq_field_def *field = mask->items[i].field;
        if (field == NULL || field->type->kind != FQ_TYPE_NON_NULL)
            continue;
        *pcoordinate = item_coordinate(&mask->items[i]);
        return true;
    }
    return false;
}

bool
fq_field_mask_has(const fq_field_mask *mask, const fq_type *type,
                  const fq_field_def *def)
{
    if (is_empty(mask))
        return false;
    FQ_CHECK(mask->schema != NULL);
    fq_mask_item key = {.type = type, .field = def};
    return bsearch(&key, mask->items, mask->n_items, sizeof(mask->items[0]),
                   item_cmp)
           != NULL;
}

bool
fq_field_mask_has_root(const fq_field_mask *mask, fq_str name)
{
    if (is_empty(mask))
        return false;
    FQ_CHECK(mask->schema == NULL);
    fq_mask_item key = {.name = name};
    return bsearch(&key, mask->items, mask->n_items, sizeof(mask->items[0]),
                   item_cmp)
           != NULL;
}

bool
fq_field_mask_meets(const fq_field_mask *mask, const fq_type *type,
                    fq_str field_name, fq_field_coordinate *pcoordinate)
{
    *pcoordinate = (fq_field_coordinate){{NULL, 0}, {NULL, 0}};
    if (is_empty(mask))
        return false;
    if (type->kind == FQ_TYPE_OBJECT) {
        const fq_field_def *def = fq_type_field(type, field_name);
        if (def == NULL || !fq_field_mask_has(mask, type, def))
            return false;
        *pcoordinate = (fq_field_coordinate){type->name, def->name};
        return true;
    }
    for (size_t i = 0; i < mask->n_items; i++) {
        const fq_mask_item *item = &mask->items[i];
        if (!fq_str_eq(item->name, field_name)
            || !fq_type_has_subtype(type, item->type))
            continue;
        *pcoordinate = item_coordinate(item);
        return true;
    }
    return false;
}

size_t
fq_field_mask_n_bytes(const fq_field_mask *mask)
{
    return mask->n_bytes;
}
