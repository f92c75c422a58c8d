/* SPDX-License-Identifier: MIT */
/* Users: told apart by tenant and id, counted, forgotten with the last thing
 * they have open. */
#include "engine/user_table.h"

#include <stdio.h>

#include "random.h"
#include "support.h"

static fq_status
enter(fq_user_table *table, const char *tenant, const char *user,
      fq_user_count what, size_t max, fq_user **puser)
{
    fq_security_context context = {0};
    if (user != NULL)
        context.user_id = fq_str_of(user);
    if (tenant != NULL)
        context.tenant_id = fq_str_of(tenant);
    return fq_user_table_enter(table, &context, what, max, puser);
}

static fq_status
body_user_table_counts(void *arg)
{
    (void)arg;
    fq_user_table table;
    fq_user_table_init(&table);
    fq_user *ada = NULL, *other = NULL;
    fq_status status = enter(&table, NULL, "ada", FQ_USER_CONNECTIONS, 2,
                             &ada);
    if (status == FQ_OK) {
        assert_int_equal(
            enter(&table, NULL, "ada", FQ_USER_CONNECTIONS, 2, &other), FQ_OK);
        assert_ptr_equal(other, ada);
        assert_int_equal(
            enter(&table, NULL, "ada", FQ_USER_CONNECTIONS, 2, &other),
            FQ_ERR_LIMIT);
        assert_null(other);
        assert_int_equal(enter(&table, NULL, "ada", FQ_USER_SUBS, 1, &other),
                         FQ_OK);
        assert_int_equal(fq_user_table_n_users(&table), 1);
        fq_user_table_leave(&table, ada, FQ_USER_CONNECTIONS);
        fq_user_table_leave(&table, ada, FQ_USER_SUBS);
        assert_int_equal(fq_user_table_n_users(&table), 1);
        fq_user_table_leave(&table, ada, FQ_USER_CONNECTIONS);
    }
    assert_int_equal(fq_user_table_n_users(&table), 0);
    fq_user_table_fini(&table);
    return status;
}

static void
test_user_table_counts_and_forgets(void **state)
{
    (void)state;
    fq_test_body(body_user_table_counts, NULL);
}

static void
test_user_table_tells_users_apart(void **state)
{
    (void)state;
    char same_long[400];
    memset(same_long, 'x', sizeof(same_long));
    same_long[399] = '\0';
    /* The same bytes in a row, cut elsewhere, are somebody else. */
    const char *const pairs[][2] = {
        {NULL, "ab"},     {"a", "b"},       {"ab", "a"}, {"a", "ba"},
        {"a", same_long}, {same_long, "a"}, {"b", "b"},  {"tenant", "other"},
    };
    size_t n = sizeof(pairs) / sizeof(pairs[0]);
    fq_user_table table;
    fq_user_table_init(&table);
    fq_user *users[16];
    for (size_t i = 0; i < n; i++)
        assert_int_equal(enter(&table, pairs[i][0], pairs[i][1], FQ_USER_SUBS,
                               1, &users[i]),
                         FQ_OK);
    assert_int_equal(fq_user_table_n_users(&table), n);
    for (size_t i = 0; i < n; i++) {
        fq_user *user;
        assert_int_equal(
            enter(&table, pairs[i][0], pairs[i][1], FQ_USER_SUBS, 2, &user),
            FQ_OK);
        assert_ptr_equal(user, users[i]);
        fq_user_table_leave(&table, user, FQ_USER_SUBS);
        fq_user_table_leave(&table, user, FQ_USER_SUBS);
    }
    assert_int_equal(fq_user_table_n_users(&table), 0);
    fq_user_table_fini(&table);
}

