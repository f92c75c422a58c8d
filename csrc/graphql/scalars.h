/* SPDX-License-Identifier: MIT */
/* The built-in scalars (GraphQL Sep 2025 3.5): which literals they accept and
 * how they refuse a value. Plain functions: any thread. */
#ifndef FQ_GRAPHQL_SCALARS_H
#define FQ_GRAPHQL_SCALARS_H

#include <stdbool.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/str.h"
#include "graphql/ast.h"

typedef enum fq_scalar {
    FQ_SCALAR_INT,
    FQ_SCALAR_FLOAT,
    FQ_SCALAR_STRING,
    FQ_SCALAR_BOOLEAN,
    FQ_SCALAR_ID,
    FQ_SCALAR_OTHER, /* a type we know nothing of: it accepts everything */
} fq_scalar;

fq_scalar
fq_scalar_of(fq_str type_name);

/* The value of the JSON number |text|, which no digit follows; infinite when
 * it is too large. Unlike strtod() it knows no locale. */
double
fq_scalar_read_number(fq_str text);

/* True when |literal|, neither null nor a variable, is a value of |kind|;
 * *pis_range says that it is an integer beyond 32 bits. */
bool
fq_scalar_accepts_literal(fq_scalar kind, const fq_ast_value *literal,
                          bool *pis_range);

/* Appends the JSON |value|, not null, as a value of |kind| to |json|; any
 * value when it is FQ_SCALAR_OTHER. False when |kind| does not accept it: the
 * reference's text is appended to |refusal| then. */
bool
fq_scalar_coerce_value(fq_scalar kind, yyjson_val *value, fq_buf *json,
                       fq_buf *refusal);

/* Appends the reference's text for a value |kind| cannot represent: |value|
 * or, if that is NULL, |literal|. */
void
fq_scalar_write_refusal(fq_buf *buf, fq_scalar kind, bool is_range,
                        yyjson_val *value, fq_ast_value *literal);

#endif
