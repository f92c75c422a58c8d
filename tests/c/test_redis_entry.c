/* SPDX-License-Identifier: MIT */
/* Events as entries of a stream: the command, the way back, and everything
 * that somebody else may have written. */
#include "bus/redis_entry.h"

#include "support.h"

/* A reply of texts and lists, `(a (b c))`, in a block that grows. */
typedef struct builder {
    redisReply replies[64];
    redisReply *lists[64];
    size_t n_replies;
    size_t n_lists;
} builder;

static redisReply *
text(builder *self, const char *value)
{
    redisReply *reply = &self->replies[self->n_replies++];
    *reply = (redisReply){.type = REDIS_REPLY_STRING,
                          .str = (char *)value,
                          .len = strlen(value)};
    return reply;
}

static redisReply *
list(builder *self, redisReply *const *items, size_t n_items)
{
    redisReply *reply = &self->replies[self->n_replies++];
    *reply = (redisReply){.type = REDIS_REPLY_ARRAY,
                          .element = &self->lists[self->n_lists],
                          .elements = n_items};
    memcpy(&self->lists[self->n_lists], items, n_items * sizeof(*items));
    self->n_lists += n_items;
    return reply;
}

/* The entry |id| with |words|, names and values, NULL at the end. */
static redisReply *
entry(builder *self, const char *id, const char *const *words)
{
    redisReply *items[32];
    size_t n = 0;
    memset(self, 0, sizeof(*self));
    for (; words[n] != NULL; n++)
        items[n] = text(self, words[n]);
    redisReply *pair[] = {text(self, id), list(self, items, n)};
    return list(self, pair, 2);
}

static void
expect_text(const fq_rcbuf *value, const char *wanted)
{
    if (wanted == NULL)
        assert_null(value);
    else
        fq_test_assert_str(fq_rcbuf_str(value), wanted);
}

static fq_status
body_read(void *arg)
{
    (void)arg;
    const char *const words[] = {
        "channel", "orders",    "data",          "{\"n\":1}", "event_type",
        "created", "tenant_id", "acme",          "boundary",  "shop",
        "meta",    "{\"a\":2}", "created_at_ns", "17",        "color",
        "green",   NULL,
    };
    builder builder;
    fq_redis_id id;
    fq_event *event;
    fq_status status = fq_redis_entry_read(entry(&builder, "5-7", words), 0,
                                           &id, &event, NULL);
    assert_int_equal(id.ms, 5);
    assert_int_equal(id.seq, 7);
    if (status != FQ_OK) {
        assert_null(event);
        return status;
    }
    assert_string_equal(event->id, "5-7");
    expect_text(event->channel, "orders");
    expect_text(event->event_type, "created");
    expect_text(event->data, "{\"n\":1}");
    expect_text(event->tenant_id, "acme");
    expect_text(event->boundary, "shop");
    expect_text(event->meta, "{\"a\":2}");
    assert_int_equal(event->created_at_ns, 17);
    /* And back: what is added is what was read. */
    fq_buf command = FQ_BUF_INIT;
    fq_redis_xadd_write(&command, FQ_STR_LIT("g:events"), 100, event);
    status = fq_buf_status(&command);
    if (status == FQ_OK)
        fq_test_assert_str(
            fq_buf_str(&command),
            "*20\r\n$4\r\nXADD\r\n$8\r\ng:events\r\n$6\r\nMAXLEN\r\n$1\r\n~"
            "\r\n"
            "$3\r\n100\r\n$1\r\n*\r\n$7\r\nchannel\r\n$6\r\norders\r\n"
            "$10\r\nevent_type\r\n$7\r\ncreated\r\n$4\r\ndata\r\n"
            "$7\r\n{\"n\":1}\r\n$9\r\ntenant_id\r\n$4\r\nacme\r\n"
            "$8\r\nboundary\r\n$4\r\nshop\r\n$4\r\nmeta\r\n"
            "$7\r\n{\"a\":2}\r\n$13\r\ncreated_at_ns\r\n$2\r\n17\r\n");
    fq_buf_fini(&command);
    fq_event_unref(event);
    return status;
}

static void
test_redis_entry_is_an_event_and_back(void **state)
{
    (void)state;
    fq_test_body(body_read, NULL);
}

static void
test_redis_entry_has_defaults(void **state)
{
    (void)state;
    const char *const words[] = {"channel", "orders", "data", "{}", NULL};
    builder builder;
    fq_redis_id id;
    fq_event *event;
    assert_int_equal(fq_redis_entry_read(entry(&builder, "1700-0", words), 0,
                                         &id, &event, NULL),
                     FQ_OK);
    assert_false(event->is_unreadable);
    expect_text(event->event_type, "orders");
    expect_text(event->tenant_id, NULL);
    assert_int_equal(event->created_at_ns, 1700ull * 1000000);
    fq_event_unref(event);
}

