/* SPDX-License-Identifier: MIT */
/* Positions in the outbox, as texts: a snapshot, all of which was delivered,
 * or two, and of what the second sees besides the first the ids up to one. One
 * thread at a time. */
#ifndef FQ_BUS_POSTGRES_POSITION_H
#define FQ_BUS_POSTGRES_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/postgres_snapshot.h"

typedef struct fq_postgres_position {
    fq_postgres_snapshot seen;
    fq_postgres_snapshot next; /* while |is_between| */
    bool is_between;
    uint64_t id; /* while |is_between| */
} fq_postgres_position;

void
fq_postgres_position_init(fq_postgres_position *self);
void
fq_postgres_position_fini(fq_postgres_position *self);

/* What positions of |epoch| begin with: 64 bits that tell it. */
uint64_t
fq_postgres_position_tag(const char *epoch);

/* The part that the positions of the events of one look have in common: all of
 * it, up to the id. |next| NULL: all of it. Errors: FQ_ERR_NOMEM. */
fq_status
fq_postgres_position_span(uint64_t tag, const fq_postgres_snapshot *seen,
                          const fq_postgres_snapshot *next, fq_rcbuf **pspan);

/* The position behind |id| in |span|. Errors: FQ_ERR_NOMEM, FQ_ERR_LIMIT (so
 * many transactions were in progress that it would be too long). */
fq_status
fq_postgres_position_make(fq_str span, uint64_t id, fq_rcbuf **pposition);

/* Reads |text|, which may be anything. Errors: FQ_ERR_INVALID (it is none, or
 * of another epoch), FQ_ERR_NOMEM; *self is empty then. */
fq_status
fq_postgres_position_read(fq_postgres_position *self, uint64_t tag,
                          fq_str text);

/* Below 0, 0 or above 0: of two positions, which have been read before, the one
 * that may lie further back first; 0 if they are the same text. A position that
 * sees all that another one does, and more, comes after it; others, from
 * different servers of ours, in any order that stays. Cost: O(length). */
int
fq_postgres_position_compare(fq_str a, fq_str b);

/* Whether |position| is the one behind |span|'s first snapshot, that is, at the
 * beginning of its events: *pid is 0; or between both: *pid is its id. False:
 * neither. */
bool
fq_postgres_position_is_in(fq_str position, fq_str span, uint64_t *pid);

#endif
