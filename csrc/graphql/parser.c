/* SPDX-License-Identifier: MIT */
/* Recursive descent with one token of lookahead, one function per production
 * of the grammar (GraphQL Sep 2025, appendix C). Every opening brace or
 * bracket counts against FQ_GRAPHQL_NESTING_MAX, so the C stack is bounded.
 * One thread at a time. */
#include "graphql/parser.h"

#include "base/buf.h"
#include "base/check.h"
#include "graphql/lexer.h"

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

#define TRY(expression)                                                       \
    do {                                                                      \
        fq_status try_status = (expression);                                  \
        if (try_status != FQ_OK)                                              \
            return try_status;                                                \
    } while (0)

static fq_status
parse_selection_set(fq_parser *parser, fq_ast_selection_set **pset);
static fq_status
parse_value(fq_parser *parser, bool is_const, fq_ast_value **pvalue);

static fq_list_writer
list_start(fq_ast_list *list)
{
    *list = (fq_ast_list){NULL, 0};
    return (fq_list_writer){list, &list->first};
}

static void
list_append(fq_list_writer *writer, fq_ast_node *node)
{
    *writer->tail = node;
    writer->tail = &node->next;
    writer->list->n_items++;
}

/* A zeroed node of |n_bytes| that starts at the current token. */
static void *
node_new(fq_parser *parser, fq_ast_kind kind, size_t n_bytes)
{
    fq_ast_node *node = fq_arena_alloc_zero(&parser->document->arena, n_bytes);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->start = parser->token.start;
    node->end = parser->token.end;
    return node;
}

#define NODE_NEW(parser, kind, type)                                          \
    ((type *)node_new((parser), (kind), sizeof(type)))

/* Ends |node| with the token consumed last. */
static void
node_end(fq_parser *parser, fq_ast_node *node)
{
    node->end = parser->last_end;
}

/* |format| has one %zu for |max|. */
static fq_status
fail_limit(fq_parser *parser, size_t offset, const char *format, size_t max)
{
    fq_gql_errors *errors = parser->lexer.errors;
    fq_gql_error *error = fq_gql_errors_add(errors, "LIMIT_REACHED", format,
                                            max);
    fq_gql_error_locate(errors, error, parser->lexer.source, offset);
    return error != NULL && errors->status == FQ_OK ? FQ_ERR_LIMIT
                                                    : FQ_ERR_NOMEM;
}

/* Consumes the current token. */
static fq_status
advance(fq_parser *parser)
{
    parser->last_end = parser->token.end;
    TRY(fq_lexer_next(&parser->lexer, &parser->token));
    if (parser->token.kind == FQ_TOKEN_EOF)
        return FQ_OK;
    size_t max = parser->limits->max_tokens;
    if (++parser->n_tokens > max && max > 0)
        return fail_limit(parser, parser->token.start,
                          "Document contains more than %zu tokens.", max);
    return FQ_OK;
}

static inline bool
peek(const fq_parser *parser, fq_token_kind kind)
{
    return parser->token.kind == kind;
}

static inline bool
is_keyword(const fq_token *token, const char *keyword)
{
    return token->kind == FQ_TOKEN_NAME
           && fq_str_eq(token->value, fq_str_of(keyword));
}

static void
describe(const fq_token *token, fq_buf *message)
{
    fq_buf_append_str(message, fq_str_of(fq_token_kind_str(token->kind)));
    if (token->value.ptr == NULL)
        return;
    fq_buf_append_str(message, FQ_STR_LIT(" '"));
    fq_buf_append_str(message, token->value);
    fq_buf_append_char(message, '\'');
}

static fq_status
fail_unexpected(fq_parser *parser, const fq_token *token)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Unexpected "));
    describe(token, &message);
    fq_buf_append_char(&message, '.');
    return fq_lexer_fail(&parser->lexer, token->start, &message);
}

/* |what| is quoted as messages want it. */
static fq_status
fail_expected(fq_parser *parser, const char *what)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Expected "));
    fq_buf_append_str(&message, fq_str_of(what));
    fq_buf_append_str(&message, FQ_STR_LIT(", found "));
    describe(&parser->token, &message);
    fq_buf_append_char(&message, '.');
    return fq_lexer_fail(&parser->lexer, parser->token.start, &message);
}

static fq_status
expect(fq_parser *parser, fq_token_kind kind)
{
    if (!peek(parser, kind))
        return fail_expected(parser, fq_token_kind_str(kind));
    return advance(parser);
}

