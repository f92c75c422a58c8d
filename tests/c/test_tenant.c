/* SPDX-License-Identifier: MIT */
/* Whose an event is, and for whom that makes it. */
#include "engine/security/tenant.h"

#include "json/reader.h"

#include "support.h"

/* The tenant of an event of |data| with |envelope| (NULL: none) under a
 * policy. */
typedef struct tenant_case {
    const char *policy, *envelope, *data;
    fq_tenant_kind kind;
    const char *name;
} tenant_case;

static void
check_case(const tenant_case *item)
{
    yyjson_doc *doc;
    assert_int_equal(
        fq_json_read(fq_str_of(item->policy), FQ_JSON_STRICT, &doc, NULL),
        FQ_OK);
    fq_tenant_policy policy;
    assert_int_equal(
        fq_tenant_read_policy(yyjson_doc_get_root(doc), &policy, NULL), FQ_OK);
    fq_event *event;
    assert_int_equal(fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                                  fq_str_of(item->data), 0, 0, &event, NULL),
                     FQ_OK);
    fq_str none = {NULL, 0};
    fq_str envelope = item->envelope == NULL ? none
                                             : fq_str_of(item->envelope);
    assert_int_equal(fq_event_label(event, envelope, none, none, NULL), FQ_OK);
    fq_event_tenant tenant = fq_tenant_of_event(&policy, event);
    assert_int_equal(tenant.kind, item->kind);
    if (item->name != NULL)
        fq_test_assert_str(tenant.name, item->name);
    fq_event_unref(event);
    fq_json_free(doc);
}

#define PATH "{\"tenant_path\":[\"a\",\"b\"]}"

static void
test_tenant_is_in_envelope_or_data(void **state)
{
    (void)state;
    static const tenant_case cases[] = {
        {"{}", NULL, "{}", FQ_TENANT_NONE, NULL},
        {"{}", "t", "{}", FQ_TENANT_NAMED, "t"},
        {"{}", "", "{}", FQ_TENANT_NONE, NULL},
        {"{}", NULL, "{\"a\":{\"b\":\"t\"}}", FQ_TENANT_NONE, NULL},
        {PATH, NULL, "{\"a\":{\"b\":\"t\"}}", FQ_TENANT_NAMED, "t"},
        {PATH, "t", "{\"a\":{\"b\":\"t\"}}", FQ_TENANT_NAMED, "t"},
        {PATH, "t", "{}", FQ_TENANT_NAMED, "t"},
        {PATH, "t", "{\"a\":{\"b\":null}}", FQ_TENANT_NAMED, "t"},
        {PATH, "u", "{\"a\":{\"b\":\"t\"}}", FQ_TENANT_UNCLEAR, NULL},
        {PATH, NULL, "{\"a\":null}", FQ_TENANT_NONE, NULL},
        {PATH, NULL, "{\"a\":{}}", FQ_TENANT_NONE, NULL},
        {PATH, NULL, "{\"a\":{\"b\":\"\"}}", FQ_TENANT_NONE, NULL},
        {PATH, NULL, "{\"a\":{\"b\":7}}", FQ_TENANT_UNCLEAR, NULL},
        {PATH, "7", "{\"a\":{\"b\":7}}", FQ_TENANT_UNCLEAR, NULL},
        {PATH, NULL, "{\"a\":{\"b\":[\"t\"]}}", FQ_TENANT_UNCLEAR, NULL},
        {PATH, NULL, "{\"a\":\"t\"}", FQ_TENANT_UNCLEAR, NULL},
        {PATH, NULL, "{\"a\":[{\"b\":\"t\"}]}", FQ_TENANT_UNCLEAR, NULL},
        /* The last of two counts, as in what is delivered. */
        {PATH, NULL, "{\"a\":{\"b\":\"t\",\"b\":\"u\"}}", FQ_TENANT_NAMED,
         "u"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_case(&cases[i]);
}

static void
test_tenant_policy_is_checked(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"multi_tenant\":1}",
        "{\"tenant_path\":\"a\"}",
        "{\"tenant_path\":[]}",
        "{\"tenant_path\":[\"a\",\"\"]}",
        "{\"tenant_path\":[\"a\",2]}",
        "{\"tenant_path\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        yyjson_doc *doc;
        assert_int_equal(
            fq_json_read(fq_str_of(texts[i]), FQ_JSON_STRICT, &doc, NULL),
            FQ_OK);
        fq_tenant_policy policy;
        fq_error error = {.status = FQ_OK};
        fq_status status = fq_tenant_read_policy(yyjson_doc_get_root(doc),
                                                 &policy, &error);
        assert_int_equal(status, i == 5 ? FQ_ERR_LIMIT : FQ_ERR_INVALID);
        assert_int_equal(error.status, status);
        fq_json_free(doc);
    }
}

static void
test_tenant_judges(void **state)
{
    (void)state;
    fq_security_context ada = {.tenant_id = FQ_STR("t")};
    fq_security_context nobodys = {.tenant_id = {NULL, 0}};
    fq_event_tenant none = {.kind = FQ_TENANT_NONE};
    fq_event_tenant same = {.kind = FQ_TENANT_NAMED, .name = FQ_STR("t")};
    fq_event_tenant other = {.kind = FQ_TENANT_NAMED, .name = FQ_STR("tt")};
    fq_event_tenant unclear = {.kind = FQ_TENANT_UNCLEAR};
    const struct {
        const fq_event_tenant *tenant;
        bool must_be_named;
        const fq_security_context *context;
        fq_tenant_verdict verdict;
    } cases[] = {
        {&none, false, NULL, FQ_TENANT_ALLOWED},
        {&none, false, &ada, FQ_TENANT_ALLOWED},
        {&none, true, &ada, FQ_TENANT_UNNAMED},
        {&none, true, NULL, FQ_TENANT_UNNAMED},
        {&same, false, &ada, FQ_TENANT_ALLOWED},
        {&same, true, &ada, FQ_TENANT_ALLOWED},
        {&other, false, &ada, FQ_TENANT_FOREIGN},
        {&same, false, &nobodys, FQ_TENANT_FOREIGN},
        {&same, true, NULL, FQ_TENANT_FOREIGN},
        {&unclear, false, &ada, FQ_TENANT_REFUSED},
        {&unclear, true, NULL, FQ_TENANT_REFUSED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(fq_tenant_judge(cases[i].tenant,
                                         cases[i].must_be_named,
                                         cases[i].context),
                         cases[i].verdict);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_tenant_is_in_envelope_or_data),
        FQ_TEST(test_tenant_policy_is_checked),
        FQ_TEST(test_tenant_judges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
