/* SPDX-License-Identifier: MIT */
/* Admission: each limit at its boundary, and a table that forgets. */
#include "reactor/admission.h"

#include <stdio.h>

#include "base/clock.h"
#include "random.h"
#include "support.h"

static const fq_admission_limits unlimited = {.max_connections = SIZE_MAX};

static fq_address
address_of(uint32_t n)
{
    char text[FQ_ADDRESS_TEXT_MAX];
    fq_address address;
    snprintf(text, sizeof(text), "10.%u.%u.%u", (n >> 16) & 255,
             (n >> 8) & 255, n & 255);
    assert_int_equal(fq_address_parse(fq_str_of(text), &address), FQ_OK);
    return address;
}

/* The refusal of one more, who stays when there is none. */
static fq_refusal
enter(fq_admission *self, uint32_t n, uint64_t now_ns, fq_visitor **pvisitor)
{
    fq_address address = address_of(n);
    fq_refusal refusal;
    fq_status status = fq_admission_enter(self, &address, now_ns, pvisitor,
                                          &refusal);
    assert_int_equal(status,
                     refusal == FQ_REFUSAL_NONE ? FQ_OK : FQ_ERR_LIMIT);
    assert_true(status == FQ_OK || *pvisitor == NULL);
    return refusal;
}

static uint64_t
counted(const fq_metrics *metrics)
{
    return FQ_METRIC_GET(metrics, refused_connections)
           + FQ_METRIC_GET(metrics, refused_address_connections)
           + FQ_METRIC_GET(metrics, refused_handshakes)
           + FQ_METRIC_GET(metrics, refused_address_handshakes);
}

static void
test_admission_caps_connections(void **state)
{
    (void)state;
    fq_metrics metrics = {0};
    fq_admission self;
    fq_visitor *a, *b, *c, *none;
    fq_admission_limits limits = {.max_connections = 3,
                                  .max_connections_per_address = 2};
    assert_int_equal(fq_admission_init(&self, &limits, &metrics), FQ_OK);
    assert_int_equal(enter(&self, 1, 0, &a), FQ_REFUSAL_NONE);
    assert_int_equal(enter(&self, 1, 0, &b), FQ_REFUSAL_NONE);
    assert_ptr_equal(a, b);
    assert_int_equal(enter(&self, 1, 0, &none),
                     FQ_REFUSAL_ADDRESS_CONNECTIONS);
    assert_int_equal(enter(&self, 2, 0, &c), FQ_REFUSAL_NONE);
    assert_int_equal(enter(&self, 2, 0, &none), FQ_REFUSAL_CONNECTIONS);
    assert_int_equal(enter(&self, 3, 0, &none), FQ_REFUSAL_CONNECTIONS);
    assert_int_equal(self.visitors.n_items, 2);
    fq_admission_leave(&self, c);
    /* Nothing is remembered without a rate. */
    assert_int_equal(self.visitors.n_items, 1);
    fq_admission_leave(&self, a);
    assert_int_equal(enter(&self, 1, 0, &a), FQ_REFUSAL_NONE);
    assert_int_equal(FQ_METRIC_GET(&metrics, refused_address_connections), 1);
    assert_int_equal(FQ_METRIC_GET(&metrics, refused_connections), 2);
    fq_admission_leave(&self, a);
    fq_admission_leave(&self, b);
    fq_admission_fini(&self);
}

static void
test_admission_caps_those_without_an_address_together(void **state)
{
    (void)state;
    fq_metrics metrics = {0};
    fq_admission self;
    fq_visitor *visitor;
    fq_refusal refusal;
    fq_admission_limits limits = {.max_connections = 3,
                                  .max_connections_per_address = 1,
                                  .handshakes_per_s_per_address = 1};
    assert_int_equal(fq_admission_init(&self, &limits, &metrics), FQ_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            fq_admission_enter(&self, NULL, 0, &visitor, &refusal), FQ_OK);
        assert_null(visitor);
    }
    assert_int_equal(fq_admission_enter(&self, NULL, 0, &visitor, &refusal),
                     FQ_ERR_LIMIT);
    assert_int_equal(refusal, FQ_REFUSAL_CONNECTIONS);
    for (int i = 0; i < 3; i++)
        fq_admission_leave(&self, NULL);
    fq_admission_fini(&self);
}

