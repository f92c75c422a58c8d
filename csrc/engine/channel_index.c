/* SPDX-License-Identifier: MIT */
/* Channels and their listeners. Thread: reactor.
 *
 * A channel is one block: the head of a list, a count and the name, which is
 * also the key in the map. Listeners are nodes inside the subscriptions, so
 * joining allocates only for the first one and leaving never fails.
 *
 * Walking: while an event is dispatched, a listener's callback may end any
 * subscription, so a pointer to the next one is not safe to hold. A cursor is
 * therefore a node of the list too, told from listeners by having no
 * subscription. It stands behind the last one visited; each step moves it one
 * on, four stores on lines that the walk touches anyway. Whatever is removed
 * around it closes ranks as in any list. Only the end of the whole channel
 * concerns it: channel_free() takes the marks out first, and a mark without a
 * channel is a closed cursor. */
#include "engine/channel_index.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

static fq_str
channel_name(const fq_channel *channel)
{
    return fq_str_make(channel->name, channel->name_len);
}

void
fq_channel_index_init(fq_channel_index *index)
{
    fq_map_init(&index->channels);
    index->n_listeners = 0;
}

void
fq_channel_index_fini(fq_channel_index *index)
{
    FQ_CHECK(index->channels.n_items == 0);
    fq_map_fini(&index->channels);
}

/* Adds an empty channel, to be filled or held at once. */
static fq_status
channel_new(fq_channel_index *index, fq_str name, fq_channel **pchannel)
{
    *pchannel = NULL;
    if (name.len > UINT32_MAX)
        return FQ_ERR_NOMEM;
    fq_channel *channel = fq_alloc(offsetof(fq_channel, name) + name.len);
    if (channel == NULL)
        return FQ_ERR_NOMEM;
    fq_list_init(&channel->listeners);
    channel->data = NULL;
    channel->n_listeners = 0;
    channel->name_len = (uint32_t)name.len;
    channel->is_held = false;
    channel->is_bucket = false;
    if (name.len > 0)
        memcpy(channel->name, name.ptr, name.len);
    fq_status status = fq_map_add(&index->channels, channel_name(channel),
                                  channel);
    if (status != FQ_OK)
        fq_free(channel);
    else
        *pchannel = channel;
    return status;
}

static void
listener_detach(fq_listener *listener)
{
    fq_list_remove(&listener->node);
    listener->channel = NULL;
}

static void
channel_free(fq_channel_index *index, fq_channel *channel)
{
    FQ_LIST_FOREACH(node, &channel->listeners)
    {
        fq_listener *mark = FQ_CONTAINER_OF(node, fq_listener, node);
        FQ_CHECK(mark->sub == NULL);
        listener_detach(mark);
    }
    fq_map_remove(&index->channels, channel_name(channel));
    fq_free(channel);
}

fq_status
fq_channel_index_add(fq_channel_index *index, fq_str name, struct fq_sub *sub,
                     fq_listener *listener)
{
    FQ_CHECK(sub != NULL);
    listener->sub = sub;
    listener->channel = NULL;
    fq_list_init(&listener->node);
    fq_channel *channel = fq_channel_index_find(index, name);
    if (channel == NULL) {
        fq_status status = channel_new(index, name, &channel);
        if (status != FQ_OK)
            return status;
    }
    listener->channel = channel;
    fq_list_push_back(&channel->listeners, &listener->node);
    channel->n_listeners++;
    index->n_listeners++;
    return FQ_OK;
}

void
fq_channel_index_remove(fq_channel_index *index, fq_listener *listener)
{
    fq_channel *channel = listener->channel;
    if (channel == NULL)
        return;
    listener_detach(listener);
    channel->n_listeners--;
    index->n_listeners--;
    if (channel->n_listeners == 0 && !channel->is_held)
        channel_free(index, channel);
}

fq_status
fq_channel_index_hold(fq_channel_index *index, fq_str name,
                      fq_channel **pchannel)
{
    *pchannel = fq_channel_index_find(index, name);
    if (*pchannel == NULL) {
        fq_status status = channel_new(index, name, pchannel);
        if (status != FQ_OK)
            return status;
    }
    (*pchannel)->is_held = true;
    return FQ_OK;
}

void
fq_channel_index_drop(fq_channel_index *index, fq_channel *channel)
{
    channel->is_held = false;
    if (channel->n_listeners == 0)
        channel_free(index, channel);
}

fq_channel *
fq_channel_index_find(const fq_channel_index *index, fq_str name)
{
    return fq_map_get(&index->channels, name);
}

size_t
fq_channel_index_n_channels(const fq_channel_index *index)
{
    return index->channels.n_items;
}

void
fq_channel_cursor_init(fq_channel_cursor *cursor)
{
    cursor->mark.sub = NULL;
    cursor->mark.channel = NULL;
    fq_list_init(&cursor->mark.node);
}

/* Moves |node| from wherever it is to just behind |place|. */
static void
list_move_behind(fq_list *node, fq_list *place)
{
    fq_list_remove(node);
    /* In a ring, in front of the next one is behind this one. */
    fq_list_push_back(place->next, node);
}

void
fq_channel_cursor_open(fq_channel_cursor *cursor, fq_channel *channel)
{
    FQ_CHECK(!fq_channel_cursor_is_open(cursor));
    cursor->mark.channel = channel;
    list_move_behind(&cursor->mark.node, &channel->listeners);
}

void
fq_channel_cursor_close(fq_channel_cursor *cursor)
{
    listener_detach(&cursor->mark);
}

struct fq_sub *
fq_channel_cursor_next(fq_channel_cursor *cursor)
{
    fq_channel *channel = cursor->mark.channel;
    if (channel == NULL)
        return NULL;
    fq_list *node = cursor->mark.node.next;
    while (node != &channel->listeners) {
        fq_listener *listener = FQ_CONTAINER_OF(node, fq_listener, node);
        if (listener->sub != NULL) {
            list_move_behind(&cursor->mark.node, node);
            return listener->sub;
        }
        node = node->next;
    }
    fq_channel_cursor_close(cursor);
    return NULL;
}

void
fq_channel_index_check(const fq_channel_index *index)
{
#ifndef NDEBUG
    fq_map_check(&index->channels);
    size_t n_all = 0;
    size_t iter = 0;
    fq_str name;
    void *value;
    while (fq_map_next(&index->channels, &iter, &name, &value)) {
        const fq_channel *channel = value;
        FQ_CHECK(name.ptr == channel->name);
        size_t n_listeners = 0;
        FQ_LIST_FOREACH(node, &channel->listeners)
        {
            fq_listener *listener = FQ_CONTAINER_OF(node, fq_listener, node);
            FQ_CHECK(listener->channel == channel);
            FQ_CHECK(node->next->prev == node);
            n_listeners += listener->sub != NULL;
        }
        FQ_CHECK(n_listeners == channel->n_listeners);
        FQ_CHECK(n_listeners > 0 || channel->is_held);
        n_all += n_listeners;
    }
    FQ_CHECK(n_all == index->n_listeners);
#else
    (void)index;
#endif
}
