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
    char framed[128];
    snprintf(framed, sizeof(framed), "%s%s", head, body != NULL ? "}}" : "");
    return (fq_queue_item){
        .head = text_new(framed),
        .tail_len = body != NULL ? 2 : 0,
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

/* Offers a delivery whose head is |number|; the caller's part of a loss is
 * done as a sink does it. */
typedef struct subscriber {
    uint64_t id;
    fq_overflow overflow;
    uint32_t n_carried;
} subscriber;

static fq_status
offer(fq_queue *queue, subscriber *sub, int number, const char *key,
      fq_queue_losses *losses)
{
    char head[16];
    snprintf(head, sizeof(head), "%d", number);
    fq_queue_item item = item_new(head, "{", sub->id, sub->n_carried);
    item.overflow = sub->overflow;
    fq_rcbuf *content = key != NULL ? text_new(key) : NULL;
    fq_status status = fq_queue_offer(queue, &item, content, losses);
    fq_rcbuf_unref(content);
    if (status == FQ_OK) {
        sub->n_carried = 0;
    } else {
        fq_queue_item_fini(&item);
        sub->n_carried++;
    }
    fq_queue_check(queue);
    return status;
}

/* Offers numbers from |first| to |last|, which must all be queued. */
static void
offer_many(fq_queue *queue, subscriber *sub, int first, int last)
{
    fq_queue_losses losses;
    for (int i = first; i <= last; i++)
        assert_int_equal(offer(queue, sub, i, NULL, &losses), FQ_OK);
}

static void
assert_losses(fq_queue_losses losses, uint32_t n_oldest, uint32_t n_newest,
              uint32_t n_conflated)
{
    assert_int_equal(losses.n_oldest, n_oldest);
    assert_int_equal(losses.n_newest, n_newest);
    assert_int_equal(losses.n_conflated, n_conflated);
}

static void
test_queue_drop_oldest_tells_the_next_delivery(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 4, 1000);
    subscriber sub = {.id = 1, .overflow = FQ_OVERFLOW_DROP_OLDEST};
    offer_many(&queue, &sub, 1, 2);
    push(&queue, "{\"type\":\"complete\"}", NULL, 1);
    offer_many(&queue, &sub, 3, 3);
    fq_queue_losses losses;
    assert_int_equal(offer(&queue, &sub, 4, NULL, &losses), FQ_OK);
    assert_losses(losses, 1, 0, 0);
    assert_int_equal(offer(&queue, &sub, 5, NULL, &losses), FQ_OK);
    assert_losses(losses, 1, 0, 0);
    assert_next(&queue, "{\"type\":\"complete\"}");
    assert_next(&queue, "3{,\"extensions\":{\"dropped\":2}}}");
    assert_next(&queue, "4{}}");
    assert_next(&queue, "5{}}");
    fq_queue_fini(&queue);
}

static void
test_queue_drop_oldest_carries_when_there_is_no_next(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 2, 1000);
    subscriber lossy = {.id = 1, .overflow = FQ_OVERFLOW_DROP_OLDEST};
    subscriber strict = {.id = 2};
    fq_queue_losses losses;
    lossy.n_carried = 4;
    offer_many(&queue, &lossy, 1, 1);
    offer_many(&queue, &strict, 2, 3);
    /* Now all is the other's, which never yields. */
    assert_int_equal(offer(&queue, &lossy, 4, NULL, &losses), FQ_ERR_FULL);
    assert_int_equal(offer(&queue, &strict, 5, NULL, &losses), FQ_ERR_FULL);
    assert_losses(losses, 0, 0, 0);
    assert_int_equal(lossy.n_carried, 1);
    assert_next(&queue, "2{}}");
    assert_int_equal(offer(&queue, &lossy, 6, NULL, &losses), FQ_OK);
    assert_next(&queue, "3{}}");
    assert_next(&queue, "6{,\"extensions\":{\"dropped\":6}}}");
    fq_queue_fini(&queue);
}

static void
test_queue_drop_newest_keeps_what_waits(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 2, 1000);
    subscriber sub = {.id = 1, .overflow = FQ_OVERFLOW_DROP_NEWEST};
    fq_queue_losses losses;
    offer_many(&queue, &sub, 1, 2);
    for (int i = 3; i <= 5; i++)
        assert_int_equal(offer(&queue, &sub, i, NULL, &losses), FQ_ERR_FULL);
    assert_next(&queue, "1{}}");
    offer_many(&queue, &sub, 6, 6);
    assert_next(&queue, "2{}}");
    assert_next(&queue, "6{,\"extensions\":{\"dropped\":3}}}");
    fq_queue_fini(&queue);
}

