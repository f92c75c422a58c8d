/* SPDX-License-Identifier: MIT */
/* Many producers, one consumer. Threads: push any, take one.
 *
 * Invariants, all under |lock|:
 * - |tail| points to the NULL that ends the list: to |head| itself while the
 *   inbox is empty, else to the |next| of the newest item.
 * - An item is either its sender's, or in exactly one inbox, or in one batch
 *   the consumer took. Nothing outside the inbox touches |next| meanwhile.
 * - A consumer has been told to wake, and has not yet taken, whenever the
 *   list is not empty. It turns from empty to non-empty only in a push, which
 *   tells its caller; it turns back only in a take or a close, which empty it
 *   whole. So one wake-up per batch is enough and none is lost, provided that
 *   the consumer takes after each wake-up: a wake-up that finds nothing is
 *   possible (the consumer took for another reason) and harmless.
 * - After close the list is empty and stays so.
 *
 * Cost: the lock is held for a few stores whatever the length of the queue,
 * so producers delay one another by nanoseconds and never the consumer's
 * work. A mutex, not a lock-free stack: it keeps the order of sending without
 * reversing, and close is exact, that is, no push can slip in behind it. */
#include "base/inbox.h"

#include <errno.h>

#include "base/check.h"

fq_status
fq_inbox_init(fq_inbox *inbox)
{
    inbox->head = NULL;
    inbox->tail = &inbox->head;
    inbox->is_closed = false;
    int error = pthread_mutex_init(&inbox->lock, NULL);
    if (error != 0)
        return error == ENOMEM ? FQ_ERR_NOMEM : FQ_ERR_SYSTEM;
    return FQ_OK;
}

void
fq_inbox_fini(fq_inbox *inbox)
{
    FQ_CHECK(inbox->head == NULL);
    pthread_mutex_destroy(&inbox->lock);
}

fq_status
fq_inbox_push(fq_inbox *inbox, fq_inbox_item *item, bool *pwake)
{
    fq_status status = FQ_OK;
    *pwake = false;
    pthread_mutex_lock(&inbox->lock);
    if (inbox->is_closed) {
        status = FQ_ERR_CLOSED;
    } else {
        *pwake = inbox->head == NULL;
        item->next = NULL;
        *inbox->tail = item;
        inbox->tail = &item->next;
    }
    pthread_mutex_unlock(&inbox->lock);
    return status;
}

static fq_inbox_item *
inbox_take_locked(fq_inbox *inbox)
{
    fq_inbox_item *batch = inbox->head;
    inbox->head = NULL;
    inbox->tail = &inbox->head;
    return batch;
}

fq_inbox_item *
fq_inbox_take(fq_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    fq_inbox_item *batch = inbox_take_locked(inbox);
    pthread_mutex_unlock(&inbox->lock);
    return batch;
}

bool
fq_inbox_has_items(fq_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    bool has_items = inbox->head != NULL;
    pthread_mutex_unlock(&inbox->lock);
    return has_items;
}

fq_inbox_item *
fq_inbox_close(fq_inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->is_closed = true;
    fq_inbox_item *batch = inbox_take_locked(inbox);
    pthread_mutex_unlock(&inbox->lock);
    return batch;
}
