/* SPDX-License-Identifier: MIT */
/* Comparing JSON values. Numbers are 64-bit integers, doubles, or, where
 * neither holds them, their text: then they are integers beyond 64 bits, or
 * beyond the range of doubles, and compare with nothing. Any thread. */
#include "engine/filter/value.h"

#include <math.h>
#include <string.h>

#include "json/reader.h"

/* The bounds of 64-bit integers, as doubles. */
#define TWO_TO_64 18446744073709551616.0
#define TWO_TO_63 9223372036854775808.0

/* Digits of the largest double. */
#define DIGITS_MAX 309

/* In front of keys that are no strings: no text has it, in UTF-8 or WTF-8. */
#define KEY_MARK ((char)0xFF)

static fq_str
raw_text(yyjson_val *value)
{
    return fq_str_make(unsafe_yyjson_get_raw(value),
                       unsafe_yyjson_get_len(value));
}

/* Whether the text of a number has digits only, and not more than the largest
 * double. */
static bool
is_integer_text(fq_str text)
{
    if (text.len - (text.ptr[0] == '-') > DIGITS_MAX)
        return false;
    for (size_t i = text.ptr[0] == '-'; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

fq_filter_kind
fq_filter_value_kind(yyjson_val *value)
{
    if (value == NULL)
        return FQ_FILTER_MISSING;
    switch (unsafe_yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return FQ_FILTER_NULL;
    case YYJSON_TYPE_BOOL:
        return FQ_FILTER_BOOL;
    case YYJSON_TYPE_NUM:
        return FQ_FILTER_NUMBER;
    case YYJSON_TYPE_STR:
        return FQ_FILTER_STRING;
    case YYJSON_TYPE_ARR:
        return FQ_FILTER_LIST;
    case YYJSON_TYPE_RAW:
        return is_integer_text(raw_text(value)) ? FQ_FILTER_NUMBER
                                                : FQ_FILTER_OTHER;
    default:
        return FQ_FILTER_OTHER;
    }
}

/* -- numbers -------------------------------------------------------------- */

static bool
is_negative_int(yyjson_val *value)
{
    return yyjson_is_sint(value) && unsafe_yyjson_get_sint(value) < 0;
}

static int
compare_ints(yyjson_val *a, yyjson_val *b)
{
    bool a_negative = is_negative_int(a);
    if (a_negative != is_negative_int(b))
        return a_negative ? -1 : 1;
    if (a_negative) {
        int64_t x = unsafe_yyjson_get_sint(a), y = unsafe_yyjson_get_sint(b);
        return (x > y) - (x < y);
    }
    uint64_t x = unsafe_yyjson_get_uint(a), y = unsafe_yyjson_get_uint(b);
    return (x > y) - (x < y);
}

/* Exact: the whole part as an integer, then the rest. */
static int
compare_int_real(yyjson_val *a, double b)
{
    if (b >= TWO_TO_64)
        return -1;
    if (b < -TWO_TO_63)
        return 1;
    double whole = trunc(b);
    if (is_negative_int(a)) {
        if (b >= 0)
            return -1;
        int64_t x = unsafe_yyjson_get_sint(a), y = (int64_t)whole;
        return x != y ? (x > y) - (x < y) : whole > b;
    }
    if (b < 0)
        return 1;
    uint64_t x = unsafe_yyjson_get_uint(a), y = (uint64_t)whole;
    return x != y ? (x > y) - (x < y) : -(b > whole);
}

/* Two runs of digits without leading zeros. */
static int
compare_digits(fq_str a, fq_str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    int order = memcmp(a.ptr, b.ptr, a.len);
    return (order > 0) - (order < 0);
}

static fq_str
digits_of_raw(yyjson_val *raw, bool *pnegative)
{
    fq_str text = raw_text(raw);
    *pnegative = text.ptr[0] == '-';
    return fq_str_make(text.ptr + *pnegative, text.len - *pnegative);
}

/* |raw|, an integer beyond 64 bits, and any number. */
static int
compare_raw(yyjson_val *raw, yyjson_val *b)
{
    bool a_negative, b_negative;
    fq_str a_digits = digits_of_raw(raw, &a_negative), b_digits;
    char room[FQ_NUMBER_DIGITS_MAX];
    if (yyjson_is_raw(b)) {
        b_digits = digits_of_raw(b, &b_negative);
    } else {
        double real = yyjson_is_real(b) ? unsafe_yyjson_get_real(b) : 0;
        b_negative = real < 0;
        if (fabs(real) < TWO_TO_63)
            return a_negative ? -1 : 1;
        b_digits = fq_str_make(room, fq_number_digits(fabs(real), room));
    }
    if (a_negative != b_negative)
        return a_negative ? -1 : 1;
    int order = compare_digits(a_digits, b_digits);
    return a_negative ? -order : order;
}

static int
compare_numbers(yyjson_val *a, yyjson_val *b)
{
    if (yyjson_is_raw(a))
        return compare_raw(a, b);
    if (yyjson_is_raw(b))
        return -compare_raw(b, a);
    bool a_real = yyjson_is_real(a), b_real = yyjson_is_real(b);
    if (!a_real && !b_real)
        return compare_ints(a, b);
    if (a_real && b_real) {
        double x = unsafe_yyjson_get_real(a), y = unsafe_yyjson_get_real(b);
        return (x > y) - (x < y);
    }
    if (b_real)
        return compare_int_real(a, unsafe_yyjson_get_real(b));
    return -compare_int_real(b, unsafe_yyjson_get_real(a));
}

/* -- comparisons ---------------------------------------------------------- */

static fq_filter_truth
truth_of(bool is_true)
{
    return is_true ? FQ_FILTER_TRUE : FQ_FILTER_FALSE;
}

fq_filter_truth
fq_filter_value_equal(yyjson_val *a, yyjson_val *b)
{
    fq_filter_kind a_kind = fq_filter_value_kind(a);
    fq_filter_kind b_kind = fq_filter_value_kind(b);
    if (a_kind == FQ_FILTER_MISSING || b_kind == FQ_FILTER_MISSING)
        return FQ_FILTER_UNKNOWN;
    if (a_kind == FQ_FILTER_NULL || b_kind == FQ_FILTER_NULL)
        return truth_of(a_kind == b_kind);
    if (a_kind != b_kind)
        return FQ_FILTER_UNKNOWN;
    switch (a_kind) {
    case FQ_FILTER_BOOL:
        return truth_of(unsafe_yyjson_get_bool(a)
                        == unsafe_yyjson_get_bool(b));
    case FQ_FILTER_NUMBER:
        return truth_of(compare_numbers(a, b) == 0);
    case FQ_FILTER_STRING:
        return truth_of(fq_str_eq(fq_json_str(a), fq_json_str(b)));
    default:
        return FQ_FILTER_UNKNOWN;
    }
}

int
fq_filter_value_compare(yyjson_val *a, yyjson_val *b)
{
    fq_filter_kind kind = fq_filter_value_kind(a);
    if (kind != fq_filter_value_kind(b))
        return FQ_FILTER_UNORDERED;
    if (kind == FQ_FILTER_NUMBER)
        return compare_numbers(a, b);
    if (kind != FQ_FILTER_STRING)
        return FQ_FILTER_UNORDERED;
    /* The order of UTF-8 bytes is that of code points. */
    int order = fq_str_cmp(fq_json_str(a), fq_json_str(b));
    return (order > 0) - (order < 0);
}

fq_filter_truth
fq_filter_value_is_in(yyjson_val *value, yyjson_val *list)
{
    if (value == NULL || !yyjson_is_arr(list))
        return FQ_FILTER_UNKNOWN;
    fq_filter_truth result = FQ_FILTER_FALSE;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        fq_filter_truth truth = fq_filter_value_equal(value, item);
        if (truth == FQ_FILTER_TRUE)
            return truth;
        if (truth == FQ_FILTER_UNKNOWN)
            result = truth;
    }
    return result;
}

fq_filter_truth
fq_filter_value_contains(yyjson_val *a, yyjson_val *b)
{
    if (yyjson_is_arr(a))
        return fq_filter_value_is_in(b, a);
    if (!yyjson_is_str(a) || !yyjson_is_str(b))
        return FQ_FILTER_UNKNOWN;
    fq_str text = fq_json_str(a), part = fq_json_str(b);
    return truth_of(
        part.len == 0
        || (part.len <= text.len
            && memmem(text.ptr, text.len, part.ptr, part.len) != NULL));
}

fq_filter_truth
fq_filter_value_starts_with(yyjson_val *a, yyjson_val *b)
{
    if (!yyjson_is_str(a) || !yyjson_is_str(b))
        return FQ_FILTER_UNKNOWN;
    fq_str text = fq_json_str(a), start = fq_json_str(b);
    return truth_of(start.len <= text.len
                    && memcmp(text.ptr, start.ptr, start.len) == 0);
}

/* -- keys ----------------------------------------------------------------- */

static fq_str
key_of_int(uint64_t magnitude, bool is_negative, char *room)
{
    room[1] = is_negative ? '-' : '+';
    memcpy(room + 2, &magnitude, sizeof(magnitude));
    return fq_str_make(room, 2 + sizeof(magnitude));
}

/* Of an integer beyond 64 bits. */
static fq_str
key_of_digits(fq_str digits, bool is_negative, char *room)
{
    room[1] = 'i';
    room[2] = is_negative ? '-' : '+';
    memmove(room + 3, digits.ptr, digits.len);
    return fq_str_make(room, 3 + digits.len);
}

static fq_str
key_of_real(double real, char *room)
{
    if (trunc(real) != real) {
        room[1] = 'd';
        memcpy(room + 2, &real, sizeof(real));
        return fq_str_make(room, 2 + sizeof(real));
    }
    bool is_negative = real < 0;
    if (real < TWO_TO_64 && real >= -TWO_TO_63)
        return key_of_int((uint64_t)fabs(real), is_negative, room);
    fq_str digits = fq_str_make(room + 3,
                                fq_number_digits(fabs(real), room + 3));
    return key_of_digits(digits, is_negative, room);
}

static fq_str
key_of_number(yyjson_val *value, char *room)
{
    if (yyjson_is_real(value))
        return key_of_real(unsafe_yyjson_get_real(value), room);
    if (yyjson_is_raw(value)) {
        bool is_negative;
        fq_str digits = digits_of_raw(value, &is_negative);
        return key_of_digits(digits, is_negative, room);
    }
    if (!is_negative_int(value))
        return key_of_int(unsafe_yyjson_get_uint(value), false, room);
    uint64_t magnitude = 0 - (uint64_t)unsafe_yyjson_get_sint(value);
    return key_of_int(magnitude, true, room);
}

bool
fq_filter_value_key(yyjson_val *value, char *room, fq_str *pkey)
{
    *pkey = fq_str_make(NULL, 0);
    room[0] = KEY_MARK;
    switch (fq_filter_value_kind(value)) {
    case FQ_FILTER_NULL:
        room[1] = 'n';
        break;
    case FQ_FILTER_BOOL:
        room[1] = unsafe_yyjson_get_bool(value) ? 't' : 'f';
        break;
    case FQ_FILTER_STRING:
        *pkey = fq_json_str(value);
        return true;
    case FQ_FILTER_NUMBER:
        *pkey = key_of_number(value, room);
        return true;
    default:
        return false;
    }
    *pkey = fq_str_make(room, 2);
    return true;
}
