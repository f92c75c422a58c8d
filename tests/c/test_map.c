/* SPDX-License-Identifier: MIT */
/* The map against a model, and its hash against known vectors. */
#include "base/map.h"

#include <stdio.h>

#include "support.h"

#define N_KEYS 2000

/* Keys "k0", "k1", …, each the value of itself. */
typedef char key_text[16];
static key_text keys[N_KEYS];

static int
keys_make(void **state)
{
    (void)state;
    for (int i = 0; i < N_KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "k%d", i);
    return 0;
}

static fq_str
key_of(size_t i)
{
    return fq_str_of(keys[i]);
}

static fq_status
body_map_add(void *arg)
{
    (void)arg;
    fq_map map;
    fq_map_init(&map);
    fq_status status = FQ_OK;
    size_t n_added = 0;
    for (; n_added < 200 && status == FQ_OK; n_added++)
        status = fq_map_add(&map, key_of(n_added), keys[n_added]);
    if (status != FQ_OK)
        n_added--;
    fq_map_check(&map);
    assert_int_equal(map.n_items, n_added);
    for (size_t i = 0; i < 200; i++)
        assert_ptr_equal(fq_map_get(&map, key_of(i)),
                         i < n_added ? keys[i] : NULL);
    /* Shrinking may fail; removing may not. */
    for (size_t i = 0; i < n_added; i++)
        assert_ptr_equal(fq_map_remove(&map, key_of(i)), keys[i]);
    assert_int_equal(map.n_items, 0);
    fq_map_check(&map);
    fq_map_fini(&map);
    return status;
}

static void
test_map_finds_what_was_added(void **state)
{
    (void)state;
    fq_test_body(body_map_add, NULL);
}

static fq_status
body_map_remove(void *arg)
{
    (void)arg;
    fq_map map;
    fq_map_init(&map);
    fq_status status = FQ_OK;
    for (size_t i = 0; i < 100 && status == FQ_OK; i++)
        status = fq_map_add(&map, key_of(i), keys[i]);
    if (status == FQ_OK) {
        for (size_t i = 0; i < 100; i += 2)
            assert_ptr_equal(fq_map_remove(&map, key_of(i)), keys[i]);
        fq_map_check(&map);
        assert_int_equal(map.n_items, 50);
        for (size_t i = 0; i < 100; i++)
            assert_ptr_equal(fq_map_get(&map, key_of(i)),
                             i % 2 ? keys[i] : NULL);
    }
    fq_map_fini(&map);
    return status;
}

static void
test_map_remove_takes_out_and_leaves_the_rest(void **state)
{
    (void)state;
    fq_test_body(body_map_remove, NULL);
}

static void
test_map_empty_has_nothing_and_no_memory(void **state)
{
    (void)state;
    fq_map map;
    fq_map_init(&map);
    assert_null(map.slots);
    assert_null(fq_map_get(&map, FQ_STR_LIT("x")));
    assert_null(fq_map_remove(&map, FQ_STR_LIT("x")));
    size_t iter = 0;
    fq_str key;
    void *value;
    assert_false(fq_map_next(&map, &iter, &key, &value));
    fq_map_check(&map);
    fq_map_fini(&map);
}

static void
test_map_refuses_a_key_it_has(void **state)
{
    (void)state;
    fq_map map;
    fq_map_init(&map);
    int a, b;
    assert_int_equal(fq_map_add(&map, FQ_STR_LIT("x"), &a), FQ_OK);
    assert_int_equal(fq_map_add(&map, FQ_STR_LIT("x"), &b), FQ_ERR_EXISTS);
    assert_ptr_equal(fq_map_get(&map, FQ_STR_LIT("x")), &a);
    assert_int_equal(map.n_items, 1);
    fq_map_fini(&map);
}

static void
test_map_keys_may_hold_any_bytes(void **state)
{
    (void)state;
    const fq_str odd[] = {
        {NULL, 0},      FQ_STR("\0"),   FQ_STR("\0\0"),
        FQ_STR("a\0b"), FQ_STR("a\0c"), FQ_STR("\xff"),
    };
    fq_map map;
    fq_map_init(&map);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(fq_map_add(&map, odd[i], &keys[i]), FQ_OK);
    for (size_t i = 0; i < 6; i++)
        assert_ptr_equal(fq_map_get(&map, odd[i]), &keys[i]);
    assert_int_equal(fq_map_add(&map, FQ_STR_LIT(""), &map), FQ_ERR_EXISTS);
    fq_map_fini(&map);
}

static void
test_map_next_walks_each_item_once(void **state)
{
    (void)state;
    fq_map map;
    fq_map_init(&map);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(fq_map_add(&map, key_of(i), keys[i]), FQ_OK);
    bool is_seen[300] = {false};
    size_t iter = 0, n_seen = 0;
    fq_str key;
    void *value;
    while (fq_map_next(&map, &iter, &key, &value)) {
        size_t i = (size_t)((key_text *)value - keys);
        assert_true(i < 300 && !is_seen[i]);
        assert_true(fq_str_eq(key, key_of(i)));
        is_seen[i] = true;
        n_seen++;
    }
    assert_int_equal(n_seen, 300);
    assert_null(value);
    fq_map_fini(&map);
}

static void
test_map_shrinks_when_three_quarters_empty(void **state)
{
    (void)state;
    fq_map map;
    fq_map_init(&map);
    for (size_t i = 0; i < N_KEYS; i++)
        assert_int_equal(fq_map_add(&map, key_of(i), keys[i]), FQ_OK);
    size_t cap_full = map.cap;
    assert_true(cap_full * 3 >= N_KEYS * 4);
    for (size_t i = 0; i < N_KEYS - 10; i++)
        fq_map_remove(&map, key_of(i));
    fq_map_check(&map);
    assert_true(map.cap <= 64);
    for (size_t i = N_KEYS - 10; i < N_KEYS; i++)
        assert_ptr_equal(fq_map_get(&map, key_of(i)), keys[i]);
    fq_map_fini(&map);
}

