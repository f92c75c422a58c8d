/* SPDX-License-Identifier: MIT */
/* What the parsers of executable documents and of the type system share: the
 * state, one token of lookahead, and the productions both languages have
 * (values, directives, types). Internal to the parsers: |is_const| says that
 * variables are not allowed. One thread at a time. */
#ifndef FQ_GRAPHQL_PARSER_COMMON_H
#define FQ_GRAPHQL_PARSER_COMMON_H

#include <stdbool.h>

#include "base/status.h"
#include "graphql/ast.h"
#include "graphql/lexer.h"
#include "graphql/limits.h"

typedef struct fq_parser {
    fq_lexer lexer;
    fq_token token;    /* not consumed yet */
    uint32_t last_end; /* where the token before it ended */
    fq_document *document;
    const fq_document_limits *limits;
    size_t n_tokens;
    size_t n_aliases;
    size_t n_open; /* braces and brackets */
    fq_ast_fragment **fragments_tail;
    fq_ast_field **fields_tail;
    fq_ast_spread **spreads_tail;
    fq_ast_inline_fragment **inline_fragments_tail;
    fq_ast_value **variables_tail;
    fq_ast_directive **directives_tail;
} fq_parser;

/* Where the next node of a list goes. */
typedef struct fq_list_writer {
    fq_ast_list *list;
    fq_ast_node **tail;
} fq_list_writer;

/* Returns early with what |expression|, a status, says but FQ_OK. */
#define TRY(expression)                                                       \
    do {                                                                      \
        fq_status try_status = (expression);                                  \
        if (try_status != FQ_OK)                                              \
            return try_status;                                                \
    } while (0)

static inline fq_list_writer
fq_list_start(fq_ast_list *list)
{
    *list = (fq_ast_list){NULL, 0};
    return (fq_list_writer){list, &list->first};
}

static inline void
fq_list_append(fq_list_writer *writer, fq_ast_node *node)
{
    *writer->tail = node;
    writer->tail = &node->next;
    writer->list->n_items++;
}

/* A zeroed node of |n_bytes| that starts at the current token. */
void *
fq_parser_node(fq_parser *parser, fq_ast_kind kind, size_t n_bytes);

#define NODE_NEW(parser, kind, type)                                          \
    ((type *)fq_parser_node((parser), (kind), sizeof(type)))

/* Ends |node| with the token consumed last. */
static inline void
fq_parser_end(const fq_parser *parser, fq_ast_node *node)
{
    node->end = parser->last_end;
}

static inline bool
fq_parser_peek(const fq_parser *parser, fq_token_kind kind)
{
    return parser->token.kind == kind;
}

static inline bool
fq_token_is_keyword(const fq_token *token, const char *keyword)
{
    return token->kind == FQ_TOKEN_NAME
           && fq_str_eq(token->value, fq_str_of(keyword));
}

static inline bool
fq_parser_peek_description(const fq_parser *parser)
{
    return fq_parser_peek(parser, FQ_TOKEN_STRING)
           || fq_parser_peek(parser, FQ_TOKEN_BLOCK_STRING);
}

/* Appends |token| as messages call it: `Name 'user'`. */
void
fq_token_describe(const fq_token *token, fq_buf *message);

/* Errors at a token; both return FQ_ERR_SYNTAX or FQ_ERR_NOMEM. */
fq_status
fq_parser_fail_unexpected(fq_parser *parser, const fq_token *token);
fq_status
fq_parser_fail_expected(fq_parser *parser, const char *what);

/* |limit| of the caller's; |format| has one %zu for |max|. */
fq_status
fq_parser_fail_limit(fq_parser *parser, fq_document_limit limit, size_t offset,
                     const char *format, size_t max);

/* Consumes the current token, whatever it is; if it is a |kind| or |keyword|,
 * else fails; if it is one, and says whether it was. */
fq_status
fq_parser_advance(fq_parser *parser);
fq_status
fq_parser_expect(fq_parser *parser, fq_token_kind kind);
fq_status
fq_parser_expect_keyword(fq_parser *parser, const char *keyword);
fq_status
fq_parser_accept(fq_parser *parser, fq_token_kind kind, bool *phas);
fq_status
fq_parser_accept_keyword(fq_parser *parser, const char *keyword, bool *phas);

/* Around what may nest. */
fq_status
fq_parser_enter_nesting(fq_parser *parser);
static inline void
fq_parser_leave_nesting(fq_parser *parser)
{
    parser->n_open--;
}

/* Productions. */
fq_status
fq_parser_name(fq_parser *parser, fq_str *pname);
fq_status
fq_parser_variable(fq_parser *parser, fq_ast_value **pvariable);
fq_status
fq_parser_value(fq_parser *parser, bool is_const, fq_ast_value **pvalue);
fq_status
fq_parser_arguments(fq_parser *parser, bool is_const, fq_ast_list *list);
fq_status
fq_parser_directives(fq_parser *parser, bool is_const, fq_ast_list *list);
fq_status
fq_parser_named_type(fq_parser *parser, fq_ast_type **ptype);
fq_status
fq_parser_type(fq_parser *parser, fq_ast_type **ptype);

/* What follows the name of a variable or input value: `: Type DefaultValue?
 * Directives?`; *pdefault stays as it is when there is none. */
fq_status
fq_parser_typed(fq_parser *parser, fq_ast_type **ptype,
                fq_ast_value **pdefault, fq_ast_list *directives);

/* *pvalue is NULL when there is none. */
fq_status
fq_parser_description(fq_parser *parser, fq_ast_value **pvalue);

#endif
