/* SPDX-License-Identifier: MIT */
/* Places on the way a reader has come: snapshots it has had, each behind so
 * many events. Whoever reads again goes from one to the next, in the order in
 * which the events were delivered, and none of these steps is long, however
 * far it is to the end; and those who come to the same one go on together.
 * What the reader has not been at is surveyed (postgres_survey.h).
 * Only what the server has said is a mark: at a snapshot that a client made up
 * others could meet an event before one that it depends on. One thread at a
 * time. */
#ifndef FQ_BUS_POSTGRES_MARKS_H
#define FQ_BUS_POSTGRES_MARKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "bus/postgres_snapshot.h"
#include "bus/postgres_survey.h"

/* Events from one to the next, at least: with those of one more look they
 * mostly fit into one batch of a replay. What is read alone is the way to the
 * next. */
#define FQ_POSTGRES_MARKS_APART 192
/* As many are kept; of more, the older half goes, and is looked back on from
 * the first that stays, when somebody needs it. */
#define FQ_POSTGRES_MARKS_MAX 2048
/* One with more transactions in progress is not kept: with
 * FQ_POSTGRES_MARKS_MAX of them it is 2 MiB at most. */
#define FQ_POSTGRES_MARKS_XIDS_MAX 128

typedef struct fq_postgres_marks {
    fq_postgres_snapshot *items; /* each includes those before it */
    size_t n_items;
    uint64_t n_events;         /* since the last one */
    fq_postgres_survey survey; /* before the first one */
} fq_postgres_marks;

void
fq_postgres_marks_init(fq_postgres_marks *self);
void
fq_postgres_marks_fini(fq_postgres_marks *self);

/* Forgets all: another history begins at |seen|. */
void
fq_postgres_marks_begin(fq_postgres_marks *self,
                        const fq_postgres_snapshot *seen);

/* |n_events| more came up to |seen|, which includes what was noted before.
 * Without memory for a mark there is one less. */
void
fq_postgres_marks_note(fq_postgres_marks *self, uint64_t n_events,
                       const fq_postgres_snapshot *seen);

/* The first that includes |seen|, of which |survey| wants nothing, and is not
 * the same, or NULL; borrowed until the next call. Cost: O(log n). */
const fq_postgres_snapshot *
fq_postgres_marks_behind(const fq_postgres_marks *self,
                         const fq_postgres_snapshot *seen);

#endif
