/* SPDX-License-Identifier: MIT */
/* Deadlines on a loop: in order, taken back, set from within, closed. */
#include "reactor/deadlines.h"

#include "base/clock.h"
#include "base/list.h"
#include "support.h"

#define MS FQ_NS_PER_MS

typedef struct item {
    fq_deadline deadline;
    struct item *next; /* set for at once when this one expires */
    char name;
} item;

static fq_deadlines deadlines;
static char log_text[16];
static unsigned n_closed;

static void
on_expire(fq_deadline *deadline, uint64_t now_ns)
{
    item *self = FQ_CONTAINER_OF(deadline, item, deadline);
    assert_true(now_ns >= deadline->timer.at_ns);
    strncat(log_text, &self->name, 1);
    if (self->next != NULL)
        fq_deadlines_set(&deadlines, &self->next->deadline, now_ns);
}

static void
on_closed(fq_deadlines *self)
{
    assert_ptr_equal(self, &deadlines);
    n_closed++;
}

static void
item_init(item *self, char name, item *next)
{
    *self = (item){.name = name, .next = next};
    self->deadline.expire = on_expire;
    fq_timer_init(&self->deadline.timer);
}

static void
test_deadlines_expire_in_order(void **state)
{
    (void)state;
    uv_loop_t loop;
    item a, b, c, d;
    uv_loop_init(&loop);
    fq_deadlines_open(&deadlines, &loop);
    item_init(&d, 'd', NULL);
    item_init(&a, 'a', NULL);
    item_init(&b, 'b', &d);
    item_init(&c, 'c', NULL);
    uint64_t now_ns = fq_clock_now_ns();
    fq_deadlines_set(&deadlines, &c.deadline, now_ns + 6 * MS);
    fq_deadlines_set(&deadlines, &b.deadline, now_ns + 9 * MS);
    fq_deadlines_set(&deadlines, &a.deadline, now_ns + 3 * MS);
    fq_deadlines_set(&deadlines, &c.deadline, UINT64_MAX);
    fq_deadlines_set(&deadlines, &c.deadline, UINT64_MAX);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(log_text, "abd");
    /* Nothing of a closed one comes. */
    fq_deadlines_set(&deadlines, &a.deadline, now_ns);
    fq_deadlines_close(&deadlines, on_closed);
    fq_deadlines_set(&deadlines, &b.deadline, now_ns);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(log_text, "abd");
    assert_int_equal(n_closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_deadlines_expire_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
