/* SPDX-License-Identifier: MIT */
/* Replies of every type, in any pieces, with memory refused, and cut off; and
 * how many entries are asked for. */
#include "bus/redis_reply.h"

#include "bus/redis_state.h"
#include "support.h"

/* `[[s [[1-0 [a ""]]]] 7 nil nil OK ERR]`, as RESP2 has it. */
static const char text[] = "*6\r\n"
                           "*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n"
                           "*2\r\n$1\r\na\r\n$0\r\n\r\n"
                           ":-7\r\n$-1\r\n*-1\r\n+OK\r\n-ERR no\r\n";

/* Without a socket: what counts is its reader. */
static bool
open_reader(redisContext *context)
{
    memset(context, 0, sizeof(*context));
    context->reader = redisReaderCreate();
    if (context->reader == NULL)
        return false;
    fq_redis_reply_use(context);
    return true;
}

static void
expect_text(const redisReply *reply, int type, const char *wanted)
{
    assert_int_equal(reply->type, type);
    assert_string_equal(reply->str, wanted);
    assert_int_equal(reply->len, strlen(wanted));
}

static void
expect_reply(const redisReply *reply)
{
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_int_equal(reply->elements, 6);
    const redisReply *stream = reply->element[0];
    assert_int_equal(stream->elements, 2);
    expect_text(stream->element[0], REDIS_REPLY_STRING, "s");
    assert_int_equal(stream->element[1]->elements, 1);
    const redisReply *entry = stream->element[1]->element[0];
    assert_int_equal(entry->elements, 2);
    expect_text(entry->element[0], REDIS_REPLY_STRING, "1-0");
    expect_text(entry->element[1]->element[0], REDIS_REPLY_STRING, "a");
    expect_text(entry->element[1]->element[1], REDIS_REPLY_STRING, "");
    assert_int_equal(reply->element[1]->type, REDIS_REPLY_INTEGER);
    assert_int_equal(reply->element[1]->integer, -7);
    assert_int_equal(reply->element[2]->type, REDIS_REPLY_NIL);
    assert_int_equal(reply->element[3]->type, REDIS_REPLY_NIL);
    expect_text(reply->element[4], REDIS_REPLY_STATUS, "OK");
    expect_text(reply->element[5], REDIS_REPLY_ERROR, "ERR no");
}

/* |arg|: in pieces of how many bytes. */
static fq_status
body_reply(void *arg)
{
    size_t piece = (size_t)(intptr_t)arg;
    redisContext context;
    void *reply = NULL;
    assert_true(open_reader(&context));
    int status = REDIS_OK;
    for (size_t at = 0; at < sizeof(text) - 1 && status == REDIS_OK;
         at += piece) {
        size_t left = sizeof(text) - 1 - at;
        assert_null(reply);
        redisReaderFeed(context.reader, text + at,
                        left < piece ? left : piece);
        status = redisReaderGetReply(context.reader, &reply);
    }
    if (status == REDIS_OK) {
        assert_non_null(reply);
        expect_reply(reply);
    } else {
        assert_int_equal(context.reader->err, REDIS_ERR_OOM);
        assert_null(reply);
    }
    fq_redis_reply_free(reply);
    redisReaderFree(context.reader);
    return status == REDIS_OK ? FQ_OK : FQ_ERR_NOMEM;
}

static void
test_redis_reply_is_what_was_sent(void **state)
{
    (void)state;
    fq_test_body(body_reply, (void *)(intptr_t)(sizeof(text) - 1));
    fq_test_body(body_reply, (void *)(intptr_t)7);
    fq_test_body(body_reply, (void *)(intptr_t)1);
}

static void
test_redis_reply_is_freed_where_it_is_cut_off(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        redisContext context;
        void *reply = NULL;
        assert_true(open_reader(&context));
        redisReaderFeed(context.reader, text, len);
        assert_int_equal(redisReaderGetReply(context.reader, &reply),
                         REDIS_OK);
        assert_null(reply);
        redisReaderFree(context.reader);
    }
    fq_redis_reply_free(NULL);
}

static void
test_redis_reply_has_a_bound_on_its_elements(void **state)
{
    (void)state;
    static const char *const texts[] = {"*1048577\r\n",
                                        "*1\r\n*4000000000\r\n"};
    for (size_t i = 0; i < 2; i++) {
        redisContext context;
        void *reply = NULL;
        assert_true(open_reader(&context));
        redisReaderFeed(context.reader, texts[i], strlen(texts[i]));
        assert_int_equal(redisReaderGetReply(context.reader, &reply),
                         REDIS_ERR);
        assert_int_equal(context.reader->err, REDIS_ERR_PROTOCOL);
        redisReaderFree(context.reader);
    }
}

static void
test_redis_count_follows_what_comes(void **state)
{
    (void)state;
    /* Small ones, as many as asked for: more and more, up to 1,000. */
    uint64_t count = 16;
    for (int i = 0; i < 3; i++)
        count = fq_redis_next_count(count, count, count * 1500);
    assert_int_equal(count, 1000);
    assert_int_equal(fq_redis_next_count(count, 1000, 1500000), 1000);
    /* Few of them: twice as many. */
    assert_int_equal(fq_redis_next_count(1000, 100, 150000), 200);
    assert_int_equal(fq_redis_next_count(1000, 1, 1500), 16);
    /* Large ones: as many as make 8 MiB, and one at least. */
    assert_int_equal(fq_redis_next_count(16, 16, 16 << 20), 8);
    assert_int_equal(fq_redis_next_count(16, 16, 16u << 24), 1);
    assert_int_equal(fq_redis_next_count(1, 1, 16 << 20), 1);
    assert_int_equal(fq_redis_next_count(1, 1, 1500), 16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_redis_reply_is_what_was_sent),
        FQ_TEST(test_redis_reply_is_freed_where_it_is_cut_off),
        FQ_TEST(test_redis_reply_has_a_bound_on_its_elements),
        FQ_TEST(test_redis_count_follows_what_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
