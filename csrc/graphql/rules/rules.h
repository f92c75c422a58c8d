/* SPDX-License-Identifier: MIT */
/* What a validation rule is and what it can ask for. A rule is data: callbacks
 * by kind of node, one file each, listed in validator.c in the reference's
 * order. Rules see the tree in one walk, each node shown to all rules before
 * its children and after them. One thread at a time. */
#ifndef FQ_GRAPHQL_RULES_RULES_H
#define FQ_GRAPHQL_RULES_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "graphql/ast.h"
#include "base/buf.h"
#include "graphql/errors.h"
#include "graphql/schema.h"
#include "graphql/type_info.h"

/* Units of work the rules may spend on fragments and on comparing fields
 * before validation is given up; both are the reference's. */
#define FQ_FRAGMENT_WORK_MAX 50000
#define FQ_OVERLAP_WORK_MAX 500000

/* Recursion of a rule through fragments in cycles; those without are bounded
 * by FQ_GRAPHQL_NESTING_MAX. */
#define FQ_RULE_DEPTH_MAX 1000

/* Errors before validation is given up. */
#define FQ_VALIDATION_ERRORS_MAX (FQ_GQL_ERRORS_MAX - 1)

/* What is known about an operation or fragment. */
typedef struct fq_definition {
    const fq_ast_node *node;
    const fq_ast_selection_set *selection_set;
    fq_ast_spread **spreads; /* in it, nested ones included, in the order of
                              * the reference's walk */
    uint32_t n_spreads;
} fq_definition;

/* The fragments that operations reach which spread the same names, in the
 * order in which the first of them does. */
typedef struct fq_reach {
    struct fq_reach *next;
    uint64_t key; /* of the set of names, under the process's hash */
    const fq_ast_fragment **fragments;
    uint32_t n_fragments;
} fq_reach;

typedef struct fq_validation {
    fq_document *document;
    const fq_schema *schema; /* never NULL: fq_schemaless without one */
    bool is_schemaless;
    fq_gql_errors *errors;
    size_t n_errors;      /* reported by this validation */
    bool is_aborted;      /* nothing more is to be reported */
    fq_status status;     /* FQ_ERR_NOMEM, FQ_ERR_LIMIT: likewise */
    fq_arena arena;       /* for the rules; dies with the validation; bounded
                           * by what the document may still take */
    bool has_type_system; /* not all definitions are executable */
    const fq_ast_node *definition; /* the one being walked */
    const fq_type *parent_type;    /* of the selection set being walked */
    size_t n_work_left;            /* of FQ_FRAGMENT_WORK_MAX */
    fq_definition *fragments;      /* by index */
    fq_definition *operations;     /* in source order */
    uint32_t n_operations;
    const struct fq_reach *reach;       /* of the operation being visited */
    const fq_ast_operation *reach_of;   /* that operation */
    const fq_ast_operation *charged_to; /* its uses have been paid for */
    struct fq_reach *reaches; /* one for each set of fragments spread */
    uint32_t *reach_marks;    /* by index of a fragment or name_id of a
                               * spread; equal to reach_generation: seen */
    uint32_t reach_generation;
    const fq_ast_fragment **reach_scratch; /* room for all fragments */
} fq_validation;

typedef void (*fq_rule_cb)(fq_validation *validation, void *state,
                           const fq_ast_node *node, const fq_ast_node *parent);

/* What a rule does at nodes of |kind|, before their children or after them. */
typedef struct fq_rule_handler {
    fq_ast_kind kind;
    fq_rule_cb enter; /* or NULL */
    fq_rule_cb leave; /* or NULL */
} fq_rule_handler;

#define FQ_RULE_HANDLERS_MAX 10

typedef struct fq_rule {
    const char *name;  /* the reference's, without `Rule` */
    bool needs_schema; /* it says nothing where there is none */
    size_t state_size; /* zeroed before the walk */
    fq_rule_handler handlers[FQ_RULE_HANDLERS_MAX]; /* then zeroes */
    void (*fini)(void *state);                      /* or NULL */
} fq_rule;

