/* SPDX-License-Identifier: MIT */
/* The type system half of the grammar: what is a syntax error and where, and
 * which tree comes out. */
#include "graphql/sdl_parser.h"

#include "graphql/parser.h"

#include "sdl_cases.h"

static const fq_sdl_case cases[] = {
    {
        "any_order",
        "type A { a: Int } { a } \"d\" scalar B fragment F on A { a } extend "
        "type A @d query { a }",
        "",
    },
    {
        "empty",
        "",
        "Syntax Error: Unexpected <EOF>. (1:1)\n",
    },
    {
        "no_keyword",
        "foo",
        "Syntax Error: Unexpected Name 'foo'. (1:1)\n",
    },
    {
        "description_before_extend",
        "\"d\" extend type A @d",
        "Syntax Error: Unexpected description, only GraphQL definitions "
        "support descriptions. (1:1)\n",
    },
    {
        "description_before_name",
        "\"d\" foo",
        "Syntax Error: Unexpected description, only GraphQL definitions "
        "support descriptions. (1:1)\n",
    },
    {
        "extend_nothing",
        "extend",
        "Syntax Error: Unexpected <EOF>. (1:7)\n",
    },
    {
        "extend_word",
        "extend foo",
        "Syntax Error: Unexpected Name 'foo'. (1:8)\n",
    },
    {
        "extend_query",
        "extend query { a }",
        "Syntax Error: Unexpected Name 'query'. (1:8)\n",
    },
    {
        "type_no_name",
        "type {",
        "Syntax Error: Expected Name, found '{'. (1:6)\n",
    },
    {
        "type_no_fields_is_fine",
        "type A interface B input C enum D union E directive @f on FIELD "
        "scalar G",
        "",
    },
    {
        "type_empty_braces",
        "type A {}",
        "Syntax Error: Expected Name, found '}'. (1:9)\n",
    },
    {
        "field_no_type",
        "type A { a }",
        "Syntax Error: Expected ':', found '}'. (1:12)\n",
    },
    {
        "field_bad_type",
        "type A { a: ! }",
        "Syntax Error: Expected Name, found '!'. (1:13)\n",
    },
    {
        "field_unclosed",
        "type A { a: [Int }",
        "Syntax Error: Expected ']', found '}'. (1:18)\n",
    },
    {
        "field_unclosed_body",
        "type A { a: Int",
        "Syntax Error: Expected Name, found <EOF>. (1:16)\n",
    },
    {
        "args_empty",
        "type A { a(): Int }",
        "Syntax Error: Expected Name, found ')'. (1:12)\n",
    },
    {
        "args_no_type",
        "type A { a(b): Int }",
        "Syntax Error: Expected ':', found ')'. (1:13)\n",
    },
    {
        "default_is_variable",
        "type A { a(b: Int = $c): Int }",
        "Syntax Error: Unexpected variable '$c' in constant value. (1:21)\n",
    },
    {
        "default_is_missing",
        "type A { a(b: Int = ): Int }",
        "Syntax Error: Unexpected ')'. (1:21)\n",
    },
    {
        "directive_has_variable",
        "type A @d(a: $b)",
        "Syntax Error: Unexpected variable '$b' in constant value. (1:14)\n",
    },
    {
        "implements_amp_first",
        "type A implements & B & C",
        "",
    },
    {
        "implements_nothing",
        "type A implements { a: Int }",
        "Syntax Error: Expected Name, found '{'. (1:19)\n",
    },
    {
        "implements_comma",
        "type A implements B, C { a: Int }",
        "Syntax Error: Unexpected Name 'C'. (1:22)\n",
    },
    {
        "implements_trailing",
        "type A implements B & { a: Int }",
        "Syntax Error: Expected Name, found '{'. (1:23)\n",
    },
    {
        "interface_implements",
        "interface A implements B & C { a: Int }",
        "",
    },
    {
        "union_pipe_first",
        "union A = | B | C",
        "",
    },
    {
        "union_nothing",
        "union A =",
        "Syntax Error: Expected Name, found <EOF>. (1:10)\n",
    },
    {
        "union_two_pipes",
        "union A = || B",
        "Syntax Error: Expected Name, found '|'. (1:12)\n",
    },
    {
        "union_trailing",
        "union A = B |",
        "Syntax Error: Expected Name, found <EOF>. (1:14)\n",
    },
    {
        "enum_reserved",
        "enum A { B true }",
        "Syntax Error: Name 'true' is reserved and cannot be used for an enum "
        "value. (1:12)\n",
    },
    {
        "enum_reserved_null",
        "enum A { null }",
        "Syntax Error: Name 'null' is reserved and cannot be used for an enum "
        "value. (1:10)\n",
    },
    {
        "enum_reserved_string",
        "enum A { \"d\" \"false\" }",
        "Syntax Error: String 'false' is reserved and cannot be used for an "
        "enum value. (1:14)\n",
    },
    {
        "enum_number",
        "enum A { 1 }",
        "Syntax Error: Expected Name, found Int '1'. (1:10)\n",
    },
    {
        "input_args",
        "input A { a(b: Int): Int }",
        "Syntax Error: Expected ':', found '('. (1:12)\n",
    },
    {
        "input_field",
        "input A { \"d\" a: [Int!]! = [1] @d }",
        "",
    },
    {
        "schema",
        "\"d\" schema @d { query: A mutation: B subscription: C }",
        "",
    },
    {
        "schema_empty",
        "schema {}",
        "Syntax Error: Expected Name, found '}'. (1:9)\n",
    },
    {
        "schema_no_braces",
        "schema @d",
        "Syntax Error: Expected '{', found <EOF>. (1:10)\n",
    },
    {
        "schema_unknown_operation",
        "schema { quary: A }",
        "Syntax Error: Unexpected Name 'quary'. (1:10)\n",
    },
    {
        "schema_no_type",
        "schema { query }",
        "Syntax Error: Expected ':', found '}'. (1:16)\n",
    },
    {
        "extend_schema_nothing",
        "extend schema",
        "Syntax Error: Unexpected <EOF>. (1:14)\n",
    },
    {
        "extend_schema_directive",
        "extend schema @d",
        "",
    },
    {
        "extend_schema_empty",
        "extend schema {}",
        "Syntax Error: Expected Name, found '}'. (1:16)\n",
    },
    {
        "extend_scalar_nothing",
        "extend scalar A",
        "Syntax Error: Unexpected <EOF>. (1:16)\n",
    },
    {
        "extend_scalar_fields",
        "extend scalar A { a: Int }",
        "Syntax Error: Unexpected '{'. (1:17)\n",
    },
    {
        "extend_type_nothing",
        "extend type A",
        "Syntax Error: Unexpected <EOF>. (1:14)\n",
    },
    {
        "extend_type_interfaces",
        "extend type A implements B",
        "",
    },
    {
        "extend_interface_nothing",
        "extend interface A type B",
        "Syntax Error: Unexpected Name 'type'. (1:20)\n",
    },
    {
        "extend_union_nothing",
        "extend union A",
        "Syntax Error: Unexpected <EOF>. (1:15)\n",
    },
    {
        "extend_enum_nothing",
        "extend enum A",
        "Syntax Error: Unexpected <EOF>. (1:14)\n",
    },
    {
        "extend_input_nothing",
        "extend input A",
        "Syntax Error: Unexpected <EOF>. (1:15)\n",
    },
    {
        "extend_directive",
        "extend directive @a @b",
        "",
    },
    {
        "extend_directive_nothing",
        "extend directive @a",
        "Syntax Error: Unexpected <EOF>. (1:20)\n",
    },
    {
        "extend_directive_no_at",
        "extend directive a @b",
        "Syntax Error: Expected '@', found Name 'a'. (1:18)\n",
    },
    {
        "directive",
        "\"d\" directive @a(\"e\" b: Int = 1 @c) @d repeatable on | FIELD | "
        "QUERY",
        "",
    },
    {
        "directive_no_at",
        "directive a on FIELD",
        "Syntax Error: Expected '@', found Name 'a'. (1:11)\n",
    },
    {
        "directive_no_on",
        "directive @a FIELD",
        "Syntax Error: Expected 'on', found Name 'FIELD'. (1:14)\n",
    },
    {
        "directive_no_location",
        "directive @a on",
        "Syntax Error: Expected Name, found <EOF>. (1:16)\n",
    },
    {
        "directive_unknown_location",
        "directive @a on FIELD | FIELDS",
        "Syntax Error: Unexpected Name 'FIELDS'. (1:25)\n",
    },
    {
        "directive_all_locations",
        "directive @a on QUERY | MUTATION | SUBSCRIPTION | FIELD | "
        "FRAGMENT_DEFINITION | FRAGMENT_SPREAD | INLINE_FRAGMENT | "
        "VARIABLE_DEFINITION | FRAGMENT_VARIABLE_DEFINITION | SCHEMA | SCALAR "
        "| OBJECT | FIELD_DEFINITION | ARGUMENT_DEFINITION | INTERFACE | "
        "UNION | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION | "
        "DIRECTIVE_DEFINITION",
        "",
    },
    {
        "keywords_are_names",
        "type type { type: input implements(on: enum = true): union } enum on "
        "{ type input extend } scalar schema",
        "",
    },
    {
        "unterminated_description",
        "\"\"\"d type A",
        "Syntax Error: Unterminated string. (1:12)\n",
    },
    {
        "comment_only",
        "# nothing",
        "Syntax Error: Unexpected <EOF>. (1:10)\n",
    },
    {
        "lines",
        "type A {\n"
        "  a: Int\r\n"
        "  b:\r"
        "  c\n"
        "}\n"
        "enum",
        "Syntax Error: Expected Name, found <EOF>. (6:5)\n",
    },
    {
        "columns_are_characters",
        "\"\xc3\xa4"
        "\xe4\xb8\xad"
        "\xf0\x9f\x98\x80"
        "\" type A { a",
        "Syntax Error: Expected ':', found <EOF>. (1:17)\n",
    },
};

