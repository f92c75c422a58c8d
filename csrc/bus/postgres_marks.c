/* SPDX-License-Identifier: MIT */
/* Marks: an array that lets go of its older half when it is full. */
#include "bus/postgres_marks.h"

#include <string.h>

#include "base/alloc.h"

void
fq_postgres_marks_init(fq_postgres_marks *self)
{
    *self = (fq_postgres_marks){.n_items = 0};
    fq_postgres_survey_init(&self->survey);
}

/* The first |n| go. */
static void
drop(fq_postgres_marks *self, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fq_postgres_snapshot_fini(&self->items[i]);
    self->n_items -= n;
    if (self->n_items > 0)
        memmove(self->items, self->items + n,
                self->n_items * sizeof(*self->items));
}

void
fq_postgres_marks_fini(fq_postgres_marks *self)
{
    drop(self, self->n_items);
    fq_free(self->items);
    fq_postgres_survey_fini(&self->survey);
    fq_postgres_marks_init(self);
}

static void
add(fq_postgres_marks *self, const fq_postgres_snapshot *seen)
{
    if (seen->n_xip > FQ_POSTGRES_MARKS_XIDS_MAX)
        return;
    if (self->items == NULL)
        self->items = fq_alloc(FQ_POSTGRES_MARKS_MAX * sizeof(*self->items));
    if (self->items == NULL)
        return;
    if (self->n_items == FQ_POSTGRES_MARKS_MAX) {
        drop(self, FQ_POSTGRES_MARKS_MAX / 2);
        fq_postgres_survey_begin(&self->survey, &self->items[0]);
    }
    fq_postgres_snapshot *mark = &self->items[self->n_items];
    fq_postgres_snapshot_init(mark);
    if (fq_postgres_snapshot_copy(mark, seen) != FQ_OK)
        return;
    self->n_items++;
    self->n_events = 0;
}

void
fq_postgres_marks_begin(fq_postgres_marks *self,
                        const fq_postgres_snapshot *seen)
{
    drop(self, self->n_items);
    self->n_events = 0;
    fq_postgres_survey_begin(&self->survey, seen);
    add(self, seen);
}

void
fq_postgres_marks_note(fq_postgres_marks *self, uint64_t n_events,
                       const fq_postgres_snapshot *seen)
{
    self->n_events += n_events;
    if (self->n_events >= FQ_POSTGRES_MARKS_APART)
        add(self, seen);
}

const fq_postgres_snapshot *
fq_postgres_marks_behind(const fq_postgres_marks *self,
                         const fq_postgres_snapshot *seen)
{
    const fq_postgres_snapshot *found = fq_postgres_survey_behind(
        &self->survey, seen);
    if (found != NULL)
        return found;
    size_t low = 0, high = self->n_items;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (fq_postgres_snapshot_includes(seen, &self->items[middle]))
            low = middle + 1;
        else
            high = middle;
    }
    /* Of one history's snapshots one of two includes the other; what a client
     * has made up need not be comparable. */
    if (low == self->n_items
        || !fq_postgres_snapshot_includes(&self->items[low], seen))
        return NULL;
    return &self->items[low];
}
