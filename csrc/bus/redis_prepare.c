/* SPDX-License-Identifier: MIT */
/* What the bus finds in the keys. Thread: that of the loop.
 *
 * The epoch is a random text that whoever comes first writes; it goes with the
 * stream when everything is flushed or a server starts empty, so another one
 * says that nothing known of the stream holds. It says, too, how many streams
 * there are: who counted otherwise would never see some of the events. A
 * stream is never empty: a mark is put into one that is, so that a cursor is
 * always an entry. A cursor whose entry is still there has missed nothing,
 * since entries leave a stream at its old end only, unless the server is
 * another one, or began again, and has not got the newest: we know of the one
 * that we added last ourselves. */
#include "bus/redis_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

/* Between being looked at, keys may vanish; more often than this somebody is
 * deleting them. */
#define CREATIONS_MAX 5

void
fq_redis_prepare_fini(fq_redis *self)
{
    for (size_t i = 0; i < FQ_REDIS_ASKS_MAX; i++) {
        if (self->answers[i] != NULL)
            fq_redis_reply_free(self->answers[i]);
        self->answers[i] = NULL;
    }
    self->n_asked = 0;
}

static bool
is_waiting(const fq_redis *self)
{
    return self->phase == FQ_REDIS_PREPARING
           || self->phase == FQ_REDIS_RUNNING;
}

/* ── making keys ── */

static void
on_created(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis_connection *connection = context->data;
    fq_redis *self = FQ_CONTAINER_OF(connection, fq_redis, writer);
    redisReply *reply = data;
    (void)arg;
    if (reply == NULL)
        return;
    const char *message = fq_redis_reply_error(reply);
    if (message != NULL)
        fq_redis_fail(self, message, fq_redis_is_passing(message));
    else if (is_waiting(self) && --self->n_asked == 0)
        fq_redis_prepare(self);
    fq_redis_reply_free(reply);
}

/* Makes the key of the epoch, and a mark in each stream of which |is_empty|
 * says so. */
static void
create(fq_redis *self, const bool *is_empty)
{
    uint64_t epoch;
    if (self->n_creations++ == CREATIONS_MAX
        || getentropy(&epoch, sizeof(epoch)) != 0) {
        fq_redis_fail(self, "the keys of the bus vanish again and again",
                      true);
        return;
    }
    char text[32];
    int len = snprintf(text, sizeof(text), "%016" PRIx64, epoch);
    if (self->n_shards > 1)
        snprintf(text + len, sizeof(text) - (size_t)len, ":%u",
                 self->n_shards);
    self->n_asked = 1;
    (void)redisAsyncCommand(self->writer.context, on_created, NULL,
                            "SET %b %s NX", self->epoch_key.ptr,
                            self->epoch_key.len, text);
    for (unsigned i = 0; i < self->n_shards; i++) {
        fq_str stream = self->shards[i].stream;
        if (!is_empty[i])
            continue;
        self->n_asked++;
        (void)redisAsyncCommand(self->writer.context, on_created, NULL,
                                "XADD %b * epoch %s", stream.ptr, stream.len,
                                text);
    }
}

/* ── looking at them ── */

/* Reads `<epoch>[:<n>]`, letters and digits and how many streams there are.
 * False: it is something else. */
static bool
read_epoch(const redisReply *reply, size_t *plen, unsigned *pn_shards)
{
    *plen = 0;
    *pn_shards = 1;
    if (reply->type != REDIS_REPLY_STRING || reply->len >= FQ_REDIS_EPOCH_MAX)
        return false;
    const char *at = reply->str;
    while ((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z')
           || (*at >= 'A' && *at <= 'Z'))
        at++;
    *plen = (size_t)(at - reply->str);
    if (*at == ':' && at[1] >= '1' && at[1] <= '9') {
        char *end;
        *pn_shards = (unsigned)strtoul(at + 1, &end, 10);
        at = end;
    }
    return *plen > 0 && at == reply->str + reply->len;
}

/* The id of the only entry in |reply|; false: there is none. */
static bool
read_only_id(const redisReply *reply, fq_redis_id *pid)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return false;
    const redisReply *entry = reply->element[0];
    return entry->type == REDIS_REPLY_ARRAY && entry->elements > 0
           && entry->element[0]->type == REDIS_REPLY_STRING
           && fq_redis_id_read(
               fq_str_make(entry->element[0]->str, entry->element[0]->len),
               pid);
}

/* Whether |reply|, a section of INFO, has |line|. */
static bool
has_line(const redisReply *reply, const char *line)
{
    return reply->type == REDIS_REPLY_STRING
           && strstr(reply->str, line) != NULL;
}

