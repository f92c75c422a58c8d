/* SPDX-License-Identifier: MIT */
/* The embedded bus: one process, no I/O, nothing to wait for. Ids are given
 * at the door, on the publishing thread under the publish lock; the rest is
 * the reactor's.
 *
 * A position is `m1.<epoch>.<offset>`: the form, 16 hex digits drawn with the
 * bus, and the number of the last event that its holder has had. It is no
 * secret and gives no right: whoever makes one up reads what its subscription
 * may read, or is told that it is lost. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "bus/bus.h"

/* `m1.` and 16 digits and a dot, then at most 20 more. */
#define MEMORY_PREFIX_LEN 20
#define MEMORY_POSITION_ROOM (MEMORY_PREFIX_LEN + 21)

typedef struct fq_bus_memory {
    fq_bus bus;
    uint64_t n_stamped;   /* the last id given; guarded by the publish lock */
    uint64_t n_delivered; /* the last offset delivered */
    fq_history history;
    char prefix[MEMORY_PREFIX_LEN + 1]; /* of its positions */
} fq_bus_memory;

static fq_bus_memory *
memory_of(fq_bus *bus)
{
    return FQ_CONTAINER_OF(bus, fq_bus_memory, bus);
}

static void
memory_stamp(fq_bus *bus, fq_event *event)
{
    event->offset = ++memory_of(bus)->n_stamped;
    snprintf(event->id, sizeof(event->id), "%" PRIu64, event->offset);
}

static void
memory_count_history(fq_bus_memory *memory)
{
    atomic_store_explicit(&memory->bus.history_events,
                          memory->history.n_events, memory_order_relaxed);
    atomic_store_explicit(&memory->bus.history_bytes, memory->history.n_bytes,
                          memory_order_relaxed);
}

static void
memory_publish(fq_bus *bus, fq_bus_publication *publication)
{
    fq_bus_memory *memory = memory_of(bus);
    fq_event *event = publication->event;
    memory->n_delivered = event->offset;
    fq_history_push(&memory->history, event, fq_clock_now_ns());
    memory_count_history(memory);
    fq_bus_deliver(bus, event);
    publication->done_cb(publication, FQ_OK, NULL);
}

/* ── positions ── */

static fq_status
memory_make_position(const fq_bus_memory *memory, uint64_t offset,
                     fq_rcbuf **pposition)
{
    char text[MEMORY_POSITION_ROOM];
    int len = snprintf(text, sizeof(text), "%s%" PRIu64, memory->prefix,
                       offset);
    return fq_rcbuf_new(fq_str_make(text, (size_t)len), pposition);
}

/* The offset in |text|; false: it is no position of this bus. There is one way
 * to write each. */
static bool
memory_read_position(const fq_bus_memory *memory, fq_str text,
                     uint64_t *poffset)
{
    *poffset = 0;
    if (text.len <= MEMORY_PREFIX_LEN || text.len >= MEMORY_POSITION_ROOM
        || memcmp(text.ptr, memory->prefix, MEMORY_PREFIX_LEN) != 0)
        return false;
    const char *digits = text.ptr + MEMORY_PREFIX_LEN;
    size_t n_digits = text.len - MEMORY_PREFIX_LEN;
    if (digits[0] == '0' && n_digits > 1)
        return false;
    uint64_t offset = 0;
    for (size_t i = 0; i < n_digits; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(digits[i] - '0');
        if (offset > (UINT64_MAX - digit) / 10)
            return false;
        offset = offset * 10 + digit;
    }
    *poffset = offset;
    return true;
}

/* Of one that has been let in. */
static uint64_t
memory_offset(fq_bus *bus, fq_str position)
{
    uint64_t offset;
    bool is_ours = memory_read_position(memory_of(bus), position, &offset);
    FQ_CHECK(is_ours);
    (void)is_ours;
    return offset;
}

static fq_status
memory_position(fq_bus *bus, fq_rcbuf **pposition)
{
    const fq_bus_memory *memory = memory_of(bus);
    return memory_make_position(memory, memory->n_delivered, pposition);
}

static fq_status
memory_position_of(fq_bus *bus, const fq_event *event, fq_rcbuf **pposition)
{
    return memory_make_position(memory_of(bus), event->offset, pposition);
}

static bool
memory_is_position(fq_bus *bus, fq_str text)
{
    uint64_t offset;
    const fq_bus_memory *memory = memory_of(bus);
    return memory_read_position(memory, text, &offset)
           && offset <= memory->n_delivered;
}

static int
memory_compare(fq_bus *bus, fq_str a, fq_str b)
{
    uint64_t x = memory_offset(bus, a), y = memory_offset(bus, b);
    return (x > y) - (x < y);
}

static size_t
memory_count_before(fq_bus *bus, fq_event *const *events, size_t n_events,
                    fq_str position)
{
    uint64_t offset = memory_offset(bus, position);
    size_t low = 0, high = n_events;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (events[middle]->offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ── history ── */

static void
memory_read(fq_bus *bus, fq_bus_read *read)
{
    FQ_CHECK(!bus->is_delivering && read->max_events > 0);
    fq_bus_memory *memory = memory_of(bus);
    fq_history *history = &memory->history;
    fq_history_expire(history, fq_clock_now_ns());
    memory_count_history(memory);
    uint64_t offset = memory_offset(bus, fq_rcbuf_str(read->after));
    size_t from = 0;
    fq_status status = FQ_ERR_LOST;
    if (offset <= memory->n_delivered)
        status = fq_history_find(history, offset, &from);
    if (status != FQ_OK) {
        read->done_cb(read, status, 0, false);
        return;
    }
    size_t n_left = history->n_events - from;
    size_t n = n_left < read->max_events ? n_left : read->max_events;
    for (size_t i = 0; i < n; i++)
        read->events[i] = fq_event_ref(fq_history_at(history, from + i));
    read->done_cb(read, FQ_OK, n, n == n_left);
}

/* There is never one that has not been answered. */
static void
memory_cancel(fq_bus *bus, fq_bus_read *read)
{
    (void)bus;
    (void)read;
}

static void
memory_free(fq_bus *bus)
{
    fq_bus_memory *memory = memory_of(bus);
    fq_history_fini(&memory->history);
    fq_free(memory);
}

static const fq_bus_ops memory_ops = {
    .bus_type = "memory",
    .stamp = memory_stamp,
    .publish = memory_publish,
    .position = memory_position,
    .position_of = memory_position_of,
    .is_position = memory_is_position,
    .compare = memory_compare,
    .count_before = memory_count_before,
    .read = memory_read,
    .cancel = memory_cancel,
    .free = memory_free,
};

fq_status
fq_bus_memory_new(const fq_history_limits *limits, fq_bus **pbus)
{
    *pbus = NULL;
    uint64_t epoch;
    if (getentropy(&epoch, sizeof(epoch)) != 0)
        return FQ_ERR_SYSTEM;
    fq_bus_memory *memory = fq_alloc_zero(sizeof(*memory));
    if (memory == NULL)
        return FQ_ERR_NOMEM;
    fq_bus_init(&memory->bus, &memory_ops);
    fq_history_init(&memory->history, limits);
    snprintf(memory->prefix, sizeof(memory->prefix), "m1.%016" PRIx64 ".",
             epoch);
    *pbus = &memory->bus;
    return FQ_OK;
}
