/* SPDX-License-Identifier: MIT */
/* The bounded queue of one client. Plain data: the owner guards it.
 *
 * Items sit in a ring of a power of two, from |head| on; positions below are
 * counted from the oldest, 0 to n_slots - 1, and only queue_slot() knows about
 * wrapping. The ring doubles when it is full and is given back when the queue
 * runs empty, unless it is small: an idle client then holds at most
 * QUEUE_CAP_KEPT slots, and a busy one reallocates a few times per burst.
 *
 * An item that is dropped leaves a hole. The first and the last slot never are
 * one; when the ring is full and half of it is holes, it is closed up instead
 * of doubled, which has been paid for by the drops.
 *
 * Which delivery to drop is told by the index (queue_index.h), made when it is
 * first needed, for what waits then. It follows the ring's every move. */
#include "engine/queue.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/queue_index.h"

/* Slots of the first ring: 320 bytes, a client that keeps up needs no more. */
#define QUEUE_CAP_FIRST 8
/* The largest ring an empty queue keeps: 640 bytes per idle client. */
#define QUEUE_CAP_KEPT 16

/* What is told between body and tail: of losses, of the position, of both. */
static const char extensions_before[] = ",\"extensions\":{";
static const char dropped_key[] = "\"dropped\":";
static const char position_key[] = "\"position\":\"";
static const char position_after[] = "\"";
static const char extensions_after[] = "}";
static const char event_id_key[] = "\nid: ";

static uint32_t
queue_slot(const fq_queue *queue, uint32_t i)
{
    return (queue->head + i) & (queue->cap - 1);
}

static fq_queue_item *
queue_at(const fq_queue *queue, uint32_t i)
{
    return &queue->items[queue_slot(queue, i)];
}

static bool
is_hole(const fq_queue_item *item)
{
    return item->head == NULL;
}

/* A `next` of a subscription, not a message of its own. */
static bool
is_delivery(const fq_queue_item *item)
{
    return item->body != NULL && item->sub_id != 0;
}

static bool
is_lossy(const fq_queue_item *item)
{
    return item->overflow != FQ_OVERFLOW_DISCONNECT && is_delivery(item);
}

void
fq_queue_init(fq_queue *queue, size_t max_items, size_t max_bytes)
{
    *queue = (fq_queue){.max_items = max_items, .max_bytes = max_bytes};
}

void
fq_queue_fini(fq_queue *queue)
{
    (void)fq_queue_clear(queue);
    fq_queue_index_free(queue->index);
    fq_free(queue->items);
    fq_queue_init(queue, 0, 0);
}

static bool
tells_position(const fq_queue_item *item, fq_position_as as)
{
    return item->position != NULL && (item->position_as & as) != 0;
}

static bool
has_extensions(const fq_queue_item *item)
{
    return item->n_dropped > 0 || tells_position(item, FQ_POSITION_EXTENSION);
}

static size_t
count_digits(uint32_t n)
{
    size_t n_digits = 1;
    for (; n >= 10; n /= 10)
        n_digits++;
    return n_digits;
}

size_t
fq_queue_item_n_bytes(const fq_queue_item *item)
{
    if (item->body == NULL)
        return item->head->len;
    size_t len = item->head->len + item->body->len;
    if (item->n_dropped == 0 && item->position == NULL)
        return len;
    if (has_extensions(item))
        len += sizeof(extensions_before) - 1 + sizeof(extensions_after) - 1;
    if (item->n_dropped > 0)
        len += sizeof(dropped_key) - 1 + count_digits(item->n_dropped);
    if (tells_position(item, FQ_POSITION_EXTENSION))
        len += sizeof(position_key) - 1 + item->position->len
               + sizeof(position_after) - 1 + (item->n_dropped > 0);
    if (tells_position(item, FQ_POSITION_EVENT_ID))
        len += sizeof(event_id_key) - 1 + item->position->len;
    return len;
}

/* ── the ring ── */

static uint32_t
add_saturating(uint32_t a, uint32_t b)
{
    return a <= UINT32_MAX - b ? a + b : UINT32_MAX;
}

/* Enters every delivery into the index, whose keys have been moved to
 * |links|, one for each slot of the ring. */
static void
queue_reindex(fq_queue *queue, fq_queue_link *links)
{
    fq_queue_index_reset(queue->index, links, queue->cap);
    for (uint32_t i = 0; i < queue->n_slots; i++) {
        const fq_queue_item *item = queue_at(queue, i);
        if (is_hole(item) || !is_delivery(item))
            continue;
        uint32_t slot = queue_slot(queue, i);
        fq_queue_index_add(queue->index, slot, item->sub_id,
                           fq_queue_item_n_bytes(item), links[slot].key);
    }
}

