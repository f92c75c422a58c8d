/* SPDX-License-Identifier: MIT */
/* The grammar: what is accepted, what is refused and where, nesting and
 * limits. The errors are those graphql-core 3.3.2 gives for the same text,
 * except for empty selection sets, which it accepts. */
#include "graphql_fixture.h"

#include "graphql/parser.h"
#include "graphql/print.h"

typedef struct fq_parser_case {
    const char *text;
    const char *error; /* message and locations; NULL: it is accepted */
} fq_parser_case;

#define AT(line, column)                                                      \
    "\",\"locations\":[{\"line\":" #line ",\"column\":" #column "}]"

static fq_status
body_case(void *arg)
{
    const fq_parser_case *it = arg;
    fq_document document;
    fq_gql_errors errors;
    fq_buf expected;
    fq_gql_errors_init(&errors);
    fq_status status = fq_parse(fq_str_of(it->text), NULL, &document, &errors);
    fq_buf_init(&expected);
    if (status == FQ_OK && it->error != NULL)
        fail_msg("accepted: %s", it->text);
    if (status == FQ_ERR_SYNTAX) {
        if (it->error == NULL)
            fail_msg("refused: %s", it->text);
        fq_buf_append_format(&expected,
                             "[{\"message\":\"Syntax Error: %s,\"extensions\":"
                             "{\"code\":\"PARSE_ERROR\"}}]%c",
                             it->error, '\0');
        status = fq_buf_status(&expected);
        if (status == FQ_OK)
            status = assert_errors(&errors, expected.ptr);
    }
    fq_buf_fini(&expected);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
run(const fq_parser_case *cases, size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++)
        fq_test_body(body_case, (void *)&cases[i]);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))

static void
test_parser_accepts_the_language(void **state)
{
    (void)state;
    static const fq_parser_case cases[] = {
        {"{a}", NULL},
        {"query{a}", NULL},
        {"mutation M{a b:c}", NULL},
        {"subscription S($a:[Int!]!=[1,2]@d,$b:T={x:null,y:E})@e(f:1)"
         "{a(b:$a c:{d:[$b,true]})@skip(if:$c){...F@x ...on T@y{z}"
         "...@include(if:true){w}...{v}}}fragment F on T@q{on}",
         NULL},
        {"\"d\" query \"\"\"no\"\"\" {a}", "Expected '{', found BlockString "
                                           "'no'." AT(1, 11)},
        {"\"described\" query Q(\"v\" $v: Int){a(v:$v)}", NULL},
        {"\"\"\"described\"\"\" fragment F on T{a}", NULL},
        {"{query mutation subscription fragment on type null true}", NULL},
        {"fragment fragment on on{on:on(on:on)}", NULL},
        {"\xEF\xBB\xBF{a,,,b #c\n}", NULL},
    };
    RUN(cases);
}

