/* SPDX-License-Identifier: MIT */
/* Positions in the streams, and looks behind them. Thread: that of the loop.
 *
 * A position is `r1.<epoch>` and one `.<id>` for each shard: the form, the
 * epoch, and the entries that its holder has had last. A stream still has all
 * that came behind an entry as long as it has that, which is asked in the same
 * packet, behind the range.
 *
 * A look gives nothing that was not delivered here: a client may bring a
 * position from another instance, which was quicker, and then waits for this
 * one to get there, with each shard. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "bus/redis_state.h"

#define FORM "r1."
#define FORM_LEN 3

/* What a look is after in one shard. */
typedef struct look_shard {
    struct look *look;
    fq_redis_id after;
    fq_redis_id upto;    /* what was asked for: all up to here */
    redisReply *entries; /* or NULL: there can be none */
    redisReply *first;   /* the entry of |after|, or NULL: it was not asked */
} look_shard;

typedef struct look {
    fq_list node;      /* in redis->looks */
    fq_bus_read *read; /* NULL: nobody waits for it any more */
    bool is_known;     /* all |after| are in the streams, or were */
    unsigned n_asked;
    unsigned n_failed; /* of these, that will have no answer */
    size_t count;      /* entries that were asked for of each shard */
    look_shard shards[];
} look;

/* ── positions ── */

/* The ids in |text|, one for each shard, and whether they are of the epoch of
 * now. False: it is no position in so many shards. */
static bool
read_position(const fq_redis *self, fq_str text, fq_redis_id *ids,
              bool *pis_ours)
{
    *pis_ours = false;
    if (text.len <= FORM_LEN || memcmp(text.ptr, FORM, FORM_LEN) != 0)
        return false;
    const char *at = text.ptr + FORM_LEN, *end = text.ptr + text.len;
    const char *dot = memchr(at, '.', (size_t)(end - at));
    if (dot == NULL)
        return false;
    bool is_ours = self->has_epoch && (size_t)(dot - at) == self->epoch_len
                   && memcmp(at, self->epoch, self->epoch_len) == 0;
    for (unsigned i = 0; i < self->n_shards; i++) {
        if (dot == end)
            return false;
        at = dot + 1;
        dot = memchr(at, '.', (size_t)(end - at));
        if (dot == NULL)
            dot = end;
        if (!fq_redis_id_read(fq_str_make(at, (size_t)(dot - at)), &ids[i]))
            return false;
    }
    *pis_ours = is_ours;
    return dot == end;
}

/* Of one that has been let in. */
static void
ids_of(fq_bus *bus, fq_str position, fq_redis_id *ids)
{
    bool is_ours;
    bool is_position = read_position(fq_redis_of(bus), position, ids,
                                     &is_ours);
    FQ_CHECK(is_position);
    (void)is_position;
}

void
fq_redis_name_event(const fq_redis *self, unsigned shard,
                    char id[FQ_EVENT_ID_MAX])
{
    if (self->n_shards == 1)
        return;
    size_t len = strlen(id);
    snprintf(id + len, FQ_EVENT_ID_MAX - len, "@%u", shard);
}

void
fq_redis_span_init(fq_redis_span *pspan, const fq_redis *self,
                   const fq_redis_id *ids, unsigned shard)
{
    char text[FORM_LEN + FQ_REDIS_EPOCH_MAX
              + FQ_REDIS_SHARDS_MAX * FQ_REDIS_ID_MAX];
    size_t len = FORM_LEN;
    memcpy(text, FORM, FORM_LEN);
    memcpy(text + len, self->epoch, self->epoch_len);
    len += self->epoch_len;
    *pspan = (fq_redis_span){.text = NULL, .shard = shard};
    for (unsigned i = 0; i < self->n_shards; i++) {
        text[len++] = '.';
        if (i == shard) {
            pspan->hole = len;
        } else {
            fq_redis_id_write(ids[i], text + len);
            len += strlen(text + len);
        }
    }
    (void)fq_rcbuf_new(fq_str_make(text, len), &pspan->text);
}

void
fq_redis_span_fini(fq_redis_span *span)
{
    fq_rcbuf_unref(span->text);
    span->text = NULL;
}

void
fq_redis_span_stamp(const fq_redis_span *span, const fq_redis *self,
                    fq_event *event)
{
    fq_redis_name_event(self, span->shard, event->id);
    event->span = span->text == NULL ? NULL : fq_rcbuf_ref(span->text);
    event->offset = span->hole;
}

