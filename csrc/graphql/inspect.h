/* SPDX-License-Identifier: MIT */
/* Values as error messages show them: JSON values in the notation of the
 * reference (Python's, cut to a readable size), literals as GraphQL. One
 * thread at a time. */
#ifndef FQ_GRAPHQL_INSPECT_H
#define FQ_GRAPHQL_INSPECT_H

#include <yyjson.h>

#include "base/buf.h"
#include "graphql/ast.h"

/* Appends |value|: strings and numbers of more than 240 characters, lists and
 * objects of more than 10 items and all below the second level are cut. */
void
fq_inspect_json(fq_buf *buf, yyjson_val *value);

/* Appends |literal| on one line. */
void
fq_inspect_literal(fq_buf *buf, const fq_ast_value *literal);

#endif
