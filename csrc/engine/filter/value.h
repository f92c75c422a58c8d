/* SPDX-License-Identifier: MIT */
/* What filters know of JSON values: how two compare, and the bytes by which
 * an index finds equal ones. Nothing here allocates or recurses. Plain
 * functions: any thread.
 *
 * A comparison has three outcomes. One that cannot be made, because a value is
 * missing (NULL) or the types do not match, is unknown: neither it nor its
 * negation lets an event through.
 *
 * - Numbers compare by their exact value, whatever they were written as. A
 *   number with fraction or exponent is the double nearest to it; one beyond
 *   the range of doubles compares with nothing.
 * - Strings compare by code points, a bool is no number, and only numbers and
 *   strings have an order.
 * - null equals null and differs from everything else that is there.
 * - Lists and objects equal nothing; they differ from null. */
#ifndef FQ_ENGINE_FILTER_VALUE_H
#define FQ_ENGINE_FILTER_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/str.h"
#include "graphql/number.h"

typedef enum fq_filter_truth {
    FQ_FILTER_FALSE,
    FQ_FILTER_TRUE,
    FQ_FILTER_UNKNOWN,
} fq_filter_truth;

typedef enum fq_filter_kind {
    FQ_FILTER_MISSING,
    FQ_FILTER_NULL,
    FQ_FILTER_BOOL,
    FQ_FILTER_NUMBER,
    FQ_FILTER_STRING,
    FQ_FILTER_LIST,
    FQ_FILTER_OTHER, /* an object, or a number beyond doubles */
} fq_filter_kind;

fq_filter_kind
fq_filter_value_kind(yyjson_val *value);

/* a == b */
fq_filter_truth
fq_filter_value_equal(yyjson_val *a, yyjson_val *b);

/* Negative, zero or positive as |a| is less than, equal to or greater than
 * |b|, or FQ_FILTER_UNORDERED. */
#define FQ_FILTER_UNORDERED 2
int
fq_filter_value_compare(yyjson_val *a, yyjson_val *b);

/* Whether an item of |list| equals |value|: false only where all items are
 * known to differ. O(items). */
fq_filter_truth
fq_filter_value_is_in(yyjson_val *value, yyjson_val *list);

/* Whether text |a| has |b| in it, or list |a| an item equal to |b|. */
fq_filter_truth
fq_filter_value_contains(yyjson_val *a, yyjson_val *b);

fq_filter_truth
fq_filter_value_starts_with(yyjson_val *a, yyjson_val *b);

/* Bytes a key that is not a string takes: two of kind, a sign, digits. */
#define FQ_FILTER_KEY_ROOM (FQ_NUMBER_DIGITS_MAX + 3)

/* The bytes that stand for scalar |value|: the same for two values exactly if
 * they are equal. *pkey points into |room| (of FQ_FILTER_KEY_ROOM bytes) or
 * into |value|. False, with an empty key, where |value| equals nothing. */
bool
fq_filter_value_key(yyjson_val *value, char *room, fq_str *pkey);

#endif
