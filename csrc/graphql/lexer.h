/* SPDX-License-Identifier: MIT */
/* GraphQL text to tokens (Sep 2025, section 2.1), one at a time. Messages and
 * places of errors are those of graphql-core 3.3. One thread at a time. */
#ifndef FQ_GRAPHQL_LEXER_H
#define FQ_GRAPHQL_LEXER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/errors.h"

typedef enum fq_token_kind {
    FQ_TOKEN_SOF,
    FQ_TOKEN_EOF,
    FQ_TOKEN_BANG,
    FQ_TOKEN_DOLLAR,
    FQ_TOKEN_AMP,
    FQ_TOKEN_PAREN_L,
    FQ_TOKEN_PAREN_R,
    FQ_TOKEN_SPREAD,
    FQ_TOKEN_COLON,
    FQ_TOKEN_EQUALS,
    FQ_TOKEN_AT,
    FQ_TOKEN_BRACKET_L,
    FQ_TOKEN_BRACKET_R,
    FQ_TOKEN_BRACE_L,
    FQ_TOKEN_PIPE,
    FQ_TOKEN_BRACE_R,
    FQ_TOKEN_NAME,
    FQ_TOKEN_INT,
    FQ_TOKEN_FLOAT,
    FQ_TOKEN_STRING,
    FQ_TOKEN_BLOCK_STRING,
    FQ_TOKEN_N_KINDS,
} fq_token_kind;

typedef struct fq_token {
    fq_token_kind kind;
    uint32_t start; /* byte offsets into the source */
    uint32_t end;
    fq_str value; /* a name or number as written, a string's value (in the
                   * arena when it differs from the text); else ptr NULL */
} fq_token;

typedef struct fq_lexer {
    fq_str source;         /* at most UINT32_MAX bytes */
    uint32_t pos;          /* where the next token is looked for */
    fq_arena *arena;       /* for the values of strings */
    fq_gql_errors *errors; /* gets the one error */
} fq_lexer;

/* |source| and |arena| must outlive the tokens. */
void
fq_lexer_init(fq_lexer *lexer, fq_str source, fq_arena *arena,
              fq_gql_errors *errors);

/* The next token that is no comment; FQ_TOKEN_EOF at the end, again and
 * again. Errors: FQ_ERR_SYNTAX (one entry in errors), FQ_ERR_NOMEM. Cost:
 * O(bytes read). */
fq_status
fq_lexer_next(fq_lexer *lexer, fq_token *ptoken);

/* Adds `Syntax Error: <message>` at byte |offset|; returns FQ_ERR_SYNTAX, or
 * FQ_ERR_NOMEM. Frees |message|. */
fq_status
fq_lexer_fail(fq_lexer *lexer, size_t offset, fq_buf *message);

/* The same with a fixed text. */
fq_status
fq_lexer_fail_str(fq_lexer *lexer, size_t offset, const char *message);

/* `'{'`, `Name`, `<EOF>`: how messages call a kind of token. */
const char *
fq_token_kind_str(fq_token_kind kind);

#endif
