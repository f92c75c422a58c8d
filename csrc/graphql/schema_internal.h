/* SPDX-License-Identifier: MIT */
/* The stages of fq_schema_build() after the document was parsed and checked.
 * Until they are done a schema may be invalid: every walk over it must expect
 * any kind of type anywhere. One thread at a time. */
#ifndef FQ_GRAPHQL_SCHEMA_INTERNAL_H
#define FQ_GRAPHQL_SCHEMA_INTERNAL_H

#include "base/arena.h"
#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/schema.h"

/* Recursion through default values that hold default values. */
#define FQ_SCHEMA_DEPTH_MAX 2000

/* The built-in types and directives. */
extern const fq_str fq_schema_standard_sdl;

/* Fills |schema|, whose arena is ready, from |document|; everything is copied
 * but what |node| and |extensions| point to, which lives in |document| and
 * |scratch|. Built-in types have none. Errors: FQ_ERR_INVALID (one entry: a
 * directive that could not be read), FQ_ERR_NOMEM. */
fq_status
fq_schema_construct(fq_schema *schema, const fq_document *document,
                    const fq_document *standard, fq_arena *scratch,
                    fq_gql_errors *errors);

/* Checks everything that the rules for documents do not see (GraphQL Sep 2025,
 * "Type Validation" of each section of 3). Errors: FQ_ERR_INVALID (entries),
 * FQ_ERR_LIMIT (default values nest too deeply), FQ_ERR_NOMEM. */
fq_status
fq_schema_validate(const fq_schema *schema, const fq_document *document,
                   fq_gql_errors *errors);

/* Sets default_json wherever there is a default_value, in a valid schema.
 * Errors: FQ_ERR_LIMIT (one entry), FQ_ERR_NOMEM. */
fq_status
fq_schema_coerce_defaults(fq_schema *schema, fq_gql_errors *errors);

/* Calls |each_cb| for every argument and input field, in order, until it
 * returns another status than FQ_OK, which is returned. */
fq_status
fq_schema_each_input(fq_schema *schema,
                     fq_status (*each_cb)(void *arg, fq_input_def *def),
                     void *arg);

/* What validating a schema shares between its files. */
typedef struct fq_schema_check {
    const fq_schema *schema;
    const fq_document *document;
    fq_gql_errors *errors;
    fq_arena arena;   /* dies with the validation */
    bool is_done;     /* nothing more can be reported */
    fq_status status; /* FQ_ERR_NOMEM or FQ_ERR_LIMIT: it is over */
    uint32_t *marks;  /* by index of a type; equal to generation: marked */
    uint32_t generation;
} fq_schema_check;

/* Adds an error without a place; NULL when none is kept. */
fq_gql_error *
fq_schema_report(fq_schema_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds the place of |node|; nothing when |error| or |node| is NULL. */
void
fq_schema_locate(fq_schema_check *check, fq_gql_error *error,
                 const fq_ast_node *node);

/* Reports default values of |type|, an input object, that lead back to
 * themselves. |state| is made by the first call. */
typedef struct fq_default_cycles {
    struct fq_default_visit *visits; /* by number of a field */
    uint32_t *bases;                 /* by index of a type: the number of its
                                      * first field */
    struct fq_default_step *path;
    size_t n_path;
    size_t depth;
} fq_default_cycles;

void
fq_schema_check_default_cycles(fq_schema_check *check,
                               fq_default_cycles *state, const fq_type *type);

/* Reports input objects no finite value can be given for. */
void
fq_schema_check_finite_values(fq_schema_check *check);

#endif
