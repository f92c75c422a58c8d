/* SPDX-License-Identifier: MIT */
/* The one thread that owns engines, sessions, timers and bus sockets: a libuv
 * loop with an inbox. Nothing on it blocks, nothing on it touches Python. It
 * is started by the first user, joined by the last, and abandoned in a forked
 * child, where its thread does not exist. */
#ifndef FQ_REACTOR_REACTOR_H
#define FQ_REACTOR_REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/check.h"
#include "base/inbox.h"
#include "base/status.h"

typedef struct fq_reactor fq_reactor;
typedef struct fq_job fq_job;

/* A message to the reactor. Embedded in what it is about; posting gives it
 * away, run() gets it back on the reactor, in the order posted by any one
 * thread, and frees it. Every job posted is run, at the latest while the
 * reactor stops. */
struct fq_job {
    fq_inbox_item item;
    void (*run)(fq_job *job);
};

#define FQ_ON_REACTOR(reactor) FQ_CHECK(fq_reactor_is_current(reactor))

/* Starts the thread, with one user (the caller) and all signals blocked.
 * Thread: any. Errors: FQ_ERR_SYSTEM, FQ_ERR_NOMEM. */
fq_status
fq_reactor_new(fq_reactor **preactor);

/* One more user. False when the reactor is stopping or was left behind by a
 * fork: start a new one. Thread: any. */
bool
fq_reactor_use(fq_reactor *reactor);

/* One user less; the last one stops the thread and joins it (hold no lock the
 * reactor may want, and no GIL). Thread: any but reactor. */
void
fq_reactor_release(fq_reactor *reactor);

/* Memory is counted apart from use, so that a door that outlives the thread
 * can still be knocked at. Thread: any. */
fq_reactor *
fq_reactor_ref(fq_reactor *reactor);
void
fq_reactor_unref(fq_reactor *reactor);

/* Gives |job| to the reactor. Errors: FQ_ERR_CLOSED (stopped, or forked; the
 * job stays the caller's). Never blocks, never allocates. Thread: any. */
fq_status
fq_reactor_post(fq_reactor *reactor, fq_job *job);

/* True in a child forked after the reactor was started. Thread: any. */
bool
fq_reactor_is_forked(const fq_reactor *reactor);
bool
fq_reactor_is_current(const fq_reactor *reactor);

/* In a forked child: closes the copies of the descriptors, and nothing more
 * (the parent's loop must not notice). Thread: any, once. */
void
fq_reactor_abandon(fq_reactor *reactor);

/* Thread: reactor. */
uv_loop_t *
fq_reactor_loop(fq_reactor *reactor);

#endif
