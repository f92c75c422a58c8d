/* SPDX-License-Identifier: MIT */
/* Literals as values of an input type (GraphQL Sep 2025 3.10, 5.6): what is
 * wrong with one, in the reference's words. The values of variables in it are
 * checked where they come from. One thread at a time. */
#ifndef FQ_GRAPHQL_INPUT_LITERAL_H
#define FQ_GRAPHQL_INPUT_LITERAL_H

#include <stdbool.h>

#include "base/status.h"
#include "base/str.h"
#include "graphql/ast.h"
#include "graphql/schema.h"

struct fq_variable_states;

/* Gets what is wrong: |path| leads to the value, as in `.tags[0]`, and is
 * empty for the literal itself; |node| is where it stands, or NULL when the
 * reference forgets that. Both texts are valid until it returns. False ends
 * the check. */
typedef bool (*fq_input_literal_cb)(void *arg, fq_str message, fq_str path,
                                    const fq_ast_node *node);

/* Calls |error_cb| for everything that keeps |literal| from being a value of
 * |type|; FQ_OK when it was not called. In an invalid schema |type| may be no
 * input type: that is not told again. Errors: FQ_ERR_INVALID (it was called),
 * FQ_ERR_NOMEM. Cost: O(items), plus the fields of its type for each object,
 * and for each error what print.h tells. */
fq_status
fq_input_literal_check(fq_ast_value *literal, const fq_type *type,
                       fq_input_literal_cb error_cb, void *arg);

/* The same where the variables in |literal| are known as far as |variables|
 * says, when a request is executed; those of |literal| itself included. */
fq_status
fq_input_literal_check_bound(fq_ast_value *literal, const fq_type *type,
                             const struct fq_variable_states *variables,
                             fq_input_literal_cb error_cb, void *arg);

/* The field of |object|, a literal, named |name|: the last one; or NULL. */
const fq_ast_argument *
fq_input_literal_field(const fq_ast_value *object, fq_str name);

/* Where the reference says that |literal| stands when a scalar or enum refuses
 * it: it forgets the places of lists and objects, for which this is NULL. */
const fq_ast_node *
fq_input_literal_place(const fq_ast_value *literal);

#endif
