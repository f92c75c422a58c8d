/* SPDX-License-Identifier: MIT */
/* Looking back. Transactions come with falling numbers, each with the last of
 * its ids; ids fall too, on the whole. Whenever they fall below another
 * multiple of |apart| for the first time, a mark is made there: all that were
 * younger had a higher last id, so the transaction at hand is the youngest that
 * the mark sees. An older one, which comes later, is in progress at all the
 * marks that its own last id is not below.
 *
 * So the marks are right for whoever has seen all the transactions that were
 * not looked at yet; that is, for a client with a snapshot, those below its
 * xmax but the ones that were in progress at it. These few are looked up by
 * themselves: one of them may have been open for hours, and all that came
 * since would have to be looked at otherwise. */
#include "bus/postgres_survey.h"

#include <string.h>

#include "base/alloc.h"

void
fq_postgres_survey_init(fq_postgres_survey *self)
{
    *self = (fq_postgres_survey){.apart = FQ_POSTGRES_SURVEY_APART};
    fq_postgres_snapshot_init(&self->base);
}

/* Forgets what was found behind |base|. */
static void
start_over(fq_postgres_survey *self, uint64_t apart)
{
    while (self->n_marks > 0)
        fq_postgres_snapshot_fini(&self->marks[--self->n_marks].seen);
    self->apart = apart;
    self->down = self->base.xmax;
    self->low = UINT64_MAX;
    self->n_stragglers = 0;
    self->is_full = false;
}

void
fq_postgres_survey_fini(fq_postgres_survey *self)
{
    start_over(self, FQ_POSTGRES_SURVEY_APART);
    fq_free(self->marks);
    fq_postgres_snapshot_fini(&self->base);
    fq_postgres_survey_init(self);
}

void
fq_postgres_survey_begin(fq_postgres_survey *self,
                         const fq_postgres_snapshot *base)
{
    if (self->marks == NULL)
        self->marks = fq_alloc(FQ_POSTGRES_SURVEY_MAX * sizeof(*self->marks));
    if (self->marks == NULL
        || fq_postgres_snapshot_copy(&self->base, base) != FQ_OK)
        fq_postgres_snapshot_fini(&self->base);
    start_over(self, FQ_POSTGRES_SURVEY_APART);
}

/* ── the question ── */

static bool
is_straggler(const fq_postgres_survey *self, uint64_t xid)
{
    for (size_t i = 0; i < self->n_stragglers; i++) {
        if (self->stragglers[i].xid == xid)
            return true;
    }
    return false;
}

/* Those that are no longer older than what was looked at. */
static void
forget_stragglers(fq_postgres_survey *self)
{
    size_t n = 0;
    for (size_t i = 0; i < self->n_stragglers; i++) {
        if (self->stragglers[i].xid < self->down)
            self->stragglers[n++] = self->stragglers[i];
    }
    self->n_stragglers = n;
}

bool
fq_postgres_survey_wants(fq_postgres_survey *self,
                         const fq_postgres_snapshot *seen,
                         fq_postgres_survey_question *question)
{
    if (self->is_full)
        start_over(self, self->apart * 4);
    forget_stragglers(self);
    if (self->base.xmax == 0
        || !fq_postgres_snapshot_includes(&self->base, seen)
        || fq_postgres_snapshot_includes(seen, &self->base))
        return false;
    question->down = seen->xmax < self->down ? seen->xmax : self->down;
    question->n_stragglers = 0;
    uint64_t oldest = 0;
    for (size_t i = 0; i < seen->n_xip && seen->xip[i] < question->down; i++) {
        /* What was in progress at |base| is so at all marks. */
        if (!fq_postgres_snapshot_contains(&self->base, seen->xip[i]))
            continue;
        if (oldest == 0)
            oldest = seen->xip[i];
        if (is_straggler(self, seen->xip[i]))
            continue;
        if (self->n_stragglers + question->n_stragglers
            == FQ_POSTGRES_SURVEY_XIDS_MAX) {
            /* Too many to remember: looked at on the way. */
            question->down = oldest;
            question->n_stragglers = 0;
            break;
        }
        question->stragglers[question->n_stragglers++] = seen->xip[i];
    }
    return question->down < self->down || question->n_stragglers > 0;
}

/* ── the answer ── */

