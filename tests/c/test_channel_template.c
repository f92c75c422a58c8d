/* SPDX-License-Identifier: MIT */
/* Names of channels with gaps: what may be written, and what values may make
 * of it. */
#include "engine/channel_template.h"

#include <stdio.h>

#include "bus/event.h"
#include "json/reader.h"

#include "random.h"
#include "support.h"

/* Who subscribes in these tests. */
static fq_security_context *
make_context(void)
{
    fq_security_context_args args = {
        .user_id = FQ_STR("u1"),
        .tenant_id = FQ_STR("t1"),
        .claims = FQ_STR("{\"team\":\"red\",\"org\":{\"id\":7,\"ok\":true},"
                         "\"many\":[1],\"colon\":\"a:b\"}"),
    };
    fq_security_context *context;
    assert_int_equal(fq_security_context_new(&args, &context), FQ_OK);
    return context;
}

/* What |text| becomes with the JSON object |args|: the name, or `? PART:
 * REASON`, or what is wrong with the template. */
static const char *
expand(const char *text, const char *args, const fq_security_context *context)
{
    static char result[2 * FQ_EVENT_NAME_MAX];
    fq_channel_template *template;
    fq_error error;
    fq_status status = fq_channel_template_new(fq_str_of(text), &template,
                                               &error);
    if (status != FQ_OK) {
        snprintf(result, sizeof(result), "! %s", error.message);
        return result;
    }
    yyjson_doc *doc;
    assert_int_equal(fq_json_read(fq_str_of(args), FQ_JSON_STRICT, &doc, NULL),
                     FQ_OK);
    fq_buf buf = FQ_BUF_INIT;
    const fq_channel_part *part;
    status = fq_channel_template_expand(template, yyjson_doc_get_root(doc),
                                        context, &buf, &part, &error);
    if (status == FQ_OK)
        snprintf(result, sizeof(result), "%.*s", FQ_STR_FMT(fq_buf_str(&buf)));
    else if (part == NULL)
        snprintf(result, sizeof(result), "? %s", error.message);
    else
        snprintf(result, sizeof(result), "? %.*s: %s", FQ_STR_FMT(part->text),
                 error.message);
    fq_buf_fini(&buf);
    fq_json_free(doc);
    fq_free(template);
    return result;
}

typedef struct template_case {
    const char *text;
    const char *args;
    const char *expected;
} template_case;

static void
test_channel_template_is_filled_in(void **state)
{
    (void)state;
    static const template_case cases[] = {
        {"orders", "{}", "orders"},
        {"orders:{id}", "{\"id\":\"42\"}", "orders:42"},
        {"{id}", "{\"id\":\"\xc3\xa9\"}", "\xc3\xa9"},
        {"o:{id}", "{\"id\":-5}", "o:-5"},
        {"o:{id}", "{\"id\":18446744073709551615}", "o:18446744073709551615"},
        {"o:{id}:{ok}", "{\"id\":true,\"ok\":false}", "o:true:false"},
        {"o:{id}", "{\"id\":\"\"}", "o:"},
        {"o:{id}", "{\"id\":\"a:b\"}", "o:a:b"},
        {"{a}-{b}", "{\"a\":\"1\",\"b\":\"2-3\"}", "1-2-3"},
        {"{{{id}}}", "{\"id\":1}", "{1}"},
        {"{{id}}", "{}", "{id}"},
        {"tenant:{ctx.tenant_id}:orders", "{}", "tenant:t1:orders"},
        {"{ctx.user_id}:{ctx.claims.team}:{ctx.claims.org.id}", "{}",
         "u1:red:7"},
        {"{ctx.claims.org.ok}", "{}", "true"},
        {"{ctx.claims.colon}", "{}", "a:b"},
        {"{ctx}", "{\"ctx\":\"an argument\"}", "an argument"},
    };
    fq_security_context *context = make_context();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(expand(cases[i].text, cases[i].args, context),
                            cases[i].expected);
    fq_security_context_unref(context);
}

static void
test_channel_template_refuses_values(void **state)
{
    (void)state;
    static const template_case cases[] = {
        {"o:{id}", "{}", "? id: must not be null"},
        {"o:{id}", "{\"id\":null}", "? id: must not be null"},
        {"o:{id}", "{\"id\":1.5}",
         "? id: must be a string, ID, Int, Boolean or enum"},
        {"o:{id}", "{\"id\":99999999999999999999}",
         "? id: must be a string, ID, Int, Boolean or enum"},
        {"o:{id}", "{\"id\":[\"1\"]}",
         "? id: must be a string, ID, Int, Boolean or enum"},
        {"o:{id}", "{\"id\":{}}",
         "? id: must be a string, ID, Int, Boolean or enum"},
        {"o:{id}:x", "{\"id\":\"a:b\"}", "? id: must not contain \":\""},
        {"{id}-x", "{\"id\":\"a:b\"}", "? id: must not contain \":\""},
        {"{id}-x", "{\"id\":\"a-b\"}", "? id: must not contain \"-\""},
        {"{id}\xc3\xa9", "{\"id\":\"a\xc3\xa9\"}",
         "? id: must not contain \"\xc3\xa9\""},
        {"{id}", "{\"id\":\"\"}", "? must not be empty"},
        {"{ctx.claims.none}", "{}", "? none: must not be null"},
        {"{ctx.claims.team.x}", "{}", "? team.x: must not be null"},
        {"{ctx.claims.many}", "{}",
         "? many: must be a string, ID, Int, Boolean or enum"},
        {"{ctx.claims.colon}:x", "{}", "? colon: must not contain \":\""},
    };
    fq_security_context *context = make_context();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(expand(cases[i].text, cases[i].args, context),
                            cases[i].expected);
    fq_security_context_unref(context);
    assert_string_equal(expand("{ctx.user_id}", "{}", NULL),
                        "? ctx.user_id: must not be null");
    assert_string_equal(expand("{ctx.claims.a}", "{}", NULL),
                        "? a: must not be null");
}

