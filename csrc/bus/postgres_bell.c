/* SPDX-License-Identifier: MIT */
/* The doorbell.
 *
 * A notification makes its commit wait for others that have one, and wakes
 * every reader: rung by each transaction it costs a tenth of the commits or
 * more where readers look every 2 ms anyway. So a reader that wants to be
 * called takes lock 4 for itself. A transaction that publishes tries to share
 * it: where it cannot, somebody sleeps, and it rings; where it can, it keeps
 * its share until it ends, so that no reader falls asleep while one is open
 * that will not ring. The look behind the lock finds what was committed
 * before. One lock is enough for all readers: what wakes one rings for all,
 * and who cannot get it because another one sleeps may sleep as well. When that
 * one leaves, the next look takes its place.
 *
 * Where a transaction holds its share for long nobody can sleep, and where one
 * that rings holds its gate for long others are not heard; either is looked
 * for from time to time, and answered by looking more often. */
#include "bus/postgres_bell.h"

#include <string.h>

#include "base/clock.h"
#include "bus/postgres_row.h"

void
fq_postgres_bell_begin(fq_postgres_bell *self, uint64_t now_ns)
{
    *self = (fq_postgres_bell){
        .is_rung = true,
        .poll_ms = FQ_POSTGRES_POLL_BUSY_MS,
        .event_ns = now_ns,
    };
}

static bool
is_busy(const fq_postgres_bell *self, uint64_t now_ns)
{
    return now_ns - self->event_ns < FQ_POSTGRES_BUSY_MS * FQ_NS_PER_MS;
}

void
fq_postgres_bell_ask(fq_postgres_bell *self, uint64_t now_ns,
                     const char **pis_asking, const char **plock)
{
    bool is_asking = now_ns - self->gate_look_ns
                     >= FQ_POSTGRES_GATED_MS * (uint64_t)FQ_NS_PER_MS;
    if (is_asking)
        self->gate_look_ns = now_ns;
    *pis_asking = is_asking ? "t" : "f";
    if (is_busy(self, now_ns))
        *plock = self->is_asleep ? "-1" : "0";
    else
        *plock = self->is_asleep ? "0" : "1";
}

void
fq_postgres_bell_take(fq_postgres_bell *self, const PGresult *head,
                      uint64_t now_ns)
{
    fq_str gates = fq_postgres_row_text(head, FQ_POSTGRES_HEAD_GATES);
    if (gates.ptr != NULL && fq_str_eq(gates, fq_str_of("0")))
        self->gate_ns = 0;
    else if (gates.ptr != NULL && self->gate_ns == 0)
        self->gate_ns = now_ns;
    fq_str lock = fq_postgres_row_text(head, FQ_POSTGRES_HEAD_LOCK);
    if (lock.ptr == NULL)
        return;
    bool is_asleep = fq_str_eq(lock, fq_str_of("true"));
    /* The look that took the lock saw what was there before it. */
    self->is_rung |= is_asleep;
    self->is_asleep = is_asleep;
}

uint64_t
fq_postgres_bell_next_ms(fq_postgres_bell *self, uint64_t n_events,
                         uint64_t now_ns)
{
    if (n_events > 0)
        self->event_ns = now_ns;
    if (is_busy(self, now_ns)) {
        self->poll_ms = FQ_POSTGRES_POLL_BUSY_MS;
    } else {
        bool is_gated = self->gate_ns != 0
                        && now_ns - self->gate_ns
                               >= FQ_POSTGRES_GATED_MS
                                      * (uint64_t)FQ_NS_PER_MS;
        uint64_t most = is_gated ? FQ_POSTGRES_POLL_GATED_MS
                                 : FQ_POSTGRES_POLL_IDLE_MS;
        self->poll_ms *= 2;
        if (self->poll_ms > most)
            self->poll_ms = most;
    }
    return self->is_rung ? 0 : self->poll_ms;
}
