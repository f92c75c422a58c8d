/* SPDX-License-Identifier: MIT */
/* What makes an event, what is refused, and when it is done. */
#include "bus/event.h"

#include <yyjson.h>

#include "json/reader.h"
#include "support.h"

static fq_status
event_make(const char *channel, const char *event_type, const char *data,
           size_t max_bytes, fq_event **pevent, fq_error *error)
{
    return fq_event_new(fq_str_of(channel), fq_str_of(event_type),
                        fq_str_of(data), 42, max_bytes, pevent, error);
}

static fq_status
body_event_new(void *arg)
{
    (void)arg;
    fq_event *event;
    fq_error error;
    fq_status status = event_make("users", "userCreated", "{\"id\":7}", 8,
                                  &event, &error);
    if (status != FQ_OK) {
        assert_null(event);
        assert_int_equal(error.status, status);
        return status;
    }
    fq_test_assert_str(fq_rcbuf_str(event->channel), "users");
    fq_test_assert_str(fq_rcbuf_str(event->event_type), "userCreated");
    fq_test_assert_str(fq_rcbuf_str(event->data), "{\"id\":7}");
    yyjson_val *root = yyjson_doc_get_root(event->doc);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "id")), 7);
    assert_int_equal(event->created_at_ns, 42);
    assert_string_equal(event->id, "");
    fq_event_unref(event);
    return FQ_OK;
}

static void
test_event_holds_what_was_published(void **state)
{
    (void)state;
    fq_test_body(body_event_new, NULL);
}

static void
test_event_keeps_half_a_character(void **state)
{
    (void)state;
    fq_event *event;
    assert_int_equal(
        event_make("c", "t", "{\"\\udc00\":\"\\ud800x\"}", 0, &event, NULL),
        FQ_OK);
    yyjson_val *root = yyjson_doc_get_root(event->doc);
    fq_test_assert_str(
        fq_json_str(fq_json_get(root, FQ_STR_LIT("\xed\xb0\x80"))),
        "\xed\xa0\x80x");
    fq_event_unref(event);
}

