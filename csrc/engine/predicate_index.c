/* SPDX-License-Identifier: MIT */
/* Listeners found by what an event says. Thread: reactor.
 *
 * A subscription that wants `event.id == arg.id` can be met by no event with
 * another id. So it is not put among the listeners of its channel but into a
 * bucket of its own value: a list like a channel's, found by one look-up. An
 * event meets the listeners of its channel, and those of one bucket for each
 * path by which some of them are found: the bucket of its own value there.
 *
 *     channel "orders" ── listeners: those who want everything
 *         │ data
 *         ▼
 *     selector event.id ──── selector $type ── …    at most 16
 *         ┊                      ┊
 *     bucket (selector, "42")    bucket (selector, "orderPaid")
 *
 * Buckets are in one table for all channels, under the selector's address
 * followed by the bytes of the value, as filters make them: two values have
 * the same bytes exactly if they are equal. A selector lives as long as its
 * buckets, so its address means no other meanwhile; and it holds its channel.
 * What is a bucket's is a channel's: one kind of list, one kind of cursor, and
 * the rules of channel_index.c for whoever comes or goes during a walk.
 *
 * The index is a promise about those it passes by, not about those it meets:
 * filters are evaluated all the same. A value too long for a key is met by
 * nobody who is indexed, for none of them has one.
 *
 * A subscription with several alternatives (`in`) is in several buckets of one
 * selector. An event has one value there, so it meets it once. */
#include "engine/predicate_index.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* A path that selectors use, copied once for all of them: a channel per id
 * with a selector each is a usual thing. */
typedef struct fq_predicate_path {
    fq_filter_path *path; /* owned; its id is the key in the table */
    size_t n_selectors;   /* > 0 */
} fq_predicate_path;

const fq_filter_key fq_predicate_never = {.path = NULL};

void
fq_predicate_index_init(fq_predicate_index *index)
{
    fq_channel_index_init(&index->channels);
    fq_channel_index_init(&index->buckets);
    fq_map_init(&index->paths);
}

void
fq_predicate_index_fini(fq_predicate_index *index)
{
    FQ_CHECK(index->paths.n_items == 0);
    fq_channel_index_fini(&index->channels);
    fq_channel_index_fini(&index->buckets);
    fq_map_fini(&index->paths);
}

/* -- keys ----------------------------------------------------------------- */

/* The name of a bucket: its selector's address, the value. */
typedef struct bucket_name {
    char bytes[sizeof(fq_selector *) + FQ_PREDICATE_KEY_MAX];
} bucket_name;

static fq_str
make_bucket_name(bucket_name *self, const fq_selector *selector, fq_str value)
{
    FQ_CHECK(value.len <= FQ_PREDICATE_KEY_MAX);
    memcpy(self->bytes, &selector, sizeof(selector));
    if (value.len > 0)
        memcpy(self->bytes + sizeof(selector), value.ptr, value.len);
    return fq_str_make(self->bytes, sizeof(selector) + value.len);
}

size_t
fq_predicate_n_listeners(const fq_filter_key *key, bool *pis_never)
{
    _Static_assert(FQ_FILTER_KEY_ROOM <= FQ_PREDICATE_KEY_MAX,
                   "keys of numbers must fit");
    *pis_never = false;
    if (key == NULL || key->path == NULL)
        return 1;
    size_t n_listeners = 0;
    char room[FQ_FILTER_KEY_ROOM];
    fq_str value;
    fq_status status;
    for (size_t i = 0; (status = fq_filter_key_value(key, i, room, &value))
                       != FQ_ERR_NOT_FOUND;
         i++) {
        if (status == FQ_OK && value.len > FQ_PREDICATE_KEY_MAX)
            return 0;
        n_listeners += status == FQ_OK;
    }
    *pis_never = n_listeners == 0;
    return n_listeners;
}

/* -- paths and selectors -------------------------------------------------- */

