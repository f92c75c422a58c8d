/* SPDX-License-Identifier: MIT */
/* The orders to disconnect clients that were carried out last, for those who
 * were being authenticated meanwhile: nobody knew yet who they were, and their
 * handler may have looked before a right was taken away. Thread: reactor. */
#ifndef FQ_REACTOR_ORDERS_H
#define FQ_REACTOR_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rcbuf.h"
#include "reactor/management.h"
#include "reactor/port.h"

/* Kept. Whoever was asked about before more than these connects again. */
#define FQ_ORDERS_MAX 64

typedef struct fq_order {
    fq_live_query query;
    fq_rcbuf *texts; /* what it points into; one reference, or NULL */
    fq_close close;
} fq_order;

/* Part of the service; all zero: there were none. */
typedef struct fq_orders {
    uint64_t n_ever; /* number n is in the slot n modulo FQ_ORDERS_MAX */
    fq_order ring[FQ_ORDERS_MAX];
} fq_orders;

void
fq_orders_fini(fq_orders *self);

/* |texts| gets one more reference. */
void
fq_orders_add(fq_orders *self, const fq_live_query *query, fq_rcbuf *texts,
              const fq_close *close);

/* Whether one of those after the first |since| is about who is |context|, and
 * how it closes. */
bool
fq_orders_find(const fq_orders *self, uint64_t since,
               const fq_security_context *context, fq_str connection_id,
               fq_close *pclose);

#endif
