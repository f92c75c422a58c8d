/* SPDX-License-Identifier: MIT */
/* One function per type. Texts that are numbers are read as Python reads
 * them, white space and underscores included. Any thread. */
#include "graphql/leaf.h"

#include <stdint.h>
#include <string.h>

#include "graphql/inspect.h"
#include "graphql/number.h"
#include "json/reader.h"
#include "json/writer.h"

/* Python reads no integer of more digits from a text. */
#define LEAF_DIGITS_MAX 4300

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static fq_str
strip(fq_str s)
{
    while (s.len > 0 && is_space(s.ptr[0]))
        s = fq_str_make(s.ptr + 1, s.len - 1);
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Takes a sign off the front of |*ps|; true for a minus. */
static bool
take_sign(fq_str *ps)
{
    if (ps->len == 0 || (ps->ptr[0] != '-' && ps->ptr[0] != '+'))
        return false;
    bool is_negative = ps->ptr[0] == '-';
    *ps = fq_str_make(ps->ptr + 1, ps->len - 1);
    return is_negative;
}

/* Takes digits, single underscores between them, off the front of |*ps| and
 * appends them to |buf| (NULL: nowhere), of leading zeros none when
 * |is_whole|. Returns how many there were. */
static size_t
take_digits(fq_str *ps, bool is_whole, fq_buf *buf)
{
    size_t n = 0;
    size_t i = 0;
    while (i < ps->len) {
        size_t at = i;
        if (ps->ptr[i] == '_' && n > 0 && i + 1 < ps->len)
            at++;
        if (!is_digit(ps->ptr[at]))
            break;
        is_whole = is_whole && ps->ptr[at] == '0';
        if (buf != NULL && !is_whole)
            fq_buf_append_char(buf, ps->ptr[at]);
        n++;
        i = at + 1;
    }
    *ps = fq_str_make(ps->ptr + i, ps->len - i);
    return n;
}

/* What a text says as an integer. */
typedef enum fq_integer_text {
    INTEGER_TEXT_NONE,  /* it is none */
    INTEGER_TEXT_RANGE, /* one beyond 32 bits */
    INTEGER_TEXT_FITS,
} fq_integer_text;

static fq_integer_text
read_integer(fq_str text, int64_t *pvalue)
{
    text = strip(text);
    bool is_negative = take_sign(&text);
    fq_str rest = text;
    size_t n = take_digits(&rest, false, NULL);
    if (n == 0 || rest.len > 0 || n > LEAF_DIGITS_MAX)
        return INTEGER_TEXT_NONE;
    int64_t value = 0;
    for (size_t i = 0; i < text.len && value <= INT64_C(1) << 32; i++)
        if (text.ptr[i] != '_')
            value = value * 10 + (text.ptr[i] - '0');
    *pvalue = is_negative ? -value : value;
    return *pvalue >= INT32_MIN && *pvalue <= INT32_MAX ? INTEGER_TEXT_FITS
                                                        : INTEGER_TEXT_RANGE;
}

/* Copies the number |text| into |copy|, terminated, in the notation of JSON.
 * False when it is none. Infinity and NaN are none here: no scalar takes
 * them. */
static bool
copy_float(fq_str text, fq_buf *copy)
{
    text = strip(text);
    if (take_sign(&text))
        fq_buf_append_char(copy, '-');
    size_t len = copy->len;
    size_t n_digits = take_digits(&text, true, copy);
    if (copy->len == len)
        fq_buf_append_char(copy, '0');
    if (text.len > 0 && text.ptr[0] == '.') {
        text = fq_str_make(text.ptr + 1, text.len - 1);
        fq_buf_append_char(copy, '.');
        size_t n_fraction = take_digits(&text, false, copy);
        if (n_fraction == 0)
            fq_buf_append_char(copy, '0');
        n_digits += n_fraction;
    }
    if (n_digits == 0)
        return false;
    if (text.len > 0 && (text.ptr[0] == 'e' || text.ptr[0] == 'E')) {
        text = fq_str_make(text.ptr + 1, text.len - 1);
        fq_buf_append_char(copy, 'e');
        fq_buf_append_char(copy, take_sign(&text) ? '-' : '+');
        if (take_digits(&text, false, copy) == 0)
            return false;
    }
    fq_buf_append_char(copy, '\0');
    return text.len == 0;
}

/* The number |text| is, in *pvalue; false when it is none. Without memory it
 * is none either, and the status of |buf| says why. */
static bool
read_float(fq_str text, fq_buf *buf, double *pvalue)
{
    fq_buf copy;
    fq_buf_init(&copy);
    bool is_number = copy_float(text, &copy);
    if (fq_buf_status(&copy) != FQ_OK) {
        buf->status = fq_buf_status(&copy);
        is_number = false;
    }
    if (is_number)
        *pvalue = fq_scalar_read_number(fq_str_make(copy.ptr, copy.len - 1));
    fq_buf_fini(&copy);
    return is_number;
}

static bool
write_int(yyjson_val *value, fq_buf *buf)
{
    if (yyjson_is_int(value)) {
        int64_t integer = yyjson_get_sint(value);
        /* An unsigned one beyond 63 bits reads as negative here. */
        if (yyjson_is_uint(value) && integer < 0)
            return false;
        if (integer < INT32_MIN || integer > INT32_MAX)
            return false;
        fq_buf_append_int(buf, integer);
        return true;
    }
    if (yyjson_is_bool(value)) {
        fq_buf_append_char(buf, yyjson_is_true(value) ? '1' : '0');
        return true;
    }
    int64_t integer;
    if (yyjson_is_str(value)) {
        if (read_integer(fq_json_str(value), &integer) != INTEGER_TEXT_FITS)
            return false;
        fq_buf_append_int(buf, integer);
        return true;
    }
    fq_number number;
    if (!fq_number_read(value, &number) || !fq_number_is_integral(&number)
        || number.value < INT32_MIN || number.value > INT32_MAX)
        return false;
    fq_buf_append_int(buf, (int64_t)number.value);
    return true;
}

static bool
write_float(yyjson_val *value, fq_buf *buf)
{
    fq_number number;
    if (yyjson_is_bool(value)) {
        fq_buf_append_char(buf, yyjson_is_true(value) ? '1' : '0');
        return true;
    }
    if (yyjson_is_str(value)) {
        if (!read_float(fq_json_str(value), buf, &number.value)
            || !isfinite(number.value))
            return false;
    } else if (!fq_number_read(value, &number) || !isfinite(number.value)
               || (number.is_integer && !fq_number_is_exact(&number, value))) {
        return false;
    }
    fq_json_write_double(buf, number.value);
    return true;
}

/* A text, or what Python's str() makes of it. */
static bool
write_string(yyjson_val *value, fq_buf *buf)
{
    fq_number number;
    if (yyjson_is_str(value)) {
        fq_json_write_str(buf, fq_json_str(value));
    } else if (yyjson_is_bool(value)) {
        fq_buf_append_str(buf, yyjson_is_true(value)
                                   ? FQ_STR_LIT("\"true\"")
                                   : FQ_STR_LIT("\"false\""));
    } else if (fq_number_read(value, &number)
               && (number.is_integer || isfinite(number.value))) {
        fq_buf_append_char(buf, '"');
        if (number.is_integer)
            fq_json_write_val(buf, value);
        else
            fq_inspect_json(buf, value);
        fq_buf_append_char(buf, '"');
    } else {
        return false;
    }
    return true;
}

static bool
write_boolean(yyjson_val *value, fq_buf *buf)
{
    fq_number number;
    bool is_true = yyjson_is_true(value);
    if (!yyjson_is_bool(value)) {
        if (!fq_number_read(value, &number)
            || (!number.is_integer && !isfinite(number.value)))
            return false;
        is_true = number.value != 0.0;
    }
    fq_buf_append_str(buf, is_true ? FQ_STR_LIT("true") : FQ_STR_LIT("false"));
    return true;
}

static bool
write_id(yyjson_val *value, fq_buf *buf)
{
    fq_number number;
    if (yyjson_is_str(value)) {
        fq_json_write_str(buf, fq_json_str(value));
        return true;
    }
    if (!fq_number_read(value, &number) || !fq_number_is_integral(&number))
        return false;
    fq_buf_append_char(buf, '"');
    fq_number_write_integral(&number, value, buf);
    fq_buf_append_char(buf, '"');
    return true;
}

bool
fq_leaf_write(const fq_type *type, yyjson_val *value, fq_buf *buf)
{
    if (type->kind == FQ_TYPE_ENUM) {
        if (!yyjson_is_str(value)
            || fq_type_enum_value(type, fq_json_str(value)) == NULL)
            return false;
        fq_json_write_str(buf, fq_json_str(value));
        return true;
    }
    switch (type->scalar) {
    case FQ_SCALAR_INT:
        return write_int(value, buf);
    case FQ_SCALAR_FLOAT:
        return write_float(value, buf);
    case FQ_SCALAR_STRING:
        return write_string(value, buf);
    case FQ_SCALAR_BOOLEAN:
        return write_boolean(value, buf);
    case FQ_SCALAR_ID:
        return write_id(value, buf);
    case FQ_SCALAR_OTHER:
        break;
    }
    fq_json_write_val(buf, value);
    return true;
}

/* True when |value| is an integer, in whatever notation Int takes. */
static bool
is_integer(yyjson_val *value)
{
    int64_t integer;
    fq_number number;
    if (yyjson_is_str(value))
        return read_integer(fq_json_str(value), &integer)
               == INTEGER_TEXT_RANGE;
    return fq_number_read(value, &number) && fq_number_is_integral(&number);
}

/* What Float adds about an integer that no double equals. */
static fq_str
loss_text(yyjson_val *value)
{
    fq_number number;
    if (!fq_number_read(value, &number) || !number.is_integer)
        return fq_str_make(NULL, 0);
    return isfinite(number.value) ? FQ_STR_LIT(" (value would lose precision)")
                                  : FQ_STR_LIT(" (value is too large)");
}

void
fq_leaf_write_refusal(const fq_type *type, yyjson_val *value, fq_buf *buf)
{
    if (type->kind == FQ_TYPE_ENUM) {
        fq_buf_append_str(buf, FQ_STR_LIT("Enum '"));
        fq_buf_append_str(buf, type->name);
        fq_buf_append_str(buf, FQ_STR_LIT("' cannot represent value: "));
        fq_inspect_json(buf, value);
        return;
    }
    if (type->scalar == FQ_SCALAR_STRING) {
        fq_buf_append_str(buf, FQ_STR_LIT("String cannot represent value: "));
        fq_inspect_json(buf, value);
        return;
    }
    fq_scalar_write_refusal(buf, type->scalar,
                            type->scalar == FQ_SCALAR_INT && is_integer(value),
                            value, NULL);
    if (type->scalar == FQ_SCALAR_FLOAT)
        fq_buf_append_str(buf, loss_text(value));
}
