/* SPDX-License-Identifier: MIT */
/* What a place in the response selects, worked out once per kind of object
 * found there (GraphQL Sep 2025 6.3.2, CollectFields) and then remembered.
 * Shared by projection.c and completion.c. One thread at a time.
 *
 * A *selection* is such a place: the selection sets of all field nodes that
 * were merged into one key. What it selects depends on the type of the object.
 * A selection has *shapes*. With a schema there is one for each object type
 * met. Without one nothing is known of a type but the data's `__typename`:
 * there is one shape for objects without it, to which every fragment applies;
 * one for each type that is named by a condition there; and one for all other
 * types. Shapes are made when first needed and kept in the variant's memo.
 *
 * A shape also holds what cannot change from event to event: the variant has
 * decided every variable as far as it matters, so whether the arguments of a
 * field or of a @skip are bad is known when the shape is made. */
#ifndef FQ_GRAPHQL_SHAPE_H
#define FQ_GRAPHQL_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/status.h"
#include "base/str.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/projection.h"
#include "graphql/schema.h"

/* Fragments that may be open at once while one selection is collected.
 * Validation sees to it; documents that were not validated may nest more. */
#define FQ_SHAPE_NESTING_MAX 1000

/* A node merged into a selection. */
typedef struct fq_field_ref {
    struct fq_field_ref *next;
    const fq_ast_selection_set *set; /* NULL: the field has none */
    uint32_t start;                  /* of the field, in the source */
    fq_gql_location location; /* the same, once asked for; line 0: not yet */
} fq_field_ref;

/* What is wrong with arguments, whatever the data. */
typedef struct fq_shape_error {
    fq_str message;
    bool has_place;           /* else that of the field is to be told */
    uint32_t start;           /* of that place */
    fq_gql_location location; /* the same; line 0: the reference knows none */
} fq_shape_error;

typedef struct fq_shape_field {
    const char *prefix; /* `,"key":`; `,"key":"Type"` for __typename of a known
                         * type, `,"key":null` for a masked field */
    uint32_t prefix_len;
    uint32_t slot;       /* of the value; FQ_SLOT_NONE: the prefix is all */
    fq_selection *child; /* NULL: a leaf */
    bool is_typename;    /* of an unknown type */
    /* With a schema: */
    const fq_field_def *def;
    fq_field_ref *nodes;         /* all that were merged */
    const fq_shape_error *error; /* of an argument; NULL: none */
} fq_shape_field;

#define FQ_SLOT_NONE UINT32_MAX

typedef struct fq_shape {
    fq_shape_field *fields;
    const fq_type *type;         /* of its objects; NULL without a schema */
    const fq_shape_error *error; /* such objects cannot be shown */
    fq_str *names;       /* by slot: the distinct member names wanted */
    yyjson_val **values; /* by slot, during one object */
    uint32_t *table;     /* slots by hash, open addressing; NULL: few slots */
    uint32_t table_mask;
    uint32_t n_fields;
    uint32_t n_slots;
} fq_shape;

/* A type met, or named by a condition of a selection. */
typedef struct fq_shape_case {
    struct fq_shape_case *next;
    fq_str type_name;
    const fq_type *type; /* NULL without a schema */
    fq_shape *shape;     /* NULL until met */
} fq_shape_case;

struct fq_selection {
    fq_field_ref *nodes;
    fq_shape *untyped;    /* for objects without __typename */
    fq_shape *other;      /* for types no condition names; NULL until met */
    fq_shape_case *cases; /* NULL: |untyped| does for all */
};

/* The selection of the operation itself, made on first use. */
fq_status
fq_selection_root(fq_projection *projection, fq_selection **pselection);

/* The shape for objects of |type|. Errors: FQ_ERR_NOMEM. Cost: O(types met). */
fq_status
fq_selection_shape(fq_projection *projection, fq_selection *selection,
                   const fq_type *type, fq_shape **pshape);

/* Without a schema: the shape for objects whose `__typename` is |type_name|;
 * ptr NULL: that have none. */
fq_status
fq_selection_shape_named(fq_projection *projection, fq_selection *selection,
                         fq_str type_name, fq_shape **pshape);

/* Puts the members of |object| into the slots of |shape|; whatever is no
 * object has no members. */
void
fq_shape_load(fq_shape *shape, yyjson_val *object);

#endif
