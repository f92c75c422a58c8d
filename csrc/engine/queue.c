/* SPDX-License-Identifier: MIT */
/* The bounded queue of one client. Plain data: the owner guards it.
 *
 * Items sit in a ring of a power of two, from |head| on; positions below are
 * counted from the oldest, 0 to n_items - 1, and only queue_at() knows about
 * wrapping. The ring doubles when it is full and is given back when the queue
 * runs empty, unless it is small: an idle client then holds at most
 * QUEUE_CAP_KEPT slots, and a busy one reallocates a few times per burst. */
#include "engine/queue.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* Slots of the first ring: 256 bytes, a client that keeps up needs no more. */
#define QUEUE_CAP_FIRST 8
/* The largest ring an empty queue keeps: 512 bytes per idle client. */
#define QUEUE_CAP_KEPT 16

/* What stands behind the body: the closing braces of payload and message. */
static const char tail_plain[] = "}}";
static const char tail_dropped[] = ",\"extensions\":{\"dropped\":";
static const char tail_end[] = "}}}";

static fq_queue_item *
queue_at(const fq_queue *queue, uint32_t i)
{
    return &queue->items[(queue->head + i) & (queue->cap - 1)];
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
    fq_free(queue->items);
    fq_queue_init(queue, 0, 0);
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
    if (item->n_dropped == 0)
        return len + sizeof(tail_plain) - 1;
    return len + sizeof(tail_dropped) - 1 + count_digits(item->n_dropped)
           + sizeof(tail_end) - 1;
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
    if (queue->n_items > 0) {
        uint32_t n_first = queue->cap - queue->head;
        if (n_first > queue->n_items)
            n_first = queue->n_items;
        memcpy(items, queue->items + queue->head, n_first * sizeof(*items));
        memcpy(items + n_first, queue->items,
               (queue->n_items - n_first) * sizeof(*items));
    }
    fq_free(queue->items);
    queue->items = items;
    queue->cap = cap;
    queue->head = 0;
    return FQ_OK;
}

/* Gives a large ring back once nothing is in it. */
static void
queue_trim(fq_queue *queue)
{
    if (queue->n_items > 0)
        return;
    FQ_CHECK(queue->n_bytes == 0);
    queue->head = 0;
    if (queue->cap <= QUEUE_CAP_KEPT)
        return;
    fq_free(queue->items);
    queue->items = NULL;
    queue->cap = 0;
}

fq_status
fq_queue_push(fq_queue *queue, const fq_queue_item *item)
{
    size_t n_bytes = fq_queue_item_n_bytes(item);
    if (queue->n_items > 0
        && (queue->n_items >= queue->max_items
            || queue->n_bytes > queue->max_bytes
            || n_bytes > queue->max_bytes - queue->n_bytes))
        return FQ_ERR_FULL;
    if (queue->n_items == queue->cap) {
        fq_status status = queue_grow(queue);
        if (status != FQ_OK)
            return status;
    }
    *queue_at(queue, queue->n_items) = *item;
    queue->n_items++;
    queue->n_bytes += n_bytes;
    return FQ_OK;
}

size_t
fq_queue_take(fq_queue *queue, fq_queue_item *items, size_t max)
{
    size_t n = queue->n_items < max ? queue->n_items : max;
    bool is_all = n == queue->n_items;
    for (size_t i = 0; i < n; i++) {
        items[i] = *queue_at(queue, (uint32_t)i);
        /* The texts may be cold; look at them only where the sum is wanted. */
        if (!is_all)
            queue->n_bytes -= fq_queue_item_n_bytes(&items[i]);
    }
    if (is_all)
        queue->n_bytes = 0;
    queue->head = (queue->head + (uint32_t)n) & (queue->cap - 1);
    queue->n_items -= (uint32_t)n;
    queue_trim(queue);
    return n;
}

/* The position of the first delivery of |sub_id| from |i| on, or n_items.
 * Items without a body are messages of their own, not deliveries. */
static uint32_t
queue_find(const fq_queue *queue, uint64_t sub_id, uint32_t i)
{
    for (; i < queue->n_items; i++) {
        const fq_queue_item *item = queue_at(queue, i);
        if (item->sub_id == sub_id && item->body != NULL)
            break;
    }
    return i;
}

