/* SPDX-License-Identifier: MIT */
/* The queue: limits, losses and their counts, the texts; and a random run
 * against an array. */
#include "engine/queue.h"

#include <stdio.h>

#include "random.h"
#include "support.h"

static fq_rcbuf *
text_new(const char *text)
{
    fq_rcbuf *rcbuf;
    assert_int_equal(fq_rcbuf_new(fq_str_of(text), &rcbuf), FQ_OK);
    return rcbuf;
}

static fq_queue_item
item_new(const char *head, const char *body, uint64_t sub_id,
         uint32_t n_dropped)
{
    return (fq_queue_item){
        .head = text_new(head),
        .body = body != NULL ? text_new(body) : NULL,
        .sub_id = sub_id,
        .n_dropped = n_dropped,
    };
}

static fq_status
push(fq_queue *queue, const char *head, const char *body, uint64_t sub_id)
{
    fq_queue_item item = item_new(head, body, sub_id, 0);
    fq_status status = fq_queue_push(queue, &item);
    if (status != FQ_OK)
        fq_queue_item_fini(&item);
    fq_queue_check(queue);
    return status;
}

/* Takes the oldest item and compares its text. */
static void
assert_next(fq_queue *queue, const char *expected)
{
    fq_queue_item item;
    assert_int_equal(fq_queue_take(queue, &item, 1), 1);
    char scratch[FQ_QUEUE_SCRATCH_MAX];
    fq_str parts[FQ_QUEUE_PARTS_MAX];
    char text[256] = "";
    size_t len = 0;
    size_t n_parts = fq_queue_item_parts(&item, scratch, parts);
    for (size_t i = 0; i < n_parts; i++) {
        memcpy(text + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    assert_int_equal(len, fq_queue_item_n_bytes(&item));
    fq_test_assert_str(fq_str_make(text, len), expected);
    fq_queue_item_fini(&item);
    fq_queue_check(queue);
}

static void
test_queue_item_text(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    const uint32_t counts[] = {0, 1, 9, 10, 4294967295u};
    for (size_t i = 0; i < 5; i++) {
        fq_queue_item item = item_new(
            "{\"id\":\"1\",\"payload\":", "{\"data\":{}", 1, counts[i]);
        assert_int_equal(fq_queue_push(&queue, &item), FQ_OK);
    }
    assert_int_equal(push(&queue, "{\"type\":\"pong\"}", NULL, 0), FQ_OK);
    assert_next(&queue, "{\"id\":\"1\",\"payload\":{\"data\":{}}}");
    assert_next(&queue, "{\"id\":\"1\",\"payload\":{\"data\":{},"
                        "\"extensions\":{\"dropped\":1}}}");
    assert_next(&queue, "{\"id\":\"1\",\"payload\":{\"data\":{},"
                        "\"extensions\":{\"dropped\":9}}}");
    assert_next(&queue, "{\"id\":\"1\",\"payload\":{\"data\":{},"
                        "\"extensions\":{\"dropped\":10}}}");
    assert_next(&queue, "{\"id\":\"1\",\"payload\":{\"data\":{},"
                        "\"extensions\":{\"dropped\":4294967295}}}");
    assert_next(&queue, "{\"type\":\"pong\"}");
    fq_queue_fini(&queue);
}

static void
test_queue_item_is_ascii(void **state)
{
    (void)state;
    const struct {
        const char *head, *body;
        bool is_ascii;
    } cases[] = {
        {"a", NULL, true},        {"\xc3\xa4", NULL, false}, {"a", "b", true},
        {"\xc3\xa4", "b", false}, {"a", "\xc3\xa4", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_queue_item item = item_new(cases[i].head, cases[i].body, 1, 0);
        assert_int_equal(fq_queue_item_is_ascii(&item), cases[i].is_ascii);
        fq_queue_item_fini(&item);
    }
}

static void
test_queue_refuses_beyond_its_maxima(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 2, 10);
    assert_int_equal(push(&queue, "12345", NULL, 0), FQ_OK);
    assert_int_equal(push(&queue, "123456", NULL, 0), FQ_ERR_FULL);
    assert_int_equal(push(&queue, "12345", NULL, 0), FQ_OK);
    assert_int_equal(push(&queue, "", NULL, 0), FQ_ERR_FULL);
    assert_next(&queue, "12345");
    assert_int_equal(push(&queue, "", NULL, 0), FQ_OK);
    fq_queue_fini(&queue);
}

static void
test_queue_empty_takes_any_item(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 0, 3);
    assert_int_equal(push(&queue, "123456", NULL, 0), FQ_OK);
    assert_int_equal(push(&queue, "", NULL, 0), FQ_ERR_FULL);
    assert_next(&queue, "123456");
    assert_int_equal(push(&queue, "1", NULL, 0), FQ_OK);
    fq_queue_fini(&queue);
}

static void
test_queue_drop_oldest_tells_the_next_delivery(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    uint32_t n_carry = 99;
    assert_false(fq_queue_drop_oldest(&queue, 1, &n_carry));
    assert_int_equal(n_carry, 0);
    push(&queue, "{\"p\":", "{\"a\":1", 1);
    push(&queue, "{\"q\":", "{\"a\":1", 2);
    push(&queue, "{\"p\":", "{\"a\":2", 1);
    push(&queue, "{\"type\":\"complete\"}", NULL, 1);
    push(&queue, "{\"p\":", "{\"a\":3", 1);
    assert_true(fq_queue_drop_oldest(&queue, 1, &n_carry));
    assert_int_equal(n_carry, 0);
    fq_queue_check(&queue);
    assert_true(fq_queue_drop_oldest(&queue, 1, &n_carry));
    assert_int_equal(n_carry, 0);
    fq_queue_check(&queue);
    assert_next(&queue, "{\"q\":{\"a\":1}}");
    assert_next(&queue, "{\"type\":\"complete\"}");
    assert_next(&queue, "{\"p\":{\"a\":3,\"extensions\":{\"dropped\":2}}}");
    fq_queue_fini(&queue);
}

static void
test_queue_drop_oldest_carries_when_there_is_no_next(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    fq_queue_item item = item_new("h", "b", 1, 4);
    assert_int_equal(fq_queue_push(&queue, &item), FQ_OK);
    uint32_t n_carry;
    assert_true(fq_queue_drop_oldest(&queue, 1, &n_carry));
    assert_int_equal(n_carry, 5);
    item = item_new("h", "b", 1, UINT32_MAX);
    assert_int_equal(fq_queue_push(&queue, &item), FQ_OK);
    assert_true(fq_queue_drop_oldest(&queue, 1, &n_carry));
    assert_int_equal(n_carry, UINT32_MAX);
    fq_queue_check(&queue);
    fq_queue_fini(&queue);
}

static void
test_queue_gives_a_large_ring_back(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 1000, 100000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(push(&queue, "x", NULL, 0), FQ_OK);
    assert_true(queue.cap >= 1000);
    assert_int_equal(fq_queue_clear(&queue), 1000);
    assert_int_equal(queue.cap, 0);
    assert_int_equal(push(&queue, "x", NULL, 0), FQ_OK);
    assert_next(&queue, "x");
    /* A small one stays. */
    assert_int_not_equal(queue.cap, 0);
    fq_queue_fini(&queue);
}

static fq_status
body_queue_push(void *arg)
{
    (void)arg;
    fq_queue queue;
    fq_queue_init(&queue, 1000, 100000);
    fq_rcbuf *text;
    fq_status status = fq_rcbuf_new(FQ_STR_LIT("x"), &text);
    size_t n_pushed = 0;
    for (; n_pushed < 100 && status == FQ_OK; n_pushed++) {
        fq_queue_item item = {.head = fq_rcbuf_ref(text)};
        status = fq_queue_push(&queue, &item);
        if (status != FQ_OK) {
            fq_queue_item_fini(&item);
            n_pushed--;
        }
        fq_queue_check(&queue);
    }
    assert_int_equal(queue.n_items, n_pushed);
    assert_int_equal(queue.n_bytes, n_pushed);
    fq_queue_fini(&queue);
    fq_rcbuf_unref(text);
    return status;
}

static void
test_queue_push_without_memory_changes_nothing(void **state)
{
    (void)state;
    fq_test_body(body_queue_push, NULL);
}

/* The model: the same items in an array, oldest first. */
typedef struct model_item {
    char text[16]; /* of the head, which is unique */
    uint64_t sub_id;
    bool has_body;
    uint32_t n_dropped;
} model_item;

typedef struct model {
    model_item items[64];
    size_t n_items;
    size_t max_items;
} model;

static void
model_remove(model *model, size_t i)
{
    memmove(&model->items[i], &model->items[i + 1],
            (model->n_items - i - 1) * sizeof(model->items[0]));
    model->n_items--;
}

static size_t
model_find(const model *model, uint64_t sub_id, size_t i)
{
    while (i < model->n_items
           && !(model->items[i].sub_id == sub_id && model->items[i].has_body))
        i++;
    return i;
}

static void
random_push(fq_random *random, fq_queue *queue, model *model, int number)
{
    model_item added = {
        .sub_id = fq_random_below(random, 4),
        .n_dropped = 0,
    };
    added.has_body = added.sub_id != 0 && fq_random_chance(random, 80);
    if (added.has_body && fq_random_chance(random, 20))
        added.n_dropped = fq_random_below(random, 20);
    snprintf(added.text, sizeof(added.text), "%d", number);
    fq_queue_item item = item_new(added.text, added.has_body ? "body" : NULL,
                                  added.sub_id, added.n_dropped);
    fq_status status = fq_queue_push(queue, &item);
    bool is_full = model->n_items >= 1 && model->n_items >= model->max_items;
    assert_int_equal(status, is_full ? FQ_ERR_FULL : FQ_OK);
    if (is_full)
        fq_queue_item_fini(&item);
    else
        model->items[model->n_items++] = added;
}

static void
random_take(fq_random *random, fq_queue *queue, model *model)
{
    fq_queue_item items[8];
    size_t max = fq_random_below(random, 9);
    size_t n = fq_queue_take(queue, items, max);
    assert_int_equal(n, max < model->n_items ? max : model->n_items);
    for (size_t i = 0; i < n; i++) {
        const model_item *expected = &model->items[0];
        fq_test_assert_str(fq_rcbuf_str(items[i].head), expected->text);
        assert_int_equal(items[i].sub_id, expected->sub_id);
        assert_int_equal(items[i].n_dropped, expected->n_dropped);
        model_remove(model, 0);
        fq_queue_item_fini(&items[i]);
    }
}

static void
random_drop(fq_random *random, fq_queue *queue, model *model)
{
    uint64_t sub_id = 1 + fq_random_below(random, 3);
    size_t i = model_find(model, sub_id, 0);
    uint32_t n_carry;
    bool was_there = fq_queue_drop_oldest(queue, sub_id, &n_carry);
    assert_int_equal(was_there, i < model->n_items);
    uint32_t expected = 0;
    if (was_there) {
        expected = model->items[i].n_dropped + 1;
        model_remove(model, i);
        i = model_find(model, sub_id, i);
        if (i < model->n_items) {
            model->items[i].n_dropped += expected;
            expected = 0;
        }
    }
    assert_int_equal(n_carry, expected);
}

static void
random_purge(fq_random *random, fq_queue *queue, model *model)
{
    uint64_t sub_id = 1 + fq_random_below(random, 3);
    size_t n_purged = 0;
    for (size_t i = 0; i < model->n_items;) {
        if (model->items[i].sub_id == sub_id) {
            model_remove(model, i);
            n_purged++;
        } else {
            i++;
        }
    }
    assert_int_equal(fq_queue_purge(queue, sub_id), n_purged);
}

static void
random_run(uint64_t seed)
{
    fq_random random = {seed};
    model model = {.max_items = fq_random_below(&random, 60)};
    fq_queue queue;
    fq_queue_init(&queue, model.max_items, SIZE_MAX);
    for (int i = 0; i < 400; i++) {
        uint32_t what = fq_random_below(&random, 100);
        if (what < 60)
            random_push(&random, &queue, &model, i);
        else if (what < 75)
            random_take(&random, &queue, &model);
        else if (what < 93)
            random_drop(&random, &queue, &model);
        else if (what < 99)
            random_purge(&random, &queue, &model);
        else
            assert_int_equal(fq_queue_clear(&queue), model.n_items);
        if (what == 99)
            model.n_items = 0;
        assert_int_equal(queue.n_items, model.n_items);
        fq_queue_check(&queue);
    }
    fq_queue_fini(&queue);
}

static void
test_queue_behaves_as_an_array(void **state)
{
    (void)state;
    fq_random_runs(random_run, 300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_queue_item_text),
        FQ_TEST(test_queue_item_is_ascii),
        FQ_TEST(test_queue_refuses_beyond_its_maxima),
        FQ_TEST(test_queue_empty_takes_any_item),
        FQ_TEST(test_queue_drop_oldest_tells_the_next_delivery),
        FQ_TEST(test_queue_drop_oldest_carries_when_there_is_no_next),
        FQ_TEST(test_queue_gives_a_large_ring_back),
        FQ_TEST(test_queue_push_without_memory_changes_nothing),
        FQ_TEST_RANDOM(test_queue_behaves_as_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
