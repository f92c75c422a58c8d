/* SPDX-License-Identifier: MIT */
/* A queue with many producers and one consumer. A message embeds an
 * fq_inbox_item; sending gives it away, and the consumer takes the whole
 * batch under the lock and runs it unlocked. The caller of fq_inbox_push
 * wakes the consumer only when told to (empty -> non-empty).
 * Threads: push any, take one. */
#ifndef FQ_BASE_INBOX_H
#define FQ_BASE_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct fq_inbox_item {
    struct fq_inbox_item *next;
} fq_inbox_item;

typedef struct fq_inbox {
    pthread_mutex_t lock;
    fq_inbox_item *head;  /* oldest; guarded by lock */
    fq_inbox_item **tail; /* where the next one goes; guarded by lock */
    bool is_closed;       /* no more pushes; guarded by lock */
} fq_inbox;

fq_status
fq_inbox_init(fq_inbox *inbox);

/* The inbox must be empty. */
void
fq_inbox_fini(fq_inbox *inbox);

/* Queues |item|; *pwake says whether the consumer must be woken. Errors:
 * FQ_ERR_CLOSED (the item stays the caller's). Never allocates. */
fq_status
fq_inbox_push(fq_inbox *inbox, fq_inbox_item *item, bool *pwake);

/* Everything queued, oldest first and NULL-terminated; NULL when empty. */
fq_inbox_item *
fq_inbox_take(fq_inbox *inbox);

/* True when fq_inbox_take would give something. Thread: any. */
bool
fq_inbox_has_items(fq_inbox *inbox);

/* Refuses further pushes and returns what was still queued. */
fq_inbox_item *
fq_inbox_close(fq_inbox *inbox);

#endif
