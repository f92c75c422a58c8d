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

void
fq_number_write_integral(const fq_number *number, yyjson_val *value,
                         fq_buf *buf)
{
    if (number->is_integer)
        fq_json_write_val(buf, value);
    else
        /* -0.0 is 0. */
        fq_buf_append_format(buf, "%.0f", number->value + 0.0);
}
