/* SPDX-License-Identifier: MIT */
/* Events that wait for a resolver: in order, one per key where there are
 * keys; and by which policy they give way. */
#include "engine/waiting.h"

#include "engine/conflate_key.h"
#include "engine_fixture.h"

static fq_status
body_waiting_keyed(void *arg)
{
    (void)arg;
    fq_waiting waiting;
    fq_waiting_init(&waiting);
    fq_event *events[40] = {NULL}, *replaced;
    fq_rcbuf *keys[4] = {NULL};
    fq_status status = FQ_OK;
    for (int i = 0; i < 3 && status == FQ_OK; i++)
        status = fq_rcbuf_new(fq_str_make("abc" + i, 1), &keys[i]);
    for (int i = 0; i < 40 && status == FQ_OK; i++) {
        status = fq_event_new(FQ_STR_LIT("c"), FQ_STR_LIT("t"),
                              FQ_STR_LIT("{\"n\":1}"), (uint64_t)i, 0,
                              &events[i], NULL);
        if (status == FQ_OK)
            status = fq_waiting_push_keyed(&waiting, events[i], keys[i % 4],
                                           &replaced);
        if (status == FQ_OK) {
            assert_int_equal(replaced != NULL, i >= 4 && i % 4 != 3);
            if (replaced != NULL)
                fq_event_unref(replaced);
        }
    }
    if (status == FQ_OK) {
        /* Three keys in the places of their first, ten without a key. */
        assert_int_equal(waiting.n_items, 13);
        assert_int_equal(waiting.n_bytes, 13 * 7);
        const uint64_t order[] = {36, 37, 38, 3, 7};
        for (int i = 0; i < 5; i++) {
            fq_event *event = fq_waiting_take(&waiting);
            assert_int_equal(event->created_at_ns, order[i]);
            fq_event_unref(event);
        }
        /* A key that has gone is free again. */
        status = fq_waiting_push_keyed(&waiting, events[0], keys[0],
                                       &replaced);
        assert_null(replaced);
    }
    fq_waiting_fini(&waiting);
    for (int i = 0; i < 40; i++) {
        if (events[i] != NULL)
            fq_event_unref(events[i]);
    }
    for (int i = 0; i < 3; i++)
        fq_rcbuf_unref(keys[i]);
    return status;
}

static void
test_waiting_keeps_one_per_key(void **state)
{
    (void)state;
    fq_test_body(body_waiting_keyed, NULL);
}

static void
test_waiting_keys_are_scalars_by_content(void **state)
{
    (void)state;
    const struct {
        const char *path, *key;
    } cases[] = {
        {"id", "7"},       {"text", "7"},     {"real", "1.5"},
        {"flag", "true"},  {"a.b.c", "deep"}, {"empty", ""},
        {"none", NULL},    {"a", NULL},       {"list", NULL},
        {"missing", NULL}, {"a.b.x", NULL},   {"id.x", NULL},
        {"a.b.c.d", NULL},
    };
    const char *text
        = "{\"id\":7,\"text\":\"7\",\"real\":1.5,\"flag\":true,\"empty\":\"\","
          "\"a\":{\"b\":{\"c\":\"deep\"}},\"none\":null,\"list\":[1]}";
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    fq_buf scratch;
    fq_buf_init(&scratch);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_rcbuf *key;
        assert_int_equal(fq_conflate_key_new(fq_str_of(cases[i].path),
                                             yyjson_doc_get_root(doc),
                                             &scratch, &key),
                         FQ_OK);
        if (cases[i].key == NULL)
            assert_null(key);
        else
            fq_test_assert_str(fq_rcbuf_str(key), cases[i].key);
        fq_rcbuf_unref(key);
    }
    fq_buf_fini(&scratch);
    yyjson_doc_free(doc);
}

/* A resolver's subscription of |overflow| that has been called for event 1. */
static fq_sub *
subscribe_called(fixture *f, const char *name, fq_overflow overflow)
{
    static const char *const channels[] = {"c"};
    fq_str channel = fq_str_of(channels[0]);
    fq_rcbuf *path = NULL;
    if (overflow == FQ_OVERFLOW_CONFLATE)
        assert_int_equal(fq_rcbuf_new(FQ_STR_LIT("id"), &path), FQ_OK);
    fq_field field = {
        .name = fq_str_of(name),
        .kind = FQ_FIELD_RESOLVER,
        .token = 9,
        .channels = &channel,
        .n_channels = 1,
        .overflow = overflow,
        .conflate_path = path,
    };
    assert_int_equal(fq_engine_field_add(f->engine, &field), FQ_OK);
    fq_rcbuf_unref(path);
    char query[64];
    snprintf(query, sizeof(query), "subscription { %s }", name);
    fq_sub *sub;
    assert_int_equal(fixture_subscribe(f, name, query, &sub), FQ_OK);
    return sub;
}