static void
test_parser_refuses(void **state)
{
    (void)state;
    static const fq_parser_case cases[] = {
        {"", "Unexpected <EOF>." AT(1, 1)},
        {"{", "Expected Name, found <EOF>." AT(1, 2)},
        {"{}", "Expected Name, found '}'." AT(1, 2)},
        {"{a{}}", "Expected Name, found '}'." AT(1, 4)},
        {"{a", "Expected Name, found <EOF>." AT(1, 3)},
        {"{a(}", "Expected Name, found '}'." AT(1, 4)},
        {"{a()}", "Expected Name, found ')'." AT(1, 4)},
        {"{a(b)}", "Expected ':', found ')'." AT(1, 5)},
        {"{a(b:)}", "Unexpected ')'." AT(1, 6)},
        {"{a:}", "Expected Name, found '}'." AT(1, 4)},
        {"{a(b:[1)}", "Unexpected ')'." AT(1, 8)},
        {"{a(b:{c 1})}", "Expected ':', found Int '1'." AT(1, 9)},
        {"{...on}", "Expected Name, found '}'." AT(1, 7)},
        {"{... 1}", "Expected '{', found Int '1'." AT(1, 6)},
        {"a", "Unexpected Name 'a'." AT(1, 1)},
        {"{a} \"x\"", "Unexpected <EOF>." AT(1, 8)},
        {"query(", "Expected '$', found <EOF>." AT(1, 7)},
        {"query()", "Expected '$', found ')'." AT(1, 7)},
        {"query($a){b}", "Expected ':', found ')'." AT(1, 9)},
        {"query($a:[Int){b}", "Expected ']', found ')'." AT(1, 14)},
        {"query($a:Int=$b){c}",
         "Unexpected variable '$b' in constant value." AT(1, 14)},
        {"query($a:Int=[$]){c}", "Unexpected '$'." AT(1, 15)},
        {"query($a:Int@d(e:$f)){c}",
         "Unexpected variable '$f' in constant value." AT(1, 18)},
        {"fragment on on T{a}", "Unexpected Name 'on'." AT(1, 10)},
        {"fragment F T{a}", "Expected 'on', found Name 'T'." AT(1, 12)},
        {"fragment F($a:Int) on T{a}", "Expected 'on', found '('." AT(1, 11)},
        {"\"d\" {a}", "Unexpected description, descriptions are not supported "
                      "on shorthand queries." AT(1, 1)},
        {"\"d\" foo", "Unexpected description, only GraphQL definitions "
                      "support descriptions." AT(1, 1)},
        {"{a @}", "Expected Name, found '}'." AT(1, 5)},
        {"{a\r\n  b(c: \"\n\")}", "Unterminated string." AT(2, 9)},
        {"{a(b: \"x\" \"y\")}", "Expected Name, found String 'y'." AT(1, 11)},
    };
    RUN(cases);
}

/* |depth| times |open|, then |middle| and as many |close|. */
static fq_status
parse_nested(const char *head, const char *open, int depth, const char *middle,
             const char *close, const char *tail, fq_status expected)
{
    fq_buf text, rest;
    fq_gql_errors errors;
    fq_document document;
    fq_gql_errors_init(&errors);
    fq_status status = repeat(&text, head, open, depth, middle);
    fq_status rest_status = repeat(&rest, "", close, depth, tail);
    fq_buf_append_str(&text, fq_buf_str(&rest));
    if (status == FQ_OK)
        status = rest_status != FQ_OK ? rest_status : fq_buf_status(&text);
    if (status == FQ_OK) {
        status = fq_parse(fq_buf_str(&text), NULL, &document, &errors);
        if (status != FQ_ERR_NOMEM)
            assert_int_equal(status, expected);
        if (status == FQ_ERR_SYNTAX) {
            fq_test_assert_str(errors.head->message,
                               "Syntax Error: Document is nested too deeply. "
                               "Parsing aborted.");
            status = FQ_OK;
        }
        fq_document_fini(&document);
    }
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&text);
    fq_buf_fini(&rest);
    return status;
}

