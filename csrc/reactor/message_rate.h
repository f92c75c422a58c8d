/* SPDX-License-Identifier: MIT */
/* Messages per second of one client: when it is not to be read for a while, so
 * that it feels it in its own socket, and when it never stops. Plain data: the
 * owner guards it. */
#ifndef FQ_REACTOR_MESSAGE_RATE_H
#define FQ_REACTOR_MESSAGE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/rate_limit.h"

/* Bursts that a client may send from when its bucket ran empty until it is
 * full again. */
#define FQ_MESSAGE_BURSTS_MAX 10

typedef struct fq_message_rate {
    fq_rate rate;
    fq_rate_limit limit;
    uint64_t n_fast; /* messages since the bucket ran empty; 0: it did not, or
                      * has been full since */
} fq_message_rate;

/* |per_s| messages a second, 0: any number; |burst| at once. */
void
fq_message_rate_init(fq_message_rate *self, double per_s, uint32_t burst);

/* One message has come. True: that was the last for now, nothing more is to be
 * read until fq_message_rate_go_on_ns(). */
bool
fq_message_rate_note(fq_message_rate *self, uint64_t now_ns);

/* True when the client has sent too fast for too long. */
bool
fq_message_rate_is_flood(const fq_message_rate *self);

/* When a quarter of the bucket has grown, now if it has. */
uint64_t
fq_message_rate_go_on_ns(fq_message_rate *self, uint64_t now_ns);

#endif
