/* SPDX-License-Identifier: MIT */
/* What is said of a bus in the log: that its connection was lost and why, that
 * it is still away, that it is back. Thread: reactor, but for what is
 * embedded. */
#ifndef FQ_REACTOR_BUS_LOG_H
#define FQ_REACTOR_BUS_LOG_H

#include "bus/bus.h"
#include "reactor/notices.h"

/* While it is away it is said again so often if there is another reason, and
 * so often in any case. */
#define FQ_BUS_LOG_CHANGED_NS (1 * UINT64_C(1000000000))
#define FQ_BUS_LOG_AGAIN_NS (60 * UINT64_C(1000000000))

/* Embedded in the bus's owner. */
typedef struct fq_bus_log {
    fq_bus_watcher watcher;
    fq_bus *bus;
    fq_notices *notices; /* borrowed */
    uint64_t away_ns;    /* since when it is away; 0: it is not */
    uint64_t said_ns;    /* when that was said last */
    fq_error said;       /* what */
} fq_bus_log;

/* From now on until fq_bus_log_end(). */
void
fq_bus_log_begin(fq_bus_log *self, fq_bus *bus, fq_notices *notices);
void
fq_bus_log_end(fq_bus_log *self);

#endif
