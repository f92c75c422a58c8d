/* SPDX-License-Identifier: MIT */
/* Addresses of names: those there are, those there are not, and look-ups that
 * nobody wants any more. */
#include "bus/lookup.h"

#include <arpa/inet.h>

#include "support.h"

typedef struct answer {
    unsigned n_calls;
    fq_status status;
    size_t n_addresses;
    fq_lookup_address first;
    fq_error error;
} answer;

static void
on_answer(void *arg, fq_status status, const fq_lookup_address *addresses,
          size_t n_addresses, const fq_error *error)
{
    answer *self = arg;
    self->n_calls++;
    self->status = status;
    self->n_addresses = n_addresses;
    if (n_addresses > 0)
        self->first = addresses[0];
    self->error = *error;
}

static void
look_up(const char *host, answer *answer)
{
    uv_loop_t loop;
    fq_lookup *lookup;
    memset(answer, 0, sizeof(*answer));
    uv_loop_init(&loop);
    assert_int_equal(
        fq_lookup_start(&loop, host, 6379, on_answer, answer, &lookup), FQ_OK);
    assert_int_equal(answer->n_calls, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(answer->n_calls, 1);
}

static void
test_lookup_finds_addresses(void **state)
{
    (void)state;
    long n_blocks = fq_alloc_n_live();
    answer answer;
    look_up("127.0.0.1", &answer);
    assert_int_equal(answer.status, FQ_OK);
    assert_string_equal(answer.first.text, "127.0.0.1");
    const struct sockaddr_in *in = (void *)&answer.first.address;
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(ntohs(in->sin_port), 6379);
    look_up("localhost", &answer);
    assert_int_equal(answer.status, FQ_OK);
    assert_in_range(answer.n_addresses, 1, FQ_LOOKUP_ADDRESSES_MAX);
    fq_test_await_errands(n_blocks);
}

static void
test_lookup_says_what_is_wrong(void **state)
{
    (void)state;
    long n_blocks = fq_alloc_n_live();
    answer answer;
    look_up("no such name", &answer);
    assert_int_equal(answer.status, FQ_ERR_SYSTEM);
    assert_int_equal(answer.n_addresses, 0);
    assert_non_null(
        strstr(answer.error.message,
               "cannot find the address of host \"no such name\""));
    char host[FQ_LOOKUP_HOST_MAX + 1];
    memset(host, 'a', FQ_LOOKUP_HOST_MAX);
    host[FQ_LOOKUP_HOST_MAX] = '\0';
    fq_lookup *lookup;
    assert_int_equal(
        fq_lookup_start(NULL, host, 1, on_answer, &answer, &lookup),
        FQ_ERR_LIMIT);
    fq_test_await_errands(n_blocks);
}

static void
test_lookup_can_be_forgotten(void **state)
{
    (void)state;
    long n_blocks = fq_alloc_n_live();
    answer answer = {.n_calls = 0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    for (int i = 0; i < 20; i++) {
        fq_lookup *lookup;
        assert_int_equal(fq_lookup_start(&loop, "localhost", 1, on_answer,
                                         &answer, &lookup),
                         FQ_OK);
        if (i % 2 == 0)
            uv_sleep(1);
        fq_lookup_cancel(lookup);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    fq_lookup_cancel(NULL);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(answer.n_calls, 0);
    fq_test_await_errands(n_blocks);
}

static fq_status
body_start(void *arg)
{
    answer *answer = arg;
    long n_blocks = fq_alloc_n_live();
    uv_loop_t loop;
    fq_lookup *lookup;
    uv_loop_init(&loop);
    fq_status status = fq_lookup_start(&loop, "127.0.0.1", 1, on_answer,
                                       answer, &lookup);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    fq_test_await_errands(n_blocks);
    return status;
}

static void
test_lookup_survives_without_memory(void **state)
{
    (void)state;
    answer answer = {.n_calls = 0};
    fq_test_body(body_start, &answer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_lookup_finds_addresses),
        FQ_TEST(test_lookup_says_what_is_wrong),
        FQ_TEST(test_lookup_can_be_forgotten),
        FQ_TEST(test_lookup_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
