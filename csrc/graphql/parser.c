/* SPDX-License-Identifier: MIT */
/* Recursive descent with one token of lookahead, one function per production
 * of the grammar (GraphQL Sep 2025, appendix C): documents and what they
 * execute. parser_common.c has what the type system uses too, sdl_parser.c
 * the type system. One thread at a time. */
#include "graphql/parser.h"

#include "graphql/parser_common.h"
#include "graphql/sdl_parser.h"

static fq_status
parse_selection_set(fq_parser *parser, fq_ast_selection_set **pset);

/* VariableDefinition: Description? Variable : Type DefaultValue? Directives? */
static fq_status
parse_variable_definition(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_variable_definition *definition = NODE_NEW(
        parser, FQ_AST_VARIABLE_DEFINITION, fq_ast_variable_definition);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_description(parser, &definition->description));
    TRY(fq_parser_variable(parser, &definition->variable));
    TRY(fq_parser_typed(parser, &definition->type, &definition->default_value,
                        &definition->directives));
    fq_parser_end(parser, &definition->node);
    parser->document->n_definitions++;
    *pnode = &definition->node;
    return FQ_OK;
}

static fq_status
parse_variable_definitions(fq_parser *parser, fq_ast_list *list)
{
    fq_list_writer writer = fq_list_start(list);
    bool has;
    TRY(fq_parser_accept(parser, FQ_TOKEN_PAREN_L, &has));
    while (has) {
        fq_ast_node *definition;
        TRY(parse_variable_definition(parser, &definition));
        fq_list_append(&writer, definition);
        bool at_end;
        TRY(fq_parser_accept(parser, FQ_TOKEN_PAREN_R, &at_end));
        has = !at_end;
    }
    return FQ_OK;
}

/* Field: Alias? Name Arguments? Directives? SelectionSet? */
static fq_status
parse_field(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_field *field = NODE_NEW(parser, FQ_AST_FIELD, fq_ast_field);
    if (field == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_name(parser, &field->name));
    bool has_alias;
    TRY(fq_parser_accept(parser, FQ_TOKEN_COLON, &has_alias));
    if (has_alias) {
        size_t max = parser->limits->max_aliases;
        if (++parser->n_aliases > max && max > 0)
            return fq_parser_fail_limit(
                parser, FQ_LIMIT_ALIASES, field->node.start,
                "Document contains more than %zu aliases.", max);
        fq_str alias = field->name;
        TRY(fq_parser_name(parser, &field->name));
        field->alias_len = (uint32_t)alias.len;
        field->alias_start = (uint32_t)(field->name.ptr - alias.ptr);
    }
    TRY(fq_parser_arguments(parser, false, &field->arguments));
    TRY(fq_parser_directives(parser, false, &field->directives));
    *parser->fields_tail = field;
    parser->fields_tail = &field->next_field;
    parser->document->n_fields++;
    if (fq_parser_peek(parser, FQ_TOKEN_BRACE_L))
        TRY(parse_selection_set(parser, &field->selection_set));
    fq_parser_end(parser, &field->node);
    *pnode = &field->node;
    return FQ_OK;
}

/* FragmentSpread after its dots: FragmentName Directives? */
static fq_status
parse_spread(fq_parser *parser, uint32_t start, fq_ast_node **pnode)
{
    fq_ast_spread *spread = NODE_NEW(parser, FQ_AST_FRAGMENT_SPREAD,
                                     fq_ast_spread);
    if (spread == NULL)
        return FQ_ERR_NOMEM;
    spread->node.start = start;
    TRY(fq_parser_name(parser, &spread->name));
    TRY(fq_parser_directives(parser, false, &spread->directives));
    *parser->spreads_tail = spread;
    parser->spreads_tail = &spread->next_spread;
    parser->document->n_spreads++;
    fq_parser_end(parser, &spread->node);
    *pnode = &spread->node;
    return FQ_OK;
}

/* FragmentSpread, or InlineFragment: ... TypeCondition? Directives?
 * SelectionSet */
