/* SPDX-License-Identifier: MIT */
/* The part of the recursive descent both halves of the grammar use. Every
 * opening brace or bracket of a value, a type or a selection set counts
 * against FQ_GRAPHQL_NESTING_MAX, so the C stack is bounded. One thread at a
 * time. */
#include "graphql/parser_common.h"

#include "base/buf.h"
#include "graphql/parser.h"

void *
fq_parser_node(fq_parser *parser, fq_ast_kind kind, size_t n_bytes)
{
    fq_ast_node *node = fq_arena_alloc_zero(&parser->document->arena, n_bytes);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->start = parser->token.start;
    node->end = parser->token.end;
    return node;
}

fq_status
fq_parser_fail_limit(fq_parser *parser, fq_document_limit limit, size_t offset,
                     const char *format, size_t max)
{
    fq_gql_errors *errors = parser->lexer.errors;
    errors->limit = limit;
    fq_gql_error *error = fq_gql_errors_add(errors, "LIMIT_REACHED", format,
                                            max);
    fq_gql_error_locate(errors, error, parser->lexer.source, offset);
    return error != NULL && errors->status == FQ_OK ? FQ_ERR_LIMIT
                                                    : FQ_ERR_NOMEM;
}

fq_status
fq_parser_advance(fq_parser *parser)
{
    parser->last_end = parser->token.end;
    TRY(fq_lexer_next(&parser->lexer, &parser->token));
    if (parser->token.kind == FQ_TOKEN_EOF)
        return FQ_OK;
    size_t max = parser->limits->max_tokens;
    if (++parser->n_tokens > max && max > 0)
        return fq_parser_fail_limit(
            parser, FQ_LIMIT_TOKENS, parser->token.start,
            "Document contains more than %zu tokens.", max);
    return FQ_OK;
}

void
fq_token_describe(const fq_token *token, fq_buf *message)
{
    fq_buf_append_str(message, fq_str_of(fq_token_kind_str(token->kind)));
    if (token->value.ptr == NULL)
        return;
    fq_buf_append_str(message, FQ_STR_LIT(" '"));
    fq_buf_append_str(message, token->value);
    fq_buf_append_char(message, '\'');
}

fq_status
fq_parser_fail_unexpected(fq_parser *parser, const fq_token *token)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Unexpected "));
    fq_token_describe(token, &message);
    fq_buf_append_char(&message, '.');
    return fq_lexer_fail(&parser->lexer, token->start, &message);
}

fq_status
fq_parser_fail_expected(fq_parser *parser, const char *what)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Expected "));
    fq_buf_append_str(&message, fq_str_of(what));
    fq_buf_append_str(&message, FQ_STR_LIT(", found "));
    fq_token_describe(&parser->token, &message);
    fq_buf_append_char(&message, '.');
    return fq_lexer_fail(&parser->lexer, parser->token.start, &message);
}

fq_status
fq_parser_expect(fq_parser *parser, fq_token_kind kind)
{
    if (!fq_parser_peek(parser, kind))
        return fq_parser_fail_expected(parser, fq_token_kind_str(kind));
    return fq_parser_advance(parser);
}

fq_status
fq_parser_accept(fq_parser *parser, fq_token_kind kind, bool *phas)
{
    *phas = fq_parser_peek(parser, kind);
    return *phas ? fq_parser_advance(parser) : FQ_OK;
}

fq_status
fq_parser_expect_keyword(fq_parser *parser, const char *keyword)
{
    if (fq_token_is_keyword(&parser->token, keyword))
        return fq_parser_advance(parser);
    fq_buf what;
    fq_buf_init(&what);
    fq_buf_append_format(&what, "'%s'", keyword);
    fq_buf_append_char(&what, '\0');
    fq_status status = fq_buf_status(&what);
    if (status == FQ_OK)
        status = fq_parser_fail_expected(parser, what.ptr);
    fq_buf_fini(&what);
    return status;
}

fq_status
fq_parser_accept_keyword(fq_parser *parser, const char *keyword, bool *phas)
{
    *phas = fq_token_is_keyword(&parser->token, keyword);
    return *phas ? fq_parser_advance(parser) : FQ_OK;
}

fq_status
fq_parser_enter_nesting(fq_parser *parser)
{
    if (++parser->n_open > FQ_GRAPHQL_NESTING_MAX)
        return fq_lexer_fail_str(
            &parser->lexer, parser->token.start,
            "Document is nested too deeply. Parsing aborted.");
    return FQ_OK;
}

fq_status
fq_parser_name(fq_parser *parser, fq_str *pname)
{
    *pname = parser->token.value;
    return fq_parser_expect(parser, FQ_TOKEN_NAME);
}

/* Variable: $ Name */
fq_status
fq_parser_variable(fq_parser *parser, fq_ast_value **pvariable)
{
    fq_ast_value *variable = NODE_NEW(parser, FQ_AST_VARIABLE, fq_ast_value);
    if (variable == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_expect(parser, FQ_TOKEN_DOLLAR));
    TRY(fq_parser_name(parser, &variable->text));
    fq_parser_end(parser, &variable->node);
    *pvariable = variable;
    return FQ_OK;
}