/* Puts |xid| into what is in progress; false: there is no room. */
static bool
add_open(fq_postgres_snapshot *seen, uint64_t xid)
{
    size_t at = seen->n_xip;
    while (at > 0 && seen->xip[at - 1] > xid)
        at--;
    if (at > 0 && seen->xip[at - 1] == xid)
        return true;
    if (seen->n_xip == FQ_POSTGRES_SURVEY_XIDS_MAX)
        return false;
    uint64_t *xip = fq_alloc_grow(seen->xip, sizeof(*xip), seen->n_xip + 1, 4,
                                  &seen->cap);
    if (xip == NULL)
        return false;
    memmove(xip + at + 1, xip + at, (seen->n_xip - at) * sizeof(*xip));
    xip[at] = xid;
    seen->xip = xip;
    seen->n_xip++;
    return true;
}

static void
remove_mark(fq_postgres_survey *self, size_t i)
{
    fq_postgres_snapshot_fini(&self->marks[i].seen);
    self->n_marks--;
    memmove(&self->marks[i], &self->marks[i + 1],
            (self->n_marks - i) * sizeof(self->marks[i]));
}

/* Makes a mark of those whose last ids are below |id|, of which |xid| is the
 * youngest. One that cannot be made is left out. */
static void
add_mark(fq_postgres_survey *self, uint64_t xid, uint64_t id)
{
    fq_postgres_survey_mark *mark = &self->marks[self->n_marks++];
    mark->id = id;
    fq_postgres_snapshot_init(&mark->seen);
    mark->seen.xmax = xid + 1;
    bool is_whole = true;
    const fq_postgres_snapshot *base = &self->base;
    for (size_t i = 0; is_whole && i < base->n_xip && base->xip[i] < xid; i++)
        is_whole = add_open(&mark->seen, base->xip[i]);
    for (size_t i = 0; is_whole && i < self->n_stragglers; i++) {
        const fq_postgres_survey_item *item = &self->stragglers[i];
        if (item->id >= id && item->xid < xid)
            is_whole = add_open(&mark->seen, item->xid);
    }
    if (!is_whole)
        remove_mark(self, self->n_marks - 1);
}

/* |xid|, with |id| as its last, was in progress at the marks up to that. */
static void
note_open(fq_postgres_survey *self, uint64_t xid, uint64_t id)
{
    for (size_t i = self->n_marks; i-- > 0 && self->marks[i].id <= id;) {
        fq_postgres_snapshot *seen = &self->marks[i].seen;
        if (xid < seen->xmax && !add_open(seen, xid))
            remove_mark(self, i);
    }
}

void
fq_postgres_survey_note(fq_postgres_survey *self, uint64_t xid, uint64_t id)
{
    if (self->is_full || xid >= self->down)
        return;
    uint64_t part = id / self->apart;
    note_open(self, xid, id);
    if (part < self->low) {
        if (self->n_marks == FQ_POSTGRES_SURVEY_MAX) {
            self->is_full = true;
            return;
        }
        if (self->low != UINT64_MAX)
            add_mark(self, xid, self->low * self->apart);
        self->low = part;
    }
    self->down = xid;
}

void
fq_postgres_survey_note_straggler(fq_postgres_survey *self, uint64_t xid,
                                  uint64_t id)
{
    if (self->is_full || self->n_stragglers == FQ_POSTGRES_SURVEY_XIDS_MAX
        || is_straggler(self, xid))
        return;
    self->stragglers[self->n_stragglers++] = (fq_postgres_survey_item){xid,
                                                                       id};
    note_open(self, xid, id);
}

void
fq_postgres_survey_note_end(fq_postgres_survey *self, uint64_t down)
{
    if (!self->is_full && down < self->down)
        self->down = down;
}

const fq_postgres_snapshot *
fq_postgres_survey_behind(const fq_postgres_survey *self,
                          const fq_postgres_snapshot *seen)
{
    const fq_postgres_snapshot *base = &self->base;
    if (base->xmax == 0 || !fq_postgres_snapshot_includes(base, seen)
        || fq_postgres_snapshot_includes(seen, base))
        return NULL;
    /* Those before |low| include |seen|. */
    size_t low = 0, high = self->n_marks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (fq_postgres_snapshot_includes(&self->marks[middle].seen, seen))
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0
           && fq_postgres_snapshot_includes(seen, &self->marks[low - 1].seen))
        low--;
    return low == 0 ? base : &self->marks[low - 1].seen;
}
