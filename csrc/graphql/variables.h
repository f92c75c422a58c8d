/* SPDX-License-Identifier: MIT */
/* A request's variables (GraphQL Sep 2025 6.1.2). Without a schema values of
 * Int, Float, String, Boolean, ID and lists of them are coerced by their
 * rules, other types pass as JSON. One thread at a time. */
#ifndef FQ_GRAPHQL_VARIABLES_H
#define FQ_GRAPHQL_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/schema.h"

/* Largest JSON made of variables or of arguments: a document can name one
 * large variable many times, and this is what a message may bring. */
#define FQ_VARIABLES_MAX (1024 * 1024)

/* Errors one request can earn by its variables, with a schema: the
 * reference's maximum, beyond which it says so and stops. */
#define FQ_VARIABLES_ERRORS_MAX 50

/* The variables one operation defines; made once per plan. */
typedef struct fq_variable_table {
    const fq_document *document;
    const fq_schema *schema;                  /* NULL: none */
    const fq_ast_variable_definition **items; /* in order of definition */
    uint32_t n_items;
    fq_map by_name; /* to the items' places; keys in the source */
} fq_variable_table;

/* Values after coercion. */
typedef struct fq_variable_values {
    fq_buf json; /* `{"name":value,…}`, the variables that have a value */
    struct fq_variable_span {
        size_t start; /* of the value in json */
        size_t len;   /* 0: the variable has no value */
    } *spans;         /* by place in the table */
} fq_variable_values;

/* What is to be known of a variable to decide conditions and to tell whether
 * arguments are good. */
typedef enum fq_variable_state {
    FQ_VARIABLE_VALUE, /* any but these: */
    FQ_VARIABLE_FALSE,
    FQ_VARIABLE_NULL,
    FQ_VARIABLE_NONE, /* it has no value */
} fq_variable_state;

/* The states of all variables of a table, two bits each. */
typedef struct fq_variable_states {
    const fq_variable_table *table;
    uint64_t *words; /* fq_variable_states_n_words() of them */
} fq_variable_states;

/* Errors: FQ_ERR_NOMEM. The document's arena holds the items. With |schema|
 * the document's types are known, see fq_type_info_enter(). */
fq_status
fq_variable_table_init(fq_variable_table *table, fq_document *document,
                       const fq_ast_operation *operation,
                       const fq_schema *schema);
void
fq_variable_table_fini(fq_variable_table *table);

/* The place of variable |name|, or UINT32_MAX. */
uint32_t
fq_variable_table_find(const fq_variable_table *table, fq_str name);

static inline size_t
fq_variable_states_n_words(const fq_variable_table *table)
{
    return ((size_t)table->n_items * 2 + 63) / 64;
}

/* The state of variable |name|; FQ_VARIABLE_NONE if the table lacks it. */
fq_variable_state
fq_variable_states_get(const fq_variable_states *states, fq_str name);

/* The state of the variable at |place| after coercion. */
fq_variable_state
fq_variable_values_state(const fq_variable_values *values, uint32_t place);

/* Coerces |input| (an object; NULL or anything else: no variables); members
 * nobody defined are ignored. fq_variable_values_fini() is due on every path.
 * Errors: FQ_ERR_INVALID (an entry in |errors| for each bad value, located at
 * the variable's definition), FQ_ERR_LIMIT (likewise), FQ_ERR_NOMEM. Cost:
 * O(members + text of the values). */
fq_status
fq_variables_coerce(const fq_variable_table *table, yyjson_val *input,
                    fq_variable_values *values, fq_gql_errors *errors);
void
fq_variable_values_fini(fq_variable_values *values);

/* Appends |arguments| as a JSON object, variables replaced by their values:
 * one without a value leaves its argument or input field out and is null in a
 * list. Failures are in fq_buf_status(). */
void
fq_variables_fold(const fq_variable_table *table,
                  const fq_variable_values *values,
                  const fq_ast_list *arguments, fq_buf *buf);

/* The same for one literal or variable. */
void
fq_variables_fold_value(const fq_variable_table *table,
                        const fq_variable_values *values,
                        const fq_ast_value *value, fq_buf *buf);

/* The text of the value of variable |name|; len 0: it has none. */
fq_str
fq_variable_values_text(const fq_variable_table *table,
                        const fq_variable_values *values, fq_str name);

#endif