/* What is in the stream of a shard. */
typedef struct found {
    bool is_empty;
    fq_redis_id last;
    bool has_cursor;
    bool has_added;
} found;

/* Sets where to read |shard| from; returns why that is a gap, or NULL.
 * |is_same|: the epoch is the one that we know. */
static const char *
adopt_shard(fq_redis_shard *shard, const found *found, bool is_first,
            bool is_same)
{
    if (is_same && found->has_cursor && found->has_added)
        return NULL;
    const char *reason = NULL;
    if (is_first) {
        shard->cursor = found->last;
    } else if (!is_same) {
        reason = "the stream was emptied or replaced";
        if (!found->has_cursor)
            shard->cursor = (fq_redis_id){0, 0};
        shard->is_unchecked = !found->has_cursor;
    } else if (found->has_cursor) {
        reason = "the stream has lost its end";
    } else {
        reason = "the stream was trimmed, or has lost its end";
        if (fq_redis_id_compare(found->last, shard->cursor) < 0)
            shard->cursor = found->last;
        else
            shard->is_unchecked = true;
    }
    shard->delivered = shard->added = shard->cursor;
    return reason;
}

/* Takes what there is: where to read from, and whether that is a gap. */
static void
adopt(fq_redis *self, const redisReply *epoch, size_t epoch_len,
      const found *founds)
{
    bool is_first = !self->has_epoch;
    bool is_same = !is_first && strcmp(self->epoch, epoch->str) == 0;
    const char *reason = NULL;
    for (unsigned i = 0; i < self->n_shards; i++) {
        const char *of_shard = adopt_shard(&self->shards[i], &founds[i],
                                           is_first, is_same);
        if (of_shard != NULL)
            reason = of_shard;
    }
    memcpy(self->epoch, epoch->str, epoch->len + 1);
    self->epoch_len = epoch_len;
    self->has_epoch = true;
    if (reason != NULL)
        fq_bus_tell_gap(&self->bus, fq_str_of(reason));
}

/* The answers about shard |i|; NULL, or the error of the server. */
static const char *
read_shard(const fq_redis *self, unsigned i, found *found)
{
    redisReply *const *answers = self->answers + FQ_REDIS_ASK_SHARDS
                                 + i * FQ_REDIS_ASKS_OF_SHARD;
    for (unsigned k = 0; k < FQ_REDIS_ASKS_OF_SHARD; k++) {
        const char *message = fq_redis_reply_error(answers[k]);
        if (message != NULL)
            return message;
    }
    fq_redis_id ignored;
    found->is_empty = !read_only_id(answers[FQ_REDIS_ASK_LAST], &found->last);
    found->has_cursor = read_only_id(answers[FQ_REDIS_ASK_CURSOR], &ignored);
    found->has_added = read_only_id(answers[FQ_REDIS_ASK_ADDED], &ignored);
    return NULL;
}

/* Why we may not trim, or NULL; that it cannot be now is no reason. */
static const char *
read_trim(const redisReply *reply)
{
    const char *message = reply == NULL ? NULL : fq_redis_reply_error(reply);
    bool is_refused = message != NULL
                      && (strncmp(message, "NOPERM ", 7) == 0
                          || strncmp(message, "ERR ", 4) == 0);
    return is_refused ? message : NULL;
}

/* The streams are not as many as we were told. */
static void
refuse_number(fq_redis *self, unsigned n_there)
{
    fq_error error;
    (void)fq_error_set(
        &error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
        "the events of this deployment are in %u shards, not in %u: all "
        "instances need the same number; to change it, stop them and "
        "delete the key \"%s\"",
        n_there, self->n_shards, self->epoch_key.ptr);
    fq_redis_fail(self, error.message, false);
}

