/* SPDX-License-Identifier: MIT */
/* Parts of a tree as GraphQL text, laid out as the reference does. One thread
 * at a time. */
#ifndef FQ_GRAPHQL_PRINT_H
#define FQ_GRAPHQL_PRINT_H

#include "base/buf.h"
#include "graphql/ast.h"

/* Appends |value|. Variables, whose values nobody knows where this is used,
 * are null, and input fields they were given for are left out. A text of more
 * than 8 KiB is cut. Cost: O(text). */
void
fq_print_value(fq_buf *buf, fq_ast_value *value);

/* The same with variables as they are written, `$name`. */
void
fq_print_literal(fq_buf *buf, fq_ast_value *value);

/* Appends |type| without white space. */
void
fq_print_type(fq_buf *buf, const fq_ast_type *type);

#endif