static void
test_user_table_does_not_count_strangers(void **state)
{
    (void)state;
    fq_user_table table;
    fq_user_table_init(&table);
    const char *const nobodies[] = {NULL, "", "anonymous"};
    for (size_t i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            fq_user *user;
            assert_int_equal(
                enter(&table, "t", nobodies[i], FQ_USER_CONNECTIONS, 1, &user),
                FQ_OK);
            assert_null(user);
            fq_user_table_leave(&table, user, FQ_USER_CONNECTIONS);
        }
    }
    fq_user *user;
    assert_int_equal(fq_user_table_enter(&table, NULL, FQ_USER_SUBS, 1, &user),
                     FQ_OK);
    assert_null(user);
    assert_int_equal(fq_user_table_n_users(&table), 0);
    fq_user_table_fini(&table);
}

static void
test_user_table_moves_between_users(void **state)
{
    (void)state;
    fq_user_table table;
    fq_user_table_init(&table);
    fq_security_context ada = {.user_id = FQ_STR("ada")};
    fq_security_context bob = {.user_id = FQ_STR("bob")};
    fq_user *user = NULL, *full;
    const fq_user_count what = FQ_USER_CONNECTIONS;
    assert_int_equal(fq_user_table_move(&table, &ada, what, 1, &user), FQ_OK);
    /* The same user at its cap stays. */
    assert_int_equal(fq_user_table_move(&table, &ada, what, 1, &user), FQ_OK);
    assert_int_equal(user->counts[what], 1);
    assert_int_equal(fq_user_table_enter(&table, &bob, what, 1, &full), FQ_OK);
    assert_int_equal(fq_user_table_move(&table, &bob, what, 1, &user),
                     FQ_ERR_LIMIT);
    assert_int_equal(user->counts[what], 1);
    assert_int_equal(fq_user_table_move(&table, &bob, what, 2, &user), FQ_OK);
    assert_ptr_equal(user, full);
    assert_int_equal(fq_user_table_n_users(&table), 1);
    assert_int_equal(fq_user_table_move(&table, NULL, what, 2, &user), FQ_OK);
    assert_null(user);
    fq_user_table_leave(&table, full, what);
    assert_int_equal(fq_user_table_n_users(&table), 0);
    fq_user_table_fini(&table);
}

/* A thousand users come and go in any order. */
static void
run_churn(uint64_t seed)
{
    enum { N_USERS = 50, N_STEPS = 2000 };
    fq_random random = {seed};
    fq_user_table table;
    fq_user_table_init(&table);
    fq_user *users[N_USERS][FQ_USER_N_COUNTS] = {{0}};
    size_t counts[N_USERS][FQ_USER_N_COUNTS] = {{0}};
    for (int step = 0; step < N_STEPS; step++) {
        uint32_t i = fq_random_below(&random, N_USERS);
        uint32_t what = fq_random_below(&random, FQ_USER_N_COUNTS);
        if (fq_random_chance(&random, 50)) {
            char name[16];
            snprintf(name, sizeof(name), "u%u", i);
            fq_user *user;
            fq_status status = enter(&table, NULL, name, what, 3, &user);
            assert_int_equal(status,
                             counts[i][what] < 3 ? FQ_OK : FQ_ERR_LIMIT);
            if (status == FQ_OK) {
                users[i][what] = user;
                assert_int_equal(user->counts[what], ++counts[i][what]);
            }
        } else if (counts[i][what] > 0) {
            counts[i][what]--;
            fq_user_table_leave(&table, users[i][what], what);
        }
        fq_map_check(&table.users);
    }
    for (size_t i = 0; i < N_USERS; i++) {
        for (size_t what = 0; what < FQ_USER_N_COUNTS; what++) {
            while (counts[i][what]-- > 0)
                fq_user_table_leave(&table, users[i][what], what);
        }
    }
    assert_int_equal(fq_user_table_n_users(&table), 0);
    fq_user_table_fini(&table);
}

static void
test_user_table_survives_churn(void **state)
{
    (void)state;
    fq_random_runs(run_churn, 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_user_table_counts_and_forgets),
        FQ_TEST(test_user_table_tells_users_apart),
        FQ_TEST(test_user_table_does_not_count_strangers),
        FQ_TEST(test_user_table_moves_between_users),
        FQ_TEST_RANDOM(test_user_table_survives_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
