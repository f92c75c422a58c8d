/* SPDX-License-Identifier: MIT */
/* Waiting events. Thread: reactor. A resolver costs microseconds, so that a
 * keyed event may cost an allocation. */
#include "engine/waiting.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"

typedef struct keyed_event {
    fq_list node;    /* in keyed->events */
    fq_event *event; /* one reference */
    fq_rcbuf *key;   /* one reference, or NULL; in keyed->by_key */
    bool is_ahead;   /* it took the place of one that came before others */
} keyed_event;

struct fq_waiting_keyed {
    fq_list events; /* oldest first */
    fq_map by_key;  /* content of key -> keyed_event */
};

void
fq_waiting_init(fq_waiting *waiting)
{
    *waiting = (fq_waiting){0};
    fq_event_fifo_init(&waiting->fifo);
}

/* Frees |self| and hands its event out. */
static fq_event *
keyed_take(struct fq_waiting_keyed *keyed, keyed_event *self)
{
    fq_event *event = self->event;
    fq_list_remove(&self->node);
    if (self->key != NULL)
        fq_map_remove(&keyed->by_key, fq_rcbuf_str(self->key));
    fq_rcbuf_unref(self->key);
    fq_free(self);
    return event;
}

void
fq_waiting_fini(fq_waiting *waiting)
{
    fq_waiting left = *waiting;
    fq_waiting_init(waiting);
    fq_event_fifo_fini(&left.fifo);
    if (left.keyed == NULL)
        return;
    while (!fq_list_is_empty(&left.keyed->events))
        fq_event_unref(
            keyed_take(left.keyed, FQ_CONTAINER_OF(left.keyed->events.next,
                                                   keyed_event, node)));
    fq_map_fini(&left.keyed->by_key);
    fq_free(left.keyed);
}

static void
count(fq_waiting *waiting, const fq_event *event)
{
    waiting->n_items++;
    waiting->n_bytes += event->data->len;
}

fq_status
fq_waiting_push(fq_waiting *waiting, fq_event *event)
{
    FQ_CHECK(waiting->keyed == NULL);
    fq_status status = fq_event_fifo_push(&waiting->fifo, event);
    if (status == FQ_OK)
        count(waiting, event);
    return status;
}

/* Appends an event of a new key, or without one. */
static fq_status
keyed_append(struct fq_waiting_keyed *keyed, fq_event *event, fq_rcbuf *key)
{
    keyed_event *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    if (key != NULL
        && fq_map_add(&keyed->by_key, fq_rcbuf_str(key), self) != FQ_OK) {
        fq_free(self);
        return FQ_ERR_NOMEM;
    }
    self->event = fq_event_ref(event);
    self->key = key != NULL ? fq_rcbuf_ref(key) : NULL;
    fq_list_push_back(&keyed->events, &self->node);
    return FQ_OK;
}

static fq_status
make_keyed(fq_waiting *waiting)
{
    if (waiting->keyed != NULL)
        return FQ_OK;
    waiting->keyed = fq_alloc_zero(sizeof(*waiting->keyed));
    if (waiting->keyed == NULL)
        return FQ_ERR_NOMEM;
    fq_list_init(&waiting->keyed->events);
    fq_map_init(&waiting->keyed->by_key);
    return FQ_OK;
}

fq_status
fq_waiting_push_keyed(fq_waiting *waiting, fq_event *event, fq_rcbuf *key,
                      fq_event **preplaced)
{
    *preplaced = NULL;
    fq_status status = make_keyed(waiting);
    if (status != FQ_OK)
        return status;
    keyed_event *same = NULL;
    if (key != NULL)
        same = fq_map_get(&waiting->keyed->by_key, fq_rcbuf_str(key));
    if (same == NULL) {
        status = keyed_append(waiting->keyed, event, key);
        if (status == FQ_OK)
            count(waiting, event);
        return status;
    }
    *preplaced = same->event;
    waiting->n_bytes += event->data->len - same->event->data->len;
    same->event = fq_event_ref(event);
    same->is_ahead = same->node.next != &waiting->keyed->events;
    return FQ_OK;
}

fq_event *
fq_waiting_take(fq_waiting *waiting)
{
    if (waiting->n_items == 0)
        return NULL;
    fq_event *event;
    waiting->is_ahead = false;
    if (waiting->keyed != NULL) {
        keyed_event *oldest = FQ_CONTAINER_OF(waiting->keyed->events.next,
                                              keyed_event, node);
        waiting->is_ahead = oldest->is_ahead;
        event = keyed_take(waiting->keyed, oldest);
    } else {
        event = fq_event_fifo_take(&waiting->fifo);
    }
    waiting->n_items--;
    waiting->n_bytes -= event->data->len;
    return event;
}
