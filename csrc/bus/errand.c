/* SPDX-License-Identifier: MIT */
/* Errands. The block is shared by the loop and the thread; the last to let go
 * frees it. The thread wakes the loop only while the handle is there, which
 * the lock tells. */
#include "bus/errand.h"

#include <signal.h>

#include "base/list.h"

static void
drop(fq_errand *self)
{
    pthread_mutex_lock(&self->lock);
    bool is_last = --self->n_refs == 0;
    pthread_mutex_unlock(&self->lock);
    if (!is_last)
        return;
    pthread_mutex_destroy(&self->lock);
    self->ops->free(self);
}

/* ── the thread ── */

static void *
run_thread(void *arg)
{
    fq_errand *self = arg;
    self->ops->run(self);
    pthread_mutex_lock(&self->lock);
    if (self->is_wanted)
        uv_async_send(&self->async);
    pthread_mutex_unlock(&self->lock);
    drop(self);
    return NULL;
}

/* Signals are the application's: the new thread inherits them all blocked. */
static int
start_thread(fq_errand *self)
{
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return -1;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&thread, &attr, run_thread, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return result == 0 ? 0 : -1;
}

/* ── the loop ── */

static void
on_closed(uv_handle_t *handle)
{
    drop(FQ_CONTAINER_OF((uv_async_t *)handle, fq_errand, async));
}

void
fq_errand_cancel(fq_errand *errand)
{
    pthread_mutex_lock(&errand->lock);
    errand->is_wanted = false;
    pthread_mutex_unlock(&errand->lock);
    uv_close((uv_handle_t *)&errand->async, on_closed);
}

static void
on_done(uv_async_t *async)
{
    fq_errand *self = FQ_CONTAINER_OF(async, fq_errand, async);
    /* The block stays until the handle has closed. */
    fq_errand_cancel(self);
    self->ops->done(self);
}

fq_status
fq_errand_start(fq_errand *errand, uv_loop_t *loop, const fq_errand_ops *ops)
{
    errand->ops = ops;
    errand->is_wanted = true;
    errand->n_refs = 1;
    if (pthread_mutex_init(&errand->lock, NULL) != 0) {
        ops->free(errand);
        return FQ_ERR_NOMEM;
    }
    if (uv_async_init(loop, &errand->async, on_done) != 0) {
        drop(errand);
        return FQ_ERR_SYSTEM;
    }
    errand->n_refs = 2;
    if (start_thread(errand) != 0) {
        errand->n_refs = 1;
        fq_errand_cancel(errand);
        return FQ_ERR_SYSTEM;
    }
    return FQ_OK;
}