static void
test_channel_template_bounds_lengths(void **state)
{
    (void)state;
    char args[FQ_CHANNEL_VALUE_MAX + 16], text[FQ_EVENT_NAME_MAX + 8];
    for (int extra = 0; extra < 2; extra++) {
        int len = FQ_CHANNEL_VALUE_MAX + extra;
        sprintf(args, "{\"id\":\"%0*d\"}", len, 0);
        const char *result = expand("{id}", args, NULL);
        if (extra == 0)
            assert_int_equal(strlen(result), FQ_CHANNEL_VALUE_MAX);
        else
            assert_string_equal(result,
                                "? id: must not be longer than 256 bytes");
    }
    sprintf(text, "%0*d{id}", FQ_EVENT_NAME_MAX - 4, 0);
    assert_int_equal(strlen(expand(text, "{\"id\":\"1234\"}", NULL)),
                     FQ_EVENT_NAME_MAX);
    assert_string_equal(expand(text, "{\"id\":\"12345\"}", NULL),
                        "? must not be longer than 1024 bytes");
    sprintf(text, "%0*d", FQ_EVENT_NAME_MAX + 1, 0);
    assert_string_equal(expand(text, "{}", NULL),
                        "! it is longer than 1024 bytes");
}

static void
test_channel_template_refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "it is empty"},
        {"a{", "a \"{\" is never closed; a brace that is meant is written "
               "twice"},
        {"a{b", "a \"{\" is never closed; a brace that is meant is written "
                "twice"},
        {"a}b",
         "a \"}\" closes nothing; a brace that is meant is written twice"},
        {"{}", "{} names neither an argument nor ctx.NAME"},
        {"{ id }", "{ id } names neither an argument nor ctx.NAME"},
        {"{1d}", "{1d} names neither an argument nor ctx.NAME"},
        {"{a.b}", "{a.b} names neither an argument nor ctx.NAME"},
        {"{a{b}", "{a{b} names neither an argument nor ctx.NAME"},
        {"{ctx.roles}", "{ctx.roles} is none of {ctx.user_id}, "
                        "{ctx.tenant_id}, {ctx.claims.NAME}"},
        {"{ctx.}", "{ctx.} is none of {ctx.user_id}, {ctx.tenant_id}, "
                   "{ctx.claims.NAME}"},
        {"{ctx.claims.}", "{ctx.claims.} is none of {ctx.user_id}, "
                          "{ctx.tenant_id}, {ctx.claims.NAME}"},
        {"{ctx.claims.a..b}",
         "{ctx.claims.a..b} is none of {ctx.user_id}, {ctx.tenant_id}, "
         "{ctx.claims.NAME}"},
        {"{a}{b}", "between two values there must be something, best a "
                   "\":\", to tell them apart"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *result = expand(cases[i][0], "{}", NULL);
        assert_int_equal(result[0], '!');
        assert_string_equal(result + 2, cases[i][1]);
    }
}

/* However values are chosen, a name has been made of one choice only. */
static void
random_values(uint64_t seed)
{
    static const char *const templates[] = {
        "{a}:{b}", "{a}-{b}", "x{a}x{b}", "{a}:{b}:", "{a}-:{b}",
    };
    fq_random random = {seed};
    const char *template = templates[fq_random_below(&random, 5)];
    char values[2][2][5], names[2][64];
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            size_t len = fq_random_below(&random, 5);
            for (size_t k = 0; k < len; k++)
                values[i][j][k] = "a:-x"[fq_random_below(&random, 4)];
            values[i][j][len] = '\0';
        }
        char args[64];
        sprintf(args, "{\"a\":\"%s\",\"b\":\"%s\"}", values[i][0],
                values[i][1]);
        snprintf(names[i], sizeof(names[i]), "%s",
                 expand(template, args, NULL));
    }
    if (names[0][0] != '?' && strcmp(names[0], names[1]) == 0) {
        assert_string_equal(values[0][0], values[1][0]);
        assert_string_equal(values[0][1], values[1][1]);
    }
}

static void
test_channel_template_keeps_values_apart(void **state)
{
    (void)state;
    fq_random_runs(random_values, 20000);
}

static fq_status
body_channel_template(void *arg)
{
    (void)arg;
    fq_channel_template *template;
    fq_status status = fq_channel_template_new(FQ_STR_LIT("a{{:{ctx.user_id}"),
                                               &template, NULL);
    if (status != FQ_OK) {
        assert_null(template);
        return status;
    }
    assert_false(fq_channel_template_asks_args(template));
    fq_security_context context = {.user_id = FQ_STR("me")};
    fq_buf buf = FQ_BUF_INIT;
    const fq_channel_part *part;
    status = fq_channel_template_expand(template, NULL, &context, &buf, &part,
                                        NULL);
    assert_int_equal(status, FQ_OK);
    assert_null(part);
    status = fq_buf_status(&buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf), "a{:me");
    fq_buf_fini(&buf);
    fq_free(template);
    return status;
}

static void
test_channel_template_bears_failing_memory(void **state)
{
    (void)state;
    fq_test_body(body_channel_template, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_channel_template_is_filled_in),
        FQ_TEST(test_channel_template_refuses_values),
        FQ_TEST(test_channel_template_bounds_lengths),
        FQ_TEST(test_channel_template_refuses_what_is_none),
        FQ_TEST_RANDOM(test_channel_template_keeps_values_apart),
        FQ_TEST(test_channel_template_bears_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