static void
test_queue_conflates_in_place(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 3, 1000);
    subscriber sub = {.id = 1, .overflow = FQ_OVERFLOW_CONFLATE};
    subscriber other = {.id = 2, .overflow = FQ_OVERFLOW_CONFLATE};
    fq_queue_losses losses;
    assert_int_equal(offer(&queue, &sub, 1, "a", &losses), FQ_OK);
    assert_int_equal(offer(&queue, &sub, 2, "b", &losses), FQ_OK);
    assert_losses(losses, 0, 0, 0);
    assert_int_equal(offer(&queue, &other, 3, "a", &losses), FQ_OK);
    assert_losses(losses, 0, 0, 0);
    for (int i = 4; i <= 6; i++) {
        assert_int_equal(offer(&queue, &sub, i, "a", &losses), FQ_OK);
        assert_losses(losses, 0, 0, 1);
    }
    /* A key of its own and no room: the oldest goes. */
    assert_int_equal(offer(&queue, &sub, 7, "c", &losses), FQ_OK);
    assert_losses(losses, 1, 0, 0);
    assert_next(&queue, "2{,\"extensions\":{\"dropped\":4}}}");
    assert_next(&queue, "3{}}");
    assert_next(&queue, "7{}}");
    /* What was taken is not there to be replaced. */
    assert_int_equal(offer(&queue, &sub, 8, "c", &losses), FQ_OK);
    assert_losses(losses, 0, 0, 0);
    fq_queue_fini(&queue);
}

static void
test_queue_never_conflates_without_a_key(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    subscriber sub = {.id = 1, .overflow = FQ_OVERFLOW_CONFLATE};
    fq_queue_losses losses;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(offer(&queue, &sub, i, NULL, &losses), FQ_OK);
        assert_losses(losses, 0, 0, 0);
    }
    assert_int_equal(queue.n_items, 3);
    fq_queue_fini(&queue);
}

static void
test_queue_conflation_respects_the_bytes(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 20);
    subscriber sub = {.id = 1, .overflow = FQ_OVERFLOW_CONFLATE};
    fq_queue_losses losses;
    assert_int_equal(offer(&queue, &sub, 1, "a", &losses), FQ_OK);
    assert_int_equal(offer(&queue, &sub, 2, "b", &losses), FQ_OK);
    /* `extensions` is too much beside the other: that goes as well. */
    assert_int_equal(offer(&queue, &sub, 3, "a", &losses), FQ_OK);
    assert_losses(losses, 1, 0, 1);
    assert_next(&queue, "3{,\"extensions\":{\"dropped\":2}}}");
    fq_queue_fini(&queue);
}

static void
test_queue_the_greedy_one_yields(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 10, 1000);
    subscriber flood = {.id = 1, .overflow = FQ_OVERFLOW_DROP_OLDEST};
    subscriber log = {.id = 2, .overflow = FQ_OVERFLOW_DROP_NEWEST};
    subscriber strict = {.id = 3};
    fq_queue_losses losses;
    offer_many(&queue, &flood, 1, 20);
    /* Others get their share of a queue that one has filled, */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(offer(&queue, &log, 100 + i, NULL, &losses), FQ_OK);
        assert_losses(losses, 1, 0, 0);
        assert_int_equal(offer(&queue, &strict, 200 + i, NULL, &losses),
                         FQ_OK);
        assert_losses(losses, 1, 0, 0);
    }
    /* and pay for more by themselves. */
    assert_int_equal(offer(&queue, &log, 103, NULL, &losses), FQ_ERR_FULL);
    /* Who may lose nothing closes the client only when nobody can yield. */
    for (int i = 0; i < 7; i++)
        assert_int_equal(offer(&queue, &strict, 210 + i, NULL, &losses),
                         FQ_OK);
    assert_int_equal(offer(&queue, &strict, 220, NULL, &losses), FQ_ERR_FULL);
    assert_int_equal(queue.n_lossy, 0);
    for (int i = 0; i < 10; i++) {
        fq_queue_item item;
        assert_int_equal(fq_queue_take(&queue, &item, 1), 1);
        assert_int_equal(item.sub_id, 3);
        assert_int_equal(item.n_dropped, 0);
        fq_queue_item_fini(&item);
    }
    /* The losses of those who had nothing left are told when they are back. */
    assert_int_equal(offer(&queue, &log, 1, NULL, &losses), FQ_OK);
    assert_next(&queue, "1{,\"extensions\":{\"dropped\":4}}}");
    assert_int_equal(offer(&queue, &flood, 2, NULL, &losses), FQ_OK);
    assert_next(&queue, "2{,\"extensions\":{\"dropped\":20}}}");
    fq_queue_fini(&queue);
}