static void
test_admission_limits_handshakes(void **state)
{
    (void)state;
    fq_metrics metrics = {0};
    fq_admission self;
    fq_visitor *visitor;
    fq_admission_limits limits = unlimited;
    limits.handshakes_per_s = 5;
    limits.handshakes_per_s_per_address = 2;
    assert_int_equal(fq_admission_init(&self, &limits, &metrics), FQ_OK);
    uint64_t now_ns = 7 * (uint64_t)FQ_NS_PER_S;
    /* One second's worth at once: of each address, and of all. */
    for (uint32_t n = 1; n <= 2; n++) {
        for (int i = 0; i < 2; i++) {
            assert_int_equal(enter(&self, n, now_ns, &visitor),
                             FQ_REFUSAL_NONE);
            fq_admission_leave(&self, visitor);
        }
        assert_int_equal(enter(&self, n, now_ns, &visitor),
                         FQ_REFUSAL_ADDRESS_HANDSHAKES);
    }
    assert_int_equal(enter(&self, 3, now_ns, &visitor), FQ_REFUSAL_NONE);
    fq_admission_leave(&self, visitor);
    assert_int_equal(enter(&self, 4, now_ns, &visitor), FQ_REFUSAL_HANDSHAKES);
    assert_int_equal(enter(&self, 3, now_ns, &visitor), FQ_REFUSAL_HANDSHAKES);
    /* One grows in a fifth of a second, and one of address 1 in a half. */
    now_ns += FQ_NS_PER_S / 5 - 1;
    assert_int_equal(enter(&self, 3, now_ns, &visitor), FQ_REFUSAL_HANDSHAKES);
    now_ns += 1;
    assert_int_equal(enter(&self, 1, now_ns, &visitor),
                     FQ_REFUSAL_ADDRESS_HANDSHAKES);
    assert_int_equal(enter(&self, 3, now_ns, &visitor), FQ_REFUSAL_NONE);
    fq_admission_leave(&self, visitor);
    now_ns += FQ_NS_PER_S * 3 / 10;
    assert_int_equal(enter(&self, 1, now_ns, &visitor), FQ_REFUSAL_NONE);
    fq_admission_leave(&self, visitor);
    assert_int_equal(FQ_METRIC_GET(&metrics, refused_address_handshakes), 3);
    assert_int_equal(FQ_METRIC_GET(&metrics, refused_handshakes), 3);
    assert_int_equal(fq_admission_retry_after_s(&self, FQ_REFUSAL_HANDSHAKES),
                     1);
    fq_admission_fini(&self);
    limits.handshakes_per_s_per_address = 0.1;
    assert_int_equal(fq_admission_init(&self, &limits, &metrics), FQ_OK);
    assert_int_equal(
        fq_admission_retry_after_s(&self, FQ_REFUSAL_ADDRESS_HANDSHAKES), 10);
    assert_int_equal(fq_admission_retry_after_s(&self, FQ_REFUSAL_CONNECTIONS),
                     1);
    fq_admission_fini(&self);
}

/* The table is bounded, whoever knocks. */
static void
test_admission_forgets_who_left(void **state)
{
    (void)state;
    enum { N = FQ_ADMISSION_IDLE_MAX + 1000 };
    fq_metrics metrics = {0};
    fq_admission self;
    fq_visitor *visitor, *stays;
    fq_admission_limits limits = unlimited;
    limits.handshakes_per_s_per_address = 1;
    assert_int_equal(fq_admission_init(&self, &limits, &metrics), FQ_OK);
    assert_int_equal(enter(&self, N, 0, &stays), FQ_REFUSAL_NONE);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(enter(&self, i, 1, &visitor), FQ_REFUSAL_NONE);
        fq_admission_leave(&self, visitor);
        assert_true(self.n_idle <= FQ_ADMISSION_IDLE_MAX + 1);
    }
    assert_int_equal(self.visitors.n_items, self.n_idle + 1);
    /* The last are still known, the first are not. */
    assert_int_equal(enter(&self, N - 1, 1, &visitor),
                     FQ_REFUSAL_ADDRESS_HANDSHAKES);
    assert_int_equal(enter(&self, 0, 1, &visitor), FQ_REFUSAL_NONE);
    fq_admission_leave(&self, visitor);
    /* With full buckets they go by themselves, two for each that comes. */
    uint64_t now_ns = 10 * (uint64_t)FQ_NS_PER_S;
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(enter(&self, i % 7, now_ns, &visitor),
                         FQ_REFUSAL_NONE);
        fq_admission_leave(&self, visitor);
        now_ns += FQ_NS_PER_S;
    }
    assert_true(self.n_idle <= 7);
    fq_admission_leave(&self, stays);
    fq_admission_fini(&self);
}

