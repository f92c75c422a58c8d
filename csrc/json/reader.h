/* SPDX-License-Identifier: MIT */
/* JSON text to an immutable tree, over yyjson and fq_alloc. Integers beyond 64
 * bits and numbers beyond the range of a double stay raw text; of duplicate
 * keys the last counts (fq_json_get). A tree takes two to four times its text
 * and more for many small values, so what is kept for long is better kept as
 * text. One thread at a time per document. */
#ifndef FQ_JSON_READER_H
#define FQ_JSON_READER_H

#include <stdbool.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/status.h"
#include "base/str.h"

/* The deepest nesting accepted; a value of depth 1 is a scalar or an empty
 * container. Data published and messages received are refused beyond it, so
 * that every recursive walk below has a bound. */
#define FQ_JSON_DEPTH_MAX 512

typedef enum fq_json_mode {
    /* Data we were given: a lone surrogate escape is an error. */
    FQ_JSON_STRICT,
    /* A client's message, and what an application answers it: lone surrogate
     * escapes are kept (as WTF-8 inside the tree) and leave again as
     * escapes. */
    FQ_JSON_LONE_SURROGATES,
} fq_json_mode;

/* Reads |text| whole (RFC 8259; no BOM, no NaN, no trailing bytes except
 * white space, well-formed UTF-8). |text| is copied and needs no terminator.
 * *pdoc is to be freed with fq_json_free; NULL on failure. Errors:
 * FQ_ERR_SYNTAX (pos = byte offset), FQ_ERR_LIMIT (too deep), FQ_ERR_NOMEM. */
fq_status
fq_json_read(fq_str text, fq_json_mode mode, yyjson_doc **pdoc,
             fq_error *error);

void
fq_json_free(yyjson_doc *doc);

/* The last member named |key| of object |object|, or NULL (also when
 * |object| is NULL or no object). O(members). */
yyjson_val *
fq_json_get(yyjson_val *object, fq_str key);

/* The bytes of string |val|; empty for anything else. */
static inline fq_str
fq_json_str(yyjson_val *val)
{
    if (!yyjson_is_str(val))
        return fq_str_make(NULL, 0);
    return fq_str_make(unsafe_yyjson_get_str(val), unsafe_yyjson_get_len(val));
}

#endif
