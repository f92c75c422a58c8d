/* SPDX-License-Identifier: MIT */
/* A document's text to its syntax tree: the whole language of GraphQL Sep
 * 2025, operations and type system, in one pass by recursive descent. Messages
 * and places of errors are those of graphql-core 3.3, except that an empty
 * selection set is an error. One thread at a time. */
#ifndef FQ_GRAPHQL_PARSER_H
#define FQ_GRAPHQL_PARSER_H

#include "base/status.h"
#include "base/str.h"
#include "graphql/ast.h"
#include "graphql/errors.h"
#include "graphql/limits.h"

/* Braces and brackets that may be open at once: the reference's maximum, and
 * what bounds the recursion of everything that walks a tree. */
#define FQ_GRAPHQL_NESTING_MAX 200

/* Parses |text|, which is copied, into |document|; fq_document_fini() is due
 * on every path. Of |limits| (NULL: none) bytes, tokens, aliases and
 * directives are checked here, each before memory is spent on the excess.
 * The document's arena is bounded by |limits|, too, and stays so. Errors:
 * FQ_ERR_SYNTAX (one entry, code PARSE_ERROR), FQ_ERR_LIMIT (one entry,
 * LIMIT_REACHED), FQ_ERR_NOMEM. Cost: O(bytes). */
fq_status
fq_parse(fq_str text, const fq_document_limits *limits, fq_document *document,
         fq_gql_errors *errors);

#endif