static fq_status
parse(fq_str sdl, fq_gql_errors *errors)
{
    fq_document document;
    fq_status status = fq_parse(sdl, NULL, &document, errors);
    fq_document_fini(&document);
    return status;
}

static void
test_sdl_parser_reports_as_the_reference(void **state)
{
    (void)state;
    FQ_TEST_SDL_CASES(cases, parse);
}

static const fq_ast_type_system *
definition_at(const fq_document *document, size_t i)
{
    const fq_ast_node *node = document->definitions.first;
    while (i-- > 0)
        node = node->next;
    assert_int_equal(node->kind, FQ_AST_TYPE_SYSTEM);
    return (const fq_ast_type_system *)node;
}

/* The text of |node| in the source. */
static fq_str
text_of(const fq_document *document, const fq_ast_node *node)
{
    return fq_str_make(document->source.ptr + node->start,
                       node->end - node->start);
}

static void
check_object(const fq_document *document)
{
    const fq_ast_type_system *object = definition_at(document, 0);
    assert_int_equal(object->what, FQ_DEFINITION_OBJECT);
    assert_false(object->is_extension);
    fq_test_assert_str(object->name, "A");
    fq_test_assert_str(object->description->text, "an A\nof two lines");
    assert_true(object->description->is_block);
    assert_int_equal(object->interfaces.n_items, 2);
    assert_int_equal(object->directives.n_items, 1);
    assert_int_equal(object->members.n_items, 2);
    const fq_ast_field_definition *field = (const fq_ast_field_definition *)
                                               object->members.first;
    fq_test_assert_str(text_of(document, &field->node),
                       "\"d\" a(b: [Int!]! = [1] @x): A! @y");
    fq_test_assert_str(field->name, "a");
    fq_test_assert_str(field->description->text, "d");
    assert_int_equal(field->type->node.kind, FQ_AST_NON_NULL_TYPE);
    assert_int_equal(field->directives.n_items, 1);
    assert_int_equal(field->arguments.n_items, 1);
    const fq_ast_input_definition *argument = (const fq_ast_input_definition *)
                                                  field->arguments.first;
    fq_test_assert_str(text_of(document, &argument->node),
                       "b: [Int!]! = [1] @x");
    assert_int_equal(argument->default_value->node.kind, FQ_AST_LIST);
    assert_int_equal(argument->directives.n_items, 1);
}

