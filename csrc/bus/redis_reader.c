/* SPDX-License-Identifier: MIT */
/* Reading. Thread: that of the loop.
 *
 * A round is a few commands in one packet: XREAD from the cursors of all
 * shards, which waits a moment for entries; XRANGE of each cursor, which the
 * server runs right behind it; GET of the epoch. If a cursor's own entry is
 * still there then, nothing behind it can have been trimmed before it was read,
 * and if the epoch is the same, all of it belongs to one history. So every
 * batch is known to be whole before anybody sees it, and a flush is noticed
 * within a round.
 *
 * A batch is delivered shard by shard: while one moves on, the others stand
 * still, which makes positions cheap (fq_redis_span). */
#include "bus/redis_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* The server waits so long for entries before it answers that there are none:
 * the longest time a flush goes unnoticed. */
#define BLOCK_MS 250
/* Entries of one round, at most: a batch for the server's event loop, which
 * serves nobody else meanwhile. */
#define COUNT_MAX 1000
/* Of the first round, and the fewest asked for unless they are large. */
#define COUNT_MIN 16
/* What a batch may take of memory, if its entries are like those before. */
#define BATCH_BYTES ((size_t)8 << 20)
/* Delivered before everybody else on the reactor gets a turn. */
#define SLICE 64

void
fq_redis_read_fini(fq_redis *self)
{
    for (size_t i = 0; i < FQ_REDIS_READS_MAX; i++) {
        if (self->reads[i] != NULL)
            fq_redis_reply_free(self->reads[i]);
        self->reads[i] = NULL;
    }
    self->n_reads = 0;
    if (self->batch != NULL)
        fq_redis_reply_free(self->batch);
    self->batch = NULL;
    fq_redis_span_fini(&self->span);
    for (unsigned i = 0; i < self->n_shards; i++)
        self->shards[i].cursor = self->shards[i].delivered;
    uv_idle_stop(&self->more);
}

/* ── delivering ── */

static void
deliver_event(fq_redis *self, fq_redis_id id, fq_event *event)
{
    uint64_t wall_ms = fq_clock_wall_ns() / FQ_NS_PER_MS;
    uint64_t lag_ms = wall_ms > id.ms ? wall_ms - id.ms : 0;
    atomic_store_explicit(&self->bus.lag_ns, lag_ms * FQ_NS_PER_MS,
                          memory_order_relaxed);
    fq_bus_deliver(&self->bus, event);
    fq_event_unref(event);
}

static void
note_unreadable(fq_redis *self, fq_redis_id id, const fq_error *error)
{
    char text[FQ_EVENT_ID_MAX];
    fq_redis_id_write(id, text);
    fq_redis_name_event(self, self->span.shard, text);
    fq_bus_note_unreadable(&self->bus, text, error);
}

static void
deliver_entry(fq_redis *self, const redisReply *entry)
{
    fq_redis_id id;
    fq_event *event;
    fq_error error;
    fq_status status = fq_redis_entry_read(entry, FQ_EVENT_DATA_MAX, &id,
                                           &event, &error);
    if (id.ms != 0 || id.seq != 0)
        self->shards[self->span.shard].delivered = id;
    if (status == FQ_ERR_INVALID || (status == FQ_OK && event->is_unreadable))
        note_unreadable(self, id, &error);
    if (status == FQ_OK) {
        fq_redis_span_stamp(&self->span, self, event);
        deliver_event(self, id, event);
    } else if (status == FQ_ERR_NOMEM) {
        fq_bus_tell_gap(&self->bus, FQ_STR_LIT("out of memory"));
    }
}

/* The shard of a part of a reply of XREAD, `[[stream, entries], ...]`;
 * n_shards: it is of none. */
static unsigned
shard_of(const fq_redis *self, const redisReply *part)
{
    unsigned i = 0;
    if (part->type != REDIS_REPLY_ARRAY || part->elements != 2
        || part->element[0]->type != REDIS_REPLY_STRING
        || part->element[1]->type != REDIS_REPLY_ARRAY)
        return self->n_shards;
    fq_str name = fq_str_make(part->element[0]->str, part->element[0]->len);
    while (i < self->n_shards && !fq_str_eq(name, self->shards[i].stream))
        i++;
    return i;
}

