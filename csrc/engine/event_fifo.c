/* SPDX-License-Identifier: MIT */
/* The ring of waiting events. Thread: reactor. */
#include "engine/event_fifo.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* Slots of the first ring. */
#define FIFO_CAP_FIRST 8
/* The largest ring an empty FIFO keeps. */
#define FIFO_CAP_KEPT 16

void
fq_event_fifo_init(fq_event_fifo *fifo)
{
    *fifo = (fq_event_fifo){0};
}

void
fq_event_fifo_fini(fq_event_fifo *fifo)
{
    fq_event_fifo left = *fifo;
    fq_event_fifo_init(fifo);
    for (uint32_t i = 0; i < left.n_items; i++)
        fq_event_unref(left.items[(left.head + i) & (left.cap - 1)]);
    fq_free(left.items);
}

/* Doubles the ring, or makes the first one. */
static fq_status
fifo_grow(fq_event_fifo *fifo)
{
    uint32_t cap = fifo->cap > 0 ? fifo->cap * 2 : FIFO_CAP_FIRST;
    if (cap < fifo->cap)
        return FQ_ERR_NOMEM;
    fq_event **items = fq_alloc((size_t)cap * sizeof(fq_event *));
    if (items == NULL)
        return FQ_ERR_NOMEM;
    for (uint32_t i = 0; i < fifo->n_items; i++)
        items[i] = fifo->items[(fifo->head + i) & (fifo->cap - 1)];
    fq_free(fifo->items);
    fifo->items = items;
    fifo->cap = cap;
    fifo->head = 0;
    return FQ_OK;
}

fq_status
fq_event_fifo_reserve(fq_event_fifo *fifo)
{
    return fifo->cap > 0 ? FQ_OK : fifo_grow(fifo);
}

fq_status
fq_event_fifo_push(fq_event_fifo *fifo, fq_event *event)
{
    if (fifo->n_items == fifo->cap) {
        fq_status status = fifo_grow(fifo);
        if (status != FQ_OK)
            return status;
    }
    uint32_t to = (fifo->head + fifo->n_items) & (fifo->cap - 1);
    fifo->items[to] = fq_event_ref(event);
    fifo->n_items++;
    return FQ_OK;
}

/* Shrinks a large ring that has emptied; without memory for the small one it
 * stays large. */
static void
fifo_trim(fq_event_fifo *fifo)
{
    fifo->head = 0;
    if (fifo->cap <= FIFO_CAP_KEPT)
        return;
    fq_event **items = fq_realloc(fifo->items,
                                  FIFO_CAP_KEPT * sizeof(fq_event *));
    if (items == NULL)
        return;
    fifo->items = items;
    fifo->cap = FIFO_CAP_KEPT;
}

fq_event *
fq_event_fifo_take(fq_event_fifo *fifo)
{
    if (fifo->n_items == 0)
        return NULL;
    fq_event *event = fifo->items[fifo->head];
    fifo->head = (fifo->head + 1) & (fifo->cap - 1);
    fifo->n_items--;
    if (fifo->n_items == 0)
        fifo_trim(fifo);
    return event;
}

fq_event *
fq_event_fifo_take_newest(fq_event_fifo *fifo)
{
    if (fifo->n_items == 0)
        return NULL;
    fifo->n_items--;
    uint32_t newest = (fifo->head + fifo->n_items) & (fifo->cap - 1);
    fq_event *event = fifo->items[newest];
    if (fifo->n_items == 0)
        fifo_trim(fifo);
    return event;
}