fq_status
fq_redis_position(fq_bus *bus, fq_rcbuf **pposition)
{
    const fq_redis *self = fq_redis_of(bus);
    *pposition = NULL;
    if (!self->has_epoch)
        return FQ_ERR_SYSTEM;
    fq_redis_id ids[FQ_REDIS_SHARDS_MAX];
    for (unsigned i = 0; i < self->n_shards; i++)
        ids[i] = self->shards[i].delivered;
    fq_redis_span whole;
    fq_redis_span_init(&whole, self, ids, self->n_shards);
    *pposition = whole.text;
    return whole.text == NULL ? FQ_ERR_NOMEM : FQ_OK;
}

fq_status
fq_redis_position_of(fq_bus *bus, const fq_event *event, fq_rcbuf **pposition)
{
    (void)bus;
    *pposition = NULL;
    if (event->span == NULL)
        return FQ_ERR_NOMEM;
    fq_str span = fq_rcbuf_str(event->span);
    const fq_str parts[] = {
        fq_str_make(span.ptr, event->offset),
        fq_str_make(event->id, strcspn(event->id, "@")),
        fq_str_make(span.ptr + event->offset, span.len - event->offset),
    };
    return fq_rcbuf_concat(parts, 3, pposition);
}

bool
fq_redis_is_position(fq_bus *bus, fq_str text)
{
    fq_redis_id ids[FQ_REDIS_SHARDS_MAX];
    bool is_ours;
    return read_position(fq_redis_of(bus), text, ids, &is_ours) && is_ours;
}

/* Instances meet the shards in different orders, so what one client has had
 * need not be the beginning of what another one misses: with several shards
 * only the same position is read for once. */
int
fq_redis_compare(fq_bus *bus, fq_str a, fq_str b)
{
    if (fq_redis_of(bus)->n_shards > 1)
        return fq_str_eq(a, b) ? 0 : -1;
    fq_redis_id of_a, of_b;
    ids_of(bus, a, &of_a);
    ids_of(bus, b, &of_b);
    return fq_redis_id_compare(of_a, of_b);
}

