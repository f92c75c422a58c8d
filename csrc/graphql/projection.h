/* SPDX-License-Identifier: MIT */
/* From a JSON value and the selections of one plan variant to response text.
 * This is how it goes without a schema; with one, completion.h does it. What a
 * selection asks of an object is worked out the first time a kind of object is
 * met and remembered (shape.h), so that an event costs a walk over its
 * members. One thread at a time. */
#ifndef FQ_GRAPHQL_PROJECTION_H
#define FQ_GRAPHQL_PROJECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/mask.h"
#include "graphql/schema.h"
#include "graphql/variables.h"

/* What is remembered beyond this is forgotten before the next event. It is
 * some hundred kinds of objects with some dozen fields each; within one event
 * the memory is bounded by what that event writes anyway. */
#define FQ_PROJECTION_MEMO_MAX (256 * 1024)

typedef struct fq_selection fq_selection;

/* Room for collecting, sized for one document and shared by its projections.
 * A mark holds when it equals the generation. */
typedef struct fq_collect_scratch {
    uint32_t generation;
    uint32_t n_names;                  /* of the document */
    uint32_t n_fragments;              /* likewise */
    uint32_t *name_marks;              /* by number of a name */
    uint32_t *name_values;             /* what such a mark stands for */
    uint32_t *condition_marks;         /* by number of a type's name */
    uint32_t *fragment_marks;          /* by index of a fragment */
    struct fq_collected_field *fields; /* as many as names */
} fq_collect_scratch;

/* What all projections of one plan share. */
typedef struct fq_projection_source {
    const fq_document *document; /* linked */
    const fq_ast_operation *operation;
    const fq_schema *schema; /* NULL: none; else types are entered in
                              * |document|, see fq_type_info_enter() */
    const fq_variable_table *variables;
    fq_collect_scratch scratch;
} fq_projection_source;

typedef struct fq_projection {
    fq_projection_source *source;
    fq_variable_states variables;
    const fq_field_mask *mask; /* its fields are null; NULL: none are */
    fq_arena memo;             /* everything below |root| */
    fq_selection *root;        /* of the operation; NULL while memo is empty */
} fq_projection;

/* |scratch| lives in the arena of |document|, which is linked. */
fq_status
fq_collect_scratch_init(fq_collect_scratch *scratch, fq_document *document);

/* Borrows all it is given until fq_projection_fini; |states| may be filled
 * until the first use. |mask| (NULL: none) is of the source's schema. */
void
fq_projection_init(fq_projection *projection, fq_projection_source *source,
                   uint64_t *states, const fq_field_mask *mask);
void
fq_projection_fini(fq_projection *projection);

/* Forgets what is remembered if it is too much; before each event. */
void
fq_projection_trim(fq_projection *projection);

/* Without a schema: appends |value| as the first root field's selection shows
 * it. Errors: FQ_ERR_NOMEM, what fq_buf_status() says. Cost: O(fields +
 * members), no allocation but |buf|'s own once every kind of object has been
 * met. */
fq_status
fq_projection_write(fq_projection *projection, yyjson_val *value, fq_buf *buf);

#endif