/* Begins with stream |self->at_stream| of the batch. */
static void
begin_stream(fq_redis *self)
{
    fq_redis_id ids[FQ_REDIS_SHARDS_MAX];
    for (unsigned i = 0; i < self->n_shards; i++)
        ids[i] = self->shards[i].delivered;
    self->at = 0;
    fq_redis_span_init(&self->span, self, ids,
                       shard_of(self, self->batch->element[self->at_stream]));
}

/* All entries of a stream are delivered; false: of the batch. */
static bool
end_stream(fq_redis *self)
{
    fq_redis_shard *shard = &self->shards[self->span.shard];
    shard->delivered = shard->cursor;
    fq_redis_span_fini(&self->span);
    if (++self->at_stream < self->batch->elements) {
        begin_stream(self);
        return true;
    }
    fq_redis_reply_free(self->batch);
    self->batch = NULL;
    return false;
}

static void
on_more(uv_idle_t *idle)
{
    fq_redis *self = idle->data;
    bool is_more = true;
    for (int n = 0; n < SLICE && !self->is_held && is_more; n++) {
        const redisReply *part = self->batch->element[self->at_stream];
        deliver_entry(self, part->element[1]->element[self->at++]);
        if (self->at == part->element[1]->elements)
            is_more = end_stream(self);
    }
    if (!is_more) {
        uv_idle_stop(idle);
        fq_redis_read_on(self);
    } else if (self->is_held) {
        uv_idle_stop(idle);
    }
    if (!fq_list_is_empty(&self->looks))
        fq_redis_look_on(self);
}

void
fq_redis_deliver_on(fq_redis *self)
{
    if (self->batch != NULL)
        uv_idle_start(&self->more, on_more);
}

/* ── reading ── */

/* Moves the cursor of the shard of |part| behind its entries; false: it is
 * something else. */
static bool
move_cursor(fq_redis *self, const redisReply *part)
{
    unsigned i = shard_of(self, part);
    if (i == self->n_shards || part->element[1]->elements == 0)
        return false;
    const redisReply *entries = part->element[1];
    const redisReply *last = entries->element[entries->elements - 1];
    fq_redis_id id;
    if (last->type != REDIS_REPLY_ARRAY || last->elements == 0
        || last->element[0]->type != REDIS_REPLY_STRING
        || !fq_redis_id_read(
            fq_str_make(last->element[0]->str, last->element[0]->len), &id))
        return false;
    self->shards[i].cursor = id;
    self->shards[i].is_unchecked = false;
    return true;
}

uint64_t
fq_redis_next_count(uint64_t count, size_t n_entries, size_t n_bytes)
{
    uint64_t next = n_entries >= count ? 4 * count : 2 * (uint64_t)n_entries;
    if (next < COUNT_MIN)
        next = COUNT_MIN;
    if (next > COUNT_MAX)
        next = COUNT_MAX;
    if (n_entries == 0)
        return next;
    uint64_t affordable = BATCH_BYTES / (n_bytes / n_entries + 1) + 1;
    return next < affordable ? next : affordable;
}

/* Likewise for each stream, by the one of |reply| that brought most. */
static uint64_t
next_count_of(const fq_redis *self, const redisReply *reply)
{
    size_t n_entries = 0, n_most = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        size_t n = reply->element[i]->element[1]->elements;
        n_entries += n;
        n_most = n > n_most ? n : n_most;
    }
    if (n_entries == 0)
        return self->count;
    size_t n_bytes = fq_redis_reply_n_bytes(reply) / n_entries * n_most;
    return fq_redis_next_count(self->count, n_most, n_bytes);
}

/* Begins to deliver |reply|, which becomes the batch. */
static void
take_batch(fq_redis *self, redisReply *reply)
{
    bool is_whole = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;
    for (size_t i = 0; is_whole && i < reply->elements; i++)
        is_whole = move_cursor(self, reply->element[i]);
    if (!is_whole) {
        fq_redis_reply_free(reply);
        fq_redis_fail(self, "Redis has answered XREAD by something else",
                      false);
        return;
    }
    self->count = next_count_of(self, reply);
    self->batch = reply;
    self->at_stream = 0;
    begin_stream(self);
    if (!self->is_held)
        fq_redis_deliver_on(self);
}