static fq_status
body_admission(void *arg)
{
    (void)arg;
    fq_metrics metrics = {0};
    fq_admission self;
    fq_admission_limits limits = unlimited;
    limits.max_connections_per_address = 9;
    fq_visitor *visitors[8];
    size_t n = 0;
    assert_int_equal(fq_admission_init(&self, &limits, &metrics), FQ_OK);
    fq_status status = FQ_OK;
    for (uint32_t i = 0; i < 8 && status == FQ_OK; i++) {
        fq_address address = address_of(i % 4);
        fq_refusal refusal;
        status = fq_admission_enter(&self, &address, 0, &visitors[n],
                                    &refusal);
        assert_int_equal(refusal, FQ_REFUSAL_NONE);
        n += status == FQ_OK;
    }
    assert_int_equal(self.n_open, n);
    while (n > 0)
        fq_admission_leave(&self, visitors[--n]);
    fq_admission_fini(&self);
    return status;
}

static void
test_admission_fails_clean(void **state)
{
    (void)state;
    fq_test_body(body_admission, NULL);
}

/* Against a model without a table. */
static void
run_model(uint64_t seed)
{
    enum { N_ADDRESSES = 20, N_STEPS = 3000, CAP = 3, CAP_ALL = 30 };
    fq_random random = {seed};
    fq_metrics metrics = {0};
    fq_admission self;
    fq_admission_limits limits = {.max_connections = CAP_ALL,
                                  .max_connections_per_address = CAP,
                                  .handshakes_per_s_per_address = 10};
    fq_rate rate = fq_rate_make(10, 0);
    fq_rate_limit buckets[N_ADDRESSES] = {{0}};
    fq_visitor *visitors[N_ADDRESSES] = {0};
    size_t counts[N_ADDRESSES] = {0}, n_open = 0;
    uint64_t now_ns = 1, n_refused = 0;
    assert_int_equal(fq_admission_init(&self, &limits, &metrics), FQ_OK);
    for (int step = 0; step < N_STEPS; step++) {
        uint32_t i = fq_random_below(&random, N_ADDRESSES);
        now_ns += fq_random_below(&random, FQ_NS_PER_S / 50);
        if (fq_random_chance(&random, 60)) {
            fq_refusal expected = FQ_REFUSAL_NONE;
            if (!fq_rate_limit_has(&buckets[i], &rate, now_ns))
                expected = FQ_REFUSAL_ADDRESS_HANDSHAKES;
            else if (counts[i] >= CAP)
                expected = FQ_REFUSAL_ADDRESS_CONNECTIONS;
            else if (n_open >= CAP_ALL)
                expected = FQ_REFUSAL_CONNECTIONS;
            fq_visitor *visitor;
            assert_int_equal(enter(&self, i, now_ns, &visitor), expected);
            if (expected != FQ_REFUSAL_NONE) {
                n_refused++;
                continue;
            }
            fq_rate_limit_force(&buckets[i], &rate, now_ns);
            visitors[i] = visitor;
            counts[i]++;
            n_open++;
        } else if (counts[i] > 0) {
            fq_admission_leave(&self, visitors[i]);
            counts[i]--;
            n_open--;
        }
        assert_int_equal(self.n_open, n_open);
        assert_int_equal(counted(&metrics), n_refused);
        fq_map_check(&self.visitors);
    }
    for (size_t i = 0; i < N_ADDRESSES; i++) {
        while (counts[i]-- > 0)
            fq_admission_leave(&self, visitors[i]);
    }
    fq_admission_fini(&self);
}

static void
test_admission_is_as_the_model(void **state)
{
    (void)state;
    fq_random_runs(run_model, 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_admission_caps_connections),
        FQ_TEST(test_admission_caps_those_without_an_address_together),
        FQ_TEST(test_admission_limits_handshakes),
        FQ_TEST(test_admission_forgets_who_left),
        FQ_TEST(test_admission_fails_clean),
        FQ_TEST_RANDOM(test_admission_is_as_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
