/* SPDX-License-Identifier: MIT */
/* Marks on the way of a reader: which one is next, and that they are few. */
#include "bus/postgres_marks.h"

#include "base/alloc.h"

#include "random.h"
#include "support.h"

/* All below |xmax| have ended, but |open| unless that is 0. */
static void
set_snapshot(fq_postgres_snapshot *snapshot, uint64_t xmax, uint64_t open)
{
    fq_postgres_snapshot_fini(snapshot);
    snapshot->xmax = xmax;
    if (open == 0)
        return;
    snapshot->xip = fq_alloc(sizeof(*snapshot->xip));
    assert_non_null(snapshot->xip);
    snapshot->xip[0] = open;
    snapshot->n_xip = snapshot->cap = 1;
}

static void
test_postgres_marks_lead_on(void **state)
{
    (void)state;
    fq_postgres_marks marks;
    fq_postgres_snapshot seen;
    fq_postgres_marks_init(&marks);
    fq_postgres_snapshot_init(&seen);
    set_snapshot(&seen, 100, 0);
    assert_null(fq_postgres_marks_behind(&marks, &seen));
    fq_postgres_marks_begin(&marks, &seen);
    /* Nothing is behind itself. */
    assert_null(fq_postgres_marks_behind(&marks, &seen));
    /* One stays open from 150 to 250. */
    set_snapshot(&seen, 200, 150);
    fq_postgres_marks_note(&marks, FQ_POSTGRES_MARKS_APART - 1, &seen);
    assert_int_equal(marks.n_items, 1);
    fq_postgres_marks_note(&marks, 1, &seen);
    assert_int_equal(marks.n_items, 2);
    set_snapshot(&seen, 300, 0);
    fq_postgres_marks_note(&marks, FQ_POSTGRES_MARKS_APART, &seen);

    static const struct {
        uint64_t xmax, open, expected;
    } cases[] = {
        {50, 0, 100},
        {100, 0, 200},
        {101, 0, 200},
        {160, 150, 200},
        {200, 150, 300},
        {250, 150, 300},
        {300, 0, 0},
        {400, 0, 0},
        /* Made up: none of the marks has it and more. */
        {400, 20, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_snapshot(&seen, cases[i].xmax, cases[i].open);
        const fq_postgres_snapshot *next = fq_postgres_marks_behind(&marks,
                                                                    &seen);
        assert_int_equal(next == NULL ? 0 : next->xmax, cases[i].expected);
    }
    set_snapshot(&seen, 10, 0);
    fq_postgres_marks_begin(&marks, &seen);
    assert_int_equal(marks.n_items, 1);
    fq_postgres_snapshot_fini(&seen);
    fq_postgres_marks_fini(&marks);
}

/* However long the way is: the older half goes, and is looked back on from
 * what stays. */
static void
test_postgres_marks_are_bounded(void **state)
{
    (void)state;
    fq_postgres_marks marks;
    fq_postgres_snapshot seen;
    fq_postgres_marks_init(&marks);
    fq_postgres_snapshot_init(&seen);
    fq_random random = {7};
    uint64_t n_events = 0;
    fq_postgres_marks_begin(&marks, &seen);
    while (n_events < 10 * FQ_POSTGRES_MARKS_MAX * FQ_POSTGRES_MARKS_APART) {
        uint64_t n = fq_random_below(&random, 500);
        n_events += n;
        /* The number of a transaction is that of events here. */
        set_snapshot(&seen, n_events + 1, 0);
        fq_postgres_marks_note(&marks, n, &seen);
        assert_in_range(marks.n_items, 1, FQ_POSTGRES_MARKS_MAX);
    }
    assert_in_range(marks.n_items, FQ_POSTGRES_MARKS_MAX / 2,
                    FQ_POSTGRES_MARKS_MAX);
    uint64_t first = marks.survey.base.xmax;
    assert_in_range(first, 2, n_events);
    fq_postgres_survey_question question;
    set_snapshot(&seen, first - 1, 0);
    assert_true(fq_postgres_survey_wants(&marks.survey, &seen, &question));
    assert_int_equal(fq_postgres_marks_behind(&marks, &seen)->xmax, first);
    uint64_t at = first, longest = 0;
    set_snapshot(&seen, at, 0);
    assert_false(fq_postgres_survey_wants(&marks.survey, &seen, &question));
    const fq_postgres_snapshot *next;
    while ((next = fq_postgres_marks_behind(&marks, &seen)) != NULL) {
        assert_true(next->xmax > at);
        longest = next->xmax - at > longest ? next->xmax - at : longest;
        at = next->xmax;
        set_snapshot(&seen, at, 0);
    }
    assert_in_range(longest, 1, FQ_POSTGRES_MARKS_APART + 500);
    assert_in_range(n_events + 1 - at, 0, FQ_POSTGRES_MARKS_APART + 500);
    fq_postgres_snapshot_fini(&seen);
    fq_postgres_marks_fini(&marks);
}

/* One that names too many transactions, or finds no memory, is left out. */
static void
test_postgres_marks_may_be_missing(void **state)
{
    (void)state;
    fq_postgres_marks marks;
    fq_postgres_snapshot seen;
    fq_postgres_marks_init(&marks);
    fq_postgres_snapshot_init(&seen);
    fq_buf text = FQ_BUF_INIT;
    fq_buf_append_format(&text, "1:1000:");
    for (int i = 1; i <= FQ_POSTGRES_MARKS_XIDS_MAX + 1; i++)
        fq_buf_append_format(&text, i == 1 ? "%d" : ",%d", i);
    assert_int_equal(fq_postgres_snapshot_read(&seen, fq_buf_str(&text)),
                     FQ_OK);
    fq_postgres_marks_begin(&marks, &seen);
    assert_int_equal(marks.n_items, 0);
    set_snapshot(&seen, 10, 5);
    for (long n = 0; n < 2; n++) {
        fq_alloc_fail_after(n);
        fq_postgres_marks_begin(&marks, &seen);
        fq_alloc_fail_after(-1);
        assert_int_equal(marks.n_items, 0);
    }
    fq_postgres_marks_begin(&marks, &seen);
    assert_int_equal(marks.n_items, 1);
    fq_buf_fini(&text);
    fq_postgres_snapshot_fini(&seen);
    fq_postgres_marks_fini(&marks);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_postgres_marks_lead_on),
        FQ_TEST(test_postgres_marks_are_bounded),
        FQ_TEST(test_postgres_marks_may_be_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
