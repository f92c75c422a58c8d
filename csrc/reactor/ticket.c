/* SPDX-License-Identifier: MIT */
/* Tickets over a mutex and a condition variable on the monotonic clock. */
#include "reactor/ticket.h"

#include <errno.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

fq_status
fq_ticket_new(fq_mailbox *mailbox, void *owner, fq_ticket **pticket)
{
    *pticket = NULL;
    fq_ticket *ticket = fq_alloc_zero(sizeof(*ticket));
    if (ticket == NULL)
        return FQ_ERR_NOMEM;
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        goto fail_attr;
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (pthread_cond_init(&ticket->cond, &attr) != 0)
        goto fail_cond;
    if (pthread_mutex_init(&ticket->lock, NULL) != 0)
        goto fail_lock;
    pthread_condattr_destroy(&attr);
    ticket->mail.kind = FQ_MAIL_TICKET;
    atomic_init(&ticket->n_refs, 1);
    ticket->mailbox = mailbox == NULL ? NULL : fq_mailbox_ref(mailbox);
    ticket->owner = owner;
    *pticket = ticket;
    return FQ_OK;

fail_lock:
    pthread_cond_destroy(&ticket->cond);
fail_cond:
    pthread_condattr_destroy(&attr);
fail_attr:
    fq_free(ticket);
    return FQ_ERR_NOMEM;
}

fq_ticket *
fq_ticket_ref(fq_ticket *ticket)
{
    atomic_fetch_add_explicit(&ticket->n_refs, 1, memory_order_relaxed);
    return ticket;
}

void
fq_ticket_unref(fq_ticket *ticket)
{
    if (ticket == NULL)
        return;
    /* acq_rel: the last one sees what every other reference did. */
    if (atomic_fetch_sub_explicit(&ticket->n_refs, 1, memory_order_acq_rel)
        != 1)
        return;
    pthread_mutex_destroy(&ticket->lock);
    pthread_cond_destroy(&ticket->cond);
    fq_rcbuf_unref(ticket->text);
    fq_mailbox_unref(ticket->mailbox);
    fq_free(ticket);
}

void
fq_ticket_complete(fq_ticket *ticket, fq_status status, fq_rcbuf *text)
{
    pthread_mutex_lock(&ticket->lock);
    bool is_first = !ticket->is_done;
    if (is_first) {
        ticket->is_done = true;
        ticket->status = status;
        ticket->text = text;
        pthread_cond_broadcast(&ticket->cond);
    }
    pthread_mutex_unlock(&ticket->lock);
    if (!is_first) {
        fq_rcbuf_unref(text);
        return;
    }
    if (ticket->mailbox == NULL)
        return;
    fq_ticket_ref(ticket);
    if (fq_mailbox_post(ticket->mailbox, &ticket->mail) != FQ_OK)
        fq_ticket_unref(ticket);
}

fq_status
fq_ticket_wait(fq_ticket *ticket, uint64_t timeout_ns)
{
    uint64_t now_ns = fq_clock_now_ns();
    uint64_t deadline_ns = timeout_ns > UINT64_MAX - now_ns
                               ? UINT64_MAX
                               : now_ns + timeout_ns;
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / FQ_NS_PER_S),
        .tv_nsec = (long)(deadline_ns % FQ_NS_PER_S),
    };
    int result = 0;
    pthread_mutex_lock(&ticket->lock);
    while (!ticket->is_done && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&ticket->cond, &ticket->lock,
                                        &deadline);
    bool is_done = ticket->is_done;
    pthread_mutex_unlock(&ticket->lock);
    return is_done ? FQ_OK : FQ_ERR_TIMEOUT;
}