/* Finds or makes the index's own |path|, for one more selector. */
static fq_status
path_ref(fq_predicate_index *index, const fq_filter_path *path,
         fq_predicate_path **pown)
{
    fq_predicate_path *own = fq_map_get(&index->paths, path->id);
    *pown = own;
    if (own != NULL) {
        own->n_selectors++;
        return FQ_OK;
    }
    own = fq_alloc(sizeof(*own));
    if (own == NULL)
        return FQ_ERR_NOMEM;
    own->n_selectors = 1;
    fq_status status = fq_filter_path_copy(path, &own->path);
    if (status == FQ_OK)
        status = fq_map_add(&index->paths, own->path->id, own);
    if (status != FQ_OK) {
        fq_free(own->path);
        fq_free(own);
        return status;
    }
    *pown = own;
    return FQ_OK;
}

static void
path_unref(fq_predicate_index *index, fq_predicate_path *own)
{
    if (own == NULL || --own->n_selectors > 0)
        return;
    fq_map_remove(&index->paths, own->path->id);
    fq_free(own->path);
    fq_free(own);
}

/* The selector of |channel| for |path| (NULL: never), or NULL. *pn_others gets
 * how many there are for other paths, those before it if it is found. */
static fq_selector *
selector_find(const fq_channel *channel, const fq_filter_path *path,
              size_t *pn_others)
{
    *pn_others = 0;
    for (fq_selector *self = channel->data; self != NULL; self = self->next) {
        if (self->path == NULL) {
            if (path == NULL)
                return self;
        } else if (path != NULL && fq_str_eq(self->path->path->id, path->id)) {
            return self;
        } else {
            *pn_others += 1;
        }
    }
    return NULL;
}

/* Finds or makes the selector of channel |name| for |path|. A new one is
 * empty, to be filled or freed at once. */
static fq_status
selector_get(fq_predicate_index *index, fq_str name,
             const fq_filter_path *path, fq_selector **pself)
{
    *pself = NULL;
    fq_channel *channel = fq_channel_index_find(&index->channels, name);
    size_t n_others;
    if (channel != NULL)
        *pself = selector_find(channel, path, &n_others);
    if (*pself != NULL)
        return FQ_OK;
    fq_selector *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = FQ_OK;
    if (path != NULL)
        status = path_ref(index, path, &self->path);
    if (status == FQ_OK)
        status = fq_channel_index_hold(&index->channels, name, &self->channel);
    if (status != FQ_OK) {
        path_unref(index, self->path);
        fq_free(self);
        return status;
    }
    self->next = self->channel->data;
    self->channel->data = self;
    *pself = self;
    return FQ_OK;
}

static void
selector_free_if_empty(fq_predicate_index *index, fq_selector *self)
{
    if (self->n_listeners > 0)
        return;
    fq_selector *next = self->next;
    if (self->channel->data == self) {
        self->channel->data = next;
    } else {
        fq_selector *before = self->channel->data;
        while (before->next != self)
            before = before->next;
        before->next = next;
    }
    if (self->channel->data == NULL)
        fq_channel_index_drop(&index->channels, self->channel);
    path_unref(index, self->path);
    fq_free(self);
}

/* -- coming and going ----------------------------------------------------- */

bool
fq_predicate_index_takes(const fq_predicate_index *index, fq_str channel,
                         const fq_filter_key *key)
{
    const fq_channel *found = fq_channel_index_find(&index->channels, channel);
    size_t n_others;
    return found == NULL || key->path == NULL
           || selector_find(found, key->path, &n_others) != NULL
           || n_others < FQ_PREDICATE_SELECTORS_MAX;
}

static fq_status
bucket_add(fq_predicate_index *index, fq_selector *selector, fq_str value,
           struct fq_sub *sub, fq_listener *listener)
{
    bucket_name name;
    fq_status status = fq_channel_index_add(
        &index->buckets, make_bucket_name(&name, selector, value), sub,
        listener);
    if (status != FQ_OK)
        return status;
    listener->channel->is_bucket = true;
    listener->channel->data = selector;
    selector->n_listeners++;
    return FQ_OK;
}

