/* SPDX-License-Identifier: MIT */
/* The reactor's thread, inbox and counts. Life in one look: new (thread runs)
 * -> use/release by any number of users -> the last release asks the thread to
 * stop, joins it -> the memory stays until the last unref, so that late posts
 * are answered FQ_ERR_CLOSED. */
#include "reactor/reactor.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/list.h"

struct fq_reactor {
    uv_loop_t loop;
    uv_async_t async; /* wakes the loop for its inbox */
    fq_inbox inbox;
    pthread_t thread;
    unsigned fork_generation; /* when it was started */
    _Atomic uint32_t n_refs;  /* of the memory */
    pthread_mutex_t users_lock;
    uint32_t n_users;  /* guarded by users_lock; 0: stopping or stopped */
    _Atomic bool stop; /* release by the last user, acquire by the thread */
};

/* Forks this process has been through; a reactor from before the last one
 * has no thread here. Relaxed: only the forked thread exists to see it. */
static _Atomic unsigned fork_generation;

static _Thread_local fq_reactor *current_reactor;

static void
count_fork(void)
{
    atomic_fetch_add_explicit(&fork_generation, 1, memory_order_relaxed);
    current_reactor = NULL;
}

static void
register_fork_counter(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

static void
run_jobs(fq_inbox_item *item)
{
    while (item != NULL) {
        fq_job *job = FQ_CONTAINER_OF(item, fq_job, item);
        item = item->next;
        job->run(job);
    }
}

/* Serves the inbox; when asked to stop, shuts it first, so that what was
 * accepted is run and what comes later is refused. */
static void
on_async(uv_async_t *async)
{
    fq_reactor *reactor = FQ_CONTAINER_OF(async, fq_reactor, async);
    run_jobs(fq_inbox_take(&reactor->inbox));
    if (!atomic_load_explicit(&reactor->stop, memory_order_acquire))
        return;
    run_jobs(fq_inbox_close(&reactor->inbox));
    if (!uv_is_closing((uv_handle_t *)async))
        uv_close((uv_handle_t *)async, NULL);
}

static void *
run_thread(void *arg)
{
    fq_reactor *reactor = arg;
    current_reactor = reactor;
    uv_run(&reactor->loop, UV_RUN_DEFAULT);
    int result = uv_loop_close(&reactor->loop);
    FQ_CHECK(result == 0);
    (void)result;
    return NULL;
}

/* Signals are the application's: the new thread inherits them all blocked. */
static int
start_thread(fq_reactor *reactor)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&reactor->thread, NULL, run_thread, reactor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#ifdef __linux__
    if (result == 0)
        pthread_setname_np(reactor->thread, "fraiseql");
#endif
    return result;
}

fq_status
fq_reactor_new(fq_reactor **preactor)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_counter);
    *preactor = NULL;
    fq_reactor *reactor = fq_alloc_zero(sizeof(*reactor));
    if (reactor == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = fq_inbox_init(&reactor->inbox);
    if (status != FQ_OK)
        goto fail_inbox;
    status = FQ_ERR_SYSTEM;
    if (pthread_mutex_init(&reactor->users_lock, NULL) != 0)
        goto fail_lock;
    if (uv_loop_init(&reactor->loop) != 0)
        goto fail_loop;
    if (uv_async_init(&reactor->loop, &reactor->async, on_async) != 0)
        goto fail_async;
    atomic_init(&reactor->n_refs, 1);
    reactor->n_users = 1;
    reactor->fork_generation = atomic_load_explicit(&fork_generation,
                                                    memory_order_relaxed);
    if (start_thread(reactor) != 0)
        goto fail_thread;
    *preactor = reactor;
    return FQ_OK;

fail_thread:
    uv_close((uv_handle_t *)&reactor->async, NULL);
    uv_run(&reactor->loop, UV_RUN_DEFAULT);
fail_async:
    uv_loop_close(&reactor->loop);
fail_loop:
    pthread_mutex_destroy(&reactor->users_lock);
fail_lock:
    fq_inbox_fini(&reactor->inbox);
fail_inbox:
    fq_free(reactor);
    return status;
}

