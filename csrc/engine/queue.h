/* SPDX-License-Identifier: MIT */
/* What waits to be sent to one client, bounded in messages and bytes. A ring
 * of small items that borrow nothing: the texts are counted buffers, shared
 * by every queue they stand in, so queueing a delivery is two reference
 * counts and a few stores. Plain data: the owner guards it. */
#ifndef FQ_ENGINE_QUEUE_H
#define FQ_ENGINE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "engine/overflow.h"

struct fq_queue_index;

/* How a client hears of positions; both may be. */
typedef enum fq_position_as {
    FQ_POSITION_EXTENSION = 1, /* `"extensions":{"position":"…"}` */
    FQ_POSITION_EVENT_ID = 2,  /* a line `id: …` behind the payload, as
                                * text/event-stream has it */
} fq_position_as;

typedef struct fq_queue_item {
    fq_rcbuf *head;      /* `{"id":"1","type":"next","payload":` and, as its
                           * last tail_len bytes, what stands behind the
                           * payload; where body is NULL, the whole text */
    fq_rcbuf *body;      /* the shared payload without its closing brace,
                           * which the tail begins with */
    fq_rcbuf *position;  /* where a client that has it can go on; text that
                         * needs no escape; NULL: none */
    uint64_t sub_id;     /* whose delivery it is; 0: the connection's own */
    uint32_t n_dropped;  /* deliveries of sub_id lost just before this one;
                         * > 0 becomes `"extensions":{"dropped":n}` */
    uint8_t overflow;    /* an fq_overflow: that of sub_id; of a message that
                           * is no delivery FQ_OVERFLOW_DISCONNECT */
    uint8_t tail_len;    /* bytes of head */
    uint8_t position_as; /* how position is told: of fq_position_as */
} fq_queue_item;

/* What an offer cost others, or earlier ones. */
typedef struct fq_queue_losses {
    uint32_t n_oldest;    /* dropped as the oldest of their subscription */
    uint32_t n_newest;    /* as the newest */
    uint32_t n_conflated; /* replaced by one of the same key */
} fq_queue_losses;

typedef struct fq_queue {
    fq_queue_item *items; /* ring of cap slots; NULL while cap is 0. One
                           * without a head is a hole */
    uint32_t cap;         /* a power of two, or 0 */
    uint32_t head;        /* slot of the oldest item */
    uint32_t n_slots;     /* from the oldest item to the newest, with holes */
    uint32_t n_items;
    uint32_t n_lossy;             /* deliveries that a policy may drop */
    struct fq_queue_index *index; /* NULL: not needed so far */
    size_t n_bytes;               /* texts of all items */
    size_t max_items; /* an item beyond either maximum is refused, */
    size_t max_bytes; /* except that an empty queue takes any one item */
} fq_queue;

void
fq_queue_init(fq_queue *queue, size_t max_items, size_t max_bytes);
/* Drops what is still queued. */
void
fq_queue_fini(fq_queue *queue);

/* Bytes of |item| as sent (head, body and what is spliced between). */
size_t
fq_queue_item_n_bytes(const fq_queue_item *item);

/* Appends a copy of *item, whose references it steals on FQ_OK only. Errors:
 * FQ_ERR_FULL, FQ_ERR_NOMEM; nothing changes then. Cost: O(1) amortised, no
 * allocation while the ring is large enough. */
fq_status
fq_queue_push(fq_queue *queue, const fq_queue_item *item);

/* The same by the policies of subscriptions. |key| (borrowed; NULL: none) is
 * what item's subscription conflates by: a waiting delivery with the same
 * content of key gives its place to this one. In a full queue room is made:
 * - among the deliveries of item's own subscription, by its policy,
 * - but where another that may lose some holds more than twice as much, that
 *   one yields, by its policy;
 * - one that may not lose any never yields.
 * FQ_ERR_FULL then means that item is to be lost or, where its policy is
 * FQ_OVERFLOW_DISCONNECT, that the client is too slow. What others lost is
 * told by their next delivery, and what item's subscription lost before is
 * added to n_dropped of the copy. A delivery that takes another's place takes
 * its position too, and gives its own to the last of its subscription: a
 * position covers what was before it in the queue, and nothing behind it. *plosses is set in any case. Errors: as
 * fq_queue_push. Cost: O(1) amortised. */
fq_status
fq_queue_offer(fq_queue *queue, const fq_queue_item *item, fq_rcbuf *key,
               fq_queue_losses *plosses);

/* Moves up to |max| oldest items to |items|, whose references are the
 * caller's then; returns how many. A queue that empties gives a large ring
 * back. */
size_t
fq_queue_take(fq_queue *queue, fq_queue_item *items, size_t max);

/* Drops every item of |sub_id| (any but 0), which has ended, keeping the order
 * of the others; returns how many. Cost: O(n_items). */
size_t
fq_queue_purge(fq_queue *queue, uint64_t sub_id);
/* Drops everything. */
size_t
fq_queue_clear(fq_queue *queue);

void
fq_queue_item_fini(fq_queue_item *item);

/* The text |item| stands for as up to FQ_QUEUE_PARTS_MAX slices in order;
 * returns how many. |scratch| of FQ_QUEUE_SCRATCH_MAX bytes holds spliced
 * text and must live as long as the slices. */
#define FQ_QUEUE_PARTS_MAX 9
#define FQ_QUEUE_SCRATCH_MAX 64
size_t
fq_queue_item_parts(const fq_queue_item *item, char *scratch, fq_str *parts);

/* True when every byte of the text is ASCII. */
bool
fq_queue_item_is_ascii(const fq_queue_item *item);

/* Debug builds: asserts that ring and sums hold. Cost: O(n_items). */
void
fq_queue_check(const fq_queue *queue);

#endif
