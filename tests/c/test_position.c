/* SPDX-License-Identifier: MIT */
/* Positions of deliveries in a queue: how they are told, and that none ever
 * covers a delivery that is still behind it. */
#include <stdio.h>

#include "engine/queue.h"

#include "random.h"
#include "support.h"

static fq_rcbuf *
text_new(const char *text)
{
    fq_rcbuf *rcbuf;
    assert_int_equal(fq_rcbuf_new(fq_str_of(text), &rcbuf), FQ_OK);
    return rcbuf;
}

/* How it hears of positions. */
static uint8_t position_as = FQ_POSITION_EXTENSION;

/* Offers a delivery of subscription 1 that is |text|, at |position|. */
static fq_queue_losses
offer(fq_queue *queue, const char *text, const char *position,
      fq_overflow overflow, const char *key, uint32_t n_dropped)
{
    fq_queue_item item = {
        .head = text_new("<}>"),
        .tail_len = 2,
        .body = text_new(text),
        .position = position != NULL ? text_new(position) : NULL,
        .position_as = position_as,
        .sub_id = 1,
        .n_dropped = n_dropped,
        .overflow = (uint8_t)overflow,
    };
    fq_rcbuf *content = key != NULL ? text_new(key) : NULL;
    fq_queue_losses losses;
    if (fq_queue_offer(queue, &item, content, &losses) != FQ_OK)
        fq_queue_item_fini(&item);
    fq_rcbuf_unref(content);
    fq_queue_check(queue);
    return losses;
}

static void
assert_next(fq_queue *queue, const char *expected)
{
    fq_queue_item item;
    assert_int_equal(fq_queue_take(queue, &item, 1), 1);
    char scratch[FQ_QUEUE_SCRATCH_MAX], text[256];
    fq_str parts[FQ_QUEUE_PARTS_MAX];
    size_t len = 0, n_parts = fq_queue_item_parts(&item, scratch, parts);
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
test_position_is_told_behind_the_payload(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    offer(&queue, "a", NULL, FQ_OVERFLOW_DISCONNECT, NULL, 0);
    offer(&queue, "b", "p2", FQ_OVERFLOW_DISCONNECT, NULL, 0);
    offer(&queue, "c", "p3", FQ_OVERFLOW_DISCONNECT, NULL, UINT32_MAX);
    offer(&queue, "d", NULL, FQ_OVERFLOW_DISCONNECT, NULL, 7);
    assert_next(&queue, "<a}>");
    assert_next(&queue, "<b,\"extensions\":{\"position\":\"p2\"}}>");
    assert_next(&queue, "<c,\"extensions\":{\"dropped\":4294967295,"
                        "\"position\":\"p3\"}}>");
    assert_next(&queue, "<d,\"extensions\":{\"dropped\":7}}>");
    fq_queue_fini(&queue);
}

static void
test_position_as_the_id_of_an_event(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    position_as = FQ_POSITION_EVENT_ID;
    offer(&queue, "a", "p1", FQ_OVERFLOW_DISCONNECT, NULL, 0);
    offer(&queue, "b", "p2", FQ_OVERFLOW_DISCONNECT, NULL, 3);
    offer(&queue, "c", NULL, FQ_OVERFLOW_DISCONNECT, NULL, 0);
    position_as |= FQ_POSITION_EXTENSION;
    offer(&queue, "d", "p4", FQ_OVERFLOW_DISCONNECT, NULL, 5);
    position_as = FQ_POSITION_EXTENSION;
    assert_next(&queue, "<a}\nid: p1>");
    assert_next(&queue, "<b,\"extensions\":{\"dropped\":3}}\nid: p2>");
    assert_next(&queue, "<c}>");
    assert_next(&queue, "<d,\"extensions\":{\"dropped\":5,"
                        "\"position\":\"p4\"}}\nid: p4>");
    fq_queue_fini(&queue);
}

static void
test_position_survives_what_is_dropped(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 2, 1000);
    offer(&queue, "a", "1", FQ_OVERFLOW_DROP_OLDEST, NULL, 0);
    offer(&queue, "b", "2", FQ_OVERFLOW_DROP_OLDEST, NULL, 0);
    offer(&queue, "c", "3", FQ_OVERFLOW_DROP_OLDEST, NULL, 0);
    assert_next(&queue,
                "<b,\"extensions\":{\"dropped\":1,\"position\":\"2\"}}>");
    assert_next(&queue, "<c,\"extensions\":{\"position\":\"3\"}}>");
    fq_queue_fini(&queue);
}

