/* SPDX-License-Identifier: MIT */
/* Going on after a failover. While a reader is back, the ring of events is a
 * sorted array of |n_sorted|, and nothing is noted. */
#include "bus/postgres_failover.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"

static fq_postgres_failover_mark *
mark_of(fq_postgres_failover *self, uint64_t number)
{
    return &self->marks[number % FQ_POSTGRES_FAILOVER_MARKS];
}

void
fq_postgres_failover_fini(fq_postgres_failover *self)
{
    for (size_t i = 0; i < FQ_POSTGRES_FAILOVER_MARKS; i++)
        fq_postgres_snapshot_fini(&self->marks[i].seen);
    fq_free(self->delivered);
}

void
fq_postgres_failover_note_look(fq_postgres_failover *self,
                               const fq_postgres_snapshot *seen, uint64_t lsn,
                               uint64_t now_ns)
{
    if (self->is_back || seen->n_xip > FQ_POSTGRES_FAILOVER_XIDS)
        return;
    if (self->n_marks > 0
        && now_ns - mark_of(self, self->n_marks - 1)->at_ns
               < FQ_POSTGRES_FAILOVER_MS * FQ_NS_PER_MS)
        return;
    fq_postgres_failover_mark *mark = mark_of(self, self->n_marks);
    if (fq_postgres_snapshot_copy(&mark->seen, seen) != FQ_OK) {
        /* The ring has a hole where its oldest was: better none. */
        self->n_marks = 0;
        return;
    }
    mark->lsn = lsn;
    mark->n_delivered = self->n_delivered;
    mark->at_ns = now_ns;
    self->n_marks++;
}

void
fq_postgres_failover_note_event(fq_postgres_failover *self, uint64_t id,
                                uint64_t created_at_us)
{
    if (self->is_back)
        return;
    if (self->delivered == NULL)
        self->delivered = fq_alloc(FQ_POSTGRES_FAILOVER_EVENTS
                                   * sizeof(*self->delivered));
    if (self->delivered == NULL) {
        /* Nothing behind which it would have to be known. */
        self->n_marks = 0;
        return;
    }
    self->delivered[self->n_delivered++ % FQ_POSTGRES_FAILOVER_EVENTS]
        = (fq_postgres_failover_event){id, created_at_us};
}

static int
compare(const void *left, const void *right)
{
    const fq_postgres_failover_event *a = left;
    const fq_postgres_failover_event *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->created_at_us != b->created_at_us)
        return a->created_at_us < b->created_at_us ? -1 : 1;
    return 0;
}

bool
fq_postgres_failover_go_back(fq_postgres_failover *self, uint64_t lsn,
                             fq_postgres_snapshot *seen)
{
    uint64_t n_kept = self->n_marks < FQ_POSTGRES_FAILOVER_MARKS
                          ? self->n_marks
                          : FQ_POSTGRES_FAILOVER_MARKS;
    fq_postgres_failover_mark *found = NULL;
    for (uint64_t i = 1; i <= n_kept && found == NULL; i++) {
        fq_postgres_failover_mark *mark = mark_of(self, self->n_marks - i);
        if (self->n_delivered - mark->n_delivered
            > FQ_POSTGRES_FAILOVER_EVENTS)
            break;
        if (mark->lsn <= lsn)
            found = mark;
    }
    self->n_marks = 0;
    if (found == NULL) {
        fq_postgres_failover_end(self);
        return false;
    }
    fq_postgres_snapshot_swap(seen, &found->seen);
    /* All that are known, not only those behind the mark: the others are
     * before it, and do not come again. */
    self->n_sorted = self->n_delivered < FQ_POSTGRES_FAILOVER_EVENTS
                         ? (size_t)self->n_delivered
                         : FQ_POSTGRES_FAILOVER_EVENTS;
    if (self->n_sorted > 0)
        qsort(self->delivered, self->n_sorted, sizeof(*self->delivered),
              compare);
    self->is_back = true;
    return true;
}

bool
fq_postgres_failover_is_back(const fq_postgres_failover *self)
{
    return self->is_back;
}

bool
fq_postgres_failover_has(const fq_postgres_failover *self, uint64_t id,
                         uint64_t created_at_us)
{
    const fq_postgres_failover_event key = {id, created_at_us};
    return self->is_back && self->n_sorted > 0
           && bsearch(&key, self->delivered, self->n_sorted, sizeof(key),
                      compare)
                  != NULL;
}

void
fq_postgres_failover_end(fq_postgres_failover *self)
{
    self->is_back = false;
    self->n_sorted = 0;
    self->n_delivered = 0;
    self->n_marks = 0;
}
