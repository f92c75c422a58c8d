/* SPDX-License-Identifier: MIT */
/* Reading again. A position is a snapshot, or somewhere between two: then the
 * rest of that look comes first. After it, as from any snapshot, comes what the
 * next mark sees, or, behind the last of them, what the reader has seen. So a
 * statement sorts little, however much there is, and whoever has come to a mark
 * goes on with all the others who have. All by the statement fq_history, whose
 * rows are behind a first one as those of fq_read. Where the marks are not known
 * yet, fq_survey asks for them first, a part at a time. */
#include "bus/postgres_history.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "bus/postgres_row.h"

void
fq_postgres_history_init(fq_postgres_history *self, fq_bus *bus)
{
    *self = (fq_postgres_history){.bus = bus};
    fq_list_init(&self->reads);
    fq_postgres_position_init(&self->position);
    fq_postgres_snapshot_init(&self->upto);
    fq_postgres_marks_init(&self->marks);
}

static void
drop_spans(fq_postgres_history *self)
{
    for (size_t i = 0; i < 2; i++) {
        fq_rcbuf_unref(self->spans[i]);
        self->spans[i] = NULL;
    }
}

void
fq_postgres_history_fini(fq_postgres_history *self)
{
    fq_postgres_position_fini(&self->position);
    fq_postgres_snapshot_fini(&self->upto);
    fq_postgres_marks_fini(&self->marks);
    drop_spans(self);
}

void
fq_postgres_history_add(fq_postgres_history *self, fq_bus_read *read,
                        uint64_t now_ns)
{
    read->since_ns = now_ns;
    fq_list_init(&read->node);
    fq_list_push_back(&self->reads, &read->node);
}

static void
drop_events(fq_postgres_history *self)
{
    for (size_t i = 0; i < self->n_events; i++)
        fq_event_unref(self->current->events[i]);
    self->n_events = 0;
}

void
fq_postgres_history_cancel(fq_postgres_history *self, fq_bus_read *read)
{
    fq_list_remove(&read->node);
    if (self->current != read)
        return;
    drop_events(self);
    self->current = NULL;
}

static void
answer(fq_postgres_history *self, fq_status status, bool is_end)
{
    fq_bus_read *read = self->current;
    if (status != FQ_OK)
        drop_events(self);
    size_t n_events = self->n_events;
    self->n_events = 0;
    self->current = NULL;
    fq_postgres_position_fini(&self->position);
    read->done_cb(read, status, n_events, is_end);
}

void
fq_postgres_history_lose(fq_postgres_history *self)
{
    self->is_busy = self->is_surveying = false;
    if (self->current == NULL)
        return;
    drop_events(self);
    fq_postgres_position_fini(&self->position);
    fq_list_push_back(&self->reads, &self->current->node);
    self->current = NULL;
}

void
fq_postgres_history_refuse(fq_postgres_history *self, fq_status status)
{
    self->is_busy = self->is_surveying = false;
    if (self->current != NULL)
        answer(self, status, false);
    fq_list todo;
    fq_list_init(&todo);
    fq_list_splice(&todo, &self->reads);
    fq_list *node;
    while ((node = fq_list_pop_front(&todo)) != NULL) {
        self->current = FQ_CONTAINER_OF(node, fq_bus_read, node);
        answer(self, status, false);
    }
}

/* ── the question ── */

/* Makes |read| the current one, if it can be answered now: FQ_OK; FQ_ERR_AGAIN:
 * not yet; others are the answer.
 *
 * A position that another server has made may be ahead of this one until the
 * next look. A look that began after the client had come includes every
 * snapshot that was ever taken before; what it does not include was made up. */
static fq_status
choose(fq_postgres_history *self, fq_bus_read *read, uint64_t tag,
       const fq_postgres_snapshot *seen, uint64_t look_ns)
{
    fq_postgres_position *position = &self->position;
    fq_postgres_position_fini(position);
    fq_status status = fq_postgres_position_read(position, tag,
                                                 fq_rcbuf_str(read->after));
    if (status != FQ_OK)
        return status == FQ_ERR_INVALID ? FQ_ERR_LOST : status;
    if (fq_postgres_snapshot_xmin(&position->seen) < self->pruned_below)
        return FQ_ERR_LOST;
    if (fq_postgres_snapshot_includes(
            seen, position->is_between ? &position->next : &position->seen))
        return FQ_OK;
    return look_ns > read->since_ns ? FQ_ERR_LOST : FQ_ERR_AGAIN;
}

static void
choose_next(fq_postgres_history *self, uint64_t tag,
            const fq_postgres_snapshot *seen, uint64_t look_ns)
{
    FQ_LIST_FOREACH(node, &self->reads)
    {
        if (self->current != NULL)
            return;
        fq_bus_read *read = FQ_CONTAINER_OF(node, fq_bus_read, node);
        fq_status status = choose(self, read, tag, seen, look_ns);
        if (status == FQ_ERR_AGAIN)
            continue;
        fq_list_remove(&read->node);
        self->current = read;
        if (status == FQ_OK)
            return;
        /* Who is answered may ask again, or call others off. */
        answer(self, status, false);
        return;
    }
}