/* The delivery that takes a place in front of others must not cover them. */
static void
test_position_of_a_conflated_delivery(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    offer(&queue, "a", "1", FQ_OVERFLOW_CONFLATE, "A", 0);
    offer(&queue, "b", "2", FQ_OVERFLOW_CONFLATE, "B", 0);
    offer(&queue, "c", "3", FQ_OVERFLOW_CONFLATE, "C", 0);
    offer(&queue, "a'", "12345", FQ_OVERFLOW_CONFLATE, "A", 0);
    offer(&queue, "c'", "5", FQ_OVERFLOW_CONFLATE, "C", 0);
    assert_next(&queue,
                "<a',\"extensions\":{\"dropped\":1,\"position\":\"1\"}}>");
    assert_next(&queue, "<b,\"extensions\":{\"position\":\"2\"}}>");
    assert_next(&queue,
                "<c',\"extensions\":{\"dropped\":1,\"position\":\"5\"}}>");
    fq_queue_fini(&queue);
}

/* Every delivery that waits is of an event above |told|. */
static void
assert_covers_nothing(const fq_queue *queue, unsigned told)
{
    for (uint32_t i = 0; i < queue->n_slots; i++) {
        const fq_queue_item *item
            = &queue->items[(queue->head + i) & (queue->cap - 1)];
        if (item->head != NULL)
            assert_true((unsigned)atoi(item->body->bytes) > told);
    }
}

static void
run_random(uint64_t seed)
{
    static const fq_overflow policies[] = {
        FQ_OVERFLOW_DROP_OLDEST, FQ_OVERFLOW_DROP_NEWEST, FQ_OVERFLOW_CONFLATE,
        FQ_OVERFLOW_DISCONNECT};
    fq_random random = {seed};
    fq_overflow overflow = policies[seed % 4];
    bool conflates = overflow == FQ_OVERFLOW_CONFLATE;
    fq_queue queue;
    fq_queue_init(&queue, 8, 100000);
    unsigned number = 0, told = 0;
    for (int step = 0; step < 400; step++) {
        fq_queue_item item;
        if (fq_random_chance(&random, 60)) {
            char text[16], key[] = "A";
            key[0] = (char)(key[0] + fq_random_below(&random, 5));
            snprintf(text, sizeof(text), "%u", ++number);
            offer(&queue, text, text, overflow, conflates ? key : NULL, 0);
        } else if (fq_queue_take(&queue, &item, 1) == 1) {
            unsigned position = (unsigned)atoi(item.position->bytes);
            assert_true(position >= told);
            assert_true(conflates
                        || position == (unsigned)atoi(item.body->bytes));
            told = position;
            fq_queue_item_fini(&item);
            assert_covers_nothing(&queue, told);
        }
    }
    fq_queue_fini(&queue);
}

/* Whatever is offered, dropped and taken: a position that was told says that
 * no event up to it is still to come. */
static void
test_position_never_covers_what_waits(void **state)
{
    (void)state;
    fq_random_runs(run_random, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_position_is_told_behind_the_payload),
        FQ_TEST(test_position_as_the_id_of_an_event),
        FQ_TEST(test_position_survives_what_is_dropped),
        FQ_TEST(test_position_of_a_conflated_delivery),
        FQ_TEST_RANDOM(test_position_never_covers_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
