/* SPDX-License-Identifier: MIT */
/* The inbox alone and under contention. */
#include "base/inbox.h"

#include <pthread.h>
#include <semaphore.h>

#include "support.h"

#define N_PRODUCERS 4
#define N_MESSAGES 5000 /* of each producer */

typedef struct message {
    fq_inbox_item item;
    int producer;
    int number;
} message;

static message *
message_of(fq_inbox_item *item)
{
    return (message *)item;
}

static void
test_inbox_takes_all_in_order(void **state)
{
    (void)state;
    fq_inbox inbox;
    assert_int_equal(fq_inbox_init(&inbox), FQ_OK);
    assert_null(fq_inbox_take(&inbox));
    message messages[3];
    bool wake;
    for (int i = 0; i < 3; i++)
        assert_int_equal(fq_inbox_push(&inbox, &messages[i].item, &wake),
                         FQ_OK);
    fq_inbox_item *batch = fq_inbox_take(&inbox);
    for (int i = 0; i < 3; i++, batch = batch->next)
        assert_ptr_equal(batch, &messages[i].item);
    assert_null(batch);
    assert_null(fq_inbox_take(&inbox));
    fq_inbox_fini(&inbox);
}

static void
test_inbox_wakes_on_empty_to_non_empty_only(void **state)
{
    (void)state;
    fq_inbox inbox;
    fq_inbox_init(&inbox);
    message messages[4];
    const bool expected[4] = {true, false, false, true};
    for (int i = 0; i < 4; i++) {
        bool wake;
        if (i == 3)
            fq_inbox_take(&inbox);
        fq_inbox_push(&inbox, &messages[i].item, &wake);
        assert_int_equal(wake, expected[i]);
    }
    fq_inbox_take(&inbox);
    fq_inbox_fini(&inbox);
}

static void
test_inbox_item_can_be_sent_again(void **state)
{
    (void)state;
    fq_inbox inbox;
    fq_inbox_init(&inbox);
    message one, two;
    bool wake;
    fq_inbox_push(&inbox, &one.item, &wake);
    fq_inbox_push(&inbox, &two.item, &wake);
    fq_inbox_item *batch = fq_inbox_take(&inbox);
    fq_inbox_push(&inbox, batch, &wake);
    assert_true(wake);
    batch = fq_inbox_take(&inbox);
    assert_ptr_equal(batch, &one.item);
    assert_null(batch->next);
    fq_inbox_fini(&inbox);
}

static void
test_inbox_close_returns_the_rest_and_refuses(void **state)
{
    (void)state;
    fq_inbox inbox;
    fq_inbox_init(&inbox);
    message one, two;
    bool wake;
    fq_inbox_push(&inbox, &one.item, &wake);
    fq_inbox_item *rest = fq_inbox_close(&inbox);
    assert_ptr_equal(rest, &one.item);
    assert_null(rest->next);
    wake = true;
    assert_int_equal(fq_inbox_push(&inbox, &two.item, &wake), FQ_ERR_CLOSED);
    assert_false(wake);
    assert_null(fq_inbox_take(&inbox));
    assert_null(fq_inbox_close(&inbox));
    fq_inbox_fini(&inbox);
}

typedef struct contest {
    fq_inbox inbox;
    sem_t wake;
} contest;

typedef struct producer {
    contest *contest;
    int id;
    int n_sent;    /* written by the thread, read after the join */
    int n_refused; /* likewise */
    message messages[N_MESSAGES];
} producer;

static void *
produce(void *arg)
{
    producer *self = arg;
    for (int i = 0; i < N_MESSAGES; i++) {
        message *sent = &self->messages[i];
        sent->producer = self->id;
        sent->number = i;
        bool wake;
        fq_status status = fq_inbox_push(&self->contest->inbox, &sent->item,
                                         &wake);
        if (status == FQ_OK)
            self->n_sent++;
        else
            self->n_refused++;
        if (wake)
            sem_post(&self->contest->wake);
    }
    return NULL;
}

static producer producers[N_PRODUCERS];

static void
contest_start(contest *contest, pthread_t threads[N_PRODUCERS])
{
    assert_int_equal(fq_inbox_init(&contest->inbox), FQ_OK);
    sem_init(&contest->wake, 0, 0);
    for (int i = 0; i < N_PRODUCERS; i++) {
        producers[i].contest = contest;
        producers[i].id = i;
        producers[i].n_sent = producers[i].n_refused = 0;
        assert_int_equal(
            pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
}

static void
contest_end(contest *contest, pthread_t threads[N_PRODUCERS])
{
    for (int i = 0; i < N_PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    sem_destroy(&contest->wake);
    fq_inbox_fini(&contest->inbox);
}

/* Counts a batch into |n_seen|, checking the order of each producer. */
static int
batch_count(fq_inbox_item *batch, int n_seen[N_PRODUCERS])
{
    int n = 0;
    for (; batch != NULL; batch = batch->next, n++) {
        message *got = message_of(batch);
        assert_int_equal(got->number, n_seen[got->producer]++);
    }
    return n;
}

/* The consumer looks only when woken: if a wake-up were lost it would wait
 * for ever. */
static void
test_inbox_loses_nothing_and_no_wake_up(void **state)
{
    (void)state;
    static contest contest;
    pthread_t threads[N_PRODUCERS];
    contest_start(&contest, threads);
    int n_seen[N_PRODUCERS] = {0};
    int n_wakes = 0;
    for (int n = 0; n < N_PRODUCERS * N_MESSAGES; n_wakes++) {
        while (sem_wait(&contest.wake) != 0)
            ;
        n += batch_count(fq_inbox_take(&contest.inbox), n_seen);
    }
    assert_true(n_wakes <= N_PRODUCERS * N_MESSAGES);
    contest_end(&contest, threads);
}

/* Closed in the middle: each message is either taken, once, or refused. */
static void
test_inbox_close_is_exact_under_contention(void **state)
{
    (void)state;
    static contest contest;
    pthread_t threads[N_PRODUCERS];
    contest_start(&contest, threads);
    int n_seen[N_PRODUCERS] = {0};
    int n_taken = 0;
    while (n_taken < N_MESSAGES) {
        while (sem_wait(&contest.wake) != 0)
            ;
        n_taken += batch_count(fq_inbox_take(&contest.inbox), n_seen);
    }
    n_taken += batch_count(fq_inbox_close(&contest.inbox), n_seen);
    assert_null(fq_inbox_take(&contest.inbox));
    contest_end(&contest, threads);
    int n_sent = 0;
    for (int i = 0; i < N_PRODUCERS; i++) {
        assert_int_equal(producers[i].n_sent, n_seen[i]);
        assert_int_equal(producers[i].n_sent + producers[i].n_refused,
                         N_MESSAGES);
        n_sent += producers[i].n_sent;
    }
    assert_int_equal(n_sent, n_taken);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_inbox_takes_all_in_order),
        FQ_TEST(test_inbox_wakes_on_empty_to_non_empty_only),
        FQ_TEST(test_inbox_item_can_be_sent_again),
        FQ_TEST(test_inbox_close_returns_the_rest_and_refuses),
        FQ_TEST(test_inbox_loses_nothing_and_no_wake_up),
        FQ_TEST(test_inbox_close_is_exact_under_contention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