/* Consumes the current token if it is a |kind|; *phas says whether. */
static fq_status
expect_optional(fq_parser *parser, fq_token_kind kind, bool *phas)
{
    *phas = peek(parser, kind);
    return *phas ? advance(parser) : FQ_OK;
}

static fq_status
expect_on(fq_parser *parser)
{
    if (!is_keyword(&parser->token, "on"))
        return fail_expected(parser, "'on'");
    return advance(parser);
}

static fq_status
enter_nesting(fq_parser *parser)
{
    if (++parser->n_open > FQ_GRAPHQL_NESTING_MAX)
        return fq_lexer_fail_str(
            &parser->lexer, parser->token.start,
            "Document is nested too deeply. Parsing aborted.");
    return FQ_OK;
}

static void
leave_nesting(fq_parser *parser)
{
    parser->n_open--;
}

static fq_status
parse_name(fq_parser *parser, fq_str *pname)
{
    *pname = parser->token.value;
    return expect(parser, FQ_TOKEN_NAME);
}

/* Variable: $ Name */
static fq_status
parse_variable(fq_parser *parser, fq_ast_value **pvariable)
{
    fq_ast_value *variable = NODE_NEW(parser, FQ_AST_VARIABLE, fq_ast_value);
    if (variable == NULL)
        return FQ_ERR_NOMEM;
    TRY(expect(parser, FQ_TOKEN_DOLLAR));
    TRY(parse_name(parser, &variable->text));
    node_end(parser, &variable->node);
    *pvariable = variable;
    return FQ_OK;
}

/* A variable that is used, not defined. */
static fq_status
parse_variable_use(fq_parser *parser, fq_ast_value **pvariable)
{
    TRY(parse_variable(parser, pvariable));
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
    TRY(advance(parser));
    if (!peek(parser, FQ_TOKEN_NAME))
        return fail_unexpected(parser, &dollar);
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
        value->is_block = peek(parser, FQ_TOKEN_BLOCK_STRING);
    *pvalue = value;
    return advance(parser);
}

static fq_ast_kind
kind_of_name(const fq_token *token)
{
    if (is_keyword(token, "true") || is_keyword(token, "false"))
        return FQ_AST_BOOLEAN;
    return is_keyword(token, "null") ? FQ_AST_NULL : FQ_AST_ENUM;
}

/* ListValue: [ Value* ] */
static fq_status
parse_list(fq_parser *parser, bool is_const, fq_ast_value **pvalue)
{
    TRY(enter_nesting(parser));
    fq_ast_value *list = NODE_NEW(parser, FQ_AST_LIST, fq_ast_value);
    if (list == NULL)
        return FQ_ERR_NOMEM;
    fq_list_writer writer = list_start(&list->items);
    TRY(expect(parser, FQ_TOKEN_BRACKET_L));
    bool at_end;
    for (;;) {
        TRY(expect_optional(parser, FQ_TOKEN_BRACKET_R, &at_end));
        if (at_end)
            break;
        fq_ast_value *item;
        TRY(parse_value(parser, is_const, &item));
        list_append(&writer, &item->node);
    }
    node_end(parser, &list->node);
    leave_nesting(parser);
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
    TRY(parse_name(parser, &argument->name));
    TRY(expect(parser, FQ_TOKEN_COLON));
    TRY(parse_value(parser, is_const, &argument->value));
    node_end(parser, &argument->node);
    *pnode = &argument->node;
    return FQ_OK;
}

/* ObjectValue: { ObjectField* } */
static fq_status
parse_object(fq_parser *parser, bool is_const, fq_ast_value **pvalue)
{
    TRY(enter_nesting(parser));
    fq_ast_value *object = NODE_NEW(parser, FQ_AST_OBJECT, fq_ast_value);
    if (object == NULL)
        return FQ_ERR_NOMEM;
    fq_list_writer writer = list_start(&object->items);
    TRY(expect(parser, FQ_TOKEN_BRACE_L));
    bool at_end;
    for (;;) {
        TRY(expect_optional(parser, FQ_TOKEN_BRACE_R, &at_end));
        if (at_end)
            break;
        fq_ast_node *field;
        TRY(parse_argument(parser, FQ_AST_OBJECT_FIELD, is_const, &field));
        list_append(&writer, field);
    }
    node_end(parser, &object->node);
    leave_nesting(parser);
    *pvalue = object;
    return FQ_OK;
}

static fq_status
parse_value(fq_parser *parser, bool is_const, fq_ast_value **pvalue)
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
        return fail_unexpected(parser, &parser->token);
    }
}