static fq_status
parse_fragment(fq_parser *parser, fq_ast_node **pnode)
{
    uint32_t start = parser->token.start;
    TRY(fq_parser_expect(parser, FQ_TOKEN_SPREAD));
    bool has_condition = fq_token_is_keyword(&parser->token, "on");
    if (!has_condition && fq_parser_peek(parser, FQ_TOKEN_NAME))
        return parse_spread(parser, start, pnode);
    fq_ast_inline_fragment *fragment = NODE_NEW(parser, FQ_AST_INLINE_FRAGMENT,
                                                fq_ast_inline_fragment);
    if (fragment == NULL)
        return FQ_ERR_NOMEM;
    fragment->node.start = start;
    *parser->inline_fragments_tail = fragment;
    parser->inline_fragments_tail = &fragment->next_inline;
    parser->document->n_inline_fragments++;
    if (has_condition) {
        TRY(fq_parser_advance(parser));
        TRY(fq_parser_named_type(parser, &fragment->type_condition));
    }
    TRY(fq_parser_directives(parser, false, &fragment->directives));
    TRY(parse_selection_set(parser, &fragment->selection_set));
    fq_parser_end(parser, &fragment->node);
    *pnode = &fragment->node;
    return FQ_OK;
}

/* SelectionSet: { Selection+ } */
static fq_status
parse_selection_set(fq_parser *parser, fq_ast_selection_set **pset)
{
    TRY(fq_parser_enter_nesting(parser));
    fq_ast_selection_set *set = NODE_NEW(parser, FQ_AST_SELECTION_SET,
                                         fq_ast_selection_set);
    if (set == NULL)
        return FQ_ERR_NOMEM;
    fq_list_writer writer = fq_list_start(&set->selections);
    TRY(fq_parser_expect(parser, FQ_TOKEN_BRACE_L));
    bool at_end;
    do {
        fq_ast_node *selection = NULL;
        if (fq_parser_peek(parser, FQ_TOKEN_SPREAD))
            TRY(parse_fragment(parser, &selection));
        else
            TRY(parse_field(parser, &selection));
        fq_list_append(&writer, selection);
        TRY(fq_parser_accept(parser, FQ_TOKEN_BRACE_R, &at_end));
    } while (!at_end);
    fq_parser_end(parser, &set->node);
    fq_parser_leave_nesting(parser);
    *pset = set;
    return FQ_OK;
}

/* OperationDefinition: SelectionSet, or Description? OperationType Name?
 * VariableDefinitions? Directives? SelectionSet. */
static fq_status
parse_operation(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_operation *operation = NODE_NEW(parser, FQ_AST_OPERATION,
                                           fq_ast_operation);
    if (operation == NULL)
        return FQ_ERR_NOMEM;
    fq_ast_value **variables = parser->variables_tail;
    operation->type = FQ_OPERATION_QUERY;
    if (!fq_parser_peek(parser, FQ_TOKEN_BRACE_L)) {
        TRY(fq_parser_description(parser, &operation->description));
        if (fq_token_is_keyword(&parser->token, "mutation"))
            operation->type = FQ_OPERATION_MUTATION;
        else if (fq_token_is_keyword(&parser->token, "subscription"))
            operation->type = FQ_OPERATION_SUBSCRIPTION;
        TRY(fq_parser_advance(parser));
        if (fq_parser_peek(parser, FQ_TOKEN_NAME))
            TRY(fq_parser_name(parser, &operation->name));
        TRY(parse_variable_definitions(parser,
                                       &operation->variable_definitions));
        TRY(fq_parser_directives(parser, false, &operation->directives));
    }
    TRY(parse_selection_set(parser, &operation->selection_set));
    fq_parser_end(parser, &operation->node);
    operation->first_variable = *variables;
    operation->index = parser->document->n_operations++;
    *pnode = &operation->node;
    return FQ_OK;
}

/* FragmentDefinition: Description? fragment FragmentName on NamedType
 * Directives? SelectionSet */
static fq_status
parse_fragment_definition(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_fragment *fragment = NODE_NEW(parser, FQ_AST_FRAGMENT,
                                         fq_ast_fragment);
    if (fragment == NULL)
        return FQ_ERR_NOMEM;
    fq_ast_value **variables = parser->variables_tail;
    TRY(fq_parser_description(parser, &fragment->description));
    TRY(fq_parser_advance(parser));
    /* As the reference, any token of that value: also the string "on". */
    if (fq_str_eq(parser->token.value, FQ_STR_LIT("on")))
        return fq_parser_fail_unexpected(parser, &parser->token);
    TRY(fq_parser_name(parser, &fragment->name));
    TRY(fq_parser_expect_keyword(parser, "on"));
    TRY(fq_parser_named_type(parser, &fragment->type_condition));
    TRY(fq_parser_directives(parser, false, &fragment->directives));
    TRY(parse_selection_set(parser, &fragment->selection_set));
    fq_parser_end(parser, &fragment->node);
    fragment->first_variable = *variables;
    fragment->index = parser->document->n_fragments++;
    *parser->fragments_tail = fragment;
    parser->fragments_tail = &fragment->next_def;
    *pnode = &fragment->node;
    return FQ_OK;
}