/* Doubles the ring, or makes the first one. */
static fq_status
queue_grow(fq_queue *queue)
{
    uint32_t cap = queue->cap > 0 ? queue->cap * 2 : QUEUE_CAP_FIRST;
    if (cap < queue->cap)
        return FQ_ERR_NOMEM;
    fq_queue_item *items = fq_alloc((size_t)cap * sizeof(*items));
    if (items == NULL)
        return FQ_ERR_NOMEM;
    fq_queue_link *links = NULL;
    if (queue->index != NULL
        && fq_queue_index_new_links(cap, &links) != FQ_OK) {
        fq_free(items);
        return FQ_ERR_NOMEM;
    }
    uint32_t n_moved = 0;
    for (uint32_t i = 0; i < queue->n_slots; i++) {
        uint32_t slot = queue_slot(queue, i);
        if (is_hole(&queue->items[slot]))
            continue;
        items[n_moved] = queue->items[slot];
        if (links != NULL)
            links[n_moved].key = queue->index->links[slot].key;
        n_moved++;
    }
    fq_free(queue->items);
    queue->items = items;
    queue->cap = cap;
    queue->head = 0;
    queue->n_slots = queue->n_items;
    if (queue->index != NULL)
        queue_reindex(queue, links);
    return FQ_OK;
}

/* Makes a hole of |slot|. */
static void
queue_empty_slot(fq_queue *queue, uint32_t slot)
{
    queue->items[slot].head = NULL;
    if (queue->index != NULL)
        queue->index->links[slot].key = NULL;
}

/* Closes the holes, in place. */
static void
queue_compact(fq_queue *queue)
{
    fq_queue_link *links = queue->index != NULL ? queue->index->links : NULL;
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < queue->n_slots; i++) {
        uint32_t from = queue_slot(queue, i);
        if (is_hole(&queue->items[from]))
            continue;
        uint32_t to = queue_slot(queue, n_kept++);
        if (to == from)
            continue;
        queue->items[to] = queue->items[from];
        if (links != NULL)
            links[to].key = links[from].key;
        queue_empty_slot(queue, from);
    }
    queue->n_slots = n_kept;
    if (links != NULL)
        queue_reindex(queue, links);
}

/* Gives a large ring back once nothing is in it, and an index that has
 * nothing to remember. */
static void
queue_trim(fq_queue *queue)
{
    if (queue->n_items > 0)
        return;
    FQ_CHECK(queue->n_bytes == 0 && queue->n_lossy == 0);
    queue->head = 0;
    queue->n_slots = 0;
    if (queue->cap <= QUEUE_CAP_KEPT)
        return;
    fq_free(queue->items);
    queue->items = NULL;
    queue->cap = 0;
    if (queue->index == NULL)
        return;
    fq_queue_index_reset(queue->index, NULL, 0);
    if (fq_queue_index_carries(queue->index))
        return;
    fq_queue_index_free(queue->index);
    queue->index = NULL;
}

/* Makes the index, for what waits now. */
static fq_status
queue_activate(fq_queue *queue)
{
    if (queue->index != NULL)
        return FQ_OK;
    fq_queue_index *index;
    fq_status status = fq_queue_index_new(queue->cap, &index);
    for (uint32_t i = 0; i < queue->n_slots && status == FQ_OK; i++) {
        const fq_queue_item *item = queue_at(queue, i);
        if (is_hole(item) || !is_delivery(item))
            continue;
        status = fq_queue_index_reserve(index, item->sub_id, item->overflow);
        if (status == FQ_OK)
            fq_queue_index_add(index, queue_slot(queue, i), item->sub_id,
                               fq_queue_item_n_bytes(item), NULL);
    }
    if (status == FQ_OK)
        queue->index = index;
    else
        fq_queue_index_free(index);
    return status;
}

/* Takes the item in |slot| out, whose references are the caller's then. */
static fq_queue_item
queue_remove(fq_queue *queue, uint32_t slot)
{
    fq_queue_item item = queue->items[slot];
    size_t n_bytes = fq_queue_item_n_bytes(&item);
    if (queue->index != NULL && is_delivery(&item))
        fq_queue_index_remove(queue->index, slot, n_bytes);
    queue_empty_slot(queue, slot);
    queue->n_bytes -= n_bytes;
    queue->n_items--;
    queue->n_lossy -= is_lossy(&item);
    while (queue->n_slots > 0 && is_hole(queue_at(queue, 0))) {
        queue->head = queue_slot(queue, 1);
        queue->n_slots--;
    }
    while (queue->n_slots > 0 && is_hole(queue_at(queue, queue->n_slots - 1)))
        queue->n_slots--;
    return item;
}

