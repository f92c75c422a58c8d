/* SPDX-License-Identifier: MIT */
/* Entries go by their age. Thread: that of the loop.
 *
 * XADD trims by one measure only, and that is the length, so age has a command
 * of its own, from time to time. It takes whole what is too old, and no cursor:
 * in a stream that was quiet for long, the newest entry is the one whose
 * presence says that nothing was missed. Another process may be a little behind
 * ours, so what counts is where we were the last time. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "bus/redis_state.h"

/* Between two times: a fraction of the age, and not all the time. */
#define PARTS 10
#define LEAST_MS UINT64_C(1000)
#define MOST_MS UINT64_C(60000)

static void
on_trimmed(redisAsyncContext *context, void *data, void *arg)
{
    /* One who may not do it does not get this far, see redis_prepare.c; what
     * goes wrong now is done the next time. */
    (void)context;
    (void)arg;
    if (data != NULL)
        fq_redis_reply_free(data);
}

static void
trim(fq_redis *self, fq_redis_shard *shard, fq_redis_id oldest)
{
    if (fq_redis_id_compare(shard->kept, oldest) < 0)
        oldest = shard->kept;
    char text[FQ_REDIS_ID_MAX];
    fq_redis_id_write(oldest, text);
    (void)redisAsyncCommand(self->writer.context, on_trimmed, NULL,
                            "XTRIM %b MINID %s", shard->stream.ptr,
                            shard->stream.len, text);
    shard->kept = shard->delivered;
}

void
fq_redis_trim_tick(fq_redis *self, uint64_t now_ns)
{
    uint64_t age_ms = self->settings.max_age_ms;
    uint64_t pause_ms = age_ms / PARTS;
    if (pause_ms < LEAST_MS)
        pause_ms = LEAST_MS;
    if (pause_ms > MOST_MS)
        pause_ms = MOST_MS;
    if (age_ms == 0 || now_ns - self->trimmed_at_ns < pause_ms * FQ_NS_PER_MS)
        return;
    self->trimmed_at_ns = now_ns;
    uint64_t wall_ms = fq_clock_wall_ns() / FQ_NS_PER_MS;
    for (unsigned i = 0; i < self->n_shards && wall_ms > age_ms; i++)
        trim(self, &self->shards[i], (fq_redis_id){wall_ms - age_ms, 0});
}