/* A variable that is used, not defined. */
static fq_status
parse_variable_use(fq_parser *parser, fq_ast_value **pvariable)
{
    TRY(fq_parser_variable(parser, pvariable));
    *parser->variables_tail = *pvariable;
    parser->variables_tail = &(*pvariable)->next_variable;
    parser->document->n_variables++;
    return FQ_OK;
}

/* A variable where only constants are allowed. */
static fq_status
fail_variable(fq_parser *parser)
{
    fq_token dollar = parser->token;
    TRY(fq_parser_advance(parser));
    if (!fq_parser_peek(parser, FQ_TOKEN_NAME))
        return fq_parser_fail_unexpected(parser, &dollar);
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Unexpected variable '$"));
    fq_buf_append_str(&message, parser->token.value);
    fq_buf_append_str(&message, FQ_STR_LIT("' in constant value."));
    return fq_lexer_fail(&parser->lexer, dollar.start, &message);
}

/* A value of one token. */
static fq_status
parse_scalar(fq_parser *parser, fq_ast_kind kind, fq_ast_value **pvalue)
{
    fq_ast_value *value = NODE_NEW(parser, kind, fq_ast_value);
    if (value == NULL)
        return FQ_ERR_NOMEM;
    value->text = parser->token.value;
    if (kind == FQ_AST_STRING)
        value->is_block = fq_parser_peek(parser, FQ_TOKEN_BLOCK_STRING);
    *pvalue = value;
    return fq_parser_advance(parser);
}

static fq_ast_kind
kind_of_name(const fq_token *token)
{
    if (fq_token_is_keyword(token, "true")
        || fq_token_is_keyword(token, "false"))
        return FQ_AST_BOOLEAN;
    return fq_token_is_keyword(token, "null") ? FQ_AST_NULL : FQ_AST_ENUM;
}

/* ListValue: [ Value* ] */
static fq_status
parse_list(fq_parser *parser, bool is_const, fq_ast_value **pvalue)
{
    TRY(fq_parser_enter_nesting(parser));
    fq_ast_value *list = NODE_NEW(parser, FQ_AST_LIST, fq_ast_value);
    if (list == NULL)
        return FQ_ERR_NOMEM;
    fq_list_writer writer = fq_list_start(&list->items);
    TRY(fq_parser_expect(parser, FQ_TOKEN_BRACKET_L));
    bool at_end;
    for (;;) {
        TRY(fq_parser_accept(parser, FQ_TOKEN_BRACKET_R, &at_end));
        if (at_end)
            break;
        fq_ast_value *item;
        TRY(fq_parser_value(parser, is_const, &item));
        fq_list_append(&writer, &item->node);
    }
    fq_parser_end(parser, &list->node);
    fq_parser_leave_nesting(parser);
    *pvalue = list;
    return FQ_OK;
}

/* Argument and ObjectField: Name : Value */
static fq_status
parse_argument(fq_parser *parser, fq_ast_kind kind, bool is_const,
               fq_ast_node **pnode)
{
    fq_ast_argument *argument = NODE_NEW(parser, kind, fq_ast_argument);
    if (argument == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_name(parser, &argument->name));
    TRY(fq_parser_expect(parser, FQ_TOKEN_COLON));
    TRY(fq_parser_value(parser, is_const, &argument->value));
    fq_parser_end(parser, &argument->node);
    *pnode = &argument->node;
    return FQ_OK;
}

/* ObjectValue: { ObjectField* } */
static fq_status
parse_object(fq_parser *parser, bool is_const, fq_ast_value **pvalue)
{
    TRY(fq_parser_enter_nesting(parser));
    fq_ast_value *object = NODE_NEW(parser, FQ_AST_OBJECT, fq_ast_value);
    if (object == NULL)
        return FQ_ERR_NOMEM;
    fq_list_writer writer = fq_list_start(&object->items);
    TRY(fq_parser_expect(parser, FQ_TOKEN_BRACE_L));
    bool at_end;
    for (;;) {
        TRY(fq_parser_accept(parser, FQ_TOKEN_BRACE_R, &at_end));
        if (at_end)
            break;
        fq_ast_node *field;
        TRY(parse_argument(parser, FQ_AST_OBJECT_FIELD, is_const, &field));
        fq_list_append(&writer, field);
    }
    fq_parser_end(parser, &object->node);
    fq_parser_leave_nesting(parser);
    *pvalue = object;
    return FQ_OK;
}

fq_status
fq_parser_value(fq_parser *parser, bool is_const, fq_ast_value **pvalue)
{
    switch (parser->token.kind) {
    case FQ_TOKEN_BRACKET_L:
        return parse_list(parser, is_const, pvalue);
    case FQ_TOKEN_BRACE_L:
        return parse_object(parser, is_const, pvalue);
    case FQ_TOKEN_INT:
        return parse_scalar(parser, FQ_AST_INT, pvalue);
    case FQ_TOKEN_FLOAT:
        return parse_scalar(parser, FQ_AST_FLOAT, pvalue);
    case FQ_TOKEN_STRING:
    case FQ_TOKEN_BLOCK_STRING:
        return parse_scalar(parser, FQ_AST_STRING, pvalue);
    case FQ_TOKEN_NAME:
        return parse_scalar(parser, kind_of_name(&parser->token), pvalue);
    case FQ_TOKEN_DOLLAR:
        if (is_const)
            return fail_variable(parser);
        return parse_variable_use(parser, pvalue);
    default:
        return fq_parser_fail_unexpected(parser, &parser->token);
    }
}

