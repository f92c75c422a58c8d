/* SPDX-License-Identifier: MIT */
/* Snapshots of PostgreSQL: reading, what they contain, which includes which. */
#include "bus/postgres_snapshot.h"

#include <stdio.h>

#include "random.h"
#include "support.h"

static fq_status
read_text(fq_postgres_snapshot *snapshot, const char *text)
{
    fq_postgres_snapshot_init(snapshot);
    return fq_postgres_snapshot_read(snapshot, fq_str_of(text));
}

static fq_status
body_round_trip(void *arg)
{
    const char *text = arg;
    fq_postgres_snapshot snapshot;
    fq_buf buf = FQ_BUF_INIT;
    fq_status status = read_text(&snapshot, text);
    if (status == FQ_OK) {
        fq_postgres_snapshot_write(&snapshot, &buf);
        status = fq_buf_status(&buf);
        assert_true(status != FQ_OK
                    || fq_str_eq(fq_buf_str(&buf), fq_str_of(text)));
    }
    fq_buf_fini(&buf);
    fq_postgres_snapshot_fini(&snapshot);
    return status;
}

static void
test_postgres_snapshot_reads_what_it_writes(void **state)
{
    (void)state;
    static char *const texts[] = {
        "1:1:",
        "736:736:",
        "736:740:736",
        "5:100:5,6,7,98,99",
        "18446744073709551614:18446744073709551615:18446744073709551614",
        "1:40:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        fq_test_body(body_round_trip, texts[i]);
}

static void
test_postgres_snapshot_refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",        "1",       "1:",
        "1:2",     "2:1:",    "0:1:",
        "a:b:",    "1:5:1,",  "1:5:,1",
        "1:5:2,1", "1:5:1,1", "1:5:5",
        "2:5:1",   "1:5:1;2", "1:5:1 ",
        " 1:5:1",  "-1:5:",   "1:99999999999999999999999:",
        "1:5:1,x",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fq_postgres_snapshot snapshot;
        assert_int_equal(read_text(&snapshot, texts[i]), FQ_ERR_SYNTAX);
        assert_int_equal(snapshot.xmax, 0);
        fq_postgres_snapshot_fini(&snapshot);
    }
}

static void
test_postgres_snapshot_contains_what_had_ended(void **state)
{
    (void)state;
    fq_postgres_snapshot snapshot;
    assert_int_equal(read_text(&snapshot, "5:10:5,7,9"), FQ_OK);
    static const bool expected[] = {true, true,  true, true,  true,  false,
                                    true, false, true, false, false, false};
    for (uint64_t xid = 0; xid < sizeof(expected); xid++)
        assert_int_equal(fq_postgres_snapshot_contains(&snapshot, xid),
                         expected[xid]);
    assert_int_equal(fq_postgres_snapshot_xmin(&snapshot), 5);
    fq_buf buf = FQ_BUF_INIT;
    fq_postgres_snapshot_write_xip(&snapshot, &buf);
    assert_true(fq_str_eq(fq_buf_str(&buf), FQ_STR_LIT("{5,7,9}")));
    fq_buf_fini(&buf);
    fq_postgres_snapshot_fini(&snapshot);
}

/* Any snapshot with numbers below 16. */
static void
draw(fq_random *random, fq_postgres_snapshot *snapshot)
{
    char text[128];
    uint64_t xmax = 1 + fq_random_below(random, 12);
    uint64_t xmin = xmax;
    char xip[96] = "";
    for (uint64_t xid = 1; xid < xmax; xid++) {
        if (fq_random_below(random, 3) != 0)
            continue;
        if (xmin == xmax)
            xmin = xid;
        snprintf(xip + strlen(xip), sizeof(xip) - strlen(xip), "%s%d",
                 xip[0] == '\0' ? "" : ",", (int)xid);
    }
    snprintf(text, sizeof(text), "%d:%d:%s", (int)xmin, (int)xmax, xip);
    assert_int_equal(read_text(snapshot, text), FQ_OK);
}

static void
test_postgres_snapshot_includes_by_what_it_contains(void **state)
{
    (void)state;
    fq_random random = {7};
    unsigned n_included = 0;
    for (unsigned i = 0; i < 20000; i++) {
        fq_postgres_snapshot a, b;
        draw(&random, &a);
        draw(&random, &b);
        bool includes = true;
        for (uint64_t xid = 1; xid < 16; xid++)
            includes = includes
                       && (fq_postgres_snapshot_contains(&a, xid)
                           || !fq_postgres_snapshot_contains(&b, xid));
        assert_int_equal(fq_postgres_snapshot_includes(&a, &b), includes);
        n_included += includes;
        fq_postgres_snapshot_fini(&a);
        fq_postgres_snapshot_fini(&b);
    }
    assert_in_range(n_included, 1000, 19000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_postgres_snapshot_reads_what_it_writes),
        FQ_TEST(test_postgres_snapshot_refuses_what_is_none),
        FQ_TEST(test_postgres_snapshot_contains_what_had_ended),
        FQ_TEST(test_postgres_snapshot_includes_by_what_it_contains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
