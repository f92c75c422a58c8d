/* SPDX-License-Identifier: MIT */
/* Scalars and enums in results (GraphQL Sep 2025 3.5, 6.4.3 CoerceResult), as
 * lenient as the reference: Int takes 3.0, true and "3". Plain functions: any
 * thread. */
#ifndef FQ_GRAPHQL_LEAF_H
#define FQ_GRAPHQL_LEAF_H

#include <stdbool.h>

#include <yyjson.h>

#include "base/buf.h"
#include "graphql/schema.h"

/* Appends |value|, which is not null, as leaf type |type| shows it; custom
 * scalars show any JSON whole. False when the type cannot represent it:
 * nothing was appended then. */
bool
fq_leaf_write(const fq_type *type, yyjson_val *value, fq_buf *buf);

/* Appends the reference's text for such a value. */
void
fq_leaf_write_refusal(const fq_type *type, yyjson_val *value, fq_buf *buf);

#endif
