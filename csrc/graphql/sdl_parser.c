/* SPDX-License-Identifier: MIT */
/* One function per production, as in parser.c. A definition and its extension
 * differ by a description and by what may be left out, so a table says what
 * follows the name of each kind. One thread at a time. */
#include "graphql/sdl_parser.h"

#include "base/check.h"
#include "graphql/location.h"

/* Reads one item of a list. */
typedef fq_status (*fq_item_parser)(fq_parser *parser, fq_ast_node **pnode);

/* FQ_AST_NAMED_TYPE */
static fq_status
parse_type_name(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_type *type;
    TRY(fq_parser_named_type(parser, &type));
    *pnode = &type->node;
    return FQ_OK;
}

/* InputValueDefinition: Description? Name : Type DefaultValue? Directives? */
static fq_status
parse_input_value(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_input_definition *definition = NODE_NEW(
        parser, FQ_AST_INPUT_DEFINITION, fq_ast_input_definition);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_description(parser, &definition->description));
    TRY(fq_parser_name(parser, &definition->name));
    TRY(fq_parser_typed(parser, &definition->type, &definition->default_value,
                        &definition->directives));
    fq_parser_end(parser, &definition->node);
    *pnode = &definition->node;
    return FQ_OK;
}

/* The items between |open| and |close|, at least one; nothing at all when
 * there is no |open|. */
static fq_status
parse_optional_many(fq_parser *parser, fq_token_kind open,
                    fq_item_parser parse_item, fq_token_kind close,
                    fq_ast_list *list)
{
    fq_list_writer writer = fq_list_start(list);
    bool has;
    TRY(fq_parser_accept(parser, open, &has));
    while (has) {
        fq_ast_node *item = NULL;
        TRY(parse_item(parser, &item));
        fq_list_append(&writer, item);
        bool at_end;
        TRY(fq_parser_accept(parser, close, &at_end));
        has = !at_end;
    }
    return FQ_OK;
}

/* The items with |delimiter| between them and, if one likes, before. */
static fq_status
parse_delimited(fq_parser *parser, fq_token_kind delimiter,
                fq_item_parser parse_item, fq_ast_list *list)
{
    fq_list_writer writer = fq_list_start(list);
    bool has;
    TRY(fq_parser_accept(parser, delimiter, &has));
    do {
        fq_ast_node *item = NULL;
        TRY(parse_item(parser, &item));
        fq_list_append(&writer, item);
        TRY(fq_parser_accept(parser, delimiter, &has));
    } while (has);
    return FQ_OK;
}

/* ArgumentsDefinition: ( InputValueDefinition+ ) */
static fq_status
parse_arguments_definition(fq_parser *parser, fq_ast_list *list)
{
    return parse_optional_many(parser, FQ_TOKEN_PAREN_L, parse_input_value,
                               FQ_TOKEN_PAREN_R, list);
}

/* FieldDefinition: Description? Name ArgumentsDefinition? : Type Directives?
 */
static fq_status
parse_field_definition(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_field_definition *definition = NODE_NEW(
        parser, FQ_AST_FIELD_DEFINITION, fq_ast_field_definition);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_description(parser, &definition->description));
    TRY(fq_parser_name(parser, &definition->name));
    TRY(parse_arguments_definition(parser, &definition->arguments));
    TRY(fq_parser_expect(parser, FQ_TOKEN_COLON));
    TRY(fq_parser_type(parser, &definition->type));
    TRY(fq_parser_directives(parser, true, &definition->directives));
    fq_parser_end(parser, &definition->node);
    *pnode = &definition->node;
    return FQ_OK;
}

/* EnumValue: Name but not true, false or null. As the reference, any token of
 * that value. */
static fq_status
parse_enum_value_name(fq_parser *parser, fq_str *pname)
{
    fq_str value = parser->token.value;
    if (!fq_str_eq(value, FQ_STR_LIT("true"))
        && !fq_str_eq(value, FQ_STR_LIT("false"))
        && !fq_str_eq(value, FQ_STR_LIT("null")))
        return fq_parser_name(parser, pname);
    fq_buf message;
    fq_buf_init(&message);
    fq_token_describe(&parser->token, &message);
    fq_buf_append_str(&message, FQ_STR_LIT(" is reserved and cannot be used "
                                           "for an enum value."));
    return fq_lexer_fail(&parser->lexer, parser->token.start, &message);
}