static bool
are_cursors_intact(const fq_redis *self)
{
    for (unsigned i = 0; i < self->n_shards; i++) {
        const redisReply *entry = self->reads[FQ_REDIS_READ_CURSORS + i];
        if (!self->shards[i].is_unchecked
            && (entry->type != REDIS_REPLY_ARRAY || entry->elements != 1))
            return false;
    }
    return true;
}

/* All answers of the round are there. */
static void
finish_round(fq_redis *self)
{
    redisReply *entries = self->reads[FQ_REDIS_READ_ENTRIES];
    const redisReply *epoch = self->reads[FQ_REDIS_READ_EPOCH];
    for (size_t i = 0; i < FQ_REDIS_READ_CURSORS + self->n_shards; i++) {
        const char *message = fq_redis_reply_error(self->reads[i]);
        if (message != NULL) {
            fq_redis_fail(self, message, fq_redis_is_passing(message));
            return;
        }
    }
    bool is_same = epoch->type == REDIS_REPLY_STRING
                   && strcmp(epoch->str, self->epoch) == 0;
    if (!is_same || !are_cursors_intact(self)) {
        fq_redis_read_fini(self);
        self->n_creations = 0;
        fq_redis_prepare(self);
    } else if (entries->type != REDIS_REPLY_NIL) {
        self->reads[FQ_REDIS_READ_ENTRIES] = NULL;
        fq_redis_read_fini(self);
        take_batch(self, entries);
    } else {
        fq_redis_read_fini(self);
        fq_redis_read_on(self);
    }
}

static void
on_read(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis_connection *connection = context->data;
    fq_redis *self = FQ_CONTAINER_OF(connection, fq_redis, reader);
    if (data == NULL)
        return;
    if (self->phase != FQ_REDIS_RUNNING) {
        fq_redis_reply_free(data);
        return;
    }
    self->reads[(intptr_t)arg] = data;
    if (--self->n_reads == 0)
        finish_round(self);
}

/* XREAD COUNT |count| BLOCK BLOCK_MS STREAMS |streams| |cursors| */
static void
read_entries(fq_redis *self, uint64_t count)
{
    char block[24], number[24];
    char cursors[FQ_REDIS_SHARDS_MAX][FQ_REDIS_ID_MAX];
    const char *words[6 + 2 * FQ_REDIS_SHARDS_MAX] = {
        "XREAD", "COUNT", number, "BLOCK", block, "STREAMS"};
    unsigned n = self->n_shards;
    snprintf(number, sizeof(number), "%" PRIu64, count);
    snprintf(block, sizeof(block), "%d", BLOCK_MS);
    for (unsigned i = 0; i < n; i++) {
        fq_redis_id_write(self->shards[i].cursor, cursors[i]);
        words[6 + i] = self->shards[i].stream.ptr;
        words[6 + n + i] = cursors[i];
    }
    (void)redisAsyncCommandArgv(self->reader.context, on_read,
                                (void *)(intptr_t)FQ_REDIS_READ_ENTRIES,
                                (int)(6 + 2 * n), words, NULL);
}

void
fq_redis_read_on(fq_redis *self)
{
    redisAsyncContext *context = self->reader.context;
    if (self->phase != FQ_REDIS_RUNNING || self->n_reads > 0
        || self->batch != NULL || self->n_asked > 0)
        return;
    uint64_t half = self->settings.max_events / 2 + 1;
    if (self->count == 0)
        self->count = COUNT_MIN;
    uint64_t most = half < COUNT_MAX ? half : COUNT_MAX;
    uint64_t share = (most + self->n_shards - 1) / self->n_shards;
    self->n_reads = FQ_REDIS_READ_CURSORS + self->n_shards;
    self->read_at_ns = fq_clock_now_ns();
    read_entries(self, share < self->count ? share : self->count);
    for (unsigned i = 0; i < self->n_shards; i++) {
        const fq_redis_shard *shard = &self->shards[i];
        char cursor[FQ_REDIS_ID_MAX];
        fq_redis_id_write(shard->cursor, cursor);
        (void)redisAsyncCommand(context, on_read,
                                (void *)(intptr_t)(FQ_REDIS_READ_CURSORS + i),
                                "XRANGE %b %s %s COUNT 1", shard->stream.ptr,
                                shard->stream.len, cursor, cursor);
    }
    (void)redisAsyncCommand(context, on_read,
                            (void *)(intptr_t)FQ_REDIS_READ_EPOCH, "GET %b",
                            self->epoch_key.ptr, self->epoch_key.len);
}
