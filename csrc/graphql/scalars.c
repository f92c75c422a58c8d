/* SPDX-License-Identifier: MIT */
/* The five built-in scalars as tables. Any thread. */
#include "graphql/scalars.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "graphql/inspect.h"
#include "graphql/number.h"
#include "graphql/print.h"
#include "json/reader.h"
#include "json/writer.h"

fq_scalar
fq_scalar_of(fq_str type_name)
{
    static const fq_str names[] = {
        [FQ_SCALAR_INT] = FQ_STR("Int"),
        [FQ_SCALAR_FLOAT] = FQ_STR("Float"),
        [FQ_SCALAR_STRING] = FQ_STR("String"),
        [FQ_SCALAR_BOOLEAN] = FQ_STR("Boolean"),
        [FQ_SCALAR_ID] = FQ_STR("ID"),
    };
    for (size_t i = 0; i < FQ_SCALAR_OTHER; i++)
        if (fq_str_eq(type_name, names[i]))
            return (fq_scalar)i;
    return FQ_SCALAR_OTHER;
}

/* Digits that matter of a number: doubles are told apart by 17, and ties need
 * some more; the rest is cut. */
#define SCALAR_TEXT_MAX 800

double
fq_scalar_read_number(fq_str text)
{
    yyjson_val val;
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    /* yyjson wants a terminator. */
    char copy[SCALAR_TEXT_MAX];
    bool is_integer = true;
    for (size_t i = 0; i < text.len && is_integer; i++)
        is_integer = text.ptr[i] != '.' && text.ptr[i] != 'e'
                     && text.ptr[i] != 'E';
    if (text.len >= sizeof(copy))
        return is_integer ? (is_negative ? -HUGE_VAL : HUGE_VAL)
                          : strtod(text.ptr, NULL);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (yyjson_read_number(copy, &val, YYJSON_READ_NOFLAG, NULL, NULL) == NULL)
        return is_negative ? -HUGE_VAL : HUGE_VAL;
    return yyjson_get_num(&val);
}

bool
fq_scalar_accepts_literal(fq_scalar kind, const fq_ast_value *literal,
                          bool *pis_range)
{
    fq_ast_kind is = literal->node.kind;
    *pis_range = false;
    switch (kind) {
    case FQ_SCALAR_INT:
        if (is == FQ_AST_INT) {
            double value = fq_scalar_read_number(literal->text);
            *pis_range = value < INT32_MIN || value > INT32_MAX;
        }
        return is == FQ_AST_INT && !*pis_range;
    case FQ_SCALAR_FLOAT:
        return is == FQ_AST_INT || is == FQ_AST_FLOAT;
    case FQ_SCALAR_STRING:
        return is == FQ_AST_STRING;
    case FQ_SCALAR_BOOLEAN:
        return is == FQ_AST_BOOLEAN;
    case FQ_SCALAR_ID:
        return is == FQ_AST_STRING || is == FQ_AST_INT;
    case FQ_SCALAR_OTHER:
        break;
    }
    return true;
}

static bool
coerce_int(yyjson_val *value, fq_buf *json, fq_buf *refusal)
{
    fq_number number;
    bool is_integral = fq_number_read(value, &number)
                       && fq_number_is_integral(&number);
    if (is_integral && number.value >= INT32_MIN
        && number.value <= INT32_MAX) {
        fq_buf_append_int(json, (int64_t)number.value);
        return true;
    }
    fq_scalar_write_refusal(refusal, FQ_SCALAR_INT, is_integral, value, NULL);
    return false;
}

static bool
coerce_float(yyjson_val *value, fq_buf *json, fq_buf *refusal)
{
    fq_number number;
    bool is_number = fq_number_read(value, &number);
    bool is_finite = is_number && isfinite(number.value);
    if (is_finite
        && (!number.is_integer || fq_number_is_exact(&number, value))) {
        fq_json_write_double(json, number.value);
        return true;
    }
    fq_scalar_write_refusal(refusal, FQ_SCALAR_FLOAT, false, value, NULL);
    if (is_number && number.is_integer)
        fq_buf_append_str(
            refusal, is_finite ? FQ_STR_LIT(" (value would lose precision)")
                               : FQ_STR_LIT(" (value is too large)"));
    return false;
}

static bool
coerce_id(yyjson_val *value, fq_buf *json, fq_buf *refusal)
{
    fq_number number;
    if (yyjson_is_str(value)) {
        fq_json_write_str(json, fq_json_str(value));
        return true;
    }
    if (fq_number_read(value, &number) && fq_number_is_integral(&number)) {
        fq_buf_append_char(json, '"');
        fq_number_write_integral(&number, value, json);
        fq_buf_append_char(json, '"');
        return true;
    }
    fq_scalar_write_refusal(refusal, FQ_SCALAR_ID, false, value, NULL);
    return false;
}

bool
fq_scalar_coerce_value(fq_scalar kind, yyjson_val *value, fq_buf *json,
                       fq_buf *refusal)
{
    switch (kind) {
    case FQ_SCALAR_INT:
        return coerce_int(value, json, refusal);
    case FQ_SCALAR_FLOAT:
        return coerce_float(value, json, refusal);
    case FQ_SCALAR_ID:
        return coerce_id(value, json, refusal);
    case FQ_SCALAR_STRING:
    case FQ_SCALAR_BOOLEAN:
        if (kind == FQ_SCALAR_STRING ? !yyjson_is_str(value)
                                     : !yyjson_is_bool(value)) {
            fq_scalar_write_refusal(refusal, kind, false, value, NULL);
            return false;
        }
        break;
    case FQ_SCALAR_OTHER:
        break;
    }
    fq_json_write_val(json, value);
    return true;
}

void
fq_scalar_write_refusal(fq_buf *buf, fq_scalar kind, bool is_range,
                        yyjson_val *value, fq_ast_value *literal)
{
    static const char *const texts[] = {
        [FQ_SCALAR_INT] = "Int cannot represent non-integer value: ",
        [FQ_SCALAR_FLOAT] = "Float cannot represent non numeric value: ",
        [FQ_SCALAR_STRING] = "String cannot represent a non string value: ",
        [FQ_SCALAR_BOOLEAN] = "Boolean cannot represent a non boolean value: ",
        [FQ_SCALAR_ID] = "ID cannot represent value: ",
        [FQ_SCALAR_OTHER] = "",
    };
    const char *text = texts[kind];
    if (is_range)
        text = "Int cannot represent non 32-bit signed integer value: ";
    else if (kind == FQ_SCALAR_ID && value == NULL)
        text = "ID cannot represent a non-string and non-integer value: ";
    fq_buf_append_str(buf, fq_str_of(text));
    if (value != NULL)
        fq_inspect_json(buf, value);
    else
        fq_print_value(buf, literal);
}
