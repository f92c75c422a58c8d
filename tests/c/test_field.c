/* SPDX-License-Identifier: MIT */
/* A declared field is a copy of its own. */
#include "engine/field.h"

#include "support.h"

static fq_status
body_field_new(void *arg)
{
    (void)arg;
    char name[] = "orders", first[] = "a:b", second[] = "";
    fq_str channels[] = {fq_str_of(first), fq_str_of(second)};
    fq_field field = {
        .name = fq_str_of(name),
        .kind = FQ_FIELD_RESOLVER,
        .returns = FQ_RETURNS_DATA,
        .token = 77,
        .channels = channels,
        .n_channels = 2,
    };
    fq_field *copy;
    fq_status status = fq_field_new(&field, &copy);
    if (status != FQ_OK) {
        assert_null(copy);
        return status;
    }
    name[0] = first[0] = 'X';
    fq_test_assert_str(copy->name, "orders");
    assert_int_equal(copy->kind, FQ_FIELD_RESOLVER);
    assert_int_equal(copy->returns, FQ_RETURNS_DATA);
    assert_int_equal(copy->token, 77);
    assert_int_equal(copy->n_channels, 2);
    fq_test_assert_str(copy->channels[0], "a:b");
    fq_test_assert_str(copy->channels[1], "");
    fq_field_free(copy);
    return FQ_OK;
}

static void
test_field_is_a_deep_copy(void **state)
{
    (void)state;
    fq_test_body(body_field_new, NULL);
}

static fq_status
body_field_templates(void *arg)
{
    (void)arg;
    fq_str channels[] = {FQ_STR_LIT("{id}:{{"), FQ_STR_LIT("b")};
    fq_field field = {
        .name = FQ_STR("f"),
        .channels = channels,
        .n_channels = 2,
        .has_templates = true,
    };
    fq_field *copy, *second;
    fq_status status = fq_field_new(&field, &copy);
    if (status != FQ_OK) {
        assert_null(copy);
        return status;
    }
    assert_int_equal(copy->templates[0]->n_parts, 2);
    fq_test_assert_str(copy->templates[0]->parts[1].text, ":{");
    /* A copy of a copy has templates of its own. */
    status = fq_field_new(copy, &second);
    fq_field_free(copy);
    if (status == FQ_OK)
        fq_test_assert_str(second->templates[1]->parts[0].text, "b");
    fq_field_free(second);
    return status;
}

static void
test_field_compiles_its_templates(void **state)
{
    (void)state;
    fq_test_body(body_field_templates, NULL);
    fq_str channel = FQ_STR("{");
    fq_field field = {
        .name = FQ_STR("f"),
        .channels = &channel,
        .n_channels = 1,
        .has_templates = true,
    };
    fq_field *copy;
    assert_int_equal(fq_field_new(&field, &copy), FQ_ERR_INVALID);
    assert_null(copy);
}

static void
test_field_has_a_maximum_of_channels(void **state)
{
    (void)state;
    fq_str channels[FQ_FIELD_CHANNELS_MAX + 1];
    for (size_t i = 0; i <= FQ_FIELD_CHANNELS_MAX; i++)
        channels[i] = FQ_STR_LIT("c");
    fq_field field = {.name = FQ_STR("f"), .channels = channels};
    fq_field *copy;
    field.n_channels = FQ_FIELD_CHANNELS_MAX + 1;
    assert_int_equal(fq_field_new(&field, &copy), FQ_ERR_LIMIT);
    assert_null(copy);
    field.n_channels = FQ_FIELD_CHANNELS_MAX;
    assert_int_equal(fq_field_new(&field, &copy), FQ_OK);
    fq_field_free(copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_field_is_a_deep_copy),
        FQ_TEST(test_field_compiles_its_templates),
        FQ_TEST(test_field_has_a_maximum_of_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