/* Makes room in the full ring. */
static fq_status
queue_extend(fq_queue *queue)
{
    if (queue->n_items >= queue->cap / 2)
        return queue_grow(queue);
    queue_compact(queue);
    return FQ_OK;
}

/* Appends a copy of *item of |n_bytes|, for which there is room and, if there
 * is an index, a chain. |key| is borrowed. */
static fq_status
queue_append(fq_queue *queue, const fq_queue_item *item, size_t n_bytes,
             fq_rcbuf *key)
{
    if (queue->n_slots == queue->cap) {
        fq_status status = queue_extend(queue);
        if (status != FQ_OK)
            return status;
    }
    uint32_t slot = queue_slot(queue, queue->n_slots++);
    queue->items[slot] = *item;
    queue->n_items++;
    queue->n_bytes += n_bytes;
    queue->n_lossy += is_lossy(item);
    if (queue->index != NULL && is_delivery(item))
        fq_queue_index_add(queue->index, slot, item->sub_id, n_bytes,
                           key != NULL ? fq_rcbuf_ref(key) : NULL);
    return FQ_OK;
}

/* ── pushing ── */

static bool
has_items_left(const fq_queue *queue)
{
    return queue->n_items == 0 || queue->n_items < queue->max_items;
}

/* True when |n_bytes| more may wait. */
static bool
has_bytes_left(const fq_queue *queue, size_t n_bytes)
{
    return queue->n_items == 0
           || (queue->n_bytes <= queue->max_bytes
               && n_bytes <= queue->max_bytes - queue->n_bytes);
}

fq_status
fq_queue_push(fq_queue *queue, const fq_queue_item *item)
{
    fq_queue_losses losses;
    if (queue->index != NULL && is_delivery(item))
        return fq_queue_offer(queue, item, NULL, &losses);
    size_t n_bytes = fq_queue_item_n_bytes(item);
    if (!has_items_left(queue) || !has_bytes_left(queue, n_bytes))
        return FQ_ERR_FULL;
    return queue_append(queue, item, n_bytes, NULL);
}

/* Drops the oldest of |chain|, or the newest, as its policy says; its next
 * delivery tells. */
static void
queue_drop(fq_queue *queue, fq_queue_chain *chain, fq_queue_losses *losses)
{
    bool is_newest = chain->overflow == FQ_OVERFLOW_DROP_NEWEST;
    fq_queue_item dropped = queue_remove(queue, is_newest ? chain->newest
                                                          : chain->oldest);
    uint32_t n_lost = add_saturating(dropped.n_dropped, 1);
    fq_queue_item_fini(&dropped);
    losses->n_newest += is_newest;
    losses->n_oldest += !is_newest;
    if (is_newest || chain->n_items == 0) {
        chain->n_carried = add_saturating(chain->n_carried, n_lost);
        return;
    }
    fq_queue_item *heir = &queue->items[chain->oldest];
    size_t n_bytes = fq_queue_item_n_bytes(heir);
    heir->n_dropped = add_saturating(heir->n_dropped, n_lost);
    n_bytes = fq_queue_item_n_bytes(heir) - n_bytes;
    queue->n_bytes += n_bytes;
    chain->n_bytes += n_bytes;
}

/* The chain that yields to a delivery of |own| (NULL: to no delivery); NULL:
 * nothing is to be dropped for it. */
static fq_queue_chain *
queue_find_victim(fq_queue *queue, fq_queue_chain *own, bool by_items)
{
    fq_queue_chain *greedy = fq_queue_index_greedy(queue->index, by_items);
    if (own == NULL || own->overflow == FQ_OVERFLOW_DISCONNECT)
        return greedy;
    size_t n_own = by_items ? own->n_items : own->n_bytes;
    size_t n_greedy = 0;
    if (greedy != NULL)
        n_greedy = by_items ? greedy->n_items : greedy->n_bytes;
    if (n_greedy > 2 * n_own)
        return greedy;
    return own->overflow == FQ_OVERFLOW_DROP_NEWEST || own->n_items == 0 ? NULL
                                                                         : own;
}

