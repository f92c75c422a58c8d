/* SPDX-License-Identifier: MIT */
/* The door to one event loop: a queue of mail and a socketpair whose reading
 * end the loop watches. A byte is written only when the queue turns from
 * empty to non-empty, so a burst costs one wake-up. Counted atomically,
 * because a loop may end before those who write to it, and the other way
 * round (STYLE keeps atomic counts to rcbuf; doors are the exception). */
#ifndef FQ_REACTOR_MAILBOX_H
#define FQ_REACTOR_MAILBOX_H

#include <stdbool.h>

#include "base/inbox.h"
#include "base/status.h"

typedef enum fq_mail_kind {
    FQ_MAIL_PORT,   /* an fq_port has something to take */
    FQ_MAIL_CALL,   /* an fq_call wants Python */
    FQ_MAIL_TICKET, /* an fq_ticket is done */
} fq_mail_kind;

/* Embedded first in the struct its kind names. */
typedef struct fq_mail {
    fq_inbox_item item;
    fq_mail_kind kind;
} fq_mail;

typedef struct fq_mailbox fq_mailbox;

/* One reference, the loop's. Thread: loop. Errors: FQ_ERR_SYSTEM (no file
 * descriptors left), FQ_ERR_NOMEM. */
fq_status
fq_mailbox_new(fq_mailbox **pmailbox);
fq_mailbox *
fq_mailbox_ref(fq_mailbox *mailbox);
void
fq_mailbox_unref(fq_mailbox *mailbox);

/* The descriptor to watch for reading. Thread: loop. */
int
fq_mailbox_fd(const fq_mailbox *mailbox);

/* Errors: FQ_ERR_CLOSED (the mail stays the caller's). Thread: any. */
fq_status
fq_mailbox_post(fq_mailbox *mailbox, fq_mail *mail);

/* Empties the socket and takes all mail, oldest first, linked by item.next.
 * Thread: loop. */
fq_mail *
fq_mailbox_take(fq_mailbox *mailbox);

/* True when fq_mailbox_take would give mail. Thread: any. */
bool
fq_mailbox_has_mail(fq_mailbox *mailbox);

/* Refuses further mail, closes both descriptors and returns what was left.
 * Thread: loop. */
fq_mail *
fq_mailbox_close(fq_mailbox *mailbox);

/* The same in a forked child, where a lock may be held for ever by a thread of
 * the parent: closes both descriptors and nothing else. The mailbox is of no
 * further use, not even to be unreferenced. */
void
fq_mailbox_abandon(fq_mailbox *mailbox);

#endif
