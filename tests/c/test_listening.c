/* SPDX-License-Identifier: MIT */
/* Where subscriptions listen: names filled in for each. */
#include "engine/listening.h"

#include "engine_fixture.h"
#include "support.h"

/* Declares field |name| on the templates |channels|. */
static fq_status
declare(fixture *self, const char *name, const char *const *channels,
        size_t n_channels)
{
    fq_str texts[FQ_FIELD_CHANNELS_MAX];
    for (size_t i = 0; i < n_channels; i++)
        texts[i] = fq_str_of(channels[i]);
    fq_field field = {
        .name = fq_str_of(name),
        .channels = texts,
        .n_channels = n_channels,
        .has_templates = true,
    };
    return fq_engine_field_add(self->engine, &field);
}

static fq_status
body_listening(void *arg)
{
    (void)arg;
    static const char *const channels[] = {"o:{id}", "o:1", "u:{ctx.user_id}"};
    fixture self;
    fq_sub *a = NULL, *b = NULL;
    fq_security_context_args who = {.user_id = FQ_STR("me")};
    fq_security_context *context = NULL;
    fq_status status = fixture_init(&self);
    if (status == FQ_OK)
        status = declare(&self, "order", channels, 3);
    if (status == FQ_OK)
        status = fq_security_context_new(&who, &context);
    fq_subscribe_args args = {
        .query = FQ_STR("subscription { order(id: 1) { n } }"),
        .context = context,
        .handle = "a",
    };
    if (status == FQ_OK)
        status = fixture_subscribe_args(&self, &args, &a);
    args.query = FQ_STR_LIT("subscription { order(id: \"x\") { n } }");
    args.handle = "b";
    if (status == FQ_OK)
        status = fixture_subscribe_args(&self, &args, &b);
    if (status == FQ_OK) {
        /* One name made twice counts once. */
        assert_int_equal(a->n_listeners, 2);
        assert_int_equal(b->n_listeners, 3);
        fq_engine_check(self.engine);
        status = fixture_publish(&self, "o:1", "{\"n\":1}");
    }
    if (status == FQ_OK)
        status = fixture_publish(&self, "o:x", "{\"n\":2}");
    if (status == FQ_OK)
        status = fixture_publish(&self, "u:me", "{\"n\":3}");
    if (status == FQ_OK && fq_buf_status(&self.log) == FQ_OK
        && FQ_METRIC_GET(&self.metrics, deliveries_dropped) == 0)
        fixture_assert_log(&self, "next a {\"data\":{\"order\":{\"n\":1}}}\n"
                                  "next b {\"data\":{\"order\":{\"n\":1}}}\n"
                                  "next b {\"data\":{\"order\":{\"n\":2}}}\n"
                                  "next a {\"data\":{\"order\":{\"n\":3}}}\n"
                                  "next b {\"data\":{\"order\":{\"n\":3}}}\n");
    fq_security_context_unref(context);
    fixture_fini(&self);
    return status;
}

static void
test_listening_fills_names_in(void **state)
{
    (void)state;
    fq_test_body(body_listening, NULL);
}

/* Subscribes to |query|, which is refused with |expected|. */
static void
assert_refused(fixture *self, const char *query, fq_security_context *context,
               const char *expected)
{
    fq_subscribe_args args = {.query = fq_str_of(query), .context = context};
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_sub *sub;
    bool is_request_error;
    assert_int_equal(fq_engine_subscribe(self->engine, &self->sinks[0].sink,
                                         &args, &sub, &errors,
                                         &is_request_error),
                     strstr(expected, "FORBIDDEN") != NULL ? FQ_ERR_FORBIDDEN
                                                           : FQ_ERR_INVALID);
    assert_null(sub);
    assert_false(is_request_error);
    fq_buf buf = FQ_BUF_INIT;
    fq_gql_errors_write(&errors, &buf);
    fq_test_assert_str(fq_buf_str(&buf), expected);
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    fq_engine_check(self->engine);
}

static void
test_listening_says_which_value_is_no_good(void **state)
{
    (void)state;
    static const char *const by_id[] = {"all", "o:{id}"};
    static const char *const by_tenant[] = {"t:{ctx.tenant_id}:{id}"};
    fixture self;
    assert_int_equal(fixture_init(&self), FQ_OK);
    assert_int_equal(declare(&self, "order", by_id, 2), FQ_OK);
    assert_int_equal(declare(&self, "mine", by_tenant, 1), FQ_OK);
    assert_refused(&self, "subscription { order }", NULL,
                   "[{\"message\":\"Argument \\\"id\\\" of field \\\"order\\\""
                   " selects a channel: it must not be null.\","
                   "\"locations\":[{\"line\":1,\"column\":16}],"
                   "\"extensions\":{\"code\":\"VALIDATION_ERROR\"}}]");
    static const char forbidden[]
        = "[{\"message\":\"Not allowed to subscribe to field \\\"mine\\\".\","
          "\"locations\":[{\"line\":2,\"column\":1}],"
          "\"extensions\":{\"code\":\"FORBIDDEN\"}}]";
    assert_refused(&self, "subscription {\nmine(id: 1) }", NULL, forbidden);
    fq_security_context_args who = {.tenant_id = FQ_STR("a:b")};
    fq_security_context *context;
    assert_int_equal(fq_security_context_new(&who, &context), FQ_OK);
    assert_refused(&self, "subscription {\nmine(id: 1) }", context, forbidden);
    fq_security_context_unref(context);
    assert_int_equal(FQ_METRIC_GET(&self.metrics, channels_active), 0);
    fixture_fini(&self);
}

