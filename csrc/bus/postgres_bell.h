/* SPDX-License-Identifier: MIT */
/* When the outbox is looked into next. While events come that is every few
 * milliseconds, and nobody need say that there are any. A reader that has had
 * none for a while goes to sleep: it looks seldom, and holds a lock by which
 * those who publish know that they are to ring. Time is an argument. Thread:
 * reactor. */
#ifndef FQ_BUS_POSTGRES_BELL_H
#define FQ_BUS_POSTGRES_BELL_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

/* How often the outbox is looked into: */
#define FQ_POSTGRES_POLL_BUSY_MS 2 /* … while events come, */
#define FQ_POSTGRES_BUSY_MS 1000   /* which is for so long after each, */
#define FQ_POSTGRES_POLL_GATED_MS                                             \
    5                                /* … while somebody who will not ring,
                                      * or keeps others from it, does not
                                      * commit for */
#define FQ_POSTGRES_GATED_MS 50      /* so long, */
#define FQ_POSTGRES_POLL_IDLE_MS 100 /* … at most, when nothing happens. */

typedef struct fq_postgres_bell {
    bool is_rung;   /* the next look is due at once */
    bool is_asleep; /* the session holds the lock */
    uint64_t poll_ms;
    uint64_t event_ns;     /* when events came last, or the session began */
    uint64_t gate_ns;      /* since when somebody may not ring; 0: nobody */
    uint64_t gate_look_ns; /* when that was asked last */
} fq_postgres_bell;

/* A session begins: nothing is held, and what is there is to be looked at. */
void
fq_postgres_bell_begin(fq_postgres_bell *self, uint64_t now_ns);

/* The parameters |is_asking| and |lock| of the look that is sent now, see
 * postgres_open.h. */
void
fq_postgres_bell_ask(fq_postgres_bell *self, uint64_t now_ns,
                     const char **pis_asking, const char **plock);

/* What the row that comes first says to these. */
void
fq_postgres_bell_take(fq_postgres_bell *self, const PGresult *head,
                      uint64_t now_ns);

/* A look is over that has given |n_events|: how long until the next one. */
uint64_t
fq_postgres_bell_next_ms(fq_postgres_bell *self, uint64_t n_events,
                         uint64_t now_ns);

#endif
