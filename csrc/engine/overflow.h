/* SPDX-License-Identifier: MIT */
/* What becomes of a subscription's messages when its client does not take
 * them in time: the slow-client policies of a field. Plain data. */
#ifndef FQ_ENGINE_OVERFLOW_H
#define FQ_ENGINE_OVERFLOW_H

typedef enum fq_overflow {
    FQ_OVERFLOW_DISCONNECT,  /* none is lost: the connection is closed 1013 */
    FQ_OVERFLOW_DROP_OLDEST, /* the oldest that waits goes */
    FQ_OVERFLOW_DROP_NEWEST, /* the new one goes */
    FQ_OVERFLOW_CONFLATE,    /* the new one takes the place of the one with
                              * the same key, even where there is room; where
                              * there is none, the oldest goes */
} fq_overflow;

#endif