static bool
is_operation_keyword(const fq_token *token)
{
    return fq_token_is_keyword(token, "query")
           || fq_token_is_keyword(token, "mutation")
           || fq_token_is_keyword(token, "subscription");
}

/* A definition that starts with a description or, if |keyword| is the
 * current token, without. */
static fq_status
parse_definition_of(fq_parser *parser, const fq_token *keyword,
                    fq_ast_node **pnode)
{
    bool has_description = fq_parser_peek_description(parser);
    if (has_description && keyword->kind == FQ_TOKEN_BRACE_L)
        return fq_lexer_fail_str(
            &parser->lexer, parser->token.start,
            "Unexpected description, "
            "descriptions are not supported on shorthand queries.");
    if (fq_sdl_parser_knows(keyword))
        return fq_sdl_parser_definition(parser, pnode);
    if (is_operation_keyword(keyword))
        return parse_operation(parser, pnode);
    if (fq_token_is_keyword(keyword, "fragment"))
        return parse_fragment_definition(parser, pnode);
    if (has_description && keyword->kind == FQ_TOKEN_NAME)
        return fq_lexer_fail_str(
            &parser->lexer, parser->token.start,
            "Unexpected description, "
            "only GraphQL definitions support descriptions.");
    if (fq_token_is_keyword(keyword, "extend"))
        return fq_sdl_parser_extension(parser, pnode);
    return fq_parser_fail_unexpected(parser, keyword);
}

static fq_status
parse_definition(fq_parser *parser, fq_ast_node **pnode)
{
    if (fq_parser_peek(parser, FQ_TOKEN_BRACE_L))
        return parse_operation(parser, pnode);
    fq_token keyword = parser->token;
    if (fq_parser_peek_description(parser)) {
        /* One token further, without moving. */
        fq_lexer ahead = parser->lexer;
        TRY(fq_lexer_next(&ahead, &keyword));
    }
    return parse_definition_of(parser, &keyword, pnode);
}

/* Document: Definition+ */
static fq_status
parse_document(fq_parser *parser)
{
    fq_document *document = parser->document;
    fq_list_writer writer = fq_list_start(&document->definitions);
    TRY(fq_parser_advance(parser));
    do {
        fq_ast_node *definition;
        TRY(parse_definition(parser, &definition));
        fq_list_append(&writer, definition);
    } while (!fq_parser_peek(parser, FQ_TOKEN_EOF));
    return FQ_OK;
}

/* The bytes that a document of |len| bytes may take, text included. */
static size_t
memory_max(size_t len, size_t max_memory)
{
    if (max_memory == 0)
        max_memory = len > FQ_DOCUMENT_MEMORY_MIN / FQ_DOCUMENT_MEMORY_RATIO
                         ? len * FQ_DOCUMENT_MEMORY_RATIO
                         : FQ_DOCUMENT_MEMORY_MIN;
    return max_memory <= SIZE_MAX - len ? max_memory + len : SIZE_MAX;
}

fq_status
fq_parse(fq_str text, const fq_document_limits *limits, fq_document *document,
         fq_gql_errors *errors)
{
    static const fq_document_limits no_limits = {0};
    *document = (fq_document){.node = {.kind = FQ_AST_DOCUMENT}};
    fq_arena_init(&document->arena, 0);
    fq_parser parser = {
        .document = document,
        .limits = limits != NULL ? limits : &no_limits,
        .fragments_tail = &document->fragments,
        .fields_tail = &document->fields,
        .spreads_tail = &document->spreads,
        .inline_fragments_tail = &document->inline_fragments,
        .variables_tail = &document->variables,
        .directives_tail = &document->directives,
    };
    size_t max_bytes = parser.limits->max_bytes;
    if (max_bytes == 0 || max_bytes > UINT32_MAX)
        max_bytes = UINT32_MAX;
    if (text.len > max_bytes) {
        errors->limit = FQ_LIMIT_BYTES;
        fq_gql_error *error = fq_gql_errors_add(
            errors, "LIMIT_REACHED", "Document is larger than %zu bytes.",
            max_bytes);
        return error != NULL ? FQ_ERR_LIMIT : FQ_ERR_NOMEM;
    }
    document->arena.max_bytes = memory_max(text.len,
                                           parser.limits->max_memory);
    document->source = fq_arena_copy(&document->arena, text);
    if (document->source.ptr == NULL)
        return FQ_ERR_NOMEM;
    document->node.end = (uint32_t)text.len;
    fq_lexer_init(&parser.lexer, document->source, &document->arena, errors);
    return fq_document_check(document, parse_document(&parser), errors);
}
