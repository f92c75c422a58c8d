/* SPDX-License-Identifier: MIT */
/* The receipt for something the reactor was asked to do: waited for by a
 * blocked thread, or delivered to a mailbox when done. Counted atomically:
 * either side may lose interest first. */
#ifndef FQ_REACTOR_TICKET_H
#define FQ_REACTOR_TICKET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "reactor/mailbox.h"

typedef struct fq_ticket {
    fq_mail mail; /* kind FQ_MAIL_TICKET; one reference while in a mailbox */
    _Atomic uint32_t n_refs;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;        /* guarded by lock; below is constant once true */
    fq_status status;    /* the outcome */
    fq_rcbuf *text;      /* what goes with it, or NULL; the ticket's */
    fq_mailbox *mailbox; /* where it is told, or NULL */
    void *owner;         /* the waiting side's own */
} fq_ticket;

/* One reference. |mailbox| NULL: to be waited for. Thread: any. */
fq_status
fq_ticket_new(fq_mailbox *mailbox, void *owner, fq_ticket **pticket);
fq_ticket *
fq_ticket_ref(fq_ticket *ticket);
/* NULL is allowed. */
void
fq_ticket_unref(fq_ticket *ticket);

/* Sets the outcome; only the first counts. |text| is stolen and may be NULL.
 * Tells the waiter. Thread: any. */
void
fq_ticket_complete(fq_ticket *ticket, fq_status status, fq_rcbuf *text);

/* Blocks until done (FQ_OK, whatever the outcome) or for |timeout_ns|
 * (FQ_ERR_TIMEOUT). Thread: any but reactor, without the GIL. */
fq_status
fq_ticket_wait(fq_ticket *ticket, uint64_t timeout_ns);

#endif
