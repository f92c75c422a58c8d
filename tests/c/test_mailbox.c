/* SPDX-License-Identifier: MIT */
/* Mailboxes and the tickets that come by them. */
#include "reactor/mailbox.h"

#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "reactor/ticket.h"
#include "support.h"

#define N_THREADS 4
#define N_MAILS 2000 /* of each thread */

typedef struct numbered {
    fq_mail mail;
    int thread;
    int number;
} numbered;

typedef struct poster {
    fq_mailbox *mailbox;
    int thread;
    numbered mails[N_MAILS];
} poster;

static bool
is_readable(fq_mailbox *mailbox, int timeout_ms)
{
    struct pollfd fd = {.fd = fq_mailbox_fd(mailbox), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) == 1;
}

static void
test_mailbox_wakes_once_for_a_batch(void **state)
{
    (void)state;
    fq_mailbox *mailbox;
    assert_int_equal(fq_mailbox_new(&mailbox), FQ_OK);
    assert_false(is_readable(mailbox, 0));
    fq_mail mails[3] = {{.kind = FQ_MAIL_PORT}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(fq_mailbox_post(mailbox, &mails[i]), FQ_OK);
    assert_true(is_readable(mailbox, 0));
    fq_mail *mail = fq_mailbox_take(mailbox);
    for (int i = 0; i < 3; i++, mail = (fq_mail *)mail->item.next) {
        assert_ptr_equal(mail, &mails[i]);
        if (i == 2)
            assert_null(mail->item.next);
    }
    assert_false(is_readable(mailbox, 0));
    assert_null(fq_mailbox_take(mailbox));
    assert_null(fq_mailbox_close(mailbox));
    assert_int_equal(fq_mailbox_post(mailbox, &mails[0]), FQ_ERR_CLOSED);
    fq_mailbox_unref(mailbox);
}

static void
test_mailbox_returns_what_was_left_on_close(void **state)
{
    (void)state;
    fq_mailbox *mailbox;
    assert_int_equal(fq_mailbox_new(&mailbox), FQ_OK);
    fq_mail mail = {.kind = FQ_MAIL_CALL};
    assert_int_equal(fq_mailbox_post(mailbox, &mail), FQ_OK);
    assert_ptr_equal(fq_mailbox_close(mailbox), &mail);
    assert_int_equal(fq_mailbox_fd(mailbox), -1);
    fq_mailbox_unref(mailbox);
}

static void *
post_many(void *arg)
{
    poster *self = arg;
    for (int i = 0; i < N_MAILS; i++) {
        self->mails[i] = (numbered){.thread = self->thread, .number = i};
        if (fq_mailbox_post(self->mailbox, &self->mails[i].mail) != FQ_OK)
            abort();
    }
    return NULL;
}

static void
test_mailbox_loses_nothing_under_contention(void **state)
{
    (void)state;
    fq_mailbox *mailbox;
    assert_int_equal(fq_mailbox_new(&mailbox), FQ_OK);
    poster *posters = fq_alloc_zero(N_THREADS * sizeof(*posters));
    assert_non_null(posters);
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        posters[i].mailbox = mailbox;
        posters[i].thread = i;
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    int n_seen = 0;
    int next[N_THREADS] = {0};
    while (n_seen < N_THREADS * N_MAILS) {
        /* A lost wake-up would end in this deadline. */
        assert_true(is_readable(mailbox, 10000));
        fq_mail *mail = fq_mailbox_take(mailbox);
        for (; mail != NULL; mail = (fq_mail *)mail->item.next) {
            numbered *self = (numbered *)mail;
            assert_int_equal(self->number, next[self->thread]++);
            n_seen++;
        }
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    fq_free(posters);
    assert_null(fq_mailbox_close(mailbox));
    fq_mailbox_unref(mailbox);
}

static void *
complete_it(void *arg)
{
    fq_ticket_complete(arg, FQ_ERR_LIMIT, NULL);
    fq_ticket_unref(arg);
    return NULL;
}

static void
test_ticket_wakes_a_blocked_thread(void **state)
{
    (void)state;
    fq_ticket *ticket;
    assert_int_equal(fq_ticket_new(NULL, NULL, &ticket), FQ_OK);
    assert_int_equal(fq_ticket_wait(ticket, FQ_NS_PER_MS), FQ_ERR_TIMEOUT);
    pthread_t thread;
    pthread_create(&thread, NULL, complete_it, fq_ticket_ref(ticket));
    assert_int_equal(fq_ticket_wait(ticket, 10ull * FQ_NS_PER_S), FQ_OK);
    pthread_join(thread, NULL);
    assert_int_equal(ticket->status, FQ_ERR_LIMIT);
    fq_ticket_complete(ticket, FQ_OK, NULL);
    assert_int_equal(ticket->status, FQ_ERR_LIMIT);
    fq_ticket_unref(ticket);
}

static void
test_ticket_comes_by_mail(void **state)
{
    (void)state;
    int owner;
    fq_mailbox *mailbox;
    fq_ticket *ticket;
    assert_int_equal(fq_mailbox_new(&mailbox), FQ_OK);
    assert_int_equal(fq_ticket_new(mailbox, &owner, &ticket), FQ_OK);
    pthread_t thread;
    pthread_create(&thread, NULL, complete_it, ticket);
    assert_true(is_readable(mailbox, 10000));
    fq_mail *mail = fq_mailbox_take(mailbox);
    assert_int_equal(mail->kind, FQ_MAIL_TICKET);
    fq_ticket *mailed = (fq_ticket *)mail;
    assert_ptr_equal(mailed->owner, &owner);
    pthread_join(thread, NULL);
    fq_ticket_unref(mailed);
    assert_null(fq_mailbox_close(mailbox));
    fq_mailbox_unref(mailbox);
}

static fq_status
body_new(void *arg)
{
    (void)arg;
    fq_mailbox *mailbox;
    fq_ticket *ticket = NULL;
    fq_status status = fq_mailbox_new(&mailbox);
    if (status != FQ_OK)
        return status;
    status = fq_ticket_new(mailbox, NULL, &ticket);
    fq_ticket_unref(ticket);
    fq_mailbox_close(mailbox);
    fq_mailbox_unref(mailbox);
    return status;
}

static void
test_mailbox_fails_cleanly(void **state)
{
    (void)state;
    fq_test_body(body_new, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_mailbox_wakes_once_for_a_batch),
        FQ_TEST(test_mailbox_returns_what_was_left_on_close),
        FQ_TEST(test_mailbox_loses_nothing_under_contention),
        FQ_TEST(test_ticket_wakes_a_blocked_thread),
        FQ_TEST(test_ticket_comes_by_mail),
        FQ_TEST(test_mailbox_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
