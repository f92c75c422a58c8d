/* SPDX-License-Identifier: MIT */
/* JSON as values of an input type (GraphQL Sep 2025 3.10): what a value
 * becomes, and what is wrong with one, in the reference's words. One thread at
 * a time. */
#ifndef FQ_GRAPHQL_INPUT_VALUE_H
#define FQ_GRAPHQL_INPUT_VALUE_H

#include <stdbool.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/schema.h"

/* Lists and input objects a value of a type may nest: the reference's
 * maximum, and what bounds the recursion here. Values of custom scalars may
 * nest as the reader lets them. */
#define FQ_INPUT_NESTING_MAX 200

/* Fields of input objects, given or not, that one coercion looks at: a
 * megabyte of `{}` may stand for very many. Some 10 ms of work. */
#define FQ_INPUT_FIELDS_MAX 4000000

/* Gets what is wrong: |path| leads to the value, as in `.tags[0]`, and is
 * empty for the whole. Both texts are valid until it returns. False ends the
 * coercion. */
typedef bool (*fq_input_value_cb)(void *arg, fq_str message, fq_str path);

/* True when |value|, as far as |type| follows it, nests deeper than
 * FQ_INPUT_NESTING_MAX. */
bool
fq_input_value_is_too_deep(yyjson_val *value, const fq_type *type);

/* Appends |value|, which is not too deep, as a value of |type|, an input type,
 * to |json|: fields of input objects come in the order of their definition,
 * with their defaults, and what stands for a list of one becomes that. Calls
 * |error_cb| for everything that keeps |value| from being one; what was
 * appended means nothing then. It ends when |json| is full, for which the
 * caller asks it. Errors: FQ_ERR_INVALID (|error_cb| was called),
 * FQ_ERR_LIMIT (FQ_INPUT_FIELDS_MAX), FQ_ERR_NOMEM. Cost: O(text of the value
 * and of the defaults + fields of types), for each object with errors its
 * text once. */
fq_status
fq_input_value_coerce(yyjson_val *value, const fq_type *type, fq_buf *json,
                      fq_input_value_cb error_cb, void *arg);

#endif
