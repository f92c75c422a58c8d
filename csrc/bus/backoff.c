/* SPDX-License-Identifier: MIT */
/* Back-off with jitter. One thread at a time. */
#include "bus/backoff.h"

#include "base/clock.h"

void
fq_backoff_init(fq_backoff *self, uint64_t seed)
{
    *self = (fq_backoff){.state = seed};
}

void
fq_backoff_note_up(fq_backoff *self, uint64_t now_ns)
{
    self->up_at_ns = now_ns;
}

/* SplitMix64 (Steele, Lea, Flood 2014): good enough from any seed. */
static uint64_t
next_random(fq_backoff *self)
{
    uint64_t z = self->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t
fq_backoff_next_ms(fq_backoff *self, uint64_t now_ns)
{
    if (self->up_at_ns != 0 && now_ns >= self->up_at_ns
        && now_ns - self->up_at_ns >= FQ_BACKOFF_STABLE_MS * FQ_NS_PER_MS)
        self->n_failures = 0;
    self->up_at_ns = 0;
    uint64_t delay_ms = FQ_BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < self->n_failures && delay_ms < FQ_BACKOFF_MAX_MS;
         i++)
        delay_ms *= 2;
    if (delay_ms > FQ_BACKOFF_MAX_MS)
        delay_ms = FQ_BACKOFF_MAX_MS;
    if (self->n_failures < UINT32_MAX)
        self->n_failures++;
    return delay_ms / 2 + next_random(self) % (delay_ms / 2 + 1);
}