static fq_queue_chain *
queue_chain_of(const fq_queue *queue, const fq_queue_item *item)
{
    return queue->index != NULL && is_delivery(item)
               ? fq_queue_index_chain(queue->index, item->sub_id)
               : NULL;
}

/* *item with what its subscription lost before. */
static fq_queue_item
queue_told(const fq_queue *queue, const fq_queue_item *item)
{
    const fq_queue_chain *chain = queue_chain_of(queue, item);
    fq_queue_item told = *item;
    if (chain != NULL)
        told.n_dropped = add_saturating(told.n_dropped, chain->n_carried);
    return told;
}

/* Drops until *item has room. Errors: FQ_ERR_FULL, FQ_ERR_NOMEM. */
static fq_status
queue_make_room(fq_queue *queue, const fq_queue_item *item,
                fq_queue_losses *losses)
{
    for (;;) {
        fq_queue_item told = queue_told(queue, item);
        bool by_items = !has_items_left(queue);
        if (!by_items && has_bytes_left(queue, fq_queue_item_n_bytes(&told)))
            return FQ_OK;
        if (queue->n_lossy == 0)
            return FQ_ERR_FULL;
        fq_status status = queue_activate(queue);
        if (status == FQ_OK && is_delivery(item))
            status = fq_queue_index_reserve(queue->index, item->sub_id,
                                            item->overflow);
        if (status != FQ_OK)
            return status;
        fq_queue_chain *victim = queue_find_victim(
            queue, queue_chain_of(queue, item), by_items);
        if (victim == NULL)
            return FQ_ERR_FULL;
        queue_drop(queue, victim, losses);
    }
}

/* Gives the delivery of |chain| queued last the position |told| (one
 * reference, given away). */
static void
queue_pass_position(fq_queue *queue, fq_queue_chain *chain, fq_rcbuf *told)
{
    fq_queue_item *newest = &queue->items[chain->newest];
    size_t n_before = fq_queue_item_n_bytes(newest);
    fq_rcbuf_unref(newest->position);
    newest->position = told;
    size_t n_more = fq_queue_item_n_bytes(newest) - n_before;
    queue->n_bytes += n_more;
    chain->n_bytes += n_more;
}

/* Gives *item the place of the delivery in |slot|, or, where it has become too
 * large for that, only takes that one out: false then. */
static bool
queue_conflate(fq_queue *queue, uint32_t slot, fq_queue_chain *chain,
               const fq_queue_item *item)
{
    fq_queue_item *old = &queue->items[slot];
    fq_queue_item told = *item;
    uint32_t n_lost = add_saturating(old->n_dropped, 1);
    n_lost = add_saturating(n_lost, chain->n_carried);
    told.n_dropped = add_saturating(told.n_dropped, n_lost);
    bool passes = slot != chain->newest && item->position != NULL;
    if (passes)
        told.position = old->position;
    size_t n_before = fq_queue_item_n_bytes(old);
    size_t n_after = fq_queue_item_n_bytes(&told);
    bool fits = queue->n_items == 1 || n_after <= n_before
                || (queue->n_bytes <= queue->max_bytes
                    && n_after - n_before
                           <= queue->max_bytes - queue->n_bytes);
    if (!fits) {
        fq_queue_item gone = queue_remove(queue, slot);
        fq_queue_item_fini(&gone);
        chain->n_carried = n_lost;
        return false;
    }
    if (passes) {
        old->position = NULL;
        queue_pass_position(queue, chain, item->position);
    }
    fq_queue_item_fini(old);
    *old = told;
    queue->n_bytes += n_after - n_before;
    chain->n_bytes += n_after - n_before;
    chain->n_carried = 0;
    return true;
}

/* Replaces the delivery of the same key, if one waits; true: all is done. */
static bool
queue_try_conflate(fq_queue *queue, const fq_queue_item *item, fq_rcbuf *key,
                   fq_queue_losses *losses)
{
    fq_queue_chain *chain = queue_chain_of(queue, item);
    if (chain == NULL)
        return false;
    uint32_t slot = fq_queue_index_find(queue->index, chain,
                                        fq_rcbuf_str(key));
    if (slot == FQ_QUEUE_NO_SLOT)
        return false;
    losses->n_conflated++;
    return queue_conflate(queue, slot, chain, item);
}