static void
test_event_refuses(void **state)
{
    (void)state;
    char long_name[FQ_EVENT_NAME_MAX + 2];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    const struct {
        const char *channel, *event_type, *data;
        fq_status status;
        const char *message;
    } cases[] = {
        {"", "t", "{}", FQ_ERR_INVALID, "channel cannot be empty"},
        {"c", "", "{}", FQ_ERR_INVALID, "event_type cannot be empty"},
        {"c\xff", "t", "{}", FQ_ERR_INVALID, "channel is not valid UTF-8"},
        {"c", "\xc0\x80", "{}", FQ_ERR_INVALID,
         "event_type is not valid UTF-8"},
        {long_name, "t", "{}", FQ_ERR_INVALID,
         "channel is 1025 bytes long; at most 1024 are allowed"},
        {"c", long_name, "{}", FQ_ERR_INVALID,
         "event_type is 1025 bytes long; at most 1024 are allowed"},
        {"c", "t", "[]", FQ_ERR_INVALID, "data must be a JSON object"},
        {"c", "t", "null", FQ_ERR_INVALID, "data must be a JSON object"},
        {"c", "t", "{\"a\":123456}", FQ_ERR_LIMIT,
         "data is 12 bytes of JSON; at most 10 are allowed"},
        {"c", "t", "{\"a\":}", FQ_ERR_SYNTAX, NULL},
        {"c", "t", "{\"\\ud8\"", FQ_ERR_SYNTAX, NULL},
        {"c", "t", "", FQ_ERR_SYNTAX, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_event *event;
        fq_error error;
        assert_int_equal(event_make(cases[i].channel, cases[i].event_type,
                                    cases[i].data, 10, &event, &error),
                         cases[i].status);
        assert_null(event);
        assert_int_equal(error.status, cases[i].status);
        if (cases[i].message != NULL)
            assert_string_equal(error.message, cases[i].message);
        assert_int_equal(event_make(cases[i].channel, cases[i].event_type,
                                    cases[i].data, 10, &event, NULL),
                         cases[i].status);
    }
}

static void
test_event_name_of_maximum_length_is_accepted(void **state)
{
    (void)state;
    char name[FQ_EVENT_NAME_MAX + 1];
    memset(name, 'x', FQ_EVENT_NAME_MAX);
    name[FQ_EVENT_NAME_MAX] = '\0';
    fq_event *event;
    assert_int_equal(event_make(name, name, "{}", 0, &event, NULL), FQ_OK);
    fq_event_unref(event);
}

static fq_status
body_event_label(void *arg)
{
    (void)arg;
    fq_event *event;
    fq_status status = event_make("c", "t", "{}", 0, &event, NULL);
    if (status != FQ_OK)
        return status;
    status = fq_event_label(event, FQ_STR_LIT("t1"), FQ_STR_LIT("orders"),
                            FQ_STR_LIT("{\"a\":1}"), NULL);
    if (status == FQ_OK) {
        fq_test_assert_str(fq_rcbuf_str(event->tenant_id), "t1");
        fq_test_assert_str(fq_rcbuf_str(event->boundary), "orders");
        fq_test_assert_str(fq_rcbuf_str(event->meta), "{\"a\":1}");
    }
    fq_event_unref(event);
    return status;
}

static void
test_event_says_whose_it_is(void **state)
{
    (void)state;
    fq_test_body(body_event_label, NULL);
}

static void
test_event_refuses_a_label(void **state)
{
    (void)state;
    static const struct {
        const char *tenant_id, *boundary, *meta;
        fq_status status;
    } cases[] = {
        {"", "", "", FQ_OK},
        {"\xff", "", "", FQ_ERR_INVALID},
        {"", "\xff", "", FQ_ERR_INVALID},
        {"", "", "[]", FQ_ERR_INVALID},
        {"", "", "{", FQ_ERR_SYNTAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_event *event;
        assert_int_equal(event_make("c", "t", "{}", 0, &event, NULL), FQ_OK);
        assert_int_equal(fq_event_label(event, fq_str_of(cases[i].tenant_id),
                                        fq_str_of(cases[i].boundary),
                                        fq_str_of(cases[i].meta), NULL),
                         cases[i].status);
        if (cases[i].status == FQ_OK)
            assert_null(event->tenant_id);
        fq_event_unref(event);
    }
    char *meta = calloc(1, FQ_EVENT_META_MAX + 2);
    memset(meta, ' ', FQ_EVENT_META_MAX + 1);
    fq_event *event;
    assert_int_equal(event_make("c", "t", "{}", 0, &event, NULL), FQ_OK);
    assert_int_equal(fq_event_label(event, FQ_STR_LIT(""), FQ_STR_LIT(""),
                                    fq_str_of(meta), NULL),
                     FQ_ERR_LIMIT);
    fq_event_unref(event);
    free(meta);
}

static void
count_done(fq_event *event, void *arg)
{
    /* Still whole. */
    assert_non_null(event->doc);
    assert_string_equal(event->channel->bytes, "c");
    ++*(int *)arg;
}

static void
test_event_is_done_with_its_last_reference(void **state)
{
    (void)state;
    int n_done = 0;
    fq_event *event;
    assert_int_equal(event_make("c", "t", "{}", 0, &event, NULL), FQ_OK);
    event->done_cb = count_done;
    event->done_arg = &n_done;
    assert_ptr_equal(fq_event_ref(event), event);
    fq_event_unref(event);
    assert_int_equal(n_done, 0);
    fq_event_unref(event);
    assert_int_equal(n_done, 1);
}

static void
test_event_that_is_kept_outlives_its_references(void **state)
{
    (void)state;
    int n_done = 0;
    fq_event *event;
    assert_int_equal(event_make("c", "t", "{}", 0, &event, NULL), FQ_OK);
    event->done_cb = count_done;
    event->done_arg = &n_done;
    fq_event_keep(event);
    fq_event_keep(event);
    fq_event_unref(event);
    /* Whoever waits for it waits for no history. */
    assert_int_equal(n_done, 1);
    assert_ptr_equal(fq_event_ref(event), event);
    fq_event_unkeep(event);
    fq_event_unkeep(event);
    assert_string_equal(event->channel->bytes, "c");
    fq_event_unref(event);
    assert_int_equal(n_done, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_event_holds_what_was_published),
        FQ_TEST(test_event_keeps_half_a_character),
        FQ_TEST(test_event_refuses),
        FQ_TEST(test_event_says_whose_it_is),
        FQ_TEST(test_event_refuses_a_label),
        FQ_TEST(test_event_name_of_maximum_length_is_accepted),
        FQ_TEST(test_event_is_done_with_its_last_reference),
        FQ_TEST(test_event_that_is_kept_outlives_its_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