/* Adds an error without a place; NULL when none is kept. */
fq_gql_error *
fq_validation_report(fq_validation *validation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
fq_gql_error *
fq_validation_report_str(fq_validation *validation, fq_str message);
/* The same; frees |message|, whose failure is the validation's. */
fq_gql_error *
fq_validation_report_buf(fq_validation *validation, fq_buf *message);

/* Adds the place of |node|, or of the name |name|, to |error| (or NULL). */
void
fq_validation_locate(fq_validation *validation, fq_gql_error *error,
                     const fq_ast_node *node);
void
fq_validation_locate_name(fq_validation *validation, fq_gql_error *error,
                          fq_str name);

/* Gives up with `Validation aborted.`; what was reported stays. */
void
fq_validation_abort(fq_validation *validation);

/* Gives up for want of memory, or of the memory allowed to the document. */
void
fq_validation_fail(fq_validation *validation);

/* Whether the document may take |n_bytes| more; else validation was given up.
 * For what is not allocated in the arena. */
bool
fq_validation_has_room(fq_validation *validation, size_t n_bytes);

/* Spends |n| units; false when validation was given up. */
bool
fq_validation_spend(fq_validation *validation, size_t n);

/* A zeroed block for a rule, or NULL after fq_validation_fail(). */
void *
fq_validation_alloc(fq_validation *validation, size_t n_bytes);

/* Makes |reach| that of |operation|. */
void
fq_validation_reach(fq_validation *validation,
                    const fq_ast_operation *operation);

/* Links each argument or input field of |list| to the first of its name (to
 * itself where there is none before). */
void
fq_validation_link_same(fq_validation *validation, const fq_ast_list *list);

/* Calls |use_cb| for every use of a variable in |operation| and the fragments
 * it reaches. */
void
fq_validation_each_use(fq_validation *validation,
                       const fq_ast_operation *operation,
                       void (*use_cb)(fq_validation *validation, void *arg,
                                      const fq_ast_value *variable),
                       void *arg);

/* The directives where |node| may have any, or NULL. */
const fq_ast_list *
fq_ast_directives(const fq_ast_node *node);

/* Gives the directives of |document| that it defines itself those definitions,
 * which come before the schema's. */
void
fq_validation_link_directives(fq_validation *validation);

extern const fq_rule fq_rule_executable_definitions;
extern const fq_rule fq_rule_known_operation_types;
extern const fq_rule fq_rule_unique_operation_names;
extern const fq_rule fq_rule_lone_anonymous_operation;
extern const fq_rule fq_rule_single_field_subscriptions;
extern const fq_rule fq_rule_known_type_names;
extern const fq_rule fq_rule_fragments_on_composite_types;
extern const fq_rule fq_rule_variables_are_input_types;
extern const fq_rule fq_rule_scalar_leafs;
extern const fq_rule fq_rule_fields_on_correct_type;
extern const fq_rule fq_rule_unique_fragment_names;
extern const fq_rule fq_rule_known_fragment_names;
extern const fq_rule fq_rule_no_unused_fragments;
extern const fq_rule fq_rule_possible_fragment_spreads;
extern const fq_rule fq_rule_no_fragment_cycles;
extern const fq_rule fq_rule_unique_variable_names;
extern const fq_rule fq_rule_no_undefined_variables;
extern const fq_rule fq_rule_no_unused_variables;
extern const fq_rule fq_rule_known_directives;
extern const fq_rule fq_rule_unique_directives_per_location;
extern const fq_rule fq_rule_known_argument_names;
extern const fq_rule fq_rule_unique_argument_names;
extern const fq_rule fq_rule_values_of_correct_type;
extern const fq_rule fq_rule_provided_required_arguments;
extern const fq_rule fq_rule_variables_in_allowed_position;
extern const fq_rule fq_rule_overlapping_fields_can_be_merged;
extern const fq_rule fq_rule_unique_input_field_names;
extern const fq_rule fq_rule_max_introspection_depth;

#endif