/* Takes the item at |i| out; the older ones move up by one. */
static fq_queue_item
queue_remove(fq_queue *queue, uint32_t i)
{
    fq_queue_item removed = *queue_at(queue, i);
    queue->n_bytes -= fq_queue_item_n_bytes(&removed);
    for (; i > 0; i--)
        *queue_at(queue, i) = *queue_at(queue, i - 1);
    queue->head = (queue->head + 1) & (queue->cap - 1);
    queue->n_items--;
    return removed;
}

static uint32_t
add_saturating(uint32_t a, uint32_t b)
{
    return a <= UINT32_MAX - b ? a + b : UINT32_MAX;
}

bool
fq_queue_drop_oldest(fq_queue *queue, uint64_t sub_id, uint32_t *pn_carry)
{
    FQ_CHECK(sub_id != 0);
    *pn_carry = 0;
    uint32_t i = queue_find(queue, sub_id, 0);
    if (i == queue->n_items)
        return false;
    fq_queue_item dropped = queue_remove(queue, i);
    uint32_t n_lost = add_saturating(dropped.n_dropped, 1);
    fq_queue_item_fini(&dropped);
    i = queue_find(queue, sub_id, i);
    if (i < queue->n_items) {
        fq_queue_item *heir = queue_at(queue, i);
        queue->n_bytes -= fq_queue_item_n_bytes(heir);
        heir->n_dropped = add_saturating(heir->n_dropped, n_lost);
        queue->n_bytes += fq_queue_item_n_bytes(heir);
    } else {
        *pn_carry = n_lost;
    }
    queue_trim(queue);
    return true;
}

size_t
fq_queue_purge(fq_queue *queue, uint64_t sub_id)
{
    FQ_CHECK(sub_id != 0);
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < queue->n_items; i++) {
        fq_queue_item *item = queue_at(queue, i);
        if (item->sub_id == sub_id) {
            queue->n_bytes -= fq_queue_item_n_bytes(item);
            fq_queue_item_fini(item);
        } else {
            *queue_at(queue, n_kept++) = *item;
        }
    }
    size_t n_purged = queue->n_items - n_kept;
    queue->n_items = n_kept;
    queue_trim(queue);
    return n_purged;
}

size_t
fq_queue_clear(fq_queue *queue)
{
    size_t n_cleared = queue->n_items;
    for (uint32_t i = 0; i < queue->n_items; i++)
        fq_queue_item_fini(queue_at(queue, i));
    queue->n_items = 0;
    queue->n_bytes = 0;
    queue_trim(queue);
    return n_cleared;
}

void
fq_queue_item_fini(fq_queue_item *item)
{
    fq_rcbuf_unref(item->head);
    fq_rcbuf_unref(item->body);
    *item = (fq_queue_item){0};
}

size_t
fq_queue_item_parts(const fq_queue_item *item, char *scratch, fq_str *parts)
{
    parts[0] = fq_rcbuf_str(item->head);
    if (item->body == NULL)
        return 1;
    parts[1] = fq_rcbuf_str(item->body);
    if (item->n_dropped == 0) {
        parts[2] = fq_str_make(tail_plain, sizeof(tail_plain) - 1);
    } else {
        int len = snprintf(scratch, FQ_QUEUE_SCRATCH_MAX, "%s%lu%s",
                           tail_dropped, (unsigned long)item->n_dropped,
                           tail_end);
        parts[2] = fq_str_make(scratch, (size_t)len);
    }
    return 3;
}

bool
fq_queue_item_is_ascii(const fq_queue_item *item)
{
    return item->head->is_ascii
           && (item->body == NULL || item->body->is_ascii);
}

void
fq_queue_check(const fq_queue *queue)
{
#ifndef NDEBUG
    FQ_CHECK((queue->cap & (queue->cap - 1)) == 0);
    FQ_CHECK((queue->cap == 0) == (queue->items == NULL));
    FQ_CHECK(queue->cap == 0 || queue->head < queue->cap);
    FQ_CHECK(queue->n_items <= queue->cap);
    FQ_CHECK(queue->n_items <= 1 || queue->n_items <= queue->max_items);
    size_t n_bytes = 0;
    for (uint32_t i = 0; i < queue->n_items; i++) {
        const fq_queue_item *item = queue_at(queue, i);
        FQ_CHECK(item->head != NULL);
        FQ_CHECK(item->body != NULL || item->n_dropped == 0);
        n_bytes += fq_queue_item_n_bytes(item);
    }
    FQ_CHECK(n_bytes == queue->n_bytes);
#else
    (void)queue;
#endif
}