static void
test_map_stays_large_when_it_cannot_shrink(void **state)
{
    (void)state;
    fq_map map;
    fq_map_init(&map);
    for (size_t i = 0; i < N_KEYS; i++)
        assert_int_equal(fq_map_add(&map, key_of(i), keys[i]), FQ_OK);
    size_t cap_full = map.cap;
    fq_alloc_fail_after(0);
    for (size_t i = 0; i < N_KEYS - 10; i++)
        assert_ptr_equal(fq_map_remove(&map, key_of(i)), keys[i]);
    fq_alloc_fail_after(-1);
    assert_int_equal(map.cap, cap_full);
    fq_map_check(&map);
    assert_ptr_equal(fq_map_get(&map, key_of(N_KEYS - 1)), keys[N_KEYS - 1]);
    fq_map_fini(&map);
}

static void
test_map_breathing_around_a_size_does_not_rehash(void **state)
{
    (void)state;
    fq_map map;
    fq_map_init(&map);
    for (size_t i = 0; i < 49; i++)
        assert_int_equal(fq_map_add(&map, key_of(i), keys[i]), FQ_OK);
    const fq_map_slot *slots = map.slots;
    for (int round = 0; round < 100; round++) {
        fq_map_remove(&map, key_of(48));
        assert_int_equal(fq_map_add(&map, key_of(48), keys[48]), FQ_OK);
        assert_ptr_equal(map.slots, slots);
    }
    fq_map_fini(&map);
}

/* Random adds and removals against an array of flags. */
static void
test_map_agrees_with_a_model_under_churn(void **state)
{
    (void)state;
    bool is_in[N_KEYS] = {false};
    size_t n_in = 0;
    fq_map map;
    fq_map_init(&map);
    uint32_t random = 12345;
    for (int step = 0; step < 60000; step++) {
        random = random * 1664525u + 1013904223u;
        /* Waves: mostly adding, then mostly removing. */
        size_t i = (random >> 8) % N_KEYS;
        bool is_add = (random >> 28) < (step / 10000 % 2 ? 5u : 11u);
        if (is_add) {
            fq_status status = fq_map_add(&map, key_of(i), keys[i]);
            assert_int_equal(status, is_in[i] ? FQ_ERR_EXISTS : FQ_OK);
            n_in += !is_in[i];
            is_in[i] = true;
        } else {
            assert_ptr_equal(fq_map_remove(&map, key_of(i)),
                             is_in[i] ? keys[i] : NULL);
            n_in -= is_in[i];
            is_in[i] = false;
        }
        assert_int_equal(map.n_items, n_in);
        if (step % 1000 == 0)
            fq_map_check(&map);
    }
    for (size_t i = 0; i < N_KEYS; i++)
        assert_ptr_equal(fq_map_get(&map, key_of(i)),
                         is_in[i] ? keys[i] : NULL);
    fq_map_fini(&map);
}

/* What CPython 3.11, which uses SipHash-1-3 as well, gives as hash() of these
 * bytes under PYTHONHASHSEED=0, that is, a key of zeros. */
static void
test_map_hash_is_siphash_1_3(void **state)
{
    (void)state;
    const uint64_t zero[2] = {0, 0};
    const char *text = "the quick brown fox jumps over";
    const struct {
        size_t len;
        int64_t hash;
    } vectors[] = {
        {1, INT64_C(7085657846729122796)},
        {7, INT64_C(-1938450648023336370)},
        {8, INT64_C(6744250263483249442)},
        {9, INT64_C(194191768795597828)},
        {15, INT64_C(-7887452966167952750)},
        {16, INT64_C(5134497682466400552)},
        {30, INT64_C(-5945385678455576951)},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_int_equal(
            (int64_t)fq_hash_bytes_keyed(zero, text, vectors[i].len),
            vectors[i].hash);
}

static void
test_map_hash_depends_on_the_key(void **state)
{
    (void)state;
    const uint64_t one[2] = {1, 0};
    const uint64_t other[2] = {0, 1};
    uint64_t hash = fq_hash_bytes_keyed(one, "x", 1);
    assert_true(hash != fq_hash_bytes_keyed(other, "x", 1));
    assert_true(hash != fq_hash_bytes("x", 1));
    assert_true(fq_hash_bytes("x", 1) == fq_hash_bytes("x", 1));
    assert_true(fq_hash_bytes(NULL, 0) == fq_hash_bytes("", 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_map_finds_what_was_added),
        FQ_TEST(test_map_remove_takes_out_and_leaves_the_rest),
        FQ_TEST(test_map_empty_has_nothing_and_no_memory),
        FQ_TEST(test_map_refuses_a_key_it_has),
        FQ_TEST(test_map_keys_may_hold_any_bytes),
        FQ_TEST(test_map_next_walks_each_item_once),
        FQ_TEST(test_map_shrinks_when_three_quarters_empty),
        FQ_TEST(test_map_stays_large_when_it_cannot_shrink),
        FQ_TEST(test_map_breathing_around_a_size_does_not_rehash),
        FQ_TEST(test_map_agrees_with_a_model_under_churn),
        FQ_TEST(test_map_hash_is_siphash_1_3),
        FQ_TEST(test_map_hash_depends_on_the_key),
    };
    return cmocka_run_group_tests(tests, keys_make, NULL);
}
