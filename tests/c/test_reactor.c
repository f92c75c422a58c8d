/* SPDX-License-Identifier: MIT */
/* The reactor's thread: order, stop, late posts, forks. */
#include "reactor/reactor.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#define N_THREADS 4
#define N_JOBS 2000 /* of each thread */

typedef struct count_job {
    fq_job job;
    fq_reactor *reactor;
    int thread;
    int number;
} count_job;

static int next_number[N_THREADS]; /* reactor */
static _Atomic int n_run;

static void
run_count(fq_job *job)
{
    count_job *self = (count_job *)job;
    FQ_ON_REACTOR(self->reactor);
    if (next_number[self->thread] != self->number)
        abort();
    next_number[self->thread]++;
    n_run++;
    fq_free(self);
}

static void *
post_many(void *arg)
{
    count_job *template = arg;
    for (int i = 0; i < N_JOBS; i++) {
        count_job *job = fq_alloc(sizeof(*job));
        *job = *template;
        job->number = i;
        if (fq_reactor_post(job->reactor, &job->job) != FQ_OK)
            abort();
    }
    return NULL;
}

static void
test_reactor_runs_jobs_in_order_of_each_thread(void **state)
{
    (void)state;
    memset(next_number, 0, sizeof(next_number));
    n_run = 0;
    fq_reactor *reactor;
    assert_int_equal(fq_reactor_new(&reactor), FQ_OK);
    pthread_t threads[N_THREADS];
    count_job templates[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        templates[i] = (count_job){
            .job.run = run_count, .reactor = reactor, .thread = i};
        pthread_create(&threads[i], NULL, post_many, &templates[i]);
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    /* What was accepted is run before the thread stops. */
    fq_reactor_release(reactor);
    assert_int_equal(n_run, N_THREADS * N_JOBS);
}

static void
test_reactor_refuses_after_stop(void **state)
{
    (void)state;
    fq_reactor *reactor;
    assert_int_equal(fq_reactor_new(&reactor), FQ_OK);
    fq_reactor_ref(reactor);
    assert_true(fq_reactor_use(reactor));
    fq_reactor_release(reactor);
    fq_reactor_release(reactor);
    assert_false(fq_reactor_use(reactor));
    count_job job = {.job.run = run_count};
    assert_int_equal(fq_reactor_post(reactor, &job.job), FQ_ERR_CLOSED);
    fq_reactor_unref(reactor);
}

static _Atomic bool is_masked;

static void
run_check_mask(fq_job *job)
{
    (void)job;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    is_masked = sigismember(&mask, SIGINT) == 1
                && sigismember(&mask, SIGTERM) == 1;
}

static void
test_reactor_leaves_signals_to_others(void **state)
{
    (void)state;
    fq_reactor *reactor;
    assert_int_equal(fq_reactor_new(&reactor), FQ_OK);
    fq_job job = {.run = run_check_mask};
    assert_int_equal(fq_reactor_post(reactor, &job), FQ_OK);
    fq_reactor_release(reactor);
    assert_true(is_masked);
}

static int
count_fds(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return -1;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void
test_reactor_starts_and_stops_100_times(void **state)
{
    (void)state;
    int n_before = -1;
    for (int i = 0; i < 100; i++) {
        fq_reactor *reactor;
        assert_int_equal(fq_reactor_new(&reactor), FQ_OK);
        fq_reactor_release(reactor);
        if (i == 0)
            n_before = count_fds();
    }
    assert_int_equal(count_fds(), n_before);
}

static void
test_reactor_is_left_behind_by_a_fork(void **state)
{
    (void)state;
    int n_before = count_fds();
    fq_reactor *reactor;
    assert_int_equal(fq_reactor_new(&reactor), FQ_OK);
    assert_false(fq_reactor_is_forked(reactor));
    pid_t pid = fork();
    if (pid == 0) {
        count_job job = {.job.run = run_count};
        bool ok = fq_reactor_is_forked(reactor) && !fq_reactor_use(reactor)
                  && fq_reactor_post(reactor, &job.job) == FQ_ERR_CLOSED;
        fq_reactor_abandon(reactor);
        /* One more is libuv's io_uring, see fq_reactor_abandon. */
        ok = ok && count_fds() <= n_before + 1;
        fq_reactor_release(reactor);
        /* ThreadSanitizer knows no threads started after a fork of many. */
#ifndef __SANITIZE_THREAD__
        fq_reactor *own;
        ok = ok && fq_reactor_new(&own) == FQ_OK;
        if (ok)
            fq_reactor_release(own);
#endif
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* The parent's thread has not noticed. */
    next_number[0] = 0;
    n_run = 0;
    count_job *job = fq_alloc_zero(sizeof(*job));
    job->job.run = run_count;
    job->reactor = reactor;
    assert_int_equal(fq_reactor_post(reactor, &job->job), FQ_OK);
    fq_reactor_release(reactor);
    assert_int_equal(n_run, 1);
}

static fq_status
body_new(void *arg)
{
    (void)arg;
    fq_reactor *reactor;
    fq_status status = fq_reactor_new(&reactor);
    if (status == FQ_OK)
        fq_reactor_release(reactor);
    return status;
}

static void
test_reactor_fails_cleanly(void **state)
{
    (void)state;
    fq_test_body(body_new, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_reactor_runs_jobs_in_order_of_each_thread),
        FQ_TEST(test_reactor_refuses_after_stop),
        FQ_TEST(test_reactor_leaves_signals_to_others),
        FQ_TEST(test_reactor_starts_and_stops_100_times),
        FQ_TEST(test_reactor_is_left_behind_by_a_fork),
        FQ_TEST(test_reactor_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