static void
test_listening_takes_override_names_as_they_are(void **state)
{
    (void)state;
    static const char *const by_id[] = {"o:{id}"};
    fixture self;
    assert_int_equal(fixture_init(&self), FQ_OK);
    assert_int_equal(declare(&self, "order", by_id, 1), FQ_OK);
    fq_str channels[] = {FQ_STR("o:{id}"), FQ_STR("o:{id}")};
    fq_subscribe_args args = {
        .query = FQ_STR("subscription { order(id: 1) }"),
        .has_override = true,
        .channels = channels,
        .n_channels = 2,
        .handle = "a",
    };
    fq_sub *sub;
    assert_int_equal(fixture_subscribe_args(&self, &args, &sub), FQ_OK);
    assert_int_equal(fq_engine_n_listening(self.engine, FQ_STR_LIT("o:{id}")),
                     1);
    /* Without channels of its own it listens where the field does. */
    args.channels = NULL;
    assert_int_equal(fixture_subscribe_args(&self, &args, &sub), FQ_OK);
    assert_int_equal(fq_engine_n_listening(self.engine, FQ_STR_LIT("o:1")), 1);
    args.kind = FQ_FIELD_SOURCE;
    assert_int_equal(fixture_subscribe_args(&self, &args, &sub), FQ_OK);
    assert_int_equal(sub->n_listeners, 0);
    fixture_fini(&self);
}

/* A client that is somebody else listens elsewhere. */
static fq_status
body_renew(void *arg)
{
    (void)arg;
    static const char *const channels[] = {"u:{ctx.user_id}", "o:{id}"};
    fixture self;
    fq_sub *sub = NULL;
    fq_security_context *me = NULL, *you = NULL;
    fq_security_context_args who[] = {{.user_id = FQ_STR("me")},
                                      {.user_id = FQ_STR("you")}};
    fq_status status = fixture_init(&self);
    if (status == FQ_OK)
        status = declare(&self, "mine", channels, 2);
    if (status == FQ_OK)
        status = fq_security_context_new(&who[0], &me);
    if (status == FQ_OK)
        status = fq_security_context_new(&who[1], &you);
    fq_subscribe_args args = {
        .query = FQ_STR("subscription { mine(id: 1) { n } }"),
        .context = me,
        .handle = "a",
    };
    if (status == FQ_OK)
        status = fixture_subscribe_args(&self, &args, &sub);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    for (int i = 0; i < 2 && status == FQ_OK; i++) {
        status = fq_engine_renew(self.engine, sub, you, 0, 0, &errors);
        fq_engine_check(self.engine);
        bool is_you = status == FQ_OK || i > 0;
        assert_ptr_equal(sub->context, is_you ? you : me);
        assert_int_equal(
            fq_engine_n_listening(self.engine, FQ_STR_LIT("u:me")), !is_you);
        assert_int_equal(
            fq_engine_n_listening(self.engine, FQ_STR_LIT("u:you")), is_you);
        assert_int_equal(fq_engine_n_listening(self.engine, FQ_STR_LIT("o:1")),
                         1);
    }
    fq_gql_errors_fini(&errors);
    fq_security_context_unref(me);
    fq_security_context_unref(you);
    fixture_fini(&self);
    return status;
}

static void
test_listening_follows_the_context(void **state)
{
    (void)state;
    fq_test_body(body_renew, NULL);
}

static void
test_listening_is_refused_to_who_lacks_the_value(void **state)
{
    (void)state;
    static const char *const channels[] = {"u:{ctx.user_id}"};
    fixture self;
    assert_int_equal(fixture_init(&self), FQ_OK);
    assert_int_equal(declare(&self, "mine", channels, 1), FQ_OK);
    fq_security_context_args who[] = {{.user_id = FQ_STR("me")},
                                      {.user_id = FQ_STR("")}};
    fq_security_context *me, *nobody;
    assert_int_equal(fq_security_context_new(&who[0], &me), FQ_OK);
    assert_int_equal(fq_security_context_new(&who[1], &nobody), FQ_OK);
    fq_subscribe_args args = {
        .query = FQ_STR("subscription { mine { n } }"),
        .context = me,
        .handle = "a",
    };
    fq_sub *sub;
    assert_int_equal(fixture_subscribe_args(&self, &args, &sub), FQ_OK);
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    assert_int_equal(fq_engine_renew(self.engine, sub, nobody, 0, 0, &errors),
                     FQ_ERR_FORBIDDEN);
    assert_int_equal(errors.n_items, 1);
    assert_string_equal(errors.head->code, "FORBIDDEN");
    fq_gql_errors_fini(&errors);
    fq_engine_check(self.engine);
    fq_security_context_unref(me);
    fq_security_context_unref(nobody);
    fixture_fini(&self);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_listening_fills_names_in),
        FQ_TEST(test_listening_says_which_value_is_no_good),
        FQ_TEST(test_listening_follows_the_context),
        FQ_TEST(test_listening_is_refused_to_who_lacks_the_value),
        FQ_TEST(test_listening_takes_override_names_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
