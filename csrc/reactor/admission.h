/* SPDX-License-Identifier: MIT */
/* Who may come in, before anything is known of a client but its address: so
 * many handshakes a second and connections at a time, in all and from one
 * address, of which an IPv6 network of 64 bits is one. Refusing costs a look
 * into a table. Its own lock makes it safe from any thread: loops ask, the
 * reactor lets go. Time is an argument. */
#ifndef FQ_REACTOR_ADMISSION_H
#define FQ_REACTOR_ADMISSION_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "base/status.h"
#include "engine/metrics.h"
#include "engine/rate_limit.h"

/* Addresses that are remembered although nobody of them is connected, for
 * their handshakes of the last second or so: 2 MiB. Beyond it the one that
 * left first is forgotten, and has a full bucket again; the rate of all
 * together holds in any case. */
#define FQ_ADMISSION_IDLE_MAX 16384

/* 0 is no maximum, but for max_connections. */
typedef struct fq_admission_limits {
    size_t max_connections;
    size_t max_connections_per_address;
    double handshakes_per_s;
    double handshakes_per_s_per_address;
} fq_admission_limits;

typedef enum fq_refusal {
    FQ_REFUSAL_NONE,
    FQ_REFUSAL_CONNECTIONS,         /* 503 */
    FQ_REFUSAL_ADDRESS_CONNECTIONS, /* 503 */
    FQ_REFUSAL_HANDSHAKES,          /* 429 */
    FQ_REFUSAL_ADDRESS_HANDSHAKES,  /* 429 */
} fq_refusal;

/* What is remembered of an address. */
typedef struct fq_visitor {
    fq_list idle_node;  /* in |idle| while n_open is 0 */
    fq_address address; /* as fq_address_site() gives it; the key */
    size_t n_open;      /* connections */
    fq_rate_limit handshakes;
} fq_visitor;

typedef struct fq_admission {
    fq_admission_limits limits;
    fq_metrics *metrics; /* where refusals are counted */
    fq_rate rate;
    fq_rate address_rate;
    pthread_mutex_t lock; /* guards what follows */
    fq_rate_limit handshakes;
    size_t n_open;   /* connections */
    fq_map visitors; /* address -> fq_visitor */
    fq_list idle;    /* those without a connection, by when they left */
    size_t n_idle;
} fq_admission;

fq_status
fq_admission_init(fq_admission *self, const fq_admission_limits *limits,
                  fq_metrics *metrics);
/* Everybody must have left. */
void
fq_admission_fini(fq_admission *self);

/* Lets a connection from |address| in (NULL: it is not known, and only what
 * holds for all together does); it is to be given back to fq_admission_leave
 * with *pvisitor, which may be NULL. What is refused takes no token, and is
 * counted. Errors: FQ_ERR_LIMIT (*prefusal says which), FQ_ERR_NOMEM. Cost:
 * O(1), memory for an address that is new. Thread: any. */
fq_status
fq_admission_enter(fq_admission *self, const fq_address *address,
                   uint64_t now_ns, fq_visitor **pvisitor,
                   fq_refusal *prefusal);

/* One connection less. Never fails. Thread: any. */
void
fq_admission_leave(fq_admission *self, fq_visitor *visitor);

/* Whole seconds after which it is worth trying again, 1 at least. */
unsigned
fq_admission_retry_after_s(const fq_admission *self, fq_refusal refusal);

#endif