static void
bucket_remove(fq_predicate_index *index, fq_selector *selector,
              fq_listener *listener)
{
    fq_channel_index_remove(&index->buckets, listener);
    selector->n_listeners--;
}

/* A listener in the bucket of each value of |key|. */
static fq_status
selector_add(fq_predicate_index *index, fq_selector *self,
             const fq_filter_key *key, struct fq_sub *sub,
             fq_listener *listeners)
{
    if (key->path == NULL)
        return bucket_add(index, self, fq_str_make(NULL, 0), sub, listeners);
    size_t n_added = 0;
    char room[FQ_FILTER_KEY_ROOM];
    fq_str value;
    fq_status status;
    for (size_t i = 0; (status = fq_filter_key_value(key, i, room, &value))
                       != FQ_ERR_NOT_FOUND;
         i++) {
        if (status == FQ_ERR_AGAIN)
            continue;
        status = bucket_add(index, self, value, sub, &listeners[n_added]);
        if (status != FQ_OK)
            break;
        n_added++;
    }
    if (status == FQ_ERR_NOT_FOUND)
        return FQ_OK;
    while (n_added > 0)
        bucket_remove(index, self, &listeners[--n_added]);
    return status;
}

fq_status
fq_predicate_index_add(fq_predicate_index *index, fq_str name,
                       const fq_filter_key *key, struct fq_sub *sub,
                       fq_listener *listeners)
{
    if (key == NULL)
        return fq_channel_index_add(&index->channels, name, sub, listeners);
    fq_selector *selector;
    fq_status status = selector_get(index, name, key->path, &selector);
    if (status != FQ_OK)
        return status;
    status = selector_add(index, selector, key, sub, listeners);
    if (status == FQ_OK)
        selector->n_subs++;
    else
        selector_free_if_empty(index, selector);
    return status;
}

void
fq_predicate_index_remove(fq_predicate_index *index, fq_listener *listeners,
                          size_t n_listeners)
{
    /* Listeners by one key are neighbours: the last of them takes the
     * subscription off the count. */
    for (size_t i = 0; i < n_listeners; i++) {
        fq_channel *channel = listeners[i].channel;
        if (channel->is_bucket) {
            fq_selector *selector = channel->data;
            bool is_last = i + 1 == n_listeners
                           || !listeners[i + 1].channel->is_bucket
                           || listeners[i + 1].channel->data != selector;
            bucket_remove(index, selector, &listeners[i]);
            if (is_last)
                selector->n_subs--;
            selector_free_if_empty(index, selector);
        } else {
            fq_channel_index_remove(&index->channels, &listeners[i]);
        }
    }
}

size_t
fq_predicate_index_n_subs(const fq_predicate_index *index, fq_str name)
{
    const fq_channel *channel = fq_channel_index_find(&index->channels, name);
    if (channel == NULL)
        return 0;
    size_t n_subs = channel->n_listeners;
    for (fq_selector *each = channel->data; each != NULL; each = each->next)
        n_subs += each->n_subs;
    return n_subs;
}

size_t
fq_predicate_index_n_channels(const fq_predicate_index *index)
{
    return fq_channel_index_n_channels(&index->channels);
}

size_t
fq_predicate_index_n_listeners(const fq_predicate_index *index)
{
    return index->channels.n_listeners + index->buckets.n_listeners;
}

/* -- walking -------------------------------------------------------------- */

void
fq_predicate_cursor_init(fq_predicate_cursor *cursor)
{
    for (size_t i = 0; i < 1 + FQ_PREDICATE_SELECTORS_MAX; i++)
        fq_channel_cursor_init(&cursor->cursors[i]);
    cursor->n_cursors = cursor->at = 0;
}

static void
cursor_open_one(fq_predicate_cursor *cursor, fq_channel *channel)
{
    fq_channel_cursor_open(&cursor->cursors[cursor->n_cursors], channel);
    cursor->n_cursors++;
}

