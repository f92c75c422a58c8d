/* SPDX-License-Identifier: MIT */
/* Messages per second. Plain data: the owner guards it.
 *
 * Messages that come although nothing should be read are worked on all the
 * same: the bucket goes into debt for them. */
#include "reactor/message_rate.h"

void
fq_message_rate_init(fq_message_rate *self, double per_s, uint32_t burst)
{
    *self = (fq_message_rate){.rate = fq_rate_make(per_s, burst)};
}

bool
fq_message_rate_note(fq_message_rate *self, uint64_t now_ns)
{
    const fq_rate *rate = &self->rate;
    if (!fq_rate_is_limited(rate))
        return false;
    if (fq_rate_limit_owed_ns(&self->limit, rate, now_ns) == 0)
        self->n_fast = 0;
    fq_rate_limit_force(&self->limit, rate, now_ns);
    bool is_empty = !fq_rate_limit_has(&self->limit, rate, now_ns);
    if (is_empty || self->n_fast > 0)
        self->n_fast++;
    return is_empty;
}

bool
fq_message_rate_is_flood(const fq_message_rate *self)
{
    const fq_rate *rate = &self->rate;
    return fq_rate_is_limited(rate)
           && self->n_fast > FQ_MESSAGE_BURSTS_MAX
                                 * (rate->span_ns / rate->interval_ns);
}

uint64_t
fq_message_rate_go_on_ns(fq_message_rate *self, uint64_t now_ns)
{
    const fq_rate *rate = &self->rate;
    uint64_t most_ns = rate->span_ns - rate->span_ns / 4;
    /* At least one token: a quarter of a small bucket may be less. */
    if (most_ns > rate->span_ns - rate->interval_ns)
        most_ns = rate->span_ns - rate->interval_ns;
    uint64_t owed_ns = fq_rate_limit_owed_ns(&self->limit, rate, now_ns);
    return owed_ns > most_ns ? now_ns + (owed_ns - most_ns) : now_ns;
}