static void
test_queue_protocol_messages_find_room(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 3, 1000);
    subscriber sub = {.id = 1, .overflow = FQ_OVERFLOW_DROP_OLDEST};
    offer_many(&queue, &sub, 1, 5);
    fq_queue_losses losses;
    fq_queue_item pong = {.head = text_new("pong")};
    assert_int_equal(fq_queue_offer(&queue, &pong, NULL, &losses), FQ_OK);
    assert_losses(losses, 1, 0, 0);
    assert_next(&queue, "4{,\"extensions\":{\"dropped\":3}}}");
    assert_next(&queue, "5{}}");
    assert_next(&queue, "pong");
    fq_queue_fini(&queue);
}

static void
test_queue_purge_forgets_what_is_carried(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 1, 1000);
    subscriber sub = {.id = 1, .overflow = FQ_OVERFLOW_DROP_OLDEST};
    subscriber strict = {.id = 2};
    offer_many(&queue, &sub, 1, 3);
    offer_many(&queue, &strict, 4, 4);
    assert_int_equal(fq_queue_purge(&queue, 1), 0);
    assert_next(&queue, "4{}}");
    offer_many(&queue, &sub, 5, 5);
    assert_next(&queue, "5{}}");
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
        size_t len = items[i].head->len - items[i].tail_len;
        fq_test_assert_str(fq_str_make(items[i].head->bytes, len),
                           expected->text);
        assert_int_equal(items[i].sub_id, expected->sub_id);
        assert_int_equal(items[i].n_dropped, expected->n_dropped);
        model_remove(model, 0);
        fq_queue_item_fini(&items[i]);
    }
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

/* Five subscriptions of all policies, offers and takes in any order: whatever
 * is dropped, in whatever order, each hears of each of its events once. */
enum { N_SUBS = 5, N_KEYS = 4 };

typedef struct account {
    subscriber sub;
    uint32_t n_offered;
    uint32_t n_heard;            /* delivered, or told to be lost */
    int last_number[N_KEYS + 1]; /* by key; without conflation in [0] */
} account;

static void
account_take(account *accounts, fq_queue *queue, size_t max)
{
    fq_queue_item items[16];
    size_t n = fq_queue_take(queue, items, max);
    for (size_t i = 0; i < n; i++) {
        if (items[i].sub_id != 0) {
            account *self = &accounts[items[i].sub_id - 1];
            int number = atoi(items[i].head->bytes);
            int key = 0;
            if (self->sub.overflow == FQ_OVERFLOW_CONFLATE)
                key = number % (N_KEYS + 1);
            assert_true(number > self->last_number[key]);
            self->last_number[key] = number;
            self->n_heard += 1 + items[i].n_dropped;
            assert_true(self->sub.overflow != FQ_OVERFLOW_DISCONNECT
                        || items[i].n_dropped == 0);
        }
        fq_queue_item_fini(&items[i]);
    }
    fq_queue_check(queue);
}

static void
account_offer(account *self, fq_queue *queue, int number)
{
    static const char *const keys[] = {NULL, "a", "b", "cc", "ddd"};
    fq_queue_losses losses;
    const char *key = NULL;
    if (self->sub.overflow == FQ_OVERFLOW_CONFLATE)
        key = keys[number % (N_KEYS + 1)];
    fq_status status = offer(queue, &self->sub, number, key, &losses);
    self->n_offered++;
    if (self->sub.overflow != FQ_OVERFLOW_DISCONNECT || status == FQ_OK)
        return;
    /* Its client would be closed; here it gets another chance. */
    assert_int_equal(status, FQ_ERR_FULL);
    assert_int_equal(queue->n_lossy, 0);
    self->n_offered--;
    self->sub.n_carried = 0;
}

