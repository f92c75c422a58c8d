/* SPDX-License-Identifier: MIT */
/* A set of fields of one schema, each known by its coordinate `Type.field`:
 * those a security class sees as null, or may not select at all. Made once
 * per policy, never changed, compared by content, so that it can be part of
 * the key under which a projection is shared (see fq_plan_bind()). Plain data:
 * one thread at a time; neither its count nor that of the schema it refers to
 * is atomic, so it is handed over together with the schema. */
#ifndef FQ_GRAPHQL_MASK_H
#define FQ_GRAPHQL_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/str.h"
#include "graphql/schema.h"

typedef struct fq_field_mask fq_field_mask;

typedef struct fq_field_coordinate {
    fq_str type_name;
    fq_str field_name;
} fq_field_coordinate;

/* The set of |coordinates|; repeated ones count once. A field of an interface
 * stands for that field of every object type that implements it. Without a
 * schema (NULL) only fields of the type `Subscription` are known, whatever
 * their name. On FQ_OK *pmask holds one reference, which keeps the schema too;
 * the texts are copied. Errors: FQ_ERR_NOT_FOUND (no object or interface of
 * the schema has such a field, introspection types left aside; *pbad is the
 * place in |coordinates|), FQ_ERR_NOMEM. */
fq_status
fq_field_mask_new(fq_schema *schema, const fq_field_coordinate *coordinates,
                  size_t n_coordinates, const fq_field_mask **pmask,
                  size_t *pbad);

const fq_field_mask *
fq_field_mask_ref(const fq_field_mask *mask);
/* NULL is allowed. */
void
fq_field_mask_unref(const fq_field_mask *mask);

/* Whether both hold the same fields of the same schema; NULL is the set
 * without fields. Cost: O(1) for the same object, else O(fields). */
bool
fq_field_mask_eq(const fq_field_mask *a, const fq_field_mask *b);

/* Whether |mask| was made for |schema|; one without fields or NULL suits
 * all. */
bool
fq_field_mask_suits(const fq_field_mask *mask, const fq_schema *schema);

/* The fields in the order of the schema, those of interfaces replaced by what
 * they stand for. The texts live as long as the mask. */
size_t
fq_field_mask_n_fields(const fq_field_mask *mask);
fq_field_coordinate
fq_field_mask_coordinate(const fq_field_mask *mask, size_t i);

/* True when a field of |mask| has a non-null type: it can be refused but never
 * be shown as null. *pcoordinate gets the first one. */
bool
fq_field_mask_find_non_null(const fq_field_mask *mask,
                            fq_field_coordinate *pcoordinate);

/* Whether |def| of object type |type| is in |mask|. Cost: O(log fields). */
bool
fq_field_mask_has(const fq_field_mask *mask, const fq_type *type,
                  const fq_field_def *def);

/* Without a schema: whether the root field |name| is in |mask|. */
bool
fq_field_mask_has_root(const fq_field_mask *mask, fq_str name);

/* Whether selecting |field_name| on |type|, a composite type of the schema,
 * can give a field of |mask| for some object; *pcoordinate gets the first such
 * one. Cost: O(log fields), for abstract types O(fields). */
bool
fq_field_mask_meets(const fq_field_mask *mask, const fq_type *type,
                    fq_str field_name, fq_field_coordinate *pcoordinate);

/* Bytes held, without the schema. */
size_t
fq_field_mask_n_bytes(const fq_field_mask *mask);

#endif