static void
expect_read(const redisReply *reply, fq_status wanted)
{
    fq_redis_id id;
    fq_event *event;
    fq_error error = {.message = ""};
    assert_int_equal(fq_redis_entry_read(reply, 16, &id, &event, &error),
                     wanted);
    assert_null(event);
    assert_int_equal(error.message[0] == '\0', wanted == FQ_ERR_NOT_FOUND);
}

/* On channel "a", and no event. */
static void
expect_unreadable(const redisReply *reply)
{
    fq_redis_id id;
    fq_event *event;
    fq_error error = {.message = ""};
    assert_int_equal(fq_redis_entry_read(reply, 16, &id, &event, &error),
                     FQ_OK);
    assert_true(event->is_unreadable);
    expect_text(event->channel, "a");
    expect_text(event->data, "{}");
    assert_string_equal(event->id, "1-1");
    assert_int_not_equal(error.message[0], '\0');
    fq_event_unref(event);
}

static void
test_redis_entry_takes_nothing_for_granted(void **state)
{
    (void)state;
    builder builder;
    const char *const mark[] = {"epoch", "12", NULL};
    expect_read(entry(&builder, "1-1", mark), FQ_ERR_NOT_FOUND);
    static const char *const wrong[][9] = {
        {"channel", "a", NULL},
        {"channel", "a", "data", "[]", NULL},
        {"channel", "a", "data", "{", NULL},
        {"channel", "a", "data", "", NULL},
        {"channel", "a", "data", "{\"long\":\"0123456789\"}", NULL},
        {"channel", "a", "data", "{}", "event_type", "", NULL},
        {"channel", "a", "data", "{}", "meta", "[]", NULL},
        {"channel", "a", "data", "{}", "created_at_ns", "", NULL},
        {"channel", "a", "data", "{}", "created_at_ns", "1.5", NULL},
        {"channel", "a", "data", "{}", "created_at_ns", "99999999999999999999",
         NULL},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        expect_unreadable(entry(&builder, "1-1", wrong[i]));
    /* Nobody can listen there. */
    const char *const empty[] = {"channel", "", "data", "{}", NULL};
    expect_read(entry(&builder, "1-1", empty), FQ_ERR_INVALID);
    const char *const binary[] = {"channel", "\xff", "data", "{}", NULL};
    expect_read(entry(&builder, "1-1", binary), FQ_ERR_INVALID);
    /* Shapes that no Redis answers with. */
    const char *const fine[] = {"channel", "a", "data", "{}", NULL};
    expect_read(entry(&builder, "1", fine), FQ_ERR_INVALID);
    redisReply *reply = entry(&builder, "1-1", fine);
    reply->elements = 1;
    expect_read(reply, FQ_ERR_INVALID);
    reply = entry(&builder, "1-1", fine);
    reply->element[1]->elements = 3;
    expect_read(reply, FQ_ERR_INVALID);
    reply = entry(&builder, "1-1", fine);
    reply->element[1]->element[2]->type = REDIS_REPLY_NIL;
    expect_read(reply, FQ_ERR_INVALID);
    reply = entry(&builder, "1-1", fine);
    reply->element[1]->type = REDIS_REPLY_NIL;
    expect_read(reply, FQ_ERR_INVALID);
    redisReply nil = {.type = REDIS_REPLY_NIL};
    expect_read(&nil, FQ_ERR_INVALID);
}

static void
test_redis_entry_ids_have_one_form(void **state)
{
    (void)state;
    static const char *const right[] = {
        "0-0", "1-0", "1700000000000-12",
        "18446744073709551615-18446744073709551615"};
    static const char *const wrong[] = {"",
                                        "-",
                                        "1",
                                        "1-",
                                        "-1",
                                        "01-1",
                                        "1-01",
                                        "1-1 ",
                                        " 1-1",
                                        "+1-1",
                                        "1--1",
                                        "a-1",
                                        "1-a",
                                        "1-1-1",
                                        "18446744073709551616-0",
                                        "0-18446744073709551616"};
    fq_redis_id id, last = {0, 0};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        char text[FQ_REDIS_ID_MAX];
        assert_true(fq_redis_id_read(fq_str_of(right[i]), &id));
        fq_redis_id_write(id, text);
        assert_string_equal(text, right[i]);
        assert_int_equal(fq_redis_id_compare(id, id), 0);
        assert_true(i == 0 || fq_redis_id_compare(last, id) < 0);
        assert_true(i == 0 || fq_redis_id_compare(id, last) > 0);
        last = id;
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(fq_redis_id_read(fq_str_of(wrong[i]), &id));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_redis_entry_is_an_event_and_back),
        FQ_TEST(test_redis_entry_has_defaults),
        FQ_TEST(test_redis_entry_takes_nothing_for_granted),
        FQ_TEST(test_redis_entry_ids_have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