/* The long way of an offer: there is an index or a key, or no room. */
static fq_status
queue_offer(fq_queue *queue, const fq_queue_item *item, fq_rcbuf *key,
            fq_queue_losses *plosses)
{
    /* Without memory for the index there is no conflation, that is all. */
    if (key != NULL && queue_activate(queue) == FQ_OK
        && queue_try_conflate(queue, item, key, plosses))
        return FQ_OK;
    fq_status status = queue_make_room(queue, item, plosses);
    if (status == FQ_OK && queue->index != NULL && is_delivery(item))
        status = fq_queue_index_reserve(queue->index, item->sub_id,
                                        item->overflow);
    if (status != FQ_OK)
        return status;
    fq_queue_item told = queue_told(queue, item);
    status = queue_append(queue, &told, fq_queue_item_n_bytes(&told), key);
    fq_queue_chain *chain = queue_chain_of(queue, item);
    if (status == FQ_OK && chain != NULL)
        chain->n_carried = 0;
    return status;
}

fq_status
fq_queue_offer(fq_queue *queue, const fq_queue_item *item, fq_rcbuf *key,
               fq_queue_losses *plosses)
{
    *plosses = (fq_queue_losses){0};
    FQ_CHECK(key == NULL || is_delivery(item));
    if (key == NULL && queue->index == NULL) {
        size_t n_bytes = fq_queue_item_n_bytes(item);
        if (has_items_left(queue) && has_bytes_left(queue, n_bytes))
            return queue_append(queue, item, n_bytes, NULL);
    }
    return queue_offer(queue, item, key, plosses);
}

/* ── taking ── */

/* Lets the index go of all slots. */
static void
queue_forget_slots(fq_queue *queue)
{
    fq_queue_index *index = queue->index;
    for (uint32_t i = 0; i < queue->n_slots; i++) {
        uint32_t slot = queue_slot(queue, i);
        fq_rcbuf_unref(index->links[slot].key);
        index->links[slot].key = NULL;
    }
    fq_queue_index_reset(index, index->links, queue->cap);
}

/* Takes everything; |items| may be NULL. The texts may be cold: they are not
 * looked at. */
static size_t
queue_take_all(fq_queue *queue, fq_queue_item *items)
{
    if (queue->index != NULL)
        queue_forget_slots(queue);
    size_t n = 0;
    for (uint32_t i = 0; i < queue->n_slots; i++) {
        fq_queue_item *item = queue_at(queue, i);
        if (is_hole(item))
            continue;
        if (items != NULL)
            items[n] = *item;
        else
            fq_queue_item_fini(item);
        n++;
    }
    queue->n_items = 0;
    queue->n_bytes = 0;
    queue->n_lossy = 0;
    queue_trim(queue);
    return n;
}

size_t
fq_queue_take(fq_queue *queue, fq_queue_item *items, size_t max)
{
    if (queue->n_items <= max)
        return queue_take_all(queue, items);
    for (size_t n = 0; n < max; n++)
        items[n] = queue_remove(queue, queue->head);
    return max;
}

size_t
fq_queue_purge(fq_queue *queue, uint64_t sub_id)
{
    FQ_CHECK(sub_id != 0);
    size_t n_purged = 0;
    uint32_t n_slots = queue->n_slots;
    uint32_t head = queue->head;
    for (uint32_t i = 0; i < n_slots; i++) {
        uint32_t slot = (head + i) & (queue->cap - 1);
        if (is_hole(&queue->items[slot])
            || queue->items[slot].sub_id != sub_id)
            continue;
        fq_queue_item purged = queue_remove(queue, slot);
        fq_queue_item_fini(&purged);
        n_purged++;
    }
    fq_queue_chain *chain = queue->index != NULL
                                ? fq_queue_index_chain(queue->index, sub_id)
                                : NULL;
    if (chain != NULL)
        chain->n_carried = 0;
    queue_trim(queue);
    return n_purged;
}

size_t
fq_queue_clear(fq_queue *queue)
{
    return queue_take_all(queue, NULL);
}

void
fq_queue_item_fini(fq_queue_item *item)
{
    fq_rcbuf_unref(item->head);
    fq_rcbuf_unref(item->body);
    fq_rcbuf_unref(item->position);
    *item = (fq_queue_item){0};
}

