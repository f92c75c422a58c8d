/* SPDX-License-Identifier: MIT */
/* Where a reader goes on after a failover. */
#include "bus/postgres_failover.h"

#include <string.h>

#include "base/clock.h"
#include "support.h"

typedef struct fixture {
    fq_postgres_failover failover;
    fq_postgres_snapshot seen;
    uint64_t now_ns;
} fixture;

static void
set_up(fixture *self)
{
    memset(self, 0, sizeof(*self));
    self->now_ns = FQ_NS_PER_S;
}

static void
tear_down(fixture *self)
{
    fq_postgres_failover_fini(&self->failover);
    fq_postgres_snapshot_fini(&self->seen);
}

/* A look that ends with a snapshot up to |xmax|, at |lsn|. */
static void
look(fixture *self, uint64_t xmax, uint64_t lsn)
{
    fq_postgres_snapshot seen = {.xmax = xmax};
    self->now_ns += FQ_POSTGRES_FAILOVER_MS * FQ_NS_PER_MS;
    fq_postgres_failover_note_look(&self->failover, &seen, lsn, self->now_ns);
}

static void
deliver(fixture *self, uint64_t first, uint64_t end)
{
    for (uint64_t id = first; id < end; id++)
        fq_postgres_failover_note_event(&self->failover, id, id + 7);
}

static void
test_postgres_failover_goes_back_to_what_was_replicated(void **state)
{
    (void)state;
    fixture self;
    set_up(&self);
    look(&self, 10, 100);
    deliver(&self, 1, 6);
    look(&self, 20, 200);
    deliver(&self, 6, 9);
    look(&self, 30, 300);
    assert_true(fq_postgres_failover_go_back(&self.failover, 299, &self.seen));
    assert_int_equal(self.seen.xmax, 20);
    assert_true(fq_postgres_failover_is_back(&self.failover));
    assert_true(fq_postgres_failover_has(&self.failover, 8, 15));
    /* The id was given again. */
    assert_false(fq_postgres_failover_has(&self.failover, 8, 16));
    assert_false(fq_postgres_failover_has(&self.failover, 9, 16));
    fq_postgres_failover_end(&self.failover);
    assert_false(fq_postgres_failover_is_back(&self.failover));
    assert_false(fq_postgres_failover_has(&self.failover, 8, 15));
    tear_down(&self);
}

static void
test_postgres_failover_knows_when_it_cannot(void **state)
{
    (void)state;
    fixture self;
    set_up(&self);
    assert_false(fq_postgres_failover_go_back(&self.failover, 9, &self.seen));
    look(&self, 10, 100);
    assert_false(fq_postgres_failover_go_back(&self.failover, 99, &self.seen));
    /* What was kept is of another timeline now. */
    assert_false(
        fq_postgres_failover_go_back(&self.failover, 100, &self.seen));
    look(&self, 10, 100);
    deliver(&self, 0, FQ_POSTGRES_FAILOVER_EVENTS + 1);
    assert_false(
        fq_postgres_failover_go_back(&self.failover, 100, &self.seen));
    tear_down(&self);
}

static void
test_postgres_failover_knows_the_last_events_again(void **state)
{
    (void)state;
    fixture self;
    set_up(&self);
    deliver(&self, 0, 100);
    look(&self, 10, 100);
    deliver(&self, 100, 100 + FQ_POSTGRES_FAILOVER_EVENTS);
    look(&self, 20, 200);
    assert_true(fq_postgres_failover_go_back(&self.failover, 100, &self.seen));
    assert_int_equal(self.seen.xmax, 10);
    assert_true(fq_postgres_failover_has(&self.failover, 100, 107));
    assert_false(fq_postgres_failover_has(&self.failover, 99, 106));
    uint64_t last = 99 + FQ_POSTGRES_FAILOVER_EVENTS;
    assert_true(fq_postgres_failover_has(&self.failover, last, last + 7));
    tear_down(&self);
}

static void
test_postgres_failover_keeps_a_bounded_number_of_snapshots(void **state)
{
    (void)state;
    fixture self;
    set_up(&self);
    for (uint64_t i = 1; i <= 3 * FQ_POSTGRES_FAILOVER_MARKS; i++)
        look(&self, i, i);
    fq_postgres_snapshot seen = {.xmax = 9999};
    /* Too soon after the last. */
    fq_postgres_failover_note_look(&self.failover, &seen, 9999, self.now_ns);
    assert_false(fq_postgres_failover_go_back(
        &self.failover, 2 * FQ_POSTGRES_FAILOVER_MARKS, &self.seen));
    for (uint64_t i = 1; i <= 3 * FQ_POSTGRES_FAILOVER_MARKS; i++)
        look(&self, i, i);
    assert_true(fq_postgres_failover_go_back(
        &self.failover, 2 * FQ_POSTGRES_FAILOVER_MARKS + 1, &self.seen));
    assert_int_equal(self.seen.xmax, 2 * FQ_POSTGRES_FAILOVER_MARKS + 1);
    tear_down(&self);
}

static fq_status
body_failover(void *arg)
{
    (void)arg;
    uint64_t xip[] = {1, 2, 3};
    fq_postgres_snapshot seen = {.xmax = 5, .xip = xip, .n_xip = 3};
    fixture self;
    set_up(&self);
    fq_postgres_failover_note_look(&self.failover, &seen, 100, self.now_ns);
    deliver(&self, 0, 3);
    bool is_back = fq_postgres_failover_go_back(&self.failover, 100,
                                                &self.seen);
    if (is_back)
        assert_int_equal(self.seen.n_xip, 3);
    tear_down(&self);
    return is_back ? FQ_OK : FQ_ERR_NOMEM;
}

static void
test_postgres_failover_without_memory_cannot_go_back(void **state)
{
    (void)state;
    fq_test_body(body_failover, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_postgres_failover_goes_back_to_what_was_replicated),
        FQ_TEST(test_postgres_failover_knows_when_it_cannot),
        FQ_TEST(test_postgres_failover_knows_the_last_events_again),
        FQ_TEST(test_postgres_failover_keeps_a_bounded_number_of_snapshots),
        FQ_TEST(test_postgres_failover_without_memory_cannot_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
