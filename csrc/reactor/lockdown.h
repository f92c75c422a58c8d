/* SPDX-License-Identifier: MIT */
/* The end of all connections, when orders to end some of them are lost, or may
 * be: they close 1012, and their clients come back and are authenticated anew.
 * Needs no memory. Thread: reactor, but for init. */
#ifndef FQ_REACTOR_LOCKDOWN_H
#define FQ_REACTOR_LOCKDOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "reactor/reactor.h"

struct fq_service;

/* Part of the service, as is the place of its walk. */
typedef struct fq_lockdown {
    fq_job job; /* one reference of the service while on its way */
    bool is_on; /* the publisher is held meanwhile */
    size_t n_closed;
} fq_lockdown;

void
fq_lockdown_init(struct fq_service *service);

/* Begins, or begins anew; nothing is delivered until it is over. */
void
fq_lockdown_begin(struct fq_service *service);

/* The service ends. */
void
fq_lockdown_end(struct fq_service *service);

#endif