bool
fq_reactor_use(fq_reactor *reactor)
{
    if (fq_reactor_is_forked(reactor))
        return false;
    pthread_mutex_lock(&reactor->users_lock);
    bool is_running = reactor->n_users > 0;
    if (is_running) {
        reactor->n_users++;
        fq_reactor_ref(reactor);
    }
    pthread_mutex_unlock(&reactor->users_lock);
    return is_running;
}

void
fq_reactor_release(fq_reactor *reactor)
{
    FQ_CHECK(!fq_reactor_is_current(reactor));
    if (!fq_reactor_is_forked(reactor)) {
        pthread_mutex_lock(&reactor->users_lock);
        FQ_CHECK(reactor->n_users > 0);
        bool is_last = --reactor->n_users == 0;
        pthread_mutex_unlock(&reactor->users_lock);
        if (is_last) {
            atomic_store_explicit(&reactor->stop, true, memory_order_release);
            uv_async_send(&reactor->async);
            pthread_join(reactor->thread, NULL);
        }
    }
    fq_reactor_unref(reactor);
}

fq_reactor *
fq_reactor_ref(fq_reactor *reactor)
{
    atomic_fetch_add_explicit(&reactor->n_refs, 1, memory_order_relaxed);
    return reactor;
}

void
fq_reactor_unref(fq_reactor *reactor)
{
    if (reactor == NULL)
        return;
    /* acq_rel: the last one sees what every other reference did. */
    if (atomic_fetch_sub_explicit(&reactor->n_refs, 1, memory_order_acq_rel)
        != 1)
        return;
    /* In a forked child a lock may be held for ever by a thread that is not
     * here, and the inbox may hold jobs: only the block itself goes. */
    if (!fq_reactor_is_forked(reactor)) {
        pthread_mutex_destroy(&reactor->users_lock);
        fq_inbox_fini(&reactor->inbox);
    }
    fq_free(reactor);
}

fq_status
fq_reactor_post(fq_reactor *reactor, fq_job *job)
{
    if (fq_reactor_is_forked(reactor))
        return FQ_ERR_CLOSED;
    bool wake;
    fq_status status = fq_inbox_push(&reactor->inbox, &job->item, &wake);
    /* Harmless while the thread closes the handle: libuv waits for a sender
     * and ignores later ones, and our caller's reference keeps the memory. */
    if (status == FQ_OK && wake)
        uv_async_send(&reactor->async);
    return status;
}

bool
fq_reactor_is_forked(const fq_reactor *reactor)
{
    return reactor->fork_generation
           != atomic_load_explicit(&fork_generation, memory_order_relaxed);
}

bool
fq_reactor_is_current(const fq_reactor *reactor)
{
    return current_reactor == reactor;
}

static void
close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* The thread may have been anywhere in libuv when the process forked, so no
 * function of libuv can be called on this loop; its members are read instead.
 * The io_uring that libuv >= 1.49 adds on Linux is not reachable this way and
 * stays open, unused, until the child ends or executes. */
void
fq_reactor_abandon(fq_reactor *reactor)
{
    FQ_CHECK(fq_reactor_is_forked(reactor));
    const uv_loop_t *loop = &reactor->loop;
    close_fd(loop->backend_fd);
    close_fd(loop->async_io_watcher.fd);
    if (loop->async_wfd != loop->async_io_watcher.fd)
        close_fd(loop->async_wfd);
    close_fd(loop->signal_pipefd[0]);
    close_fd(loop->signal_pipefd[1]);
}

uv_loop_t *
fq_reactor_loop(fq_reactor *reactor)
{
    FQ_ON_REACTOR(reactor);
    return &reactor->loop;
}
