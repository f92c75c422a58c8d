/* SPDX-License-Identifier: MIT */
/* How long to wait before the next attempt to connect: twice as long after
 * each failure up to a maximum, and by chance somewhat less, so that a
 * thousand clients of a server that comes back do not come at once. Time is an
 * argument. One thread at a time. */
#ifndef FQ_BUS_BACKOFF_H
#define FQ_BUS_BACKOFF_H

#include <stdint.h>

/* A server that restarts is back within a second or two, so waiting longer
 * than one would be noticed, and within one its clients are to know what became
 * of their events; an attempt costs it a packet. */
#define FQ_BACKOFF_FIRST_MS 50
#define FQ_BACKOFF_MAX_MS 900
/* A connection that lasted so long was one: the next failure is a first one. */
#define FQ_BACKOFF_STABLE_MS UINT64_C(5000)

typedef struct fq_backoff {
    uint32_t n_failures; /* in a row */
    uint64_t state;      /* of the random numbers */
    uint64_t up_at_ns;   /* when the connection was made; 0: it was not */
} fq_backoff;

/* |seed| is any number that other processes do not have as well. */
void
fq_backoff_init(fq_backoff *self, uint64_t seed);

/* An attempt has succeeded. */
void
fq_backoff_note_up(fq_backoff *self, uint64_t now_ns);

/* An attempt has failed, or the connection was lost: returns how many
 * milliseconds to wait before the next one, from half of what the number of
 * failures says to all of it. */
uint64_t
fq_backoff_next_ms(fq_backoff *self, uint64_t now_ns);

#endif