/* Writes those in progress at |seen| that had ended at |upto|, for a parameter
 * of type xid8[]: what others have written is not to be looked at. */
static void
write_ended(const fq_postgres_snapshot *seen, const fq_postgres_snapshot *upto,
            fq_buf *buf)
{
    bool is_first = true;
    fq_buf_append_char(buf, '{');
    for (size_t i = 0; i < seen->n_xip; i++) {
        if (!fq_postgres_snapshot_contains(upto, seen->xip[i]))
            continue;
        if (!is_first)
            fq_buf_append_char(buf, ',');
        is_first = false;
        fq_buf_append_uint(buf, seen->xip[i]);
    }
    fq_buf_append_char(buf, '}');
}

static fq_status
ask(fq_postgres_history *self, fq_postgres_link *link, fq_error *error)
{
    const fq_postgres_position *position = &self->position;
    char xmax[24], id[24], limit[24];
    fq_buf texts[3] = {FQ_BUF_INIT, FQ_BUF_INIT, FQ_BUF_INIT};
    fq_status status = FQ_OK;
    snprintf(xmax, sizeof(xmax), "%" PRIu64, position->seen.xmax);
    snprintf(id, sizeof(id), "%" PRIu64,
             position->is_between ? position->id : 0);
    snprintf(limit, sizeof(limit), "%zu", self->current->max_events);
    write_ended(&position->seen, &self->upto, &texts[0]);
    fq_postgres_snapshot_write(
        position->is_between ? &position->next : &position->seen, &texts[1]);
    fq_postgres_snapshot_write(&self->upto, &texts[2]);
    for (size_t i = 0; i < 3; i++) {
        fq_buf_append_char(&texts[i], '\0');
        if (status == FQ_OK)
            status = fq_buf_status(&texts[i]);
    }
    if (status == FQ_OK) {
        const char *values[] = {
            xmax, texts[0].ptr, texts[1].ptr, texts[2].ptr, id, limit,
        };
        status = fq_postgres_link_read(link, "fq_history", 6, values, error);
        self->is_busy = status == FQ_OK;
    } else {
        answer(self, status, false);
        status = FQ_OK;
    }
    for (size_t i = 0; i < 3; i++)
        fq_buf_fini(&texts[i]);
    return status;
}

/* Where what comes after |position|, or after its look, begins. */
static const fq_postgres_snapshot *
begin_of(const fq_postgres_position *position)
{
    return position->is_between ? &position->next : &position->seen;
}

/* To the next mark, or to where the reader is. */
static fq_status
aim(fq_postgres_history *self, uint64_t tag, const fq_postgres_snapshot *seen)
{
    const fq_postgres_position *position = &self->position;
    const fq_postgres_snapshot *from = begin_of(position);
    const fq_postgres_snapshot *upto = fq_postgres_marks_behind(&self->marks,
                                                                from);
    fq_postgres_snapshot_fini(&self->upto);
    drop_spans(self);
    self->tag = tag;
    fq_status status = fq_postgres_snapshot_copy(&self->upto,
                                                 upto == NULL ? seen : upto);
    if (status == FQ_OK && position->is_between)
        status = fq_postgres_position_span(tag, &position->seen, from,
                                           &self->spans[0]);
    if (status == FQ_OK)
        status = fq_postgres_position_span(tag, from, &self->upto,
                                           &self->spans[1]);
    return status;
}

static fq_status
ask_survey(fq_postgres_history *self, fq_postgres_link *link, fq_error *error)
{
    const fq_postgres_survey *survey = &self->marks.survey;
    fq_buf down = FQ_BUF_INIT;
    fq_buf base = FQ_BUF_INIT;
    fq_buf stragglers = FQ_BUF_INIT;
    fq_buf_append_uint(&down, self->question.down);
    fq_postgres_snapshot_write(&survey->base, &base);
    /* The words that snapshots have for a list of transactions. */
    fq_postgres_snapshot_write_xip(
        &(fq_postgres_snapshot){.xip = self->question.stragglers,
                                .n_xip = self->question.n_stragglers},
        &stragglers);
    char below[24], apart[24], low[24], limit[24];
    snprintf(below, sizeof(below), "%" PRIu64, survey->down);
    snprintf(apart, sizeof(apart), "%" PRIu64, survey->apart);
    snprintf(low, sizeof(low), "%" PRIu64,
             survey->low < INT64_MAX ? survey->low : INT64_MAX);
    snprintf(limit, sizeof(limit), "%d", FQ_POSTGRES_SURVEY_ROWS);
    fq_buf *texts[] = {&down, &base, &stragglers};
    fq_status status = FQ_OK;
    for (size_t i = 0; i < 3; i++) {
        fq_buf_append_char(texts[i], '\0');
        if (status == FQ_OK)
            status = fq_buf_status(texts[i]);
    }
    if (status == FQ_OK) {
        const char *values[] = {
            below, down.ptr, base.ptr, apart, low, stragglers.ptr, limit,
        };
        status = fq_postgres_link_read(link, "fq_survey", 7, values, error);
        self->is_busy = self->is_surveying = status == FQ_OK;
        self->n_surveyed = 0;
    } else {
        answer(self, status, false);
        status = FQ_OK;
    }
    for (size_t i = 0; i < 3; i++)
        fq_buf_fini(texts[i]);
    return status;
}

