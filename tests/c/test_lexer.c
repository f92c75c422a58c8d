/* SPDX-License-Identifier: MIT */
/* Tokens, the values of strings, and the lexer's errors with their places.
 * The errors are those graphql-core 3.3.2 gives for the same text. */
#include "graphql_fixture.h"

#include "graphql/lexer.h"

typedef struct fq_lexer_case {
    const char *source;
    fq_token_kind kind;
    const char *value; /* of the first token; NULL: none */
    const char *error; /* of the first token that fails; NULL: none does */
} fq_lexer_case;

/* Lexes all of |source|; *pfirst is its first token. */
static fq_status
lex_all(fq_lexer *lexer, fq_token *pfirst)
{
    fq_token token;
    fq_status status = fq_lexer_next(lexer, pfirst);
    token = *pfirst;
    while (status == FQ_OK && token.kind != FQ_TOKEN_EOF)
        status = fq_lexer_next(lexer, &token);
    return status;
}

static fq_status
body_case(void *arg)
{
    const fq_lexer_case *it = arg;
    fq_arena arena;
    fq_gql_errors errors;
    fq_lexer lexer;
    fq_token first;
    fq_arena_init(&arena, 0);
    fq_gql_errors_init(&errors);
    fq_lexer_init(&lexer, fq_str_of(it->source), &arena, &errors);
    fq_status status = lex_all(&lexer, &first);
    if (status == FQ_OK) {
        assert_null(it->error);
        assert_int_equal(first.kind, it->kind);
        if (it->value != NULL)
            fq_test_assert_str(first.value, it->value);
        else
            assert_null(first.value.ptr);
    } else if (status == FQ_ERR_SYNTAX) {
        assert_non_null(it->error);
        fq_buf expected;
        status = repeat(&expected, "[{\"message\":\"Syntax Error: ", it->error,
                        1, ",\"extensions\":{\"code\":\"PARSE_ERROR\"}}]");
        if (status == FQ_OK) {
            fq_buf_append_char(&expected, '\0');
            status = fq_buf_status(&expected);
        }
        if (status == FQ_OK)
            status = assert_errors(&errors, expected.ptr);
        fq_buf_fini(&expected);
    }
    fq_gql_errors_fini(&errors);
    fq_arena_fini(&arena);
    return status;
}

static void
run(const fq_lexer_case *cases, size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++)
        fq_test_body(body_case, (void *)&cases[i]);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))
#define AT(line, column)                                                      \
    "\",\"locations\":[{\"line\":" #line ",\"column\":" #column "}]"

static void
test_lexer_reads_each_kind(void **state)
{
    (void)state;
    static const fq_lexer_case cases[] = {
        {"", FQ_TOKEN_EOF, NULL, NULL},
        {" \t,\r\n#c\n\xEF\xBB\xBF", FQ_TOKEN_EOF, NULL, NULL},
        {"!", FQ_TOKEN_BANG, NULL, NULL},
        {"$", FQ_TOKEN_DOLLAR, NULL, NULL},
        {"&", FQ_TOKEN_AMP, NULL, NULL},
        {"(", FQ_TOKEN_PAREN_L, NULL, NULL},
        {")", FQ_TOKEN_PAREN_R, NULL, NULL},
        {"...", FQ_TOKEN_SPREAD, NULL, NULL},
        {":", FQ_TOKEN_COLON, NULL, NULL},
        {"=", FQ_TOKEN_EQUALS, NULL, NULL},
        {"@", FQ_TOKEN_AT, NULL, NULL},
        {"[", FQ_TOKEN_BRACKET_L, NULL, NULL},
        {"]", FQ_TOKEN_BRACKET_R, NULL, NULL},
        {"{", FQ_TOKEN_BRACE_L, NULL, NULL},
        {"|", FQ_TOKEN_PIPE, NULL, NULL},
        {"}", FQ_TOKEN_BRACE_R, NULL, NULL},
        {"_aZ9 b", FQ_TOKEN_NAME, "_aZ9", NULL},
        {"0", FQ_TOKEN_INT, "0", NULL},
        {"-12", FQ_TOKEN_INT, "-12", NULL},
        {"-0.5e+10", FQ_TOKEN_FLOAT, "-0.5e+10", NULL},
        {"1E3", FQ_TOKEN_FLOAT, "1E3", NULL},
    };
    RUN(cases);
}

static void
test_lexer_decodes_strings(void **state)
{
    (void)state;
    static const fq_lexer_case cases[] = {
        {"\"\"", FQ_TOKEN_STRING, "", NULL},
        {"\"a \xC3\xA9 \xF0\x9F\x98\x80\"", FQ_TOKEN_STRING,
         "a \xC3\xA9 \xF0\x9F\x98\x80", NULL},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", FQ_TOKEN_STRING, "\"\\/\b\f\n\r\t",
         NULL},
        {"\"\\u00e9\\u{e9}\\u{1F600}\\uD83D\\uDE00\"", FQ_TOKEN_STRING,
         "\xC3\xA9\xC3\xA9\xF0\x9F\x98\x80\xF0\x9F\x98\x80", NULL},
        {"\"\\u{00000041}\"", FQ_TOKEN_STRING, "A", NULL},
    };
    RUN(cases);
}

