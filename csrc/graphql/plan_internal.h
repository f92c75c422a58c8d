/* SPDX-License-Identifier: MIT */
/* What plan.c and plan_inspect.c share: a plan from within. */
#ifndef FQ_GRAPHQL_PLAN_INTERNAL_H
#define FQ_GRAPHQL_PLAN_INTERNAL_H

#include "base/list.h"
#include "graphql/plan.h"
#include "graphql/projection.h"
#include "graphql/variables.h"

/* One variable that @skip or @include names. */
typedef struct fq_plan_condition {
    uint32_t variable;       /* its place in the variable table */
    const fq_ast_value *use; /* the first one, for errors */
} fq_plan_condition;

/* What a selection costs with its fragments expanded. */
typedef struct fq_cost {
    size_t n_fields; /* saturating */
    size_t depth;
    bool is_known;
    /* fields of the set itself, fragments included: */
    bool has_schema; /* __schema or __type */
    bool has_data;   /* any but those and __typename */
} fq_cost;

struct fq_plan {
    uint32_t n_refs;
    uint32_t n_conditions;
    fq_document document;
    fq_schema *schema; /* one reference, or NULL */
    const fq_ast_operation *operation;
    const fq_ast_field *root; /* the first field of the operation; NULL: the
                               * document was not validated */
    const fq_field_def *root_def;  /* NULL: unknown */
    fq_plan_condition *conditions; /* one per variable */
    bool *decides;       /* by place of a variable: its state matters */
    fq_cost *fragments;  /* by index; NULL: not validated */
    fq_plan_type *types; /* of fq_plan_types(); NULL: not made */
    size_t n_types;
    bool asks_schema; /* see fq_plan_asks_schema() */
    bool asks_data;
    fq_variable_table variables;
    fq_projection_source source;
    fq_list variants; /* weak, fq_plan_variant.node */
    size_t n_variants;
};

#endif