/* Arguments: ( Argument+ ), or nothing */
static fq_status
parse_arguments(fq_parser *parser, bool is_const, fq_ast_list *list)
{
    fq_list_writer writer = list_start(list);
    bool has;
    TRY(expect_optional(parser, FQ_TOKEN_PAREN_L, &has));
    while (has) {
        fq_ast_node *argument;
        TRY(parse_argument(parser, FQ_AST_ARGUMENT, is_const, &argument));
        list_append(&writer, argument);
        bool at_end;
        TRY(expect_optional(parser, FQ_TOKEN_PAREN_R, &at_end));
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
    TRY(expect(parser, FQ_TOKEN_AT));
    TRY(parse_name(parser, &directive->name));
    *parser->directives_tail = directive;
    parser->directives_tail = &directive->next_directive;
    TRY(parse_arguments(parser, is_const, &directive->arguments));
    node_end(parser, &directive->node);
    *pnode = &directive->node;
    return FQ_OK;
}

static fq_status
parse_directives(fq_parser *parser, bool is_const, fq_ast_list *list)
{
    fq_list_writer writer = list_start(list);
    size_t max = parser->limits->max_directives;
    while (peek(parser, FQ_TOKEN_AT)) {
        if (list->n_items >= max && max > 0)
            return fail_limit(parser, parser->token.start,
                              "A node has more than %zu directives.", max);
        fq_ast_node *directive;
        TRY(parse_directive(parser, is_const, &directive));
        list_append(&writer, directive);
    }
    return FQ_OK;
}

static fq_status
parse_named_type(fq_parser *parser, fq_ast_type **ptype)
{
    fq_ast_type *type = NODE_NEW(parser, FQ_AST_NAMED_TYPE, fq_ast_type);
    if (type == NULL)
        return FQ_ERR_NOMEM;
    *ptype = type;
    return parse_name(parser, &type->name);
}

/* Type: Name, [ Type ], either with ! */
static fq_status
parse_type(fq_parser *parser, fq_ast_type **ptype)
{
    uint32_t start = parser->token.start;
    fq_ast_type *type;
    if (peek(parser, FQ_TOKEN_BRACKET_L)) {
        type = NODE_NEW(parser, FQ_AST_LIST_TYPE, fq_ast_type);
        if (type == NULL)
            return FQ_ERR_NOMEM;
        TRY(advance(parser));
        TRY(enter_nesting(parser));
        TRY(parse_type(parser, &type->of));
        leave_nesting(parser);
        TRY(expect(parser, FQ_TOKEN_BRACKET_R));
        node_end(parser, &type->node);
    } else {
        TRY(parse_named_type(parser, &type));
    }
    bool is_non_null;
    TRY(expect_optional(parser, FQ_TOKEN_BANG, &is_non_null));
    if (is_non_null) {
        fq_ast_type *of = type;
        type = NODE_NEW(parser, FQ_AST_NON_NULL_TYPE, fq_ast_type);
        if (type == NULL)
            return FQ_ERR_NOMEM;
        type->of = of;
        type->node.start = start;
        node_end(parser, &type->node);
    }
    *ptype = type;
    return FQ_OK;
}

static bool
peek_description(const fq_parser *parser)
{
    return peek(parser, FQ_TOKEN_STRING)
           || peek(parser, FQ_TOKEN_BLOCK_STRING);
}

/* *pvalue is NULL when there is none. */
static fq_status
parse_description(fq_parser *parser, fq_ast_value **pvalue)
{
    *pvalue = NULL;
    if (!peek_description(parser))
        return FQ_OK;
    return parse_scalar(parser, FQ_AST_STRING, pvalue);
}

/* VariableDefinition: Description? Variable : Type DefaultValue? Directives? */
static fq_status
parse_variable_definition(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_variable_definition *definition = NODE_NEW(
        parser, FQ_AST_VARIABLE_DEFINITION, fq_ast_variable_definition);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    TRY(parse_description(parser, &definition->description));
    TRY(parse_variable(parser, &definition->variable));
    TRY(expect(parser, FQ_TOKEN_COLON));
    TRY(parse_type(parser, &definition->type));
    bool has_default;
    TRY(expect_optional(parser, FQ_TOKEN_EQUALS, &has_default));
    if (has_default)
        TRY(parse_value(parser, true, &definition->default_value));
    TRY(parse_directives(parser, true, &definition->directives));
    node_end(parser, &definition->node);
    parser->document->n_definitions++;
    *pnode = &definition->node;
    return FQ_OK;
}

static fq_status
parse_variable_definitions(fq_parser *parser, fq_ast_list *list)
{
    fq_list_writer writer = list_start(list);
    bool has;
    TRY(expect_optional(parser, FQ_TOKEN_PAREN_L, &has));
    while (has) {
        fq_ast_node *definition;
        TRY(parse_variable_definition(parser, &definition));
        list_append(&writer, definition);
        bool at_end;
        TRY(expect_optional(parser, FQ_TOKEN_PAREN_R, &at_end));
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
    TRY(parse_name(parser, &field->name));
    bool has_alias;
    TRY(expect_optional(parser, FQ_TOKEN_COLON, &has_alias));
    if (has_alias) {
        size_t max = parser->limits->max_aliases;
        if (++parser->n_aliases > max && max > 0)
            return fail_limit(parser, field->node.start,
                              "Document contains more than %zu aliases.", max);
        field->alias = field->name;
        TRY(parse_name(parser, &field->name));
    }
    TRY(parse_arguments(parser, false, &field->arguments));
    TRY(parse_directives(parser, false, &field->directives));
    *parser->fields_tail = field;
    parser->fields_tail = &field->next_field;
    parser->document->n_fields++;
    if (peek(parser, FQ_TOKEN_BRACE_L))
        TRY(parse_selection_set(parser, &field->selection_set));
    node_end(parser, &field->node);
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
    TRY(parse_name(parser, &spread->name));
    TRY(parse_directives(parser, false, &spread->directives));
    *parser->spreads_tail = spread;
    parser->spreads_tail = &spread->next_spread;
    parser->document->n_spreads++;
    node_end(parser, &spread->node);
    *pnode = &spread->node;
    return FQ_OK;
}

/* FragmentSpread, or InlineFragment: ... TypeCondition? Directives?
 * SelectionSet */
static fq_status
parse_fragment(fq_parser *parser, fq_ast_node **pnode)
{
    uint32_t start = parser->token.start;
    TRY(expect(parser, FQ_TOKEN_SPREAD));
    bool has_condition = is_keyword(&parser->token, "on");
    if (!has_condition && peek(parser, FQ_TOKEN_NAME))
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
        TRY(advance(parser));
        TRY(parse_named_type(parser, &fragment->type_condition));
    }
    TRY(parse_directives(parser, false, &fragment->directives));
    TRY(parse_selection_set(parser, &fragment->selection_set));
    node_end(parser, &fragment->node);
    *pnode = &fragment->node;
    return FQ_OK;
}

/* SelectionSet: { Selection+ } */
static fq_status
parse_selection_set(fq_parser *parser, fq_ast_selection_set **pset)
{
    TRY(enter_nesting(parser));
    fq_ast_selection_set *set = NODE_NEW(parser, FQ_AST_SELECTION_SET,
                                         fq_ast_selection_set);
    if (set == NULL)
        return FQ_ERR_NOMEM;
    fq_list_writer writer = list_start(&set->selections);
    TRY(expect(parser, FQ_TOKEN_BRACE_L));
    bool at_end;
    do {
        fq_ast_node *selection;
        if (peek(parser, FQ_TOKEN_SPREAD))
            TRY(parse_fragment(parser, &selection));
        else
            TRY(parse_field(parser, &selection));
        list_append(&writer, selection);
        TRY(expect_optional(parser, FQ_TOKEN_BRACE_R, &at_end));
    } while (!at_end);
    node_end(parser, &set->node);
    leave_nesting(parser);
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
    if (!peek(parser, FQ_TOKEN_BRACE_L)) {
        TRY(parse_description(parser, &operation->description));
        if (is_keyword(&parser->token, "mutation"))
            operation->type = FQ_OPERATION_MUTATION;
        else if (is_keyword(&parser->token, "subscription"))
            operation->type = FQ_OPERATION_SUBSCRIPTION;
        TRY(advance(parser));
        if (peek(parser, FQ_TOKEN_NAME))
            TRY(parse_name(parser, &operation->name));
        TRY(parse_variable_definitions(parser,
                                       &operation->variable_definitions));
        TRY(parse_directives(parser, false, &operation->directives));
    }
    TRY(parse_selection_set(parser, &operation->selection_set));
    node_end(parser, &operation->node);
    operation->first_variable = *variables;
    parser->document->n_operations++;
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
    TRY(parse_description(parser, &fragment->description));
    TRY(advance(parser));
    /* As the reference, any token of that value: also the string "on". */
    if (fq_str_eq(parser->token.value, FQ_STR_LIT("on")))
        return fail_unexpected(parser, &parser->token);
    TRY(parse_name(parser, &fragment->name));
    TRY(expect_on(parser));
    TRY(parse_named_type(parser, &fragment->type_condition));
    TRY(parse_directives(parser, false, &fragment->directives));
    TRY(parse_selection_set(parser, &fragment->selection_set));
    node_end(parser, &fragment->node);
    fragment->first_variable = *variables;
    fragment->index = parser->document->n_fragments++;
    *parser->fragments_tail = fragment;
    parser->fragments_tail = &fragment->next_def;
    *pnode = &fragment->node;
    return FQ_OK;
}

static bool
is_type_system_keyword(const fq_token *token)
{
    static const char *const keywords[] = {
        "schema", "scalar", "type",  "interface",
        "union",  "enum",   "input", "directive",
    };
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
        if (is_keyword(token, keywords[i]))
            return true;
    return false;
}

/* The head of a type system definition or extension: as far as its name. */
static fq_status
parse_type_system(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_type_system *definition = NODE_NEW(parser, FQ_AST_TYPE_SYSTEM,
                                              fq_ast_type_system);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    fq_ast_value *description;
    TRY(parse_description(parser, &description));
    if (is_keyword(&parser->token, "extend")) {
        TRY(advance(parser));
        if (!is_type_system_keyword(&parser->token))
            return fail_unexpected(parser, &parser->token);
    }
    bool is_schema = is_keyword(&parser->token, "schema");
    bool is_directive = is_keyword(&parser->token, "directive");
    TRY(advance(parser));
    if (is_directive)
        TRY(expect(parser, FQ_TOKEN_AT));
    if (!is_schema)
        TRY(parse_name(parser, &definition->name));
    node_end(parser, &definition->node);
    *pnode = &definition->node;
    return FQ_OK;
}

static bool
is_operation_keyword(const fq_token *token)
{
    return is_keyword(token, "query") || is_keyword(token, "mutation")
           || is_keyword(token, "subscription");
}

/* A definition that starts with a description or, if |keyword| is the
 * current token, without. */
static fq_status
parse_definition_of(fq_parser *parser, const fq_token *keyword,
                    fq_ast_node **pnode)
{
    bool has_description = peek_description(parser);
    if (has_description && keyword->kind == FQ_TOKEN_BRACE_L)
        return fq_lexer_fail_str(
            &parser->lexer, parser->token.start,
            "Unexpected description, "
            "descriptions are not supported on shorthand queries.");
    if (is_type_system_keyword(keyword))
        return parse_type_system(parser, pnode);
    if (is_operation_keyword(keyword))
        return parse_operation(parser, pnode);
    if (is_keyword(keyword, "fragment"))
        return parse_fragment_definition(parser, pnode);
    if (has_description && keyword->kind == FQ_TOKEN_NAME)
        return fq_lexer_fail_str(
            &parser->lexer, parser->token.start,
            "Unexpected description, "
            "only GraphQL definitions support descriptions.");
    if (is_keyword(keyword, "extend"))
        return parse_type_system(parser, pnode);
    return fail_unexpected(parser, keyword);
}

static fq_status
parse_definition(fq_parser *parser, fq_ast_node **pnode)
{
    if (peek(parser, FQ_TOKEN_BRACE_L))
        return parse_operation(parser, pnode);
    fq_token keyword = parser->token;
    if (peek_description(parser)) {
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
    fq_list_writer writer = list_start(&document->definitions);
    TRY(advance(parser));
    do {
        fq_ast_node *definition;
        TRY(parse_definition(parser, &definition));
        list_append(&writer, definition);
        if (definition->kind == FQ_AST_TYPE_SYSTEM)
            break;
    } while (!peek(parser, FQ_TOKEN_EOF));
    return FQ_OK;
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
        fq_gql_error *error = fq_gql_errors_add(
            errors, "LIMIT_REACHED", "Document is larger than %zu bytes.",
            max_bytes);
        return error != NULL ? FQ_ERR_LIMIT : FQ_ERR_NOMEM;
    }
    document->source = fq_arena_copy(&document->arena, text);
    if (document->source.ptr == NULL)
        return FQ_ERR_NOMEM;
    document->node.end = (uint32_t)text.len;
    fq_lexer_init(&parser.lexer, document->source, &document->arena, errors);
    return parse_document(&parser);
}
