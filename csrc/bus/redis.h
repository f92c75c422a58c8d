/* SPDX-License-Identifier: MIT */
/* The bus over a Redis stream, <group>:events, or several, <group>:events:<n>,
 * each for some of the channels. Each process reads every entry from a place of
 * its own; the key <group>:epoch tells one life of the streams from another,
 * and how many there are. Events are published through one connection and read through
 * another, which blocks. */
#ifndef FQ_BUS_REDIS_H
#define FQ_BUS_REDIS_H

#include "base/error.h"
#include "bus/bus.h"
#include "bus/redis_settings.h"

/* Copies |settings|. Errors: FQ_ERR_SYSTEM (TLS: a file cannot be used, see
 * |error|; no random numbers), FQ_ERR_NOMEM. Thread: any. */
fq_status
fq_bus_redis_new(const fq_redis_settings *settings, fq_bus **pbus,
                 fq_error *error);

#endif
