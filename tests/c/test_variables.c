/* SPDX-License-Identifier: MIT */
/* Coercion of variables and folding of arguments, through fq_plan_bind. The
 * errors are those of graphql-core 3.3.2 for the built-in scalars. */
#include "graphql_fixture.h"

typedef struct fq_variables_case {
    const char *definitions; /* of a subscription, with its parentheses */
    const char *arguments;   /* of its root field, likewise */
    const char *input;       /* JSON; NULL: no variables */
    const char *variables;   /* coerced; NULL: refused */
    const char *folded;      /* the arguments, or else the errors */
} fq_variables_case;

static fq_status
body_case(void *arg)
{
    const fq_variables_case *it = arg;
    fq_plan *plan = NULL;
    yyjson_doc *doc = NULL;
    fq_binding binding = {NULL, NULL, NULL};
    fq_gql_errors errors;
    fq_buf text;
    fq_gql_errors_init(&errors);
    fq_buf_init(&text);
    fq_buf_append_format(&text, "subscription%s{a%s{b}}", it->definitions,
                         it->arguments);
    fq_status status = fq_buf_status(&text);
    if (status == FQ_OK)
        status = compile_plan(fq_buf_str(&text), no_name(), false, NULL, &plan,
                              &errors);
    if (status == FQ_OK && it->input != NULL)
        status = fq_json_read(fq_str_of(it->input), FQ_JSON_LONE_SURROGATES,
                              &doc, NULL);
    if (status != FQ_OK) {
        assert_int_equal(status, FQ_ERR_NOMEM);
        goto out;
    }
    status = fq_plan_bind(plan, yyjson_doc_get_root(doc), NULL, &binding,
                          &errors);
    if (status == FQ_OK) {
        if (it->variables == NULL)
            fail_msg("accepted: %s %s", it->definitions, it->input);
        fq_test_assert_str(fq_rcbuf_str(binding.variables), it->variables);
        fq_test_assert_str(fq_rcbuf_str(binding.args), it->folded);
    } else {
        assert_null(binding.variant);
        assert_null(binding.variables);
        assert_null(binding.args);
    }
    if (status == FQ_ERR_INVALID) {
        if (it->variables != NULL)
            fail_msg("refused: %s %s", it->definitions, it->input);
        status = assert_errors(&errors, it->folded);
    }
out:
    fq_binding_fini(&binding);
    fq_plan_unref(plan);
    fq_json_free(doc);
    fq_buf_fini(&text);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
run(const fq_variables_case *cases, size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++)
        fq_test_body(body_case, (void *)&cases[i]);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))

#define X(type) "($x:" type ")", "(x:$x)"
#define INPUT(json) "{\"x\":" json "}"
#define BAD(text)                                                             \
    NULL, "[{\"message\":\"Variable '$x' has invalid value" text              \
          "\",\"locations\":[{\"line\":1,\"column\":14}]}]"

