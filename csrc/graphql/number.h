/* SPDX-License-Identifier: MIT */
/* JSON numbers as scalars look at them: integers of any size are integers,
 * whatever their value. Plain functions: any thread. */
#ifndef FQ_GRAPHQL_NUMBER_H
#define FQ_GRAPHQL_NUMBER_H

#include <math.h>
#include <stdbool.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/str.h"

typedef struct fq_number {
    bool is_integer; /* written without fraction and exponent */
    double value;    /* infinite when it is too large */
    fq_str text;     /* of an integer too large for 64 bits; else ptr NULL */
} fq_number;

/* False when |value| is no number. */
bool
fq_number_read(yyjson_val *value, fq_number *number);

/* True when the value is a whole number, 3 or 3.0. */
static inline bool
fq_number_is_integral(const fq_number *number)
{
    return number->is_integer
           || (isfinite(number->value)
               && trunc(number->value) == number->value);
}

/* True when the double is exactly the integer |value| was read from. */
bool
fq_number_is_exact(const fq_number *number, yyjson_val *value);

/* Room for the digits of any double: 309, in limbs of nine. */
#define FQ_NUMBER_DIGITS_MAX 324

/* Writes the digits of |value|, finite, whole and at least 2^53, and returns
 * how many. Exact; no terminator. */
size_t
fq_number_digits(double value, char *digits);

/* Appends the digits of an integral number, which |value| is. */
void
fq_number_write_integral(const fq_number *number, yyjson_val *value,
                         fq_buf *buf);

#endif
