/* SPDX-License-Identifier: MIT */
/* Events in line: order, references, and what an empty one promises. */
#include "engine/event_fifo.h"

#include "support.h"

#define N_EVENTS 50

static fq_status
body_event_fifo(void *arg)
{
    (void)arg;
    fq_event events[N_EVENTS];
    fq_event_fifo fifo;
    fq_event_fifo_init(&fifo);
    assert_null(fq_event_fifo_take(&fifo));
    for (size_t i = 0; i < N_EVENTS; i++)
        events[i] = (fq_event){.n_refs = 1};
    fq_status status = fq_event_fifo_reserve(&fifo);
    size_t n_in = 0, n_out = 0;
    if (status == FQ_OK)
        assert_int_equal(fq_event_fifo_push(&fifo, &events[n_in++]), FQ_OK);
    while (status == FQ_OK && n_in < N_EVENTS) {
        status = fq_event_fifo_push(&fifo, &events[n_in]);
        if (status == FQ_OK)
            assert_int_equal(events[n_in++].n_refs, 2);
        /* Turn the ring while it grows. */
        if (n_in % 3 == 0) {
            assert_ptr_equal(fq_event_fifo_take(&fifo), &events[n_out]);
            fq_event_unref(&events[n_out++]);
        }
    }
    assert_int_equal(fifo.n_items, n_in - n_out);
    while (n_out < n_in) {
        assert_ptr_equal(fq_event_fifo_take(&fifo), &events[n_out]);
        fq_event_unref(&events[n_out++]);
    }
    assert_null(fq_event_fifo_take(&fifo));
    fq_event_fifo_fini(&fifo);
    for (size_t i = 0; i < N_EVENTS; i++)
        assert_int_equal(events[i].n_refs, 1);
    return status;
}

static void
test_event_fifo_keeps_order_and_references(void **state)
{
    (void)state;
    fq_test_body(body_event_fifo, NULL);
}

static void
test_event_fifo_takes_one_without_memory(void **state)
{
    (void)state;
    fq_event event = {.n_refs = 1};
    fq_event_fifo fifo;
    fq_event_fifo_init(&fifo);
    assert_int_equal(fq_event_fifo_reserve(&fifo), FQ_OK);
    for (size_t n = 0; n < N_EVENTS; n++) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal(fq_event_fifo_push(&fifo, &event), FQ_OK);
        for (size_t i = 0; i < n; i++)
            fq_event_unref(fq_event_fifo_take(&fifo));
        fq_alloc_fail_after(0);
        assert_int_equal(fq_event_fifo_push(&fifo, &event), FQ_OK);
        fq_alloc_fail_after(-1);
        fq_event_unref(fq_event_fifo_take(&fifo));
    }
    /* The large ring went back. */
    assert_true(fifo.cap < N_EVENTS);
    fq_event_fifo_fini(&fifo);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_event_fifo_keeps_order_and_references),
        FQ_TEST(test_event_fifo_takes_one_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