static void
test_variables_coerce_scalars(void **state)
{
    (void)state;
    static const fq_variables_case cases[] = {
        {"", "", NULL, "{}", "{}"},
        {"", "", "{\"x\":1}", "{}", "{}"},
        {X("Int"), NULL, "{}", "{}"},
        {X("Int"), "[]", "{}", "{}"},
        {X("Int"), INPUT("null"), INPUT("null"), INPUT("null")},
        {X("Int"), INPUT("7"), INPUT("7"), INPUT("7")},
        {X("Int!"), INPUT("-2147483648"), INPUT("-2147483648"),
         INPUT("-2147483648")},
        {X("Int"), INPUT("3.0"), INPUT("3"), INPUT("3")},
        {X("Int"), "{\"x\":1,\"x\":2}", INPUT("2"), INPUT("2")},
        {X("Int"), INPUT("1.5"),
         BAD(": Int cannot represent non-integer value: 1.5")},
        {X("Int"), INPUT("\"1\""),
         BAD(": Int cannot represent non-integer value: '1'")},
        {X("Int"), INPUT("true"),
         BAD(": Int cannot represent non-integer value: True")},
        {X("Int"), INPUT("2147483648"),
         BAD(": Int cannot represent non 32-bit signed integer value: "
             "2147483648")},
        {X("Int"), INPUT("123456789012345678901234567890"),
         BAD(": Int cannot represent non 32-bit signed integer value: "
             "123456789012345678901234567890")},
        {X("Int"), INPUT("[]"),
         BAD(": Int cannot represent non-integer value: []")},
        {X("Float"), INPUT("1"), INPUT("1.0"), INPUT("1.0")},
        {X("Float"), INPUT("-0.5"), INPUT("-0.5"), INPUT("-0.5")},
        {X("Float"), INPUT("18446744073709551616"),
         INPUT("18446744073709552000.0"), INPUT("18446744073709552000.0")},
        {X("Float"), INPUT("9007199254740993"),
         BAD(": Float cannot represent non numeric value: 9007199254740993 "
             "(value would lose precision)")},
        {X("Float"), INPUT("\"1\""),
         BAD(": Float cannot represent non numeric value: '1'")},
        {X("String"), INPUT("\"\\u00e9\\n\\ud83d\\ude00\""),
         INPUT("\"\xC3\xA9\\n\xF0\x9F\x98\x80\""),
         INPUT("\"\xC3\xA9\\n\xF0\x9F\x98\x80\"")},
        {X("String"), INPUT("\"\\ud800\""), INPUT("\"\\ud800\""),
         INPUT("\"\\ud800\"")},
        {X("String"), INPUT("1"),
         BAD(": String cannot represent a non string value: 1")},
        {X("String"), INPUT("{\"a\":[1,{\"b\":null},[[2]]]}"),
         BAD(": String cannot represent a non string value: "
             "{'a': [1, {...}, [...]]}")},
        {X("Boolean"), INPUT("false"), INPUT("false"), INPUT("false")},
        {X("Boolean"), INPUT("0"),
         BAD(": Boolean cannot represent a non boolean value: 0")},
        {X("ID"), INPUT("\"a\""), INPUT("\"a\""), INPUT("\"a\"")},
        {X("ID"), INPUT("5"), INPUT("\"5\""), INPUT("\"5\"")},
        {X("ID"), INPUT("-0.0"), INPUT("\"0\""), INPUT("\"0\"")},
        {X("ID"), INPUT("12345678901234567890123"),
         INPUT("\"12345678901234567890123\""),
         INPUT("\"12345678901234567890123\"")},
        {X("ID"), INPUT("1.5"), BAD(": ID cannot represent value: 1.5")},
        {X("ID"), INPUT("true"), BAD(": ID cannot represent value: True")},
    };
    RUN(cases);
}

static void
test_variables_coerce_lists_and_null(void **state)
{
    (void)state;
    static const fq_variables_case cases[] = {
        {X("[Int]"), INPUT("1"), INPUT("[1]"), INPUT("[1]")},
        {X("[[Int!]]"), INPUT("[1,[2,3],null]"), INPUT("[[1],[2,3],null]"),
         INPUT("[[1],[2,3],null]")},
        {X("[Int!]"), INPUT("[1,null,\"a\"]"), NULL,
         "[{\"message\":\"Variable '$x' has invalid value at [1]: Expected "
         "value of non-null type 'Int!' not to be None.\",\"locations\":"
         "[{\"line\":1,\"column\":14}]},{\"message\":\"Variable '$x' has "
         "invalid value at [2]: Int cannot represent non-integer value: "
         "'a'\",\"locations\":[{\"line\":1,\"column\":14}]}]"},
        {X("[[Int]]"), INPUT("[[1],[2,\"a\"]]"),
         BAD(" at [1][1]: Int cannot represent non-integer value: 'a'")},
        {X("Int!"), NULL,
         BAD(": Expected a value of non-null type 'Int!' to be provided.")},
        {X("[Foo!]!"), INPUT("null"),
         BAD(": Expected value of non-null type '[Foo!]!' not to be None.")},
        {X("Foo!"), INPUT("{\"a\":[1,2.50,1e400]}"),
         INPUT("{\"a\":[1,2.5,1e400]}"), INPUT("{\"a\":[1,2.5,1e400]}")},
        {"($x:Int!,$y:ID!)", "(x:$x y:$y)", "{\"x\":true}", NULL,
         "[{\"message\":\"Variable '$x' has invalid value: Int cannot "
         "represent non-integer value: True\",\"locations\":[{\"line\":1,"
         "\"column\":14}]},{\"message\":\"Variable '$y' has invalid value: "
         "Expected a value of non-null type 'ID!' to be provided.\","
         "\"locations\":[{\"line\":1,\"column\":22}]}]"},
    };
    RUN(cases);
}

