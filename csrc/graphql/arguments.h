/* SPDX-License-Identifier: MIT */
/* Arguments of fields and directives (GraphQL Sep 2025 6.4.1,
 * CoerceArgumentValues). Nobody may read them, but bad ones are an error of
 * their field. One thread at a time. */
#ifndef FQ_GRAPHQL_ARGUMENTS_H
#define FQ_GRAPHQL_ARGUMENTS_H

#include "base/buf.h"
#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/schema.h"
#include "graphql/variables.h"

typedef struct fq_argument_fault {
    fq_buf message;          /* to be freed, on every path */
    const fq_ast_node *node; /* where; NULL: the reference knows no place */
} fq_argument_fault;

/* Checks what |arguments| of |node| give for |args|; |fault| gets the first
 * thing that is wrong, in the order of |args|. A document that was validated
 * can be at fault only by a variable that is null or has no value. Errors:
 * FQ_ERR_INVALID, FQ_ERR_NOMEM. */
fq_status
fq_arguments_check(const fq_input_def *args, uint32_t n_args,
                   const fq_ast_list *arguments, const fq_ast_node *node,
                   const fq_variable_states *variables,
                   fq_argument_fault *fault);

/* Appends them, checked, as a JSON object in the order of |args|, defaults
 * included. Failures are in fq_buf_status(). */
void
fq_arguments_write(const fq_input_def *args, uint32_t n_args,
                   const fq_ast_list *arguments,
                   const fq_variable_table *table,
                   const fq_variable_values *values, fq_buf *buf);

/* Appends |literal|, which was checked, as a value of |type|; |values| NULL:
 * there are no variables in it. */
void
fq_arguments_write_value(const fq_ast_value *literal, const fq_type *type,
                         const fq_variable_table *table,
                         const fq_variable_values *values, fq_buf *buf);

#endif