static void
decide(fq_redis *self)
{
    redisReply **answers = self->answers;
    const redisReply *epoch = answers[FQ_REDIS_ASK_EPOCH];
    /* Who may not ask these two finds out by what does not work. */
    if (has_line(answers[FQ_REDIS_ASK_CLUSTER], "cluster_enabled:1")) {
        fq_redis_fail(self,
                      "this is a Redis Cluster, which is not supported: use "
                      "a server of its own, with replicas if you like",
                      false);
        return;
    }
    if (has_line(answers[FQ_REDIS_ASK_ROLE], "role:slave")) {
        fq_redis_fail(self, "READONLY this Redis is a replica", true);
        return;
    }
    const char *message = fq_redis_reply_error(epoch);
    if (message == NULL)
        message = read_trim(answers[FQ_REDIS_ASK_TRIM]);
    found founds[FQ_REDIS_SHARDS_MAX];
    bool is_empty[FQ_REDIS_SHARDS_MAX], is_any_empty = false;
    for (unsigned i = 0; i < self->n_shards && message == NULL; i++) {
        message = read_shard(self, i, &founds[i]);
        is_empty[i] = message == NULL && founds[i].is_empty;
        is_any_empty |= is_empty[i];
    }
    if (message != NULL) {
        fq_redis_fail(self, message, fq_redis_is_passing(message));
        return;
    }
    size_t epoch_len = 0;
    unsigned n_shards = self->n_shards;
    bool is_epoch = epoch->type == REDIS_REPLY_NIL
                    || read_epoch(epoch, &epoch_len, &n_shards);
    if (!is_epoch) {
        fq_redis_fail(self, "the key of the epoch holds something else",
                      false);
    } else if (n_shards != self->n_shards) {
        refuse_number(self, n_shards);
    } else if (epoch->type == REDIS_REPLY_NIL || is_any_empty) {
        fq_redis_prepare_fini(self);
        create(self, is_empty);
    } else {
        adopt(self, epoch, epoch_len, founds);
        fq_redis_prepare_fini(self);
        fq_redis_prepared(self);
    }
}

static void
on_answer(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis_connection *connection = context->data;
    fq_redis *self = FQ_CONTAINER_OF(connection, fq_redis, writer);
    if (data == NULL)
        return;
    if (!is_waiting(self)) {
        fq_redis_reply_free(data);
        return;
    }
    self->answers[(intptr_t)arg] = data;
    if (--self->n_asked == 0)
        decide(self);
}

/* Asks for the entry |id| of shard |i|. */
static void
ask_for_entry(fq_redis *self, unsigned i, unsigned which, fq_redis_id id)
{
    fq_str stream = self->shards[i].stream;
    char text[FQ_REDIS_ID_MAX];
    fq_redis_id_write(id, text);
    intptr_t number = FQ_REDIS_ASK_SHARDS + i * FQ_REDIS_ASKS_OF_SHARD + which;
    (void)redisAsyncCommand(self->writer.context, on_answer, (void *)number,
                            "XRANGE %b %s %s COUNT 1", stream.ptr, stream.len,
                            text, text);
}

static void
ask_for_shard(fq_redis *self, unsigned i)
{
    const fq_redis_shard *shard = &self->shards[i];
    intptr_t number = FQ_REDIS_ASK_SHARDS + i * FQ_REDIS_ASKS_OF_SHARD
                      + FQ_REDIS_ASK_LAST;
    (void)redisAsyncCommand(self->writer.context, on_answer, (void *)number,
                            "XREVRANGE %b + - COUNT 1", shard->stream.ptr,
                            shard->stream.len);
    ask_for_entry(self, i, FQ_REDIS_ASK_CURSOR, shard->cursor);
    bool is_read = fq_redis_id_compare(shard->added, shard->cursor) <= 0;
    ask_for_entry(self, i, FQ_REDIS_ASK_ADDED,
                  is_read ? shard->cursor : shard->added);
}

void
fq_redis_prepare(fq_redis *self)
{
    redisAsyncContext *context = self->writer.context;
    fq_redis_prepare_fini(self);
    bool has_age = self->settings.max_age_ms > 0;
    self->n_asked = FQ_REDIS_ASK_SHARDS - (has_age ? 0 : 1)
                    + self->n_shards * FQ_REDIS_ASKS_OF_SHARD;
    (void)redisAsyncCommand(context, on_answer,
                            (void *)(intptr_t)FQ_REDIS_ASK_CLUSTER,
                            "INFO cluster");
    (void)redisAsyncCommand(context, on_answer,
                            (void *)(intptr_t)FQ_REDIS_ASK_ROLE,
                            "INFO replication");
    (void)redisAsyncCommand(context, on_answer,
                            (void *)(intptr_t)FQ_REDIS_ASK_EPOCH, "GET %b",
                            self->epoch_key.ptr, self->epoch_key.len);
    if (has_age)
        (void)redisAsyncCommand(
            context, on_answer, (void *)(intptr_t)FQ_REDIS_ASK_TRIM,
            "XTRIM %b MINID 0-1", self->shards[0].stream.ptr,
            self->shards[0].stream.len);
    for (unsigned i = 0; i < self->n_shards; i++)
        ask_for_shard(self, i);
}
