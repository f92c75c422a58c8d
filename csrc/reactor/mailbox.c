/* SPDX-License-Identifier: MIT */
/* The mailbox over fq_inbox and a socketpair. Posting runs on any thread,
 * taking and closing on the loop's. */
#include "reactor/mailbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"

struct fq_mailbox {
    fq_inbox inbox;
    _Atomic uint32_t n_refs;
    pthread_mutex_t wake_lock; /* guards wake_fd: close() against send() */
    int wake_fd;               /* the writing end, or -1 */
    int read_fd;               /* loop only, or -1 */
};

fq_status
fq_mailbox_new(fq_mailbox **pmailbox)
{
    *pmailbox = NULL;
    fq_mailbox *mailbox = fq_alloc_zero(sizeof(*mailbox));
    if (mailbox == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = fq_inbox_init(&mailbox->inbox);
    if (status != FQ_OK)
        goto fail_inbox;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)
        != 0) {
        status = FQ_ERR_SYSTEM;
        goto fail_pair;
    }
    if (pthread_mutex_init(&mailbox->wake_lock, NULL) != 0) {
        close(fds[0]);
        close(fds[1]);
        status = FQ_ERR_NOMEM;
        goto fail_pair;
    }
    mailbox->read_fd = fds[0];
    mailbox->wake_fd = fds[1];
    atomic_init(&mailbox->n_refs, 1);
    *pmailbox = mailbox;
    return FQ_OK;

fail_pair:
    fq_inbox_fini(&mailbox->inbox);
fail_inbox:
    fq_free(mailbox);
    return status;
}

fq_mailbox *
fq_mailbox_ref(fq_mailbox *mailbox)
{
    atomic_fetch_add_explicit(&mailbox->n_refs, 1, memory_order_relaxed);
    return mailbox;
}

void
fq_mailbox_unref(fq_mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    /* acq_rel: the last one sees what every other reference did. */
    if (atomic_fetch_sub_explicit(&mailbox->n_refs, 1, memory_order_acq_rel)
        != 1)
        return;
    FQ_CHECK(mailbox->read_fd == -1);
    pthread_mutex_destroy(&mailbox->wake_lock);
    fq_inbox_fini(&mailbox->inbox);
    fq_free(mailbox);
}

int
fq_mailbox_fd(const fq_mailbox *mailbox)
{
    return mailbox->read_fd;
}

fq_status
fq_mailbox_post(fq_mailbox *mailbox, fq_mail *mail)
{
    bool wake;
    fq_status status = fq_inbox_push(&mailbox->inbox, &mail->item, &wake);
    if (status != FQ_OK || !wake)
        return status;
    pthread_mutex_lock(&mailbox->wake_lock);
    if (mailbox->wake_fd >= 0) {
        /* A full socket means wake-ups enough are on their way. */
        ssize_t n;
        do
            n = send(mailbox->wake_fd, "", 1, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
    }
    pthread_mutex_unlock(&mailbox->wake_lock);
    return FQ_OK;
}

fq_mail *
fq_mailbox_take(fq_mailbox *mailbox)
{
    char bytes[64];
    ssize_t n;
    /* The socket is emptied before the queue: a byte written after this read
     * announces mail that is either taken below or still queued. */
    do
        n = recv(mailbox->read_fd, bytes, sizeof(bytes), 0);
    while (n == (ssize_t)sizeof(bytes) || (n < 0 && errno == EINTR));
    fq_inbox_item *item = fq_inbox_take(&mailbox->inbox);
    return item == NULL ? NULL : FQ_CONTAINER_OF(item, fq_mail, item);
}

bool
fq_mailbox_has_mail(fq_mailbox *mailbox)
{
    return fq_inbox_has_items(&mailbox->inbox);
}

fq_mail *
fq_mailbox_close(fq_mailbox *mailbox)
{
    fq_inbox_item *item = fq_inbox_close(&mailbox->inbox);
    pthread_mutex_lock(&mailbox->wake_lock);
    if (mailbox->wake_fd >= 0)
        close(mailbox->wake_fd);
    mailbox->wake_fd = -1;
    pthread_mutex_unlock(&mailbox->wake_lock);
    if (mailbox->read_fd >= 0)
        close(mailbox->read_fd);
    mailbox->read_fd = -1;
    return item == NULL ? NULL : FQ_CONTAINER_OF(item, fq_mail, item);
}

void
fq_mailbox_abandon(fq_mailbox *mailbox)
{
    if (mailbox->wake_fd >= 0)
        close(mailbox->wake_fd);
    if (mailbox->read_fd >= 0)
        close(mailbox->read_fd);
    mailbox->wake_fd = -1;
    mailbox->read_fd = -1;
}
