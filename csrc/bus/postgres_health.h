/* SPDX-License-Identifier: MIT */
/* How a bus does whose reader and writer have a connection each. Thread:
 * reactor. Header only. */
#ifndef FQ_BUS_POSTGRES_HEALTH_H
#define FQ_BUS_POSTGRES_HEALTH_H

#include <stdbool.h>

#include "bus/bus.h"

typedef struct fq_postgres_health {
    fq_bus *bus;
    bool is_reading; /* the reader is connected */
    bool has_writer; /* false: the writer tries to connect, and failed */
} fq_postgres_health;

/* Tells the bus, with |error| when it is not UP. */
static inline void
fq_postgres_health_tell(fq_postgres_health *self, const fq_error *error)
{
    if (self->bus->state == FQ_BUS_CLOSED)
        return;
    bool is_up = self->is_reading && self->has_writer;
    if (is_up || error != NULL)
        fq_bus_set_state(self->bus, is_up ? FQ_BUS_UP : FQ_BUS_DOWN,
                         is_up ? NULL : error);
}

#endif
