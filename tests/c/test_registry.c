/* SPDX-License-Identifier: MIT */
/* Ids of subscriptions: found while they live, and never again after. */
#include "engine/registry.h"

#include "random.h"
#include "support.h"

static fq_status
body_registry_add(void *arg)
{
    (void)arg;
    fq_registry registry;
    fq_registry_init(&registry);
    fq_sub subs[200];
    fq_sub_id ids[200];
    size_t n = 0;
    fq_status status = FQ_OK;
    while (n < 200 && status == FQ_OK) {
        status = fq_registry_add(&registry, &subs[n], &ids[n]);
        if (status == FQ_OK)
            n++;
        else
            assert_int_equal(ids[n], 0);
        fq_registry_check(&registry);
    }
    assert_int_equal(registry.n_subs, n);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(fq_registry_find(&registry, ids[i]), &subs[i]);
    size_t iter = 0;
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(fq_registry_next(&registry, &iter), &subs[i]);
    assert_null(fq_registry_next(&registry, &iter));
    for (size_t i = 0; i < n; i++) {
        fq_registry_remove(&registry, ids[i]);
        assert_null(fq_registry_find(&registry, ids[i]));
    }
    fq_registry_check(&registry);
    fq_registry_fini(&registry);
    return status;
}

static void
test_registry_finds_what_was_added(void **state)
{
    (void)state;
    fq_test_body(body_registry_add, NULL);
}

static void
test_registry_knows_no_strange_ids(void **state)
{
    (void)state;
    fq_registry registry;
    fq_registry_init(&registry);
    assert_null(fq_registry_find(&registry, 0));
    fq_sub sub;
    fq_sub_id id;
    assert_int_equal(fq_registry_add(&registry, &sub, &id), FQ_OK);
    assert_int_not_equal(id, 0);
    assert_null(fq_registry_find(&registry, 0));
    assert_null(fq_registry_find(&registry, id + 1));
    assert_null(fq_registry_find(&registry, id + ((uint64_t)1 << 32)));
    assert_null(fq_registry_find(&registry, UINT64_MAX));
    fq_registry_remove(&registry, id);
    fq_registry_fini(&registry);
}

/* Comings and goings; the table empties and is given back several times. */
static void
test_registry_never_reuses_an_id(void **state)
{
    (void)state;
    enum { N_ALIVE = 3000, N_ROUNDS = 6 };
    static fq_sub subs[N_ALIVE];
    static fq_sub_id ids[N_ALIVE];
    fq_registry registry;
    fq_registry_init(&registry);
    fq_sub_id last_of_round = 0;
    for (int round = 0; round < N_ROUNDS; round++) {
        fq_sub_id highest = 0;
        for (size_t i = 0; i < N_ALIVE; i++) {
            assert_int_equal(fq_registry_add(&registry, &subs[i], &ids[i]),
                             FQ_OK);
            /* Above every generation of the rounds before. */
            assert_true(ids[i] >> 32 > last_of_round >> 32);
            if (ids[i] > highest)
                highest = ids[i];
        }
        fq_sub_id before = ids[7];
        fq_registry_remove(&registry, before);
        assert_int_equal(fq_registry_add(&registry, &subs[7], &ids[7]), FQ_OK);
        assert_int_equal((uint32_t)ids[7], (uint32_t)before);
        assert_int_equal(ids[7] >> 32, (before >> 32) + 1);
        assert_null(fq_registry_find(&registry, before));
        fq_registry_check(&registry);
        for (size_t i = 0; i < N_ALIVE; i++)
            fq_registry_remove(&registry, ids[i]);
        assert_int_equal(registry.cap, 0);
        fq_registry_check(&registry);
        last_of_round = ids[7] > highest ? ids[7] : highest;
    }
    fq_registry_fini(&registry);
}

static void
test_registry_retires_a_slot_without_generations(void **state)
{
    (void)state;
    fq_registry registry;
    fq_registry_init(&registry);
    fq_sub subs[2];
    fq_sub_id id;
    assert_int_equal(fq_registry_add(&registry, &subs[0], &id), FQ_OK);
    fq_registry_remove(&registry, id);
    registry.slots[0].generation = registry.max_generation = UINT32_MAX;
    fq_sub_id last;
    assert_int_equal(fq_registry_add(&registry, &subs[0], &last), FQ_OK);
    assert_int_equal(last >> 32, UINT32_MAX);
    assert_ptr_equal(fq_registry_find(&registry, last), &subs[0]);
    fq_registry_remove(&registry, last);
    fq_registry_check(&registry);
    assert_int_equal(fq_registry_add(&registry, &subs[1], &id), FQ_OK);
    assert_int_not_equal((uint32_t)id, (uint32_t)last);
    assert_null(fq_registry_find(&registry, last));
    fq_registry_remove(&registry, id);
    fq_registry_fini(&registry);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_registry_finds_what_was_added),
        FQ_TEST(test_registry_knows_no_strange_ids),
        FQ_TEST(test_registry_never_reuses_an_id),
        FQ_TEST(test_registry_retires_a_slot_without_generations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