static void
test_variables_take_defaults(void **state)
{
    (void)state;
    static const fq_variables_case cases[] = {
        {X("Int=7"), NULL, INPUT("7"), INPUT("7")},
        {X("Int!=7"), NULL, INPUT("7"), INPUT("7")},
        {X("Int=7"), INPUT("null"), INPUT("null"), INPUT("null")},
        {X("Int!=7"), INPUT("null"),
         BAD(": Expected value of non-null type 'Int!' not to be None.")},
        {X("[Float]=1"), NULL, INPUT("[1.0]"), INPUT("[1.0]")},
        {X("[ID!]=[1 \"b\"]"), NULL, INPUT("[\"1\",\"b\"]"),
         INPUT("[\"1\",\"b\"]")},
        {X("Foo={a:E,b:[true null],c:\"\\n\"}"), NULL,
         INPUT("{\"a\":\"E\",\"b\":[true,null],\"c\":\"\\n\"}"),
         INPUT("{\"a\":\"E\",\"b\":[true,null],\"c\":\"\\n\"}")},
    };
    RUN(cases);
}

static void
test_variables_fold_into_arguments(void **state)
{
    (void)state;
    static const fq_variables_case cases[] = {
        {"", "(a:1 b:-0 c:1.50e3 d:\"x\\u00e9\" e:E f:null g:true h:[] i:{})",
         NULL, "{}",
         "{\"a\":1,\"b\":-0,\"c\":1.50e3,\"d\":\"x\xC3\xA9\",\"e\":\"E\","
         "\"f\":null,\"g\":true,\"h\":[],\"i\":{}}"},
        {"($x:Int $y:Int)", "(a:$x b:[$x $y 1] c:{d:$x e:$y f:{g:$x}} h:$y)",
         "{\"y\":2}", "{\"y\":2}",
         "{\"b\":[null,2,1],\"c\":{\"e\":2,\"f\":{}},\"h\":2}"},
        {"($a:Int $b:Int $c:Int $d:Int $e:Int $f:Int)",
         "(a:$a b:$b c:$c d:$d e:$e f:$f)", "{\"f\":6,\"z\":0,\"a\":1}",
         "{\"a\":1,\"f\":6}", "{\"a\":1,\"f\":6}"},
    };
    RUN(cases);
}

/* A variable of some size, named often: refused before it fills memory. */
static fq_status
body_amplification(void *arg)
{
    (void)arg;
    fq_plan *plan = NULL;
    yyjson_doc *doc = NULL;
    fq_binding binding = {NULL, NULL, NULL};
    fq_gql_errors errors;
    fq_buf query, input;
    fq_gql_errors_init(&errors);
    fq_status status = repeat(&query, "subscription($x:Foo){a(x:[", "$x ",
                              1000, "])}");
    fq_status input_status = repeat(&input, "{\"x\":[", "%d,", 2000, "0]}");
    if (status == FQ_OK)
        status = input_status;
    if (status == FQ_OK)
        status = compile_plan(fq_buf_str(&query), no_name(), false, NULL,
                              &plan, &errors);
    if (status == FQ_OK)
        status = fq_json_read(fq_buf_str(&input), FQ_JSON_STRICT, &doc, NULL);
    if (status == FQ_OK) {
        status = fq_plan_bind(plan, yyjson_doc_get_root(doc), NULL, &binding,
                              &errors);
        if (status != FQ_ERR_NOMEM)
            assert_int_equal(status, FQ_ERR_LIMIT);
    }
    if (status == FQ_ERR_LIMIT)
        status = assert_errors(
            &errors,
            "[{\"message\":\"Arguments of field 'a' are larger than 1048576 "
            "bytes.\",\"locations\":[{\"line\":1,\"column\":22}],"
            "\"extensions\":{\"code\":\"LIMIT_REACHED\"}}]");
    fq_plan_unref(plan);
    fq_json_free(doc);
    fq_buf_fini(&query);
    fq_buf_fini(&input);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_variables_bound_amplification(void **state)
{
    (void)state;
    fq_test_body(body_amplification, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_variables_coerce_scalars),
        FQ_TEST(test_variables_coerce_lists_and_null),
        FQ_TEST(test_variables_take_defaults),
        FQ_TEST(test_variables_fold_into_arguments),
        FQ_TEST(test_variables_bound_amplification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
