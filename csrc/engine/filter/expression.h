/* SPDX-License-Identifier: MIT */
/* A filter as a tree: what the two notations it is written in come to, and
 * what filter.c compiles. Nodes and steps live in the tree's arena; keys and
 * constants are those of the JSON it was read from, which must outlive it. One
 * thread at a time.
 *
 * Python's notation is lists that begin with an operator:
 *
 *     ["and", e, …]  ["or", e, …]  ["not", e]  true  false
 *     ["==", o, o]  and so with  != < <= > >= in contains startswith
 *     ["between", o, o, o]  ["exists", o]
 *
 * and operands that say where the value comes from:
 *
 *     {"event": ["customer", "region"]}   {"envelope": "type"}
 *     {"arg": ["id"]}  {"ctx": ["claims", "team"]}  {"const": 5}
 *
 * The notation of clients is in client.h. */
#ifndef FQ_ENGINE_FILTER_EXPRESSION_H
#define FQ_ENGINE_FILTER_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/status.h"
#include "base/str.h"

/* Comparisons of one filter. Each may cost a walk through the event. */
#define FQ_FILTER_COMPARISONS_MAX 256
/* Levels of and, or, not: reading and compiling recurse. */
#define FQ_FILTER_DEPTH_MAX 64
/* Steps of one path, and bytes of its keys together. */
#define FQ_FILTER_STEPS_MAX 32
#define FQ_FILTER_PATH_BYTES_MAX 1024

/* The operators that comparisons are made of: `!=`, `>=` and `>` are the
 * negations of the first three, `between` is two comparisons. */
typedef enum fq_filter_op {
    FQ_FILTER_EQ,
    FQ_FILTER_LT,
    FQ_FILTER_LE,
    FQ_FILTER_IN,
    FQ_FILTER_CONTAINS,
    FQ_FILTER_STARTS_WITH,
    FQ_FILTER_EXISTS, /* of operand |a| alone */
} fq_filter_op;

/* Where the value of an operand comes from. */
typedef enum fq_filter_source {
    FQ_FILTER_CONSTANT,
    FQ_FILTER_ARG,        /* the root field's coerced arguments */
    FQ_FILTER_CONTEXT,    /* the security context */
    FQ_FILTER_DATA,       /* the event's data */
    FQ_FILTER_TYPE,       /* of the event */
    FQ_FILTER_CHANNEL,    /* likewise */
    FQ_FILTER_CREATED_AT, /* likewise: seconds since 1970, a number */
} fq_filter_source;

typedef struct fq_filter_operand {
    fq_filter_source source;
    yyjson_val *constant; /* of a constant */
    const fq_str *steps;  /* keys, outermost first: arg, context, data */
    size_t n_steps;
} fq_filter_operand;

typedef enum fq_filter_node_kind {
    FQ_FILTER_NODE_VALUE,
    FQ_FILTER_NODE_COMPARISON,
    FQ_FILTER_NODE_AND,
    FQ_FILTER_NODE_OR,
} fq_filter_node_kind;

typedef struct fq_filter_node fq_filter_node;

struct fq_filter_node {
    fq_filter_node_kind kind;
    bool is_negated;
    bool value;      /* of a value */
    fq_filter_op op; /* of a comparison */
    fq_filter_operand a;
    fq_filter_operand b;
    fq_filter_node *last; /* child of an and, or; NULL: none */
    fq_filter_node *prev; /* sibling */
};

typedef struct fq_filter_tree {
    fq_arena arena;
    fq_error *error;      /* may be NULL */
    size_t n_comparisons; /* so far */
    size_t max_comparisons;
    size_t max_depth;
    size_t max_bytes; /* of the compiled filter */
} fq_filter_tree;

void
fq_filter_tree_init(fq_filter_tree *tree, fq_error *error);
void
fq_filter_tree_fini(fq_filter_tree *tree);

/* Reads Python's notation. Errors: FQ_ERR_INVALID (it is none), FQ_ERR_LIMIT
 * (too many comparisons, too deep), FQ_ERR_NOMEM, with the reason. */
fq_status
fq_filter_tree_read(fq_filter_tree *tree, yyjson_val *ir,
                    fq_filter_node **pnode);

/* For readers: a node; NULL without memory. A comparison counts. */
fq_filter_node *
fq_filter_tree_node(fq_filter_tree *tree, fq_filter_node_kind kind);

/* The same, for a comparison; FQ_ERR_LIMIT when there are too many. |op| is
 * one of the words of Python's notation but for and, or, not, between. */
fq_status
fq_filter_tree_compare(fq_filter_tree *tree, fq_str op,
                       fq_filter_node **pnode);

/* FQ_ERR_LIMIT when |depth| levels are too many. */
fq_status
fq_filter_tree_check_depth(fq_filter_tree *tree, size_t depth);

void
fq_filter_node_add(fq_filter_node *parent, fq_filter_node *child);

#endif
