/* SPDX-License-Identifier: MIT */
/* Numbers come as 64-bit integers, doubles, or, where neither holds them, as
 * their text. Any thread. */
#include "graphql/number.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "graphql/scalars.h"
#include "json/writer.h"

bool
fq_number_read(yyjson_val *value, fq_number *number)
{
    *number = (fq_number){.is_integer = yyjson_is_int(value)};
    if (yyjson_is_num(value)) {
        number->value = yyjson_get_num(value);
        return true;
    }
    if (!yyjson_is_raw(value))
        return false;
    fq_str text = fq_str_make(yyjson_get_raw(value), yyjson_get_len(value));
    number->is_integer = memchr(text.ptr, '.', text.len) == NULL
                         && memchr(text.ptr, 'e', text.len) == NULL
                         && memchr(text.ptr, 'E', text.len) == NULL;
    if (number->is_integer)
        number->text = text;
    number->value = fq_scalar_read_number(text);
    return true;
}

bool
fq_number_is_exact(const fq_number *number, yyjson_val *value)
{
    if (number->text.ptr == NULL) {
        if (yyjson_is_uint(value))
            return number->value < 18446744073709551616.0
                   && (uint64_t)number->value == yyjson_get_uint(value);
        return (int64_t)number->value == yyjson_get_sint(value);
    }
    char digits[512];
    int len = snprintf(digits, sizeof(digits), "%.0f", number->value);
    return fq_str_eq(fq_str_make(digits, (size_t)len), number->text);
}

/* Limbs of nine digits of the largest double, 309 digits. */
#define NUMBER_LIMBS_MAX 35
#define NUMBER_LIMB 1000000000u

/* snprintf() would take 9 us for 300 digits; this takes 1. */
size_t
fq_number_digits(double value, char *digits)
{
    int exponent;
    uint64_t mantissa = (uint64_t)ldexp(frexp(value, &exponent), 53);
    exponent -= 53;
    uint32_t limbs[NUMBER_LIMBS_MAX]; /* the last digits first */
    size_t n = 0;
    for (; mantissa > 0; mantissa /= NUMBER_LIMB)
        limbs[n++] = (uint32_t)(mantissa % NUMBER_LIMB);
    while (exponent > 0) {
        int step = exponent < 32 ? exponent : 32;
        uint64_t carry = 0;
        for (size_t i = 0; i < n; i++) {
            carry += (uint64_t)limbs[i] << step;
            limbs[i] = (uint32_t)(carry % NUMBER_LIMB);
            carry /= NUMBER_LIMB;
        }
        for (; carry > 0; carry /= NUMBER_LIMB)
            limbs[n++] = (uint32_t)(carry % NUMBER_LIMB);
        exponent -= step;
    }
    size_t len = (size_t)snprintf(digits, 10, "%u", (unsigned)limbs[--n]);
    while (n-- > 0) {
        for (int i = 8; i >= 0; i--, limbs[n] /= 10)
            digits[len + (size_t)i] = (char)('0' + limbs[n] % 10);
        len += 9;
    }
    return len;
}

/* Appends the digits of |value|, a whole number of at least 2^53. */
static void
write_large(double value, fq_buf *buf)
{
    char digits[FQ_NUMBER_DIGITS_MAX];
    fq_buf_append(buf, digits, fq_number_digits(value, digits));
}

void
fq_number_write_integral(const fq_number *number, yyjson_val *value,
                         fq_buf *buf)
{
    if (number->is_integer) {
        fq_json_write_val(buf, value);
    } else if (fabs(number->value) < 9007199254740992.0) {
        fq_buf_append_int(buf, (int64_t)number->value);
    } else {
        if (number->value < 0)
            fq_buf_append_char(buf, '-');
        write_large(fabs(number->value), buf);
    }
}