/* The bucket whose listeners are to meet |event|, or NULL. */
static fq_channel *
selector_match(const fq_predicate_index *index, const fq_selector *self,
               const fq_event *event)
{
    char room[FQ_FILTER_KEY_ROOM];
    fq_str value;
    if (self->path == NULL
        || !fq_filter_event_key(self->path->path, event, room, &value)
        || value.len > FQ_PREDICATE_KEY_MAX)
        return NULL;
    bucket_name name;
    return fq_channel_index_find(&index->buckets,
                                 make_bucket_name(&name, self, value));
}

void
fq_predicate_cursor_open(fq_predicate_cursor *cursor,
                         const fq_predicate_index *index,
                         const fq_event *event)
{
    cursor->n_cursors = cursor->at = 0;
    fq_channel *channel = fq_channel_index_find(&index->channels,
                                                fq_rcbuf_str(event->channel));
    if (channel == NULL)
        return;
    if (channel->n_listeners > 0)
        cursor_open_one(cursor, channel);
    for (fq_selector *each = channel->data; each != NULL; each = each->next) {
        fq_channel *bucket = selector_match(index, each, event);
        if (bucket != NULL)
            cursor_open_one(cursor, bucket);
    }
}

void
fq_predicate_cursor_close(fq_predicate_cursor *cursor)
{
    for (size_t i = cursor->at; i < cursor->n_cursors; i++)
        fq_channel_cursor_close(&cursor->cursors[i]);
    cursor->n_cursors = cursor->at = 0;
}

struct fq_sub *
fq_predicate_cursor_next(fq_predicate_cursor *cursor)
{
    for (; cursor->at < cursor->n_cursors; cursor->at++) {
        struct fq_sub *sub = fq_channel_cursor_next(
            &cursor->cursors[cursor->at]);
        if (sub != NULL)
            return sub;
    }
    return NULL;
}

/* -- checks --------------------------------------------------------------- */

#ifndef NDEBUG
/* What the selectors of |channel| count, added to *pn_listeners and
 * *pn_paths. */
static void
check_selectors(const fq_channel *channel, size_t *pn_listeners,
                size_t *pn_paths)
{
    size_t n_paths = 0;
    for (fq_selector *each = channel->data; each != NULL; each = each->next) {
        FQ_CHECK(each->channel == channel);
        FQ_CHECK(each->n_listeners >= each->n_subs && each->n_subs > 0);
        *pn_listeners += each->n_listeners;
        n_paths += each->path != NULL;
    }
    FQ_CHECK(n_paths <= FQ_PREDICATE_SELECTORS_MAX);
    *pn_paths += n_paths;
}
#endif

void
fq_predicate_index_check(const fq_predicate_index *index)
{
#ifndef NDEBUG
    fq_channel_index_check(&index->channels);
    fq_channel_index_check(&index->buckets);
    fq_map_check(&index->paths);
    size_t n_listeners = 0, n_selectors = 0, n_used = 0, iter = 0;
    fq_str name;
    void *value;
    while (fq_map_next(&index->channels.channels, &iter, &name, &value)) {
        const fq_channel *channel = value;
        FQ_CHECK(!channel->is_bucket);
        FQ_CHECK(channel->is_held == (channel->data != NULL));
        check_selectors(channel, &n_listeners, &n_selectors);
    }
    FQ_CHECK(n_listeners == index->buckets.n_listeners);
    iter = 0;
    while (fq_map_next(&index->buckets.channels, &iter, &name, &value)) {
        const fq_channel *bucket = value;
        FQ_CHECK(bucket->is_bucket && !bucket->is_held);
        const fq_selector *selector = bucket->data;
        fq_selector *named;
        memcpy(&named, name.ptr, sizeof(named));
        FQ_CHECK(selector == named);
    }
    iter = 0;
    while (fq_map_next(&index->paths, &iter, &name, &value))
        n_used += ((fq_predicate_path *)value)->n_selectors;
    FQ_CHECK(n_used == n_selectors);
#else
    (void)index;
#endif
}
