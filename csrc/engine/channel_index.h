/* SPDX-License-Identifier: MIT */
/* Lists of listeners by name. A list exists while somebody is in it or it is
 * held, and no longer: they are the channels, and the buckets of channels, see
 * predicate_index.h. Thread: reactor. */
#ifndef FQ_ENGINE_CHANNEL_INDEX_H
#define FQ_ENGINE_CHANNEL_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"

struct fq_sub;

typedef struct fq_channel {
    fq_list listeners;    /* by fq_listener.node; cursors stand among them */
    void *data;           /* the owner's own; NULL at first */
    uint32_t n_listeners; /* cursors not counted; > 0 unless it is held */
    uint32_t name_len;
    bool is_held; /* stays without listeners, until fq_channel_index_drop() */
    bool is_bucket; /* the owner's own; false at first */
    char name[];
} fq_channel;

/* One subscription on one channel; lives in the subscription's block. */
typedef struct fq_listener {
    fq_list node;        /* in channel->listeners */
    fq_channel *channel; /* NULL: on none */
    struct fq_sub *sub;  /* NULL: a cursor's mark */
} fq_listener;

static inline fq_str
fq_listener_channel_name(const fq_listener *listener)
{
    return fq_str_make(listener->channel->name, listener->channel->name_len);
}

typedef struct fq_channel_index {
    fq_map channels;    /* name -> fq_channel, the name inside the channel */
    size_t n_listeners; /* on all channels */
} fq_channel_index;

void
fq_channel_index_init(fq_channel_index *index);
/* Nobody may be listening. */
void
fq_channel_index_fini(fq_channel_index *index);

/* Puts |listener| behind the others of channel |name|, which is made if need
 * be, for |sub|. Errors: FQ_ERR_NOMEM (nothing has changed). O(1). */
fq_status
fq_channel_index_add(fq_channel_index *index, fq_str name, struct fq_sub *sub,
                     fq_listener *listener);
/* Takes |listener| off its channel, which ends when it was the last: a cursor
 * on it is then closed. Harmless when on none. Never fails. O(1). */
void
fq_channel_index_remove(fq_channel_index *index, fq_listener *listener);

/* Finds or makes channel |name|, and holds it. Errors: FQ_ERR_NOMEM (nothing
 * has changed). O(1). */
fq_status
fq_channel_index_hold(fq_channel_index *index, fq_str name,
                      fq_channel **pchannel);
/* Holds |channel| no longer: without listeners it ends. Never fails. */
void
fq_channel_index_drop(fq_channel_index *index, fq_channel *channel);

/* The channel |name|, or NULL when there is none. */
fq_channel *
fq_channel_index_find(const fq_channel_index *index, fq_str name);

size_t
fq_channel_index_n_channels(const fq_channel_index *index);

/* A place in a channel's list that stays right whoever comes or goes, however
 * long the walk takes: a mark in the list itself. */
typedef struct fq_channel_cursor {
    fq_listener mark;
} fq_channel_cursor;

void
fq_channel_cursor_init(fq_channel_cursor *cursor);

/* Starts before the oldest listener of |channel|; the cursor is closed. */
void
fq_channel_cursor_open(fq_channel_cursor *cursor, fq_channel *channel);
/* Harmless when closed. */
void
fq_channel_cursor_close(fq_channel_cursor *cursor);

/* The next subscription, one that joined meanwhile included; NULL at the end,
 * where the cursor closes, or when it is closed. */
struct fq_sub *
fq_channel_cursor_next(fq_channel_cursor *cursor);

static inline bool
fq_channel_cursor_is_open(const fq_channel_cursor *cursor)
{
    return cursor->mark.channel != NULL;
}

/* Debug builds: asserts that every channel is found by its name, has its
 * listeners and counts them. O(listeners). */
void
fq_channel_index_check(const fq_channel_index *index);

#endif
