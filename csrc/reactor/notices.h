/* SPDX-License-Identifier: MIT */
/* What is to be said in the application's log by threads that cannot: a ring
 * of texts, filled without waiting for anybody, and emptied by one thread that
 * has nothing else to do. Bounded in number and in time, so that trouble which
 * comes a thousand times a second is one line and a count. Thread: any. */
#ifndef FQ_REACTOR_NOTICES_H
#define FQ_REACTOR_NOTICES_H

#include <stdint.h>

#include "base/status.h"

/* Texts that wait; what comes while there are so many is counted. */
#define FQ_NOTICES_MAX 32
/* Bytes of one, terminated; longer ones are cut. */
#define FQ_NOTICE_TEXT_MAX 512
/* So many at once, then one in so many seconds; the rest is counted. */
#define FQ_NOTICES_BURST 20
#define FQ_NOTICES_PER_S 0.2

typedef struct fq_notice {
    char text[FQ_NOTICE_TEXT_MAX]; /* UTF-8 */
} fq_notice;

typedef struct fq_notices fq_notices;

/* One reference. Errors: FQ_ERR_NOMEM. */
fq_status
fq_notices_new(fq_notices **pnotices);
fq_notices *
fq_notices_ref(fq_notices *notices);
/* NULL is allowed. */
void
fq_notices_unref(fq_notices *notices);

/* Never waits but for the lock of a copy, never allocates. NULL: nobody reads
 * them. Harmless after the close. */
void
fq_notices_add(fq_notices *notices, uint64_t now_ns, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next one, waited for. Errors: FQ_ERR_CLOSED: there will be none. Thread:
 * any but reactor, without the GIL. */
fq_status
fq_notices_take(fq_notices *notices, fq_notice *pnotice);

/* No more come; what waits can still be taken. Harmless twice. */
void
fq_notices_close(fq_notices *notices);

#endif
