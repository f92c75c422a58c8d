/* SPDX-License-Identifier: MIT */
/* What a document may cost before it is refused: policy of the caller, next
 * to the fixed maximum of nesting in parser.h. Plain data. */
#ifndef FQ_GRAPHQL_LIMITS_H
#define FQ_GRAPHQL_LIMITS_H

#include <stddef.h>

/* 0 means no limit. */
typedef struct fq_document_limits {
    size_t max_bytes;      /* of the document's text */
    size_t max_tokens;     /* lexed, punctuation included */
    size_t max_depth;      /* nested fields; `{ a { b } }` has 2 */
    size_t max_fields;     /* fields after expanding fragments */
    size_t max_aliases;    /* aliased fields */
    size_t max_directives; /* per node */
} fq_document_limits;

/* Which of them a document exceeds. */
typedef enum fq_document_limit {
    FQ_LIMIT_NONE,
    FQ_LIMIT_BYTES,
    FQ_LIMIT_TOKENS,
    FQ_LIMIT_DEPTH,
    FQ_LIMIT_FIELDS,
    FQ_LIMIT_ALIASES,
    FQ_LIMIT_DIRECTIVES,
} fq_document_limit;

#endif