static void
publish_ids(fixture *f, const char *ids)
{
    for (; *ids != '\0'; ids++) {
        char data[32];
        snprintf(data, sizeof(data), "{\"id\":\"%c\"}", *ids);
        assert_int_equal(fixture_publish(f, "c", data), FQ_OK);
    }
}

/* Answers until nothing is called for. */
static void
answer_all(fixture *f, fq_sub *sub)
{
    while (sub->n_calls > 0)
        fixture_answer(f, sub, FQ_ANSWER_VALUE, "1");
}

static void
test_waiting_drops_the_oldest(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    fq_sub *sub = subscribe_called(&f, "s", FQ_OVERFLOW_DROP_OLDEST);
    publish_ids(&f, "abcdef");
    answer_all(&f, sub);
    fixture_assert_log(&f, "call s 1\nnext s {\"data\":{\"s\":1}} dropped 2\n"
                           "call s 4\nnext s {\"data\":{\"s\":1}}\n"
                           "call s 5\ncall s 6\n"
                           "next s {\"data\":{\"s\":1}}\n"
                           "next s {\"data\":{\"s\":1}}\n");
    assert_int_equal(FQ_METRIC_GET(&f.metrics, dropped_oldest), 2);
    fixture_fini(&f);
}

static void
test_waiting_drops_the_newest(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    fq_sub *sub = subscribe_called(&f, "s", FQ_OVERFLOW_DROP_NEWEST);
    publish_ids(&f, "abcdef");
    answer_all(&f, sub);
    fixture_assert_log(&f, "call s 1\nnext s {\"data\":{\"s\":1}} dropped 2\n"
                           "call s 2\nnext s {\"data\":{\"s\":1}}\n"
                           "call s 3\ncall s 4\n"
                           "next s {\"data\":{\"s\":1}}\n"
                           "next s {\"data\":{\"s\":1}}\n");
    assert_int_equal(FQ_METRIC_GET(&f.metrics, dropped_newest), 2);
    fixture_fini(&f);
}

static void
test_waiting_conflates(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    fq_sub *sub = subscribe_called(&f, "s", FQ_OVERFLOW_CONFLATE);
    publish_ids(&f, "xababababab");
    answer_all(&f, sub);
    fixture_assert_log(&f, "call s 1\nnext s {\"data\":{\"s\":1}} dropped 8\n"
                           "call s 10\nnext s {\"data\":{\"s\":1}}\n"
                           "call s 11\nnext s {\"data\":{\"s\":1}}\n");
    assert_int_equal(FQ_METRIC_GET(&f.metrics, conflated), 8);
    fixture_fini(&f);
}

static void
test_waiting_is_bounded_over_all_of_a_client(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    fq_sub *flood = subscribe_called(&f, "f", FQ_OVERFLOW_DROP_OLDEST);
    publish_ids(&f, "abcdef");
    assert_int_equal(flood->pending.n_items, 3);
    fq_sub *other = subscribe_called(&f, "o", FQ_OVERFLOW_DISCONNECT);
    fixture_assert_log(&f, "call f 1\n");
    /* The one that holds most and may lose some yields to it. */
    publish_ids(&f, "gh");
    fixture_assert_log(&f, "call o 7\n");
    assert_int_equal(flood->pending.n_items, 2);
    assert_int_equal(other->pending.n_items, 1);
    assert_int_equal(f.sinks[0].sink.n_waiting, 3);
    fq_engine_unsubscribe(f.engine, flood, FQ_END_COMPLETE);
    assert_int_equal(f.sinks[0].sink.n_waiting, 1);
    assert_int_equal(f.sinks[0].sink.n_waiting_bytes, 10);
    fixture_fini(&f);
}

static void
test_waiting_is_bounded_in_bytes(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(fixture_init(&f), FQ_OK);
    f.engine->limits.max_pending_bytes = 25;
    fq_sub *sub = subscribe_called(&f, "s", FQ_OVERFLOW_DROP_OLDEST);
    publish_ids(&f, "abcd");
    assert_int_equal(sub->pending.n_items, 2);
    assert_int_equal(sub->n_carried, 1);
    fixture_fini(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_waiting_keeps_one_per_key),
        FQ_TEST(test_waiting_keys_are_scalars_by_content),
        FQ_TEST(test_waiting_drops_the_oldest),
        FQ_TEST(test_waiting_drops_the_newest),
        FQ_TEST(test_waiting_conflates),
        FQ_TEST(test_waiting_is_bounded_over_all_of_a_client),
        FQ_TEST(test_waiting_is_bounded_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