static fq_status
body_nesting(void *arg)
{
    (void)arg;
    static const struct {
        const char *head, *open, *middle, *close, *tail;
        int n_more; /* open braces in head */
    } cases[] = {
        {"", "{a", "", "}", "", 0},
        {"{...F} fragment F on T", "{a", "", "}", "", 0},
        {"{", "...{", "a", "}", "}", 1},
        {"{a(b:", "[", "", "]", ")}", 1},
        {"{a(b:", "{c:", "1", "}", ")}", 1},
        {"query($a:", "[", "T", "]", "){b}", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int max = FQ_GRAPHQL_NESTING_MAX - cases[i].n_more;
        TRY(parse_nested(cases[i].head, cases[i].open, max, cases[i].middle,
                         cases[i].close, cases[i].tail, FQ_OK));
        TRY(parse_nested(cases[i].head, cases[i].open, max + 1,
                         cases[i].middle, cases[i].close, cases[i].tail,
                         FQ_ERR_SYNTAX));
        TRY(parse_nested(cases[i].head, cases[i].open, 20000, "", "", "",
                         FQ_ERR_SYNTAX));
    }
    return FQ_OK;
}

static void
test_parser_bounds_nesting(void **state)
{
    (void)state;
    fq_test_body(body_nesting, NULL);
}

typedef struct fq_limit_case {
    const char *text;
    fq_document_limits limits;
    const char *error; /* NULL: within the limits */
} fq_limit_case;

static fq_status
body_limit(void *arg)
{
    const fq_limit_case *it = arg;
    fq_document document;
    fq_gql_errors errors;
    fq_buf expected;
    fq_gql_errors_init(&errors);
    fq_buf_init(&expected);
    fq_status status = fq_parse(fq_str_of(it->text), &it->limits, &document,
                                &errors);
    if (status == FQ_OK)
        assert_null(it->error);
    if (status == FQ_ERR_LIMIT) {
        assert_non_null(it->error);
        fq_buf_append_format(&expected,
                             "[{\"message\":\"%s,\"extensions\":{\"code\":"
                             "\"LIMIT_REACHED\"}}]%c",
                             it->error, '\0');
        status = fq_buf_status(&expected);
        if (status == FQ_OK)
            status = assert_errors(&errors, expected.ptr);
    }
    fq_buf_fini(&expected);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_parser_keeps_limits(void **state)
{
    (void)state;
    static const fq_limit_case cases[] = {
        {"{a}", {.max_bytes = 3}, NULL},
        {"{a} ", {.max_bytes = 3}, "Document is larger than 3 bytes.\""},
        {"{a}#{a}", {.max_tokens = 3}, NULL},
        {"{a b}",
         {.max_tokens = 3},
         "Document contains more than 3 tokens." AT(1, 5)},
        {"{a:b c}", {.max_aliases = 1}, NULL},
        {"{a:b\nc:d}",
         {.max_aliases = 1},
         "Document contains more than 1 aliases." AT(2, 1)},
        {"{a@x@y b@x@y}", {.max_directives = 2}, NULL},
        {"{a@x@y@z}",
         {.max_directives = 2},
         "A node has more than 2 directives." AT(1, 7)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_limit, (void *)&cases[i]);
}

/* Nodes know where they stand and what they are. */
static fq_status
body_tree(void *arg)
{
    (void)arg;
    fq_document document;
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = fq_parse(
        FQ_STR_LIT(" query Q($v: [Int!]! = [1]) { key: name(a: {b: [$v, \"c\","
                   " E, null, 1.5]}) ...F }\nfragment F on T { name }"),
        NULL, &document, &errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, &errors);
    if (status != FQ_OK)
        goto out;
    const fq_ast_operation *operation = (const fq_ast_operation *)
                                            document.definitions.first;
    assert_int_equal(operation->type, FQ_OPERATION_QUERY);
    assert_int_equal(operation->node.start, 1);
    fq_test_assert_str(operation->name, "Q");
    assert_int_equal(document.n_operations, 1);
    assert_int_equal(document.n_fragments, 1);
    assert_int_equal(document.n_fields, 2);
    assert_int_equal(document.n_variables, 1);
    const fq_ast_variable_definition *variable
        = (const fq_ast_variable_definition *)
              operation->variable_definitions.first;
    fq_print_type(&buf, variable->type);
    fq_buf_append_char(&buf, ' ');
    const fq_ast_field *field = (const fq_ast_field *)
                                    operation->selection_set->selections.first;
    fq_test_assert_str(field->name, "name");
    fq_test_assert_str(fq_ast_field_key(field), "key");
    assert_int_equal(fq_document_offset(&document, field->name), 35);
    fq_print_value(&buf, ((fq_ast_argument *)field->arguments.first)->value);
    status = fq_buf_status(&buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf),
                           "[Int!]! { b: [null, \"c\", E, null, 1.5] }");
    const fq_ast_spread *spread = (const fq_ast_spread *)field->node.next;
    assert_ptr_equal(spread->fragment, document.fragments);
    const fq_ast_field *inner = (const fq_ast_field *)document.fragments
                                    ->selection_set->selections.first;
    assert_int_equal(inner->key_id, field->name_id);
    assert_int_not_equal(field->key_id, field->name_id);
out:
    fq_buf_fini(&buf);
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_parser_makes_a_tree(void **state)
{
    (void)state;
    fq_test_body(body_tree, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_parser_accepts_the_language),
        FQ_TEST(test_parser_refuses),
        FQ_TEST(test_parser_bounds_nesting),
        FQ_TEST(test_parser_keeps_limits),
        FQ_TEST(test_parser_makes_a_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
