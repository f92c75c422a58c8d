/* SPDX-License-Identifier: MIT */
/* From a JSON value to a response with a schema (GraphQL Sep 2025 6.4, 7.1):
 * values are completed as their types ask, errors are collected and null
 * spreads as far as it must. Serial and depth-first: the first error in a
 * non-null place ends what is around it, what came before stays. One thread at
 * a time. */
#ifndef FQ_GRAPHQL_COMPLETION_H
#define FQ_GRAPHQL_COMPLETION_H

#include <yyjson.h>

#include "base/buf.h"
#include "base/status.h"
#include "graphql/errors.h"
#include "graphql/projection.h"
#include "graphql/shape.h"

/* Errors one response tells of, and bytes they may take: a list of a hundred
 * thousand bad items says nothing more after these. What is not told of is
 * null all the same. */
#define FQ_COMPLETION_ERRORS_MAX 1000
#define FQ_COMPLETION_ERRORS_BYTES_MAX (1024 * 1024)

/* Appends `{"data":…` and, if there are any, `,"errors":[…]` without the
 * closing brace; |value| (NULL: null) is that of every root field. The
 * operation's root type exists. Errors: FQ_ERR_NOMEM, what fq_buf_status()
 * says. Cost: O(fields + members); no allocation but |buf|'s own where there
 * are no errors and every kind of object has been met. */
fq_status
fq_completion_write(fq_projection *projection, yyjson_val *value, fq_buf *buf);

/* *perror gets what keeps the operation's root selection from being collected
 * at all, a request error; NULL: nothing. Errors: FQ_ERR_NOMEM. */
fq_status
fq_completion_check(fq_projection *projection, const fq_shape_error **perror);

#endif
