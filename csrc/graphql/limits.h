/* SPDX-License-Identifier: MIT */
/* What a document may cost before it is refused: policy of the caller, next
 * to the fixed maximum of nesting in parser.h. Plain data. */
#ifndef FQ_GRAPHQL_LIMITS_H
#define FQ_GRAPHQL_LIMITS_H

#include <stddef.h>

/* Bytes that parsing and validating a document may take beside its text: so
 * many for each of its bytes, at least the minimum. 64 KiB stay below 1 MiB
 * with the errors they may earn. Documents as people write them take half of
 * it; those that reach it repeat the shortest of nodes, thousands of times. */
#define FQ_DOCUMENT_MEMORY_RATIO 15
#define FQ_DOCUMENT_MEMORY_MIN ((size_t)FQ_DOCUMENT_MEMORY_RATIO * 64 * 1024)

/* 0 means no limit, but for memory. */
typedef struct fq_document_limits {
    size_t max_bytes;      /* of the document's text */
    size_t max_tokens;     /* lexed, punctuation included */
    size_t max_depth;      /* nested fields; `{ a { b } }` has 2 */
    size_t max_fields;     /* fields after expanding fragments */
    size_t max_aliases;    /* aliased fields */
    size_t max_directives; /* per node */
    size_t max_memory;     /* bytes beside the text for parsing and validation;
                            * 0: what FQ_DOCUMENT_MEMORY_MIN and _RATIO say,
                            * as there is always a bound */
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