/* The extensions of |item|, which has some, as slices. */
static size_t
item_extensions(const fq_queue_item *item, char *scratch, fq_str *parts)
{
    bool tells = tells_position(item, FQ_POSITION_EXTENSION);
    int len = snprintf(scratch, FQ_QUEUE_SCRATCH_MAX, "%s", extensions_before);
    char *end = scratch + len;
    size_t room = FQ_QUEUE_SCRATCH_MAX - (size_t)len;
    if (item->n_dropped > 0)
        end += snprintf(end, room, "%s%lu%s", dropped_key,
                        (unsigned long)item->n_dropped,
                        tells ? "," : extensions_after);
    room = FQ_QUEUE_SCRATCH_MAX - (size_t)(end - scratch);
    if (tells)
        end += snprintf(end, room, "%s", position_key);
    parts[0] = fq_str_make(scratch, (size_t)(end - scratch));
    if (!tells)
        return 1;
    parts[1] = fq_rcbuf_str(item->position);
    parts[2] = FQ_STR_LIT("\"}");
    return 3;
}

size_t
fq_queue_item_parts(const fq_queue_item *item, char *scratch, fq_str *parts)
{
    const char *bytes = item->head->bytes;
    size_t head_len = item->head->len - item->tail_len, n = 0;
    parts[n++] = fq_str_make(bytes, head_len);
    if (item->body == NULL)
        return n;
    parts[n++] = fq_rcbuf_str(item->body);
    if (has_extensions(item))
        n += item_extensions(item, scratch, parts + n);
    fq_str tail = fq_str_make(bytes + head_len, item->tail_len);
    if (tells_position(item, FQ_POSITION_EVENT_ID)) {
        /* The tail begins with the brace that closes the payload. */
        parts[n++] = fq_str_make(tail.ptr, 1);
        parts[n++] = fq_str_make(event_id_key, sizeof(event_id_key) - 1);
        parts[n++] = fq_rcbuf_str(item->position);
        tail = fq_str_make(tail.ptr + 1, tail.len - 1);
    }
    parts[n++] = tail;
    return n;
}

bool
fq_queue_item_is_ascii(const fq_queue_item *item)
{
    return item->head->is_ascii
           && (item->body == NULL || item->body->is_ascii);
}

#ifndef NDEBUG
/* The index says the same as the ring. */
static void
queue_check_index(const fq_queue *queue)
{
    const fq_queue_index *index = queue->index;
    FQ_CHECK(index->n_slots == queue->cap);
    size_t n_items = 0, n_bytes = 0, n_lossy = 0;
    for (uint32_t i = 0; i < index->n_chains; i++) {
        const fq_queue_chain *chain = &index->chains[i];
        uint32_t n_left = chain->n_items, slot = chain->oldest;
        size_t n_chain_bytes = 0;
        for (; n_left > 0; n_left--) {
            const fq_queue_item *item = &queue->items[slot];
            FQ_CHECK(item->sub_id == chain->sub_id && is_delivery(item));
            FQ_CHECK(index->links[slot].sub_id == chain->sub_id);
            n_chain_bytes += fq_queue_item_n_bytes(item);
            n_lossy += is_lossy(item);
            FQ_CHECK(n_left > 1 || slot == chain->newest);
            slot = index->links[slot].newer;
        }
        FQ_CHECK(chain->n_bytes == n_chain_bytes);
        n_items += chain->n_items;
        n_bytes += chain->n_bytes;
    }
    FQ_CHECK(n_items <= queue->n_items && n_bytes <= queue->n_bytes);
    FQ_CHECK(n_lossy == queue->n_lossy);
}
#endif

void
fq_queue_check(const fq_queue *queue)
{
#ifndef NDEBUG
    FQ_CHECK((queue->cap & (queue->cap - 1)) == 0);
    FQ_CHECK((queue->cap == 0) == (queue->items == NULL));
    FQ_CHECK(queue->cap == 0 || queue->head < queue->cap);
    FQ_CHECK(queue->n_items <= queue->n_slots);
    FQ_CHECK(queue->n_slots <= queue->cap);
    FQ_CHECK(queue->n_items <= 1 || queue->n_items <= queue->max_items);
    size_t n_bytes = 0;
    uint32_t n_items = 0, n_lossy = 0;
    for (uint32_t i = 0; i < queue->n_slots; i++) {
        const fq_queue_item *item = queue_at(queue, i);
        if (is_hole(item)) {
            FQ_CHECK(i > 0 && i < queue->n_slots - 1);
            continue;
        }
        FQ_CHECK(item->body != NULL
                 || (item->n_dropped == 0 && item->position == NULL));
        n_bytes += fq_queue_item_n_bytes(item);
        n_items++;
        n_lossy += is_lossy(item);
    }
    FQ_CHECK(n_bytes == queue->n_bytes);
    FQ_CHECK(n_items == queue->n_items && n_lossy == queue->n_lossy);
    if (queue->index != NULL)
        queue_check_index(queue);
#else
    (void)queue;
#endif
}