/* EnumValueDefinition: Description? EnumValue Directives? */
static fq_status
parse_enum_value(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_enum_definition *definition = NODE_NEW(
        parser, FQ_AST_ENUM_DEFINITION, fq_ast_enum_definition);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_description(parser, &definition->description));
    TRY(parse_enum_value_name(parser, &definition->name));
    TRY(fq_parser_directives(parser, true, &definition->directives));
    fq_parser_end(parser, &definition->node);
    *pnode = &definition->node;
    return FQ_OK;
}

/* RootOperationTypeDefinition: OperationType : NamedType */
static fq_status
parse_root(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_root_definition *definition = NODE_NEW(
        parser, FQ_AST_ROOT_DEFINITION, fq_ast_root_definition);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    fq_token keyword = parser->token;
    TRY(fq_parser_expect(parser, FQ_TOKEN_NAME));
    if (fq_token_is_keyword(&keyword, "query"))
        definition->operation = FQ_OPERATION_QUERY;
    else if (fq_token_is_keyword(&keyword, "mutation"))
        definition->operation = FQ_OPERATION_MUTATION;
    else if (fq_token_is_keyword(&keyword, "subscription"))
        definition->operation = FQ_OPERATION_SUBSCRIPTION;
    else
        return fq_parser_fail_unexpected(parser, &keyword);
    TRY(fq_parser_expect(parser, FQ_TOKEN_COLON));
    TRY(fq_parser_named_type(parser, &definition->type));
    fq_parser_end(parser, &definition->node);
    *pnode = &definition->node;
    return FQ_OK;
}

/* DirectiveLocation: a name out of fq_location. */
static fq_status
parse_location(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_location *location = NODE_NEW(parser, FQ_AST_LOCATION,
                                         fq_ast_location);
    if (location == NULL)
        return FQ_ERR_NOMEM;
    fq_token start = parser->token;
    TRY(fq_parser_name(parser, &location->name));
    if (!fq_location_find(location->name, &location->location))
        return fq_parser_fail_unexpected(parser, &start);
    *pnode = &location->node;
    return FQ_OK;
}

/* Members in braces, at least one: FieldsDefinition, EnumValuesDefinition,
 * InputFieldsDefinition, the roots of a schema. */
static fq_status
parse_members(fq_parser *parser, fq_item_parser parse_member,
              fq_ast_list *list)
{
    return parse_optional_many(parser, FQ_TOKEN_BRACE_L, parse_member,
                               FQ_TOKEN_BRACE_R, list);
}

/* ImplementsInterfaces: implements &? NamedType, more with & between */
static fq_status
parse_interfaces(fq_parser *parser, fq_ast_type_system *definition)
{
    bool has;
    TRY(fq_parser_accept_keyword(parser, "implements", &has));
    if (!has)
        return FQ_OK;
    return parse_delimited(parser, FQ_TOKEN_AMP, parse_type_name,
                           &definition->interfaces);
}

/* What follows the name of a type. */
static fq_status
parse_type_body(fq_parser *parser, fq_ast_type_system *definition)
{
    if (definition->what == FQ_DEFINITION_OBJECT
        || definition->what == FQ_DEFINITION_INTERFACE)
        TRY(parse_interfaces(parser, definition));
    TRY(fq_parser_directives(parser, true, &definition->directives));
    bool has;
    switch (definition->what) {
    case FQ_DEFINITION_OBJECT:
    case FQ_DEFINITION_INTERFACE:
        return parse_members(parser, parse_field_definition,
                             &definition->members);
    case FQ_DEFINITION_ENUM:
        return parse_members(parser, parse_enum_value, &definition->members);
    case FQ_DEFINITION_INPUT_OBJECT:
        return parse_members(parser, parse_input_value, &definition->members);
    case FQ_DEFINITION_UNION:
        TRY(fq_parser_accept(parser, FQ_TOKEN_EQUALS, &has));
        if (!has)
            return FQ_OK;
        return parse_delimited(parser, FQ_TOKEN_PIPE, parse_type_name,
                               &definition->members);
    default:
        return FQ_OK;
    }
}

/* SchemaDefinition after its keyword: Directives? { Root+ }, the braces may
 * be left out in an extension. */