static void
test_lexer_dedents_block_strings(void **state)
{
    (void)state;
    static const fq_lexer_case cases[] = {
        {"\"\"\"\"\"\"", FQ_TOKEN_BLOCK_STRING, "", NULL},
        {"\"\"\"  \n \t\r\n \"\"\"", FQ_TOKEN_BLOCK_STRING, "", NULL},
        {"\"\"\" a\n    b\n      c\n\n    d\n  \"\"\"", FQ_TOKEN_BLOCK_STRING,
         " a\nb\n  c\n\nd", NULL},
        {"\"\"\"\n  a\\\"\"\"b \"c\" \\u0041\n  \"\"\"", FQ_TOKEN_BLOCK_STRING,
         "a\"\"\"b \"c\" \\u0041", NULL},
        {"\"\"\"a\r\nb\rc\nd\"\"\"", FQ_TOKEN_BLOCK_STRING, "a\nb\nc\nd",
         NULL},
        {"\"\"\"\\\"\"\"\"\"\"", FQ_TOKEN_BLOCK_STRING, "\"\"\"", NULL},
    };
    RUN(cases);
}

static void
test_lexer_refuses_bad_text(void **state)
{
    (void)state;
    static const fq_lexer_case cases[] = {
        {"01", 0, NULL,
         "Invalid number, unexpected digit after 0: '1'." AT(1, 2)},
        {"-", 0, NULL,
         "Invalid number, expected digit but got: <EOF>." AT(1, 2)},
        {"1.", 0, NULL,
         "Invalid number, expected digit but got: <EOF>." AT(1, 3)},
        {"1.2.3", 0, NULL,
         "Invalid number, expected digit but got: '.'." AT(1, 4)},
        {"1a", 0, NULL,
         "Invalid number, expected digit but got: 'a'." AT(1, 2)},
        {"1e\"", 0, NULL,
         "Invalid number, expected digit but got: '\\\"'." AT(1, 3)},
        {"\n .5", 0, NULL,
         "Invalid number, expected digit before '.', did you mean "
         "'0.5'?" AT(2, 2)},
        {"..", 0, NULL, "Unexpected '..', did you mean '...'?" AT(1, 1)},
        {".", 0, NULL, "Unexpected character: '.'." AT(1, 1)},
        {"\r\n\r?", 0, NULL, "Unexpected character: '?'." AT(3, 1)},
        {"\xC3\xA9", 0, NULL, "Unexpected character: U+00E9." AT(1, 1)},
        {"#\xC3\xA9\n\"\xF0\x9F\x98\x80\" \x07", 0, NULL,
         "Unexpected character: U+0007." AT(2, 5)},
        {"\xED\xA0\x80", 0, NULL, "Invalid character: U+D800." AT(1, 1)},
        {"\"\xED\xA0\x80\"", 0, NULL,
         "Invalid character within String: U+D800." AT(1, 2)},
        {"\xFF", 0, NULL, "Invalid character: U+FFFD." AT(1, 1)},
        {"'a'", 0, NULL,
         "Unexpected single quote character ('), did you mean to use a double "
         "quote (\\\")?" AT(1, 1)},
        {"\"a", 0, NULL, "Unterminated string." AT(1, 3)},
        {"\"a\nb\"", 0, NULL, "Unterminated string." AT(1, 3)},
        {"\"\"\"a\n", 0, NULL, "Unterminated string." AT(2, 1)},
        {"\"\\x\"", 0, NULL,
         "Invalid character escape sequence: '\\\\x'." AT(1, 2)},
        {"\"\\u12\"", 0, NULL,
         "Invalid Unicode escape sequence: '\\\\u12\\\"'." AT(1, 2)},
        {"\"\\u{}\"", 0, NULL,
         "Invalid Unicode escape sequence: '\\\\u{}'." AT(1, 2)},
        {"\"\\u{110000}\"", 0, NULL,
         "Invalid Unicode escape sequence: '\\\\u{110000}'." AT(1, 2)},
        {"\"\\u{000000041}\"", 0, NULL,
         "Invalid Unicode escape sequence: '\\\\u{000000041'." AT(1, 2)},
        {"\"\\uD83D\\uD83D\"", 0, NULL,
         "Invalid Unicode escape sequence: '\\\\uD83D'." AT(1, 2)},
    };
    RUN(cases);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_lexer_reads_each_kind),
        FQ_TEST(test_lexer_decodes_strings),
        FQ_TEST(test_lexer_dedents_block_strings),
        FQ_TEST(test_lexer_refuses_bad_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
