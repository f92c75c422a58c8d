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

/* Gets what is wrong: |path| leads to the value, as in `.tags[0]`, and is
 * empty for the whole. Both texts are valid until it returns. False ends the
 * coercion. */
typedef bool (*fq_input_value_cb)(void *arg, fq_str message, fq_str path);

/* Appends |value| as a value of |type|, an input type, to |json|: fields of
 * input objects come in the order of their definition, with their defaults,
 * and what stands for a list of one becomes that. Calls |error_cb| for
 * everything that keeps |value| from being one; what was appended means
 * nothing then. Errors: FQ_ERR_INVALID (it was called), FQ_ERR_LIMIT (nested
 * deeper than FQ_INPUT_NESTING_MAX; it was not called), FQ_ERR_NOMEM; the
 * buffer's own limit is for the caller to ask about. Cost: O(text of the
 * value and of the defaults), for each object with errors its text once. */
fq_status
fq_input_value_coerce(yyjson_val *value, const fq_type *type, fq_buf *json,
                      fq_input_value_cb error_cb, void *arg);

#endif