/* Arguments: ( Argument+ ), or nothing */
fq_status
fq_parser_arguments(fq_parser *parser, bool is_const, fq_ast_list *list)
{
    fq_list_writer writer = fq_list_start(list);
    bool has;
    TRY(fq_parser_accept(parser, FQ_TOKEN_PAREN_L, &has));
    while (has) {
        fq_ast_node *argument;
        TRY(parse_argument(parser, FQ_AST_ARGUMENT, is_const, &argument));
        fq_list_append(&writer, argument);
        bool at_end;
        TRY(fq_parser_accept(parser, FQ_TOKEN_PAREN_R, &at_end));
        has = !at_end;
    }
    return FQ_OK;
}

/* Directive: @ Name Arguments? */
static fq_status
parse_directive(fq_parser *parser, bool is_const, fq_ast_node **pnode)
{
    fq_ast_directive *directive = NODE_NEW(parser, FQ_AST_DIRECTIVE,
                                           fq_ast_directive);
    if (directive == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_expect(parser, FQ_TOKEN_AT));
    TRY(fq_parser_name(parser, &directive->name));
    *parser->directives_tail = directive;
    parser->directives_tail = &directive->next_directive;
    TRY(fq_parser_arguments(parser, is_const, &directive->arguments));
    fq_parser_end(parser, &directive->node);
    *pnode = &directive->node;
    return FQ_OK;
}

fq_status
fq_parser_directives(fq_parser *parser, bool is_const, fq_ast_list *list)
{
    fq_list_writer writer = fq_list_start(list);
    size_t max = parser->limits->max_directives;
    while (fq_parser_peek(parser, FQ_TOKEN_AT)) {
        if (list->n_items >= max && max > 0)
            return fq_parser_fail_limit(
                parser, FQ_LIMIT_DIRECTIVES, parser->token.start,
                "A node has more than %zu directives.", max);
        fq_ast_node *directive;
        TRY(parse_directive(parser, is_const, &directive));
        fq_list_append(&writer, directive);
    }
    return FQ_OK;
}

fq_status
fq_parser_named_type(fq_parser *parser, fq_ast_type **ptype)
{
    fq_ast_type *type = NODE_NEW(parser, FQ_AST_NAMED_TYPE, fq_ast_type);
    if (type == NULL)
        return FQ_ERR_NOMEM;
    *ptype = type;
    return fq_parser_name(parser, &type->name);
}

/* Type: Name, [ Type ], either with ! */
fq_status
fq_parser_type(fq_parser *parser, fq_ast_type **ptype)
{
    uint32_t start = parser->token.start;
    fq_ast_type *type;
    if (fq_parser_peek(parser, FQ_TOKEN_BRACKET_L)) {
        type = NODE_NEW(parser, FQ_AST_LIST_TYPE, fq_ast_type);
        if (type == NULL)
            return FQ_ERR_NOMEM;
        TRY(fq_parser_advance(parser));
        TRY(fq_parser_enter_nesting(parser));
        TRY(fq_parser_type(parser, &type->of));
        fq_parser_leave_nesting(parser);
        TRY(fq_parser_expect(parser, FQ_TOKEN_BRACKET_R));
        fq_parser_end(parser, &type->node);
    } else {
        TRY(fq_parser_named_type(parser, &type));
    }
    bool is_non_null;
    TRY(fq_parser_accept(parser, FQ_TOKEN_BANG, &is_non_null));
    if (is_non_null) {
        fq_ast_type *of = type;
        type = NODE_NEW(parser, FQ_AST_NON_NULL_TYPE, fq_ast_type);
        if (type == NULL)
            return FQ_ERR_NOMEM;
        type->of = of;
        type->node.start = start;
        fq_parser_end(parser, &type->node);
    }
    *ptype = type;
    return FQ_OK;
}

fq_status
fq_parser_typed(fq_parser *parser, fq_ast_type **ptype,
                fq_ast_value **pdefault, fq_ast_list *directives)
{
    TRY(fq_parser_expect(parser, FQ_TOKEN_COLON));
    TRY(fq_parser_type(parser, ptype));
    bool has_default;
    TRY(fq_parser_accept(parser, FQ_TOKEN_EQUALS, &has_default));
    if (has_default)
        TRY(fq_parser_value(parser, true, pdefault));
    return fq_parser_directives(parser, true, directives);
}

fq_status
fq_parser_description(fq_parser *parser, fq_ast_value **pvalue)
{
    *pvalue = NULL;
    if (!fq_parser_peek_description(parser))
        return FQ_OK;
    return parse_scalar(parser, FQ_AST_STRING, pvalue);
}