fq_status
fq_postgres_history_send(fq_postgres_history *self, fq_postgres_link *link,
                         uint64_t tag, const fq_postgres_snapshot *seen,
                         uint64_t look_ns, fq_error *error)
{
    FQ_CHECK(!self->is_busy);
    if (self->current == NULL)
        choose_next(self, tag, seen, look_ns);
    if (self->current == NULL)
        return FQ_OK;
    if (fq_postgres_survey_wants(&self->marks.survey,
                                 begin_of(&self->position), &self->question))
        return ask_survey(self, link, error);
    self->has_head = self->is_lost = false;
    self->status = FQ_OK;
    fq_status status = aim(self, tag, seen);
    if (status != FQ_OK) {
        answer(self, status, false);
        return FQ_OK;
    }
    return ask(self, link, error);
}

/* ── the answer ── */

static void
take_survey(fq_postgres_history *self, const PGresult *row)
{
    fq_postgres_survey *survey = &self->marks.survey;
    uint64_t xid = fq_postgres_row_number(row, FQ_POSTGRES_SURVEY_XID);
    uint64_t id = fq_postgres_row_number(row, FQ_POSTGRES_SURVEY_ID);
    if (!PQgetisnull(row, 0, FQ_POSTGRES_SURVEY_IS_STRAGGLER)) {
        fq_postgres_survey_note_straggler(survey, xid, id);
    } else {
        self->n_surveyed++;
        fq_postgres_survey_note(survey, xid, id);
    }
}

void
fq_postgres_history_take(fq_postgres_history *self, const PGresult *row,
                         const char *epoch)
{
    if (self->is_surveying) {
        take_survey(self, row);
        return;
    }
    if (!self->has_head) {
        self->has_head = true;
        self->is_lost = !fq_postgres_row_is_of(row, epoch)
                        || fq_postgres_snapshot_xmin(&self->position.seen)
                               < fq_postgres_row_number(
                                   row, FQ_POSTGRES_HEAD_PRUNED_BELOW);
        return;
    }
    if (self->current == NULL || self->is_lost || self->status != FQ_OK
        || self->n_events == self->current->max_events)
        return;
    uint64_t xid = fq_postgres_row_number(row, FQ_POSTGRES_ROW_XID);
    bool is_rest = self->spans[0] != NULL
                   && fq_postgres_snapshot_contains(&self->position.next, xid);
    fq_event *event;
    fq_error error;
    self->status = fq_postgres_row_event(row, self->spans[is_rest ? 0 : 1],
                                         &event, &error);
    if (self->status == FQ_OK) {
        event->bus = self->bus;
        self->current->events[self->n_events++] = event;
    } else if (self->status != FQ_ERR_NOMEM) {
        self->status = FQ_OK; /* nobody can miss it */
    }
}

/* All up to a mark is there: who has had the last of it is at the mark, and at
 * one place with all others who are, wherever they came from. Its own position
 * will do where there is none for that. */
static void
arrive(fq_postgres_history *self)
{
    fq_event *last = self->current->events[self->n_events - 1];
    fq_rcbuf *position;
    if (fq_postgres_position_span(self->tag, &self->upto, NULL, &position)
        != FQ_OK)
        return;
    if (fq_rcbuf_str(position).len <= FQ_BUS_POSITION_MAX) {
        FQ_CHECK(last->position == NULL);
        last->position = position;
    } else {
        fq_rcbuf_unref(position);
    }
}

void
fq_postgres_history_done(fq_postgres_history *self,
                         const fq_postgres_snapshot *seen)
{
    self->is_busy = false;
    if (self->is_surveying) {
        self->is_surveying = false;
        if (self->n_surveyed == 0)
            fq_postgres_survey_note_end(&self->marks.survey,
                                        self->question.down);
        return;
    }
    if (self->current == NULL)
        return;
    bool is_whole = self->n_events < self->current->max_events;
    bool is_end = is_whole && fq_postgres_snapshot_includes(&self->upto, seen);
    if (!self->has_head || self->is_lost) {
        answer(self, FQ_ERR_LOST, false);
    } else if (self->status != FQ_OK) {
        answer(self, self->status, false);
    } else if (self->n_events > 0 || is_end) {
        if (is_whole && self->n_events > 0)
            arrive(self);
        answer(self, FQ_OK, is_end);
    } else {
        /* Nothing there: on from where it ends. */
        fq_postgres_snapshot_swap(&self->position.seen, &self->upto);
        self->position.is_between = false;
    }
}
