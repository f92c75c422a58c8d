/* SPDX-License-Identifier: MIT */
/* Filters that clients send: what they come to, and what is refused, with and
 * without a schema, and with memory running out. */
#include "engine/filter/client.h"

#include "json/reader.h"

#include "support.h"

static const char sdl[]
    = "type Query { a: Int } type Subscription { order: Order }"
      " type Order { id: ID total: Float in: Int to: Place any: Any }"
      " type Place { code: Int secret: Int } union Any = Order | Place";

typedef struct filter_case {
    const char *filter;
    const char *data; /* passes; NULL: the filter is refused, */
    const char *message;
    fq_status status;
    bool with_schema;
} filter_case;

static bool
allow_all_but_secrets(const fq_type *type, const fq_field_def *field,
                      void *arg)
{
    assert_ptr_equal(arg, sdl);
    return !fq_str_eq(type->name, FQ_STR_LIT("Place"))
           || !fq_str_eq(field->name, FQ_STR_LIT("secret"));
}

static fq_status
check_refused(const filter_case *wanted, fq_status status,
              const fq_error *error)
{
    if (status == FQ_ERR_NOMEM)
        return status;
    assert_int_equal(status, wanted->status);
    assert_string_equal(error->message, wanted->message);
    return FQ_OK;
}

static fq_status
check_passes(fq_filter *filter, const char *data)
{
    fq_event *event;
    fq_status status = fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                                    fq_str_of(data), 0, 0, &event, NULL);
    if (status != FQ_OK)
        return status;
    fq_filter_bound *bound;
    status = fq_filter_bind(filter, NULL, NULL, &bound);
    if (status == FQ_OK)
        assert_true(fq_filter_eval(bound, event));
    fq_filter_bound_unref(bound);
    fq_event_unref(event);
    return status;
}

static fq_status
body_client(void *arg)
{
    const filter_case *wanted = arg;
    yyjson_doc *doc = NULL;
    fq_schema *schema = NULL;
    fq_filter *filter = NULL;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_client_filter_scope scope = {.has_schema = wanted->with_schema};
    fq_status status = FQ_OK;
    if (wanted->with_schema)
        status = fq_schema_build(fq_str_of(sdl), &schema, &errors);
    if (status == FQ_OK && wanted->with_schema) {
        scope.type = fq_schema_type(schema, FQ_STR_LIT("Order"));
        scope.allows = allow_all_but_secrets;
        scope.arg = (void *)sdl;
    }
    if (status == FQ_OK)
        status = fq_json_read(fq_str_of(wanted->filter), FQ_JSON_STRICT, &doc,
                              NULL);
    if (status == FQ_OK) {
        fq_error error;
        status = fq_client_filter_compile(yyjson_doc_get_root(doc), &scope,
                                          &filter, &error);
        if (wanted->data == NULL)
            status = check_refused(wanted, status, &error);
        else if (status == FQ_OK)
            status = check_passes(filter, wanted->data);
    }
    fq_filter_unref(filter);
    fq_json_free(doc);
    fq_schema_unref(schema);
    fq_gql_errors_fini(&errors);
    return status;
}

static void
test_client_filter_without_a_schema(void **state)
{
    (void)state;
    static const filter_case cases[] = {
        {"{}", "{}", NULL, FQ_OK, false},
        {"{\"a\":{\"b\":{\"eq\":1},\"c\":{\"exists\":false}}}",
         "{\"a\":{\"b\":1}}", NULL, FQ_OK, false},
        {"{\"and\":[{\"a\":{\"in\":[1,2]}}],\"not\":{\"a\":{\"between\":[2,3]"
         "}}}",
         "{\"a\":1}", NULL, FQ_OK, false},
        {"{\"a\":{\"or\":[{\"lt\":0},{\"ge\":1,\"le\":2,\"ne\":3}]}}",
         "{\"a\":1}", NULL, FQ_OK, false},
        {"[]", NULL, "A filter is an object of fields and operators.",
         FQ_ERR_INVALID, false},
        {"{\"ne\":5}", NULL, "\"ne\" belongs to a field.", FQ_ERR_INVALID,
         false},
        {"{\"a\":{\"in\":[[1]]}}", NULL,
         "\"in\" of \"a\" takes a list of single values.", FQ_ERR_INVALID,
         false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_client, (void *)&cases[i]);
}

static void
test_client_filter_stays_within_its_scope(void **state)
{
    (void)state;
    static const filter_case cases[] = {
        {"{\"to\":{\"code\":{\"gt\":1}},\"id\":{\"startsWith\":\"a\"}}",
         "{\"to\":{\"code\":2},\"id\":\"ab\"}", NULL, FQ_OK, true},
        {"{\"from\":{\"eq\":1}}", NULL,
         "There is no field \"from\" to filter by.", FQ_ERR_INVALID, true},
        {"{\"to\":{\"secret\":{\"eq\":1}}}", NULL,
         "There is no field \"secret\" to filter by.", FQ_ERR_INVALID, true},
        {"{\"or\":[{\"to\":{\"not\":{\"secret\":{\"eq\":1}}}}]}", NULL,
         "There is no field \"secret\" to filter by.", FQ_ERR_INVALID, true},
        {"{\"any\":{\"id\":{\"eq\":1}}}", NULL,
         "There is no field \"id\" to filter by.", FQ_ERR_INVALID, true},
        {"{\"total\":{\"x\":{\"eq\":1}}}", NULL,
         "There is no field \"x\" to filter by.", FQ_ERR_INVALID, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_client, (void *)&cases[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_client_filter_without_a_schema),
        FQ_TEST(test_client_filter_stays_within_its_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
