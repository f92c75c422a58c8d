/* SPDX-License-Identifier: MIT */
/* Marks: an array that is thinned out when it is full. */
#include "bus/postgres_marks.h"

#include "base/alloc.h"

void
fq_postgres_marks_init(fq_postgres_marks *self)
{
    *self = (fq_postgres_marks){.apart = FQ_POSTGRES_MARKS_APART};
}

static void
clear(fq_postgres_marks *self)
{
    while (self->n_items > 0)
        fq_postgres_snapshot_fini(&self->items[--self->n_items]);
    self->apart = FQ_POSTGRES_MARKS_APART;
    self->n_events = 0;
}

void
fq_postgres_marks_fini(fq_postgres_marks *self)
{
    clear(self);
    fq_free(self->items);
    fq_postgres_marks_init(self);
}

/* Every second one stays, the last among them. */
static void
thin_out(fq_postgres_marks *self)
{
    size_t n = 0;
    for (size_t i = 0; i < self->n_items; i++) {
        if ((self->n_items - i) % 2 == 0)
            fq_postgres_snapshot_fini(&self->items[i]);
        else
            self->items[n++] = self->items[i];
    }
    self->n_items = n;
    self->apart *= 2;
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
    if (self->n_items == FQ_POSTGRES_MARKS_MAX)
        thin_out(self);
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
    clear(self);
    add(self, seen);
}

void
fq_postgres_marks_note(fq_postgres_marks *self, uint64_t n_events,
                       const fq_postgres_snapshot *seen)
{
    self->n_events += n_events;
    if (self->n_events >= self->apart)
        add(self, seen);
}

const fq_postgres_snapshot *
fq_postgres_marks_behind(const fq_postgres_marks *self,
                         const fq_postgres_snapshot *seen)
{
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