size_t
fq_redis_count_before(fq_bus *bus, fq_event *const *events, size_t n_events,
                      fq_str position)
{
    if (fq_redis_of(bus)->n_shards > 1)
        return SIZE_MAX;
    fq_redis_id id;
    ids_of(bus, position, &id);
    /* Who has had more elsewhere than was delivered here is not at the end
     * where that is the end here: it would be given the rest again. */
    if (fq_redis_id_compare(id, fq_redis_of(bus)->shards[0].delivered) > 0)
        return SIZE_MAX;
    size_t low = 0, high = n_events;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        fq_redis_id found;
        (void)fq_redis_id_read(fq_str_of(events[middle]->id), &found);
        if (fq_redis_id_compare(found, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ── looks ── */

static void
drop_replies(const fq_redis *redis, look *self)
{
    for (unsigned i = 0; i < redis->n_shards; i++) {
        look_shard *shard = &self->shards[i];
        if (shard->entries != NULL)
            fq_redis_reply_free(shard->entries);
        if (shard->first != NULL)
            fq_redis_reply_free(shard->first);
        shard->entries = shard->first = NULL;
    }
    self->n_failed = 0;
}

static void
free_look(const fq_redis *redis, look *self)
{
    drop_replies(redis, self);
    fq_list_remove(&self->node);
    fq_free(self);
}

/* Answers and frees it. */
static void
finish(const fq_redis *redis, look *self, fq_status status, size_t n_events,
       bool is_end)
{
    fq_bus_read *read = self->read;
    free_look(redis, self);
    if (read != NULL)
        read->done_cb(read, status, n_events, is_end);
}

static void
begin(fq_redis *redis, look *self);

/* Makes events of the entries of shard |i| and moves behind them. */
static fq_status
take_shard(fq_redis *redis, look *self, unsigned i, size_t *pn_events)
{
    look_shard *shard = &self->shards[i];
    fq_redis_id ids[FQ_REDIS_SHARDS_MAX];
    fq_redis_id last = shard->after;
    if (shard->entries == NULL)
        return FQ_OK;
    for (unsigned k = 0; k < redis->n_shards; k++)
        ids[k] = self->shards[k].after;
    fq_redis_span span;
    fq_redis_span_init(&span, redis, ids, i);
    fq_status status = span.text == NULL ? FQ_ERR_NOMEM : FQ_OK;
    for (size_t k = 0; k < shard->entries->elements && status == FQ_OK; k++) {
        fq_redis_id id;
        fq_event *event;
        status = fq_redis_entry_read(shard->entries->element[k],
                                     FQ_EVENT_DATA_MAX, &id, &event, NULL);
        if (id.ms != 0 || id.seq != 0)
            last = id;
        if (status == FQ_OK) {
            fq_redis_span_stamp(&span, redis, event);
            event->bus = &redis->bus;
            self->read->events[(*pn_events)++] = event;
        } else if (status != FQ_ERR_NOMEM) {
            status = FQ_OK; /* nobody can miss it */
        }
    }
    fq_redis_span_fini(&span);
    if (shard->entries->elements < self->count
        && fq_redis_id_compare(last, shard->upto) < 0)
        last = shard->upto;
    shard->after = last;
    return status;
}

/* One shard after the other; all or nothing. */
static fq_status
take_events(fq_redis *redis, look *self, size_t *pn_events)
{
    *pn_events = 0;
    fq_status status = FQ_OK;
    for (unsigned i = 0; i < redis->n_shards && status == FQ_OK; i++)
        status = take_shard(redis, self, i, pn_events);
    while (status != FQ_OK && *pn_events > 0)
        fq_event_unref(self->read->events[--*pn_events]);
    return status;
}

/* What is wrong with the answers; FQ_OK: nothing. */
static fq_status
judge(const fq_redis *redis, const look *self)
{
    fq_status status = FQ_OK;
    for (unsigned i = 0; i < redis->n_shards; i++) {
        const redisReply *entries = self->shards[i].entries;
        const redisReply *first = self->shards[i].first;
        if (first == NULL)
            continue;
        if (fq_redis_reply_error(first) != NULL
            || (entries != NULL
                && (entries->type != REDIS_REPLY_ARRAY
                    || entries->elements > self->count)))
            return FQ_ERR_SYSTEM;
        if (first->type != REDIS_REPLY_ARRAY || first->elements == 0)
            status = FQ_ERR_LOST;
    }
    return status;
}

/* Whether nothing was delivered behind it, nor is it ahead. */
static bool
is_at_end(const fq_redis *redis, const look *self)
{
    for (unsigned i = 0; i < redis->n_shards; i++) {
        if (fq_redis_id_compare(self->shards[i].after,
                                redis->shards[i].delivered)
            != 0)
            return false;
    }
    return true;
}

/* All answers are there. */
static void
decide(fq_redis *redis, look *self)
{
    size_t n_events = 0;
    fq_status status = judge(redis, self);
    if (status == FQ_OK)
        status = take_events(redis, self, &n_events);
    bool is_end = status == FQ_OK && is_at_end(redis, self);
    if (status != FQ_OK || n_events > 0 || is_end) {
        finish(redis, self, status, n_events, is_end);
        return;
    }
    /* There were no entries, or none of them an event; or more has come, or
     * will. */
    drop_replies(redis, self);
    self->is_known = true;
    begin(redis, self);
}

static void
note_answer(fq_redis *redis, look *self)
{
    if (--self->n_asked > 0)
        return;
    if (self->read == NULL)
        free_look(redis, self);
    else if (self->n_failed > 0)
        drop_replies(redis, self); /* begun again with the next connection */
    else
        decide(redis, self);
}

static void
on_entries(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis_connection *connection = context->data;
    look_shard *shard = arg;
    shard->entries = data;
    shard->look->n_failed += data == NULL;
    note_answer(FQ_CONTAINER_OF(connection, fq_redis, writer), shard->look);
}

static void
on_first(redisAsyncContext *context, void *data, void *arg)
{
    fq_redis_connection *connection = context->data;
    look_shard *shard = arg;
    shard->first = data;
    shard->look->n_failed += data == NULL;
    note_answer(FQ_CONTAINER_OF(connection, fq_redis, writer), shard->look);
}

/* Notes whether a command is under way; if not, the connection ends, and with
 * the next one the look is begun again. */
static void
note_command(look *self, int result)
{
    self->n_asked += result == REDIS_OK;
    self->n_failed += result != REDIS_OK;
}

/* Asks the server about shard |i|; for entries only where some have been
 * delivered. */
static void
ask(fq_redis *redis, look *self, unsigned i)
{
    look_shard *shard = &self->shards[i];
    fq_str stream = redis->shards[i].stream;
    redisAsyncContext *context = redis->writer.context;
    char after[FQ_REDIS_ID_MAX], upto[FQ_REDIS_ID_MAX];
    shard->upto = redis->shards[i].delivered;
    fq_redis_id_write(shard->after, after);
    fq_redis_id_write(shard->upto, upto);
    if (fq_redis_id_compare(shard->after, shard->upto) < 0)
        note_command(self, redisAsyncCommand(context, on_entries, shard,
                                             "XRANGE %b (%s %s COUNT %d",
                                             stream.ptr, stream.len, after,
                                             upto, (int)self->count));
    note_command(self, redisAsyncCommand(context, on_first, shard,
                                         "XRANGE %b %s %s COUNT 1", stream.ptr,
                                         stream.len, after, after));
}

/* Asks the server, if there is one and it has to be asked. */
static void
begin(fq_redis *redis, look *self)
{
    if (redis->phase != FQ_REDIS_RUNNING || redis->n_asked > 0)
        return;
    fq_redis_id ids[FQ_REDIS_SHARDS_MAX];
    bool is_ours;
    (void)read_position(redis, fq_rcbuf_str(self->read->after), ids, &is_ours);
    if (!is_ours) {
        finish(redis, self, FQ_ERR_LOST, 0, false);
        return;
    }
    if (is_at_end(redis, self)) {
        finish(redis, self, FQ_OK, 0, true);
        return;
    }
    size_t n_behind = 0;
    for (unsigned i = 0; i < redis->n_shards; i++)
        n_behind += fq_redis_id_compare(self->shards[i].after,
                                        redis->shards[i].delivered)
                    < 0;
    if (n_behind == 0 && self->is_known)
        return; /* until it is delivered */
    self->count = n_behind == 0 ? 0 : self->read->max_events / n_behind;
    if (self->count == 0)
        self->count = 1;
    for (unsigned i = 0; i < redis->n_shards; i++) {
        if (fq_redis_id_compare(self->shards[i].after,
                                redis->shards[i].delivered)
            != 0)
            ask(redis, self, i);
    }
    if (self->n_asked == 0)
        drop_replies(redis, self);
}

void
fq_redis_read(fq_bus *bus, fq_bus_read *read)
{
    fq_redis *redis = fq_redis_of(bus);
    look *self = fq_alloc_zero(sizeof(*self)
                               + redis->n_shards * sizeof(self->shards[0]));
    if (self == NULL) {
        read->done_cb(read, FQ_ERR_NOMEM, 0, false);
        return;
    }
    fq_redis_id ids[FQ_REDIS_SHARDS_MAX];
    ids_of(bus, fq_rcbuf_str(read->after), ids);
    for (unsigned i = 0; i < redis->n_shards; i++) {
        self->shards[i].look = self;
        self->shards[i].after = ids[i];
    }
    self->read = read;
    fq_list_push_back(&redis->looks, &self->node);
    begin(redis, self);
}

void
fq_redis_cancel(fq_bus *bus, fq_bus_read *read)
{
    FQ_LIST_FOREACH(node, &fq_redis_of(bus)->looks)
    {
        look *self = FQ_CONTAINER_OF(node, look, node);
        if (self->read != read)
            continue;
        self->read = NULL;
        if (self->n_asked == 0)
            free_look(fq_redis_of(bus), self);
        return;
    }
}

void
fq_redis_look_on(fq_redis *redis)
{
    fq_list todo;
    fq_list_init(&todo);
    fq_list_splice(&todo, &redis->looks);
    fq_list *node;
    while ((node = fq_list_pop_front(&todo)) != NULL) {
        look *self = FQ_CONTAINER_OF(node, look, node);
        fq_list_push_back(&redis->looks, node);
        if (self->n_asked == 0)
            begin(redis, self);
    }
}

void
fq_redis_look_fini(fq_redis *redis)
{
    fq_list *node;
    while ((node = fq_list_pop_front(&redis->looks)) != NULL) {
        look *self = FQ_CONTAINER_OF(node, look, node);
        FQ_CHECK(self->n_asked == 0);
        finish(redis, self, FQ_ERR_CLOSED, 0, false);
    }
}
