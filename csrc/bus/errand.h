/* SPDX-License-Identifier: MIT */
/* Errands: work that blocks and cannot be called off (the system's look-up of
 * a name, libpq's connecting), each on a thread of its own that nobody waits
 * for. What it brings back is handed over on the loop if somebody is still
 * interested. */
#ifndef FQ_BUS_ERRAND_H
#define FQ_BUS_ERRAND_H

#include <pthread.h>
#include <stdbool.h>

#include <uv.h>

#include "base/status.h"

typedef struct fq_errand fq_errand;

typedef struct fq_errand_ops {
    /* On the thread: the errand's other members are its own until it
     * returns. */
    void (*run)(fq_errand *errand);
    /* On the loop, once, after run(); not after fq_errand_cancel(). */
    void (*done)(fq_errand *errand);
    /* The last call, on either thread: frees the errand and what it has. */
    void (*free)(fq_errand *errand);
} fq_errand_ops;

/* To be a member of whoever runs one. */
struct fq_errand {
    const fq_errand_ops *ops;
    uv_async_t async;     /* the loop's */
    pthread_mutex_t lock; /* guards the next two */
    bool is_wanted;       /* |async| may be sent to */
    unsigned n_refs;      /* the thread's and the loop's */
};

/* Starts |errand|. On an error, too, it is freed by |ops|, now or when its
 * handle has closed. Errors: FQ_ERR_NOMEM, FQ_ERR_SYSTEM (no thread, no
 * handle). Thread: that of the loop. */
fq_status
fq_errand_start(fq_errand *errand, uv_loop_t *loop, const fq_errand_ops *ops);

/* Forgets one that is not done. It is the errand's own to free from now on;
 * its handle on the loop closes soon. Thread: that of the loop. */
void
fq_errand_cancel(fq_errand *errand);

#endif
