/* SPDX-License-Identifier: MIT */
/* The embedded bus: one process, no I/O, nothing to wait for. Ids are given
 * at the door, on the publishing thread under the publish lock; the rest is
 * the reactor's. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/check.h"
#include "bus/bus.h"

typedef struct fq_bus_memory {
    fq_bus bus;
    uint64_t n_stamped; /* the last id given; guarded by the publish lock */
} fq_bus_memory;

static void
memory_stamp(fq_bus *bus, fq_event *event)
{
    fq_bus_memory *memory = FQ_CONTAINER_OF(bus, fq_bus_memory, bus);
    snprintf(event->id, sizeof(event->id), "%" PRIu64, ++memory->n_stamped);
}

static fq_status
memory_publish(fq_bus *bus, fq_event *event, fq_error *error)
{
    (void)error;
    fq_bus_deliver(bus, event);
    return FQ_OK;
}

static void
memory_free(fq_bus *bus)
{
    fq_free(FQ_CONTAINER_OF(bus, fq_bus_memory, bus));
}

static const fq_bus_ops memory_ops = {
    .bus_type = "memory",
    .stamp = memory_stamp,
    .publish = memory_publish,
    .free = memory_free,
};

fq_status
fq_bus_memory_new(fq_bus **pbus)
{
    *pbus = NULL;
    fq_bus_memory *memory = fq_alloc_zero(sizeof(*memory));
    if (memory == NULL)
        return FQ_ERR_NOMEM;
    fq_bus_init(&memory->bus, &memory_ops);
    *pbus = &memory->bus;
    return FQ_OK;
}
