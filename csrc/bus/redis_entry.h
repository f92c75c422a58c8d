/* SPDX-License-Identifier: MIT */
/* Events as entries of a stream, and back: the names of the fields are what
 * publishers in other languages write (docs/guide/redis.md). Plain data: one
 * thread at a time. */
#ifndef FQ_BUS_REDIS_ENTRY_H
#define FQ_BUS_REDIS_ENTRY_H

#include <stdint.h>

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"

/* The id of an entry: `<ms>-<seq>`, both 64 bits; the first part is the time
 * the server took it. */
typedef struct fq_redis_id {
    uint64_t ms;
    uint64_t seq;
} fq_redis_id;

/* The longest text of one, terminated. */
#define FQ_REDIS_ID_MAX 42

/* The one way of writing each. */
void
fq_redis_id_write(fq_redis_id id, char text[FQ_REDIS_ID_MAX]);
/* False: |text| is not an id, or not written in that way. */
bool
fq_redis_id_read(fq_str text, fq_redis_id *pid);
int
fq_redis_id_compare(fq_redis_id a, fq_redis_id b);

/* Appends the command that adds |event| to |stream|, which keeps |max_events|
 * or some more, as the protocol has it (RESP2). */
void
fq_redis_xadd_write(fq_buf *buf, fq_str stream, uint64_t max_events,
                    const fq_event *event);

/* The event in |entry|, a reply `[id, [field, value, ...]]`, and its id. Where
 * it is none, but on a channel, one that is_unreadable, and |error| says why.
 * FQ_ERR_NOT_FOUND: it is a mark without an event. Errors: FQ_ERR_INVALID: it
 * is nothing that anybody can wait for (*pid is set if there is one, else 0-0;
 * |error| says why); FQ_ERR_NOMEM. */
fq_status
fq_redis_entry_read(const redisReply *entry, size_t max_bytes,
                    fq_redis_id *pid, fq_event **pevent, fq_error *error);

#endif
