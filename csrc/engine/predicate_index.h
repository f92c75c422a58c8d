/* SPDX-License-Identifier: MIT */
/* Who is to meet which event: the channels, and below a channel those who can
 * only ever want events with a certain value in a certain place. An event
 * finds them by that value, and never meets the others. Thread: reactor. */
#ifndef FQ_ENGINE_PREDICATE_INDEX_H
#define FQ_ENGINE_PREDICATE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"
#include "engine/channel_index.h"
#include "engine/filter/filter.h"

/* Places by which a channel's listeners are found: each costs every event of
 * the channel a look-up, some 50 ns. Who comes with one more is met by every
 * event. */
#define FQ_PREDICATE_SELECTORS_MAX 16

/* The longest value indexed, in bytes of its key: an id or a name, not a
 * text. Room for every key that is no string. */
#define FQ_PREDICATE_KEY_MAX 384

/* A place in events by which listeners of one channel are found. It holds its
 * channel. */
typedef struct fq_selector {
    struct fq_selector *next; /* of the same channel, in channel->data */
    fq_channel *channel;
    struct fq_predicate_path *path; /* NULL: of those whom no event can reach,
                                     * and who are to be counted only */
    uint32_t n_listeners;           /* in all its buckets; > 0 */
    uint32_t n_subs;                /* that these are of */
} fq_selector;

typedef struct fq_predicate_index {
    fq_channel_index channels; /* by name: who meets all events; data: the
                                * selectors */
    fq_channel_index buckets;  /* by selector and value: who meets events with
                                * that value; data: the selector */
    fq_map paths; /* fq_predicate_path by the path's id, one for all selectors
                   * of that path */
} fq_predicate_index;

/* For who can want no event at all. */
extern const fq_filter_key fq_predicate_never;

void
fq_predicate_index_init(fq_predicate_index *index);
/* Nobody may be listening. */
void
fq_predicate_index_fini(fq_predicate_index *index);

/* How many listeners |key| takes on a channel (NULL, never: one): one for each
 * of its values. 0: it cannot be indexed, for a value too long; or no event
 * has a value of it, and *pis_never is true. */
size_t
fq_predicate_n_listeners(const fq_filter_key *key, bool *pis_never);

/* Whether |channel| can take a listener by |key|: it has that selector, or
 * room for one more. */
bool
fq_predicate_index_takes(const fq_predicate_index *index, fq_str channel,
                         const fq_filter_key *key);

/* Puts |sub| on channel |name| for the events that can pass |key| (NULL: for
 * all), which the channel takes, with as many |listeners| as
 * fq_predicate_n_listeners() says. Nothing of |key| is referred to after.
 * Errors: FQ_ERR_NOMEM (nothing has changed). O(listeners). */
fq_status
fq_predicate_index_add(fq_predicate_index *index, fq_str name,
                       const fq_filter_key *key, struct fq_sub *sub,
                       fq_listener *listeners);

/* Takes all |n_listeners| of one subscription out, in the order in which they
 * were added; what was left to nobody ends. Never fails. O(n_listeners). */
void
fq_predicate_index_remove(fq_predicate_index *index, fq_listener *listeners,
                          size_t n_listeners);

/* Whether |listener|, by whatever key, is on |channel| (NULL: on none). */
static inline bool
fq_listener_is_on(const fq_listener *listener, const fq_channel *channel)
{
    const fq_channel *own = listener->channel;
    if (own->is_bucket)
        own = ((const fq_selector *)own->data)->channel;
    return own == channel;
}

/* The channel of |event|, if anybody listens there; else NULL. */
static inline const fq_channel *
fq_predicate_index_find(const fq_predicate_index *index, const fq_event *event)
{
    return fq_channel_index_find(&index->channels,
                                 fq_rcbuf_str(event->channel));
}

/* Subscriptions on channel |name|, by whatever key. */
size_t
fq_predicate_index_n_subs(const fq_predicate_index *index, fq_str name);

/* Channels somebody listens on, by whatever key. */
size_t
fq_predicate_index_n_channels(const fq_predicate_index *index);

/* Listeners everywhere. */
size_t
fq_predicate_index_n_listeners(const fq_predicate_index *index);

/* The walk past all who are to meet one event. It stays right whoever comes or
 * goes, however long it takes. Must not be moved. */
typedef struct fq_predicate_cursor {
    fq_channel_cursor cursors[1 + FQ_PREDICATE_SELECTORS_MAX];
    uint32_t n_cursors; /* in use */
    uint32_t at;        /* the one that moves */
} fq_predicate_cursor;

void
fq_predicate_cursor_init(fq_predicate_cursor *cursor);

/* Starts for |event|; the cursor is closed. A subscription is met once, in the
 * order in which they came within each bucket. Cost: O(selectors). */
void
fq_predicate_cursor_open(fq_predicate_cursor *cursor,
                         const fq_predicate_index *index,
                         const fq_event *event);
/* Harmless when closed. */
void
fq_predicate_cursor_close(fq_predicate_cursor *cursor);

/* The next subscription, one that joined meanwhile included; NULL at the end,
 * or when it is closed. */
struct fq_sub *
fq_predicate_cursor_next(fq_predicate_cursor *cursor);

/* Debug builds: asserts every invariant. O(listeners). */
void
fq_predicate_index_check(const fq_predicate_index *index);

#endif