static void
run_accounts(uint64_t seed)
{
    fq_random random = {seed};
    account accounts[N_SUBS];
    for (int i = 0; i < N_SUBS; i++)
        accounts[i] = (account){
            .sub = {.id = 1 + (uint64_t)i,
                    .overflow = i < 4 ? (fq_overflow)i
                                      : FQ_OVERFLOW_DROP_OLDEST}};
    fq_queue queue;
    fq_queue_init(&queue, 1 + fq_random_below(&random, 40),
                  fq_random_chance(&random, 50)
                      ? SIZE_MAX
                      : 1 + fq_random_below(&random, 400));
    uint32_t takes = fq_random_below(&random, 60);
    for (int number = 1; number < 800; number++) {
        account_offer(&accounts[fq_random_below(&random, N_SUBS)], &queue,
                      number);
        if (fq_random_chance(&random, 3)) {
            fq_queue_losses losses;
            fq_queue_item pong = {.head = text_new("p")};
            if (fq_queue_offer(&queue, &pong, NULL, &losses) != FQ_OK)
                fq_queue_item_fini(&pong);
        }
        if (fq_random_chance(&random, takes))
            account_take(accounts, &queue, fq_random_below(&random, 9));
    }
    for (int i = 0; i < N_SUBS; i++) {
        while (queue.n_items > 0)
            account_take(accounts, &queue, 16);
        account_offer(&accounts[i], &queue, 1000);
    }
    account_take(accounts, &queue, 16);
    for (int i = 0; i < N_SUBS; i++)
        assert_int_equal(accounts[i].n_heard, accounts[i].n_offered);
    fq_queue_fini(&queue);
}

static void
test_queue_accounts_for_every_delivery(void **state)
{
    (void)state;
    fq_random_runs(run_accounts, 300);
}

/* A queue that policies keep turning over, under failing allocations. */
static fq_status
body_queue_offer(void *arg)
{
    (void)arg;
    fq_queue queue;
    fq_queue_init(&queue, 40, 100000);
    fq_rcbuf *text, *keys[3] = {NULL};
    fq_status status = fq_rcbuf_new(FQ_STR_LIT("x"), &text);
    for (int i = 0; i < 3 && status == FQ_OK; i++)
        status = fq_rcbuf_new(fq_str_make("abc" + i, 1), &keys[i]);
    for (uint32_t i = 0; i < 200 && status == FQ_OK; i++) {
        bool conflates = i % 5 == 0;
        fq_queue_item item = {
            .head = fq_rcbuf_ref(text),
            .body = fq_rcbuf_ref(text),
            .sub_id = 1 + (conflates ? 0 : i % 20),
            .overflow = conflates ? FQ_OVERFLOW_CONFLATE
                                  : FQ_OVERFLOW_DROP_OLDEST,
        };
        fq_queue_losses losses;
        status = fq_queue_offer(&queue, &item, conflates ? keys[i % 3] : NULL,
                                &losses);
        if (status != FQ_OK)
            fq_queue_item_fini(&item);
        fq_queue_check(&queue);
    }
    fq_queue_fini(&queue);
    for (int i = 0; i < 3; i++)
        fq_rcbuf_unref(keys[i]);
    fq_rcbuf_unref(text);
    return status;
}

static void
test_queue_offer_without_memory_fails_cleanly(void **state)
{
    (void)state;
    fq_test_body(body_queue_offer, NULL);
}

/* 100 subscriptions, one of which floods: no drop looks at all that waits. */
static void
test_queue_drops_from_a_long_queue_in_no_time(void **state)
{
    (void)state;
    fq_queue queue;
    fq_queue_init(&queue, 16384, SIZE_MAX);
    fq_rcbuf *text = text_new("x");
    for (uint32_t i = 0; i < 600000; i++) {
        fq_queue_item item = {
            .head = fq_rcbuf_ref(text),
            .body = fq_rcbuf_ref(text),
            .sub_id = 1 + (i < 16000 ? i % 99 : 99),
            .overflow = FQ_OVERFLOW_DROP_OLDEST,
        };
        fq_queue_losses losses;
        assert_int_equal(fq_queue_offer(&queue, &item, NULL, &losses), FQ_OK);
    }
    fq_queue_check(&queue);
    assert_int_equal(queue.n_items, 16384);
    assert_true(queue.cap <= 32768);
    fq_queue_fini(&queue);
    fq_rcbuf_unref(text);
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
        FQ_TEST(test_queue_drop_newest_keeps_what_waits),
        FQ_TEST(test_queue_conflates_in_place),
        FQ_TEST(test_queue_never_conflates_without_a_key),
        FQ_TEST(test_queue_conflation_respects_the_bytes),
        FQ_TEST(test_queue_the_greedy_one_yields),
        FQ_TEST(test_queue_protocol_messages_find_room),
        FQ_TEST(test_queue_purge_forgets_what_is_carried),
        FQ_TEST(test_queue_offer_without_memory_fails_cleanly),
        FQ_TEST(test_queue_drops_from_a_long_queue_in_no_time),
        FQ_TEST_RANDOM(test_queue_behaves_as_an_array),
        FQ_TEST_RANDOM(test_queue_accounts_for_every_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