static void
test_sdl_parser_builds_the_tree(void **state)
{
    (void)state;
    static const char sdl[]
        = "\"\"\"\n  an A\n  of two lines\n\"\"\" type A implements & B & C "
          "@z "
          "{ \"d\" a(b: [Int!]! = [1] @x): A! @y c: Int }\n"
          "extend union U = A | B\n"
          "directive @d(a: Int) @e repeatable on FIELD | ENUM_VALUE\n"
          "extend schema { mutation: M }\n"
          "enum E { \"v\" V @f W }";
    fq_gql_errors errors;
    fq_document document;
    fq_gql_errors_init(&errors);
    assert_int_equal(fq_parse(fq_str_of(sdl), NULL, &document, &errors),
                     FQ_OK);
    assert_int_equal(document.definitions.n_items, 5);
    check_object(&document);
    const fq_ast_type_system *extension = definition_at(&document, 1);
    assert_int_equal(extension->what, FQ_DEFINITION_UNION);
    assert_true(extension->is_extension);
    assert_int_equal(extension->members.n_items, 2);
    assert_int_equal(extension->members.first->kind, FQ_AST_NAMED_TYPE);
    const fq_ast_type_system *directive = definition_at(&document, 2);
    assert_int_equal(directive->what, FQ_DEFINITION_DIRECTIVE);
    assert_true(directive->is_repeatable);
    assert_int_equal(directive->arguments.n_items, 1);
    assert_int_equal(directive->directives.n_items, 1);
    assert_int_equal(directive->members.n_items, 2);
    const fq_ast_node *last = directive->members.first->next;
    assert_int_equal(((const fq_ast_location *)last)->location,
                     FQ_LOCATION_ENUM_VALUE);
    const fq_ast_type_system *schema = definition_at(&document, 3);
    assert_int_equal(schema->what, FQ_DEFINITION_SCHEMA);
    assert_null(schema->name.ptr);
    const fq_ast_root_definition *root = (const fq_ast_root_definition *)
                                             schema->members.first;
    assert_int_equal(root->operation, FQ_OPERATION_MUTATION);
    fq_test_assert_str(root->type->name, "M");
    const fq_ast_type_system *enumeration = definition_at(&document, 4);
    const fq_ast_enum_definition *value = (const fq_ast_enum_definition *)
                                              enumeration->members.first;
    fq_test_assert_str(text_of(&document, &value->node), "\"v\" V @f");
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
}

static void
test_sdl_parser_knows_the_names_of_locations(void **state)
{
    (void)state;
    fq_location location;
    for (size_t i = 0; i < FQ_LOCATION_N_KINDS; i++) {
        assert_true(
            fq_location_find(fq_location_str((fq_location)i), &location));
        assert_int_equal(location, i);
    }
    assert_false(fq_location_find(FQ_STR_LIT("FIELDS"), &location));
    fq_test_assert_str(fq_location_phrase(FQ_LOCATION_INPUT_FIELD_DEFINITION),
                       "input field definition");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_sdl_parser_reports_as_the_reference),
        FQ_TEST(test_sdl_parser_builds_the_tree),
        FQ_TEST(test_sdl_parser_knows_the_names_of_locations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