static fq_status
parse_schema_body(fq_parser *parser, fq_ast_type_system *definition)
{
    TRY(fq_parser_directives(parser, true, &definition->directives));
    if (!definition->is_extension && !fq_parser_peek(parser, FQ_TOKEN_BRACE_L))
        return fq_parser_expect(parser, FQ_TOKEN_BRACE_L);
    return parse_members(parser, parse_root, &definition->members);
}

/* DirectiveDefinition after its name: ArgumentsDefinition? Directives?
 * repeatable? on DirectiveLocations; in an extension Directives alone. */
static fq_status
parse_directive_body(fq_parser *parser, fq_ast_type_system *definition)
{
    if (definition->is_extension)
        return fq_parser_directives(parser, true, &definition->directives);
    TRY(parse_arguments_definition(parser, &definition->arguments));
    TRY(fq_parser_directives(parser, true, &definition->directives));
    TRY(fq_parser_accept_keyword(parser, "repeatable",
                                 &definition->is_repeatable));
    TRY(fq_parser_expect_keyword(parser, "on"));
    return parse_delimited(parser, FQ_TOKEN_PIPE, parse_location,
                           &definition->members);
}

static const char *const keywords[] = {
    [FQ_DEFINITION_SCHEMA] = "schema",
    [FQ_DEFINITION_SCALAR] = "scalar",
    [FQ_DEFINITION_OBJECT] = "type",
    [FQ_DEFINITION_INTERFACE] = "interface",
    [FQ_DEFINITION_UNION] = "union",
    [FQ_DEFINITION_ENUM] = "enum",
    [FQ_DEFINITION_INPUT_OBJECT] = "input",
    [FQ_DEFINITION_DIRECTIVE] = "directive",
};

#define N_KEYWORDS (sizeof(keywords) / sizeof(keywords[0]))

/* The kind of definition |keyword| starts; N_KEYWORDS: none. */
static size_t
find_keyword(const fq_token *keyword)
{
    size_t i = 0;
    while (i < N_KEYWORDS && !fq_token_is_keyword(keyword, keywords[i]))
        i++;
    return i;
}

bool
fq_sdl_parser_knows(const fq_token *keyword)
{
    return find_keyword(keyword) < N_KEYWORDS;
}

/* A definition or extension from its keyword on. */
static fq_status
parse_from_keyword(fq_parser *parser, fq_ast_type_system *definition)
{
    size_t what = find_keyword(&parser->token);
    FQ_CHECK(what < N_KEYWORDS);
    definition->what = (fq_definition_kind)what;
    TRY(fq_parser_advance(parser));
    if (definition->what == FQ_DEFINITION_SCHEMA) {
        TRY(parse_schema_body(parser, definition));
    } else if (definition->what == FQ_DEFINITION_DIRECTIVE) {
        TRY(fq_parser_expect(parser, FQ_TOKEN_AT));
        TRY(fq_parser_name(parser, &definition->name));
        TRY(parse_directive_body(parser, definition));
    } else {
        TRY(fq_parser_name(parser, &definition->name));
        TRY(parse_type_body(parser, definition));
    }
    fq_parser_end(parser, &definition->node);
    return FQ_OK;
}

fq_status
fq_sdl_parser_definition(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_type_system *definition = NODE_NEW(parser, FQ_AST_TYPE_SYSTEM,
                                              fq_ast_type_system);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    TRY(fq_parser_description(parser, &definition->description));
    TRY(parse_from_keyword(parser, definition));
    *pnode = &definition->node;
    return FQ_OK;
}

fq_status
fq_sdl_parser_extension(fq_parser *parser, fq_ast_node **pnode)
{
    fq_ast_type_system *definition = NODE_NEW(parser, FQ_AST_TYPE_SYSTEM,
                                              fq_ast_type_system);
    if (definition == NULL)
        return FQ_ERR_NOMEM;
    definition->is_extension = true;
    TRY(fq_parser_expect_keyword(parser, "extend"));
    if (!fq_sdl_parser_knows(&parser->token))
        return fq_parser_fail_unexpected(parser, &parser->token);
    TRY(parse_from_keyword(parser, definition));
    /* An extension must extend something. */
    if (definition->interfaces.n_items == 0
        && definition->directives.n_items == 0
        && definition->members.n_items == 0)
        return fq_parser_fail_unexpected(parser, &parser->token);
    *pnode = &definition->node;
    return FQ_OK;
}
