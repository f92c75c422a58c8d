/* SPDX-License-Identifier: MIT */
/* Marks that were found by looking back: whoever goes from one to the next has
 * each transaction once, none before one that it may depend on, and never many
 * events at a time. Against a model of a server with an outbox. */
#include "bus/postgres_survey.h"

#include "base/alloc.h"
#include "base/buf.h"

#include "random.h"
#include "support.h"

#define N_XIDS 3000
#define N_SESSIONS 12
#define N_CLIENTS 24

/* A transaction; times are those of what is written, which is the ids. */
typedef struct transaction {
    uint64_t n_rows;
    uint64_t last_id;
    uint64_t committed_at; /* 0: it was not */
    unsigned session;      /* + 1, while it is open */
} transaction;

typedef struct outbox {
    transaction items[N_XIDS]; /* by xid */
    uint64_t xmax;
    uint64_t open[N_SESSIONS]; /* xid, or 0 */
    uint64_t id;
    uint64_t now;
} outbox;

static void
take_snapshot(const outbox *self, fq_postgres_snapshot *snapshot)
{
    fq_buf text = FQ_BUF_INIT;
    uint64_t xmin = self->xmax;
    for (size_t i = 0; i < N_SESSIONS; i++) {
        if (self->open[i] != 0 && self->open[i] < xmin)
            xmin = self->open[i];
    }
    fq_buf_append_format(&text, "%llu:%llu:", (unsigned long long)xmin,
                         (unsigned long long)self->xmax);
    bool is_first = true;
    for (uint64_t xid = xmin; xid < self->xmax; xid++) {
        if (self->items[xid].session == 0)
            continue;
        fq_buf_append_format(&text, is_first ? "%llu" : ",%llu",
                             (unsigned long long)xid);
        is_first = false;
    }
    fq_postgres_snapshot_init(snapshot);
    assert_int_equal(fq_postgres_snapshot_read(snapshot, fq_buf_str(&text)),
                     FQ_OK);
    fq_buf_fini(&text);
}

/* One session does something. The first stays in its transactions for long. */
static void
act(outbox *self, fq_random *random)
{
    unsigned session = fq_random_below(random, N_SESSIONS);
    uint64_t *open = &self->open[session];
    if (*open == 0) {
        *open = self->xmax++;
        self->items[*open].session = session + 1;
        if (fq_random_chance(random, 80))
            return;
    }
    transaction *item = &self->items[*open];
    if (fq_random_chance(random, 60)) {
        item->n_rows += fq_random_chance(random, 1)
                            ? fq_random_below(random, 900)
                            : 1;
        self->id += fq_random_below(random, 2) + item->n_rows;
        item->last_id = self->id;
    } else if (session > 0 || fq_random_chance(random, 2)) {
        item->session = 0;
        if (fq_random_chance(random, 90))
            item->committed_at = self->id;
        *open = 0;
    }
}

static bool
has(const outbox *self, const fq_postgres_snapshot *seen, uint64_t xid)
{
    return fq_postgres_snapshot_contains(seen, xid)
           && self->items[xid].committed_at != 0
           && self->items[xid].n_rows > 0;
}

/* What the server says to |question|, as postgres_sql.h asks. */
static void
respond(const outbox *self, fq_postgres_survey *survey,
        const fq_postgres_survey_question *question)
{
    const fq_postgres_snapshot *base = &survey->base;
    for (size_t i = 0; i < question->n_stragglers; i++) {
        uint64_t xid = question->stragglers[i];
        fq_postgres_survey_note_straggler(
            survey, xid, has(self, base, xid) ? self->items[xid].last_id : 0);
    }
    uint64_t found[N_XIDS];
    size_t n_found = 0;
    uint64_t n_rows = 0;
    for (uint64_t xid = survey->down; xid-- > question->down && n_rows < 500;)
        if (has(self, base, xid)) {
            found[n_found++] = xid;
            n_rows += self->items[xid].n_rows;
        }
    uint64_t low = survey->low, apart = survey->apart;
    for (size_t i = 0; i < n_found; i++) {
        uint64_t id = self->items[found[i]].last_id;
        if (id / apart != low || i + 1 == n_found)
            fq_postgres_survey_note(survey, found[i], id);
        low = id / apart < low ? id / apart : low;
    }
    if (n_found == 0)
        fq_postgres_survey_note_end(survey, question->down);
}

/* Nothing is told before what it may depend on: what had been committed when
 * the last event of something in |seen| was written is in it as well. */
static void
check_closed(const outbox *self, const fq_postgres_snapshot *seen,
             const fq_postgres_snapshot *base)
{
    uint64_t last_id = 0, first_commit = UINT64_MAX;
    for (uint64_t xid = 1; xid < self->xmax; xid++) {
        const transaction *item = &self->items[xid];
        if (!has(self, base, xid))
            assert_false(has(self, seen, xid));
        else if (has(self, seen, xid))
            last_id = item->last_id > last_id ? item->last_id : last_id;
        else if (item->committed_at < first_commit)
            first_commit = item->committed_at;
    }
    assert_true(last_id <= first_commit);
}

/* Goes from |from| to the base; returns the number of steps. */
static size_t
walk(const outbox *self, fq_postgres_survey *survey,
     const fq_postgres_snapshot *from, uint64_t *plongest)
{
    fq_postgres_snapshot at;
    fq_postgres_snapshot_init(&at);
    assert_int_equal(fq_postgres_snapshot_copy(&at, from), FQ_OK);
    size_t n_steps = 0;
    for (;;) {
        fq_postgres_survey_question question;
        while (fq_postgres_survey_wants(survey, &at, &question))
            respond(self, survey, &question);
        const fq_postgres_snapshot *next = fq_postgres_survey_behind(survey,
                                                                     &at);
        if (next == NULL)
            break;
        assert_true(fq_postgres_snapshot_includes(next, &at));
        assert_false(fq_postgres_snapshot_includes(&at, next));
        check_closed(self, next, &survey->base);
        uint64_t n_events = 0, n_most = 0;
        for (uint64_t xid = 1; xid < self->xmax; xid++) {
            if (!has(self, next, xid) || has(self, &at, xid))
                continue;
            n_events += self->items[xid].n_rows;
            if (self->items[xid].n_rows > n_most)
                n_most = self->items[xid].n_rows;
        }
        /* But what is one transaction. */
        if (n_events - n_most > *plongest)
            *plongest = n_events - n_most;
        assert_int_equal(fq_postgres_snapshot_copy(&at, next), FQ_OK);
        n_steps++;
    }
    assert_true(fq_postgres_snapshot_includes(&at, &survey->base));
    fq_postgres_snapshot_fini(&at);
    return n_steps;
}

static void
run_walks(uint64_t seed)
{
    static outbox self;
    self = (outbox){.xmax = 1};
    fq_random random = {seed};
    fq_postgres_snapshot clients[N_CLIENTS];
    for (size_t i = 0; i < N_CLIENTS; i++) {
        while (self.xmax < (i + 1) * (N_XIDS - N_SESSIONS) / (N_CLIENTS + 1))
            act(&self, &random);
        take_snapshot(&self, &clients[i]);
    }
    while (self.xmax < N_XIDS - N_SESSIONS)
        act(&self, &random);
    fq_postgres_snapshot base;
    take_snapshot(&self, &base);
    fq_postgres_survey survey;
    fq_postgres_survey_init(&survey);
    fq_postgres_survey_begin(&survey, &base);
    size_t n_steps = 0;
    uint64_t longest = 0;
    for (int i = 0; i < N_CLIENTS; i++) {
        /* In some runs there are few marks, since memory is short. */
        if (seed % 3 == 0) {
            fq_postgres_survey_question question;
            size_t n = fq_random_below(&random, N_CLIENTS);
            if (fq_postgres_survey_wants(&survey, &clients[n], &question)) {
                fq_alloc_fail_after(fq_random_below(&random, 20));
                respond(&self, &survey, &question);
                fq_alloc_fail_after(-1);
            }
        }
        size_t n = fq_random_below(&random, N_CLIENTS);
        n_steps += walk(&self, &survey, &clients[n], &longest);
    }
    if (seed % 3 != 0) {
        assert_in_range(longest, 0, 3 * FQ_POSTGRES_SURVEY_APART);
        assert_in_range(n_steps, 100, 100000);
    }
    for (size_t i = 0; i < N_CLIENTS; i++)
        fq_postgres_snapshot_fini(&clients[i]);
    fq_postgres_snapshot_fini(&base);
    fq_postgres_survey_fini(&survey);
}

static void
test_postgres_survey_leads_on(void **state)
{
    (void)state;
    fq_random_runs(run_walks, 3);
}

/* All below |xmax| have ended. */
static void
set_snapshot(fq_postgres_snapshot *snapshot, uint64_t xmax)
{
    fq_postgres_snapshot_fini(snapshot);
    snapshot->xmax = xmax;
}

/* However many events there are, the marks are not; where there would be too
 * many it begins anew. */
static void
test_postgres_survey_is_bounded(void **state)
{
    (void)state;
    const uint64_t xmax = 3 * FQ_POSTGRES_SURVEY_MAX
                          * FQ_POSTGRES_SURVEY_APART;
    fq_postgres_survey survey;
    fq_postgres_snapshot seen;
    fq_postgres_survey_question question;
    fq_postgres_survey_init(&survey);
    fq_postgres_snapshot_init(&seen);
    set_snapshot(&seen, xmax);
    fq_postgres_survey_begin(&survey, &seen);
    assert_false(fq_postgres_survey_wants(&survey, &seen, &question));
    set_snapshot(&seen, 1);
    while (fq_postgres_survey_wants(&survey, &seen, &question)) {
        assert_int_equal(question.down, 1);
        assert_int_equal(question.n_stragglers, 0);
        uint64_t xid = survey.down;
        /* The number of a transaction is its id. */
        for (int i = 0; i < 10000 && xid > 1; i++) {
            xid--;
            fq_postgres_survey_note(&survey, xid, xid);
        }
        if (xid == survey.down && xid == 1)
            fq_postgres_survey_note_end(&survey, 1);
        assert_in_range(survey.n_marks, 0, FQ_POSTGRES_SURVEY_MAX);
    }
    assert_int_equal(survey.apart, 4 * FQ_POSTGRES_SURVEY_APART);
    uint64_t at = 1;
    const fq_postgres_snapshot *next;
    while ((next = fq_postgres_survey_behind(&survey, &seen)) != NULL) {
        assert_in_range(next->xmax, at + 1, at + 2 * survey.apart);
        at = next->xmax;
        set_snapshot(&seen, at);
    }
    assert_int_equal(at, xmax);
    fq_postgres_snapshot_fini(&seen);
    fq_postgres_survey_fini(&survey);
}

/* A transaction that was open for long is looked up by itself, once; and with
 * too many of them all that came since is looked at. */
static void
test_postgres_survey_looks_stragglers_up(void **state)
{
    (void)state;
    fq_postgres_survey survey;
    fq_postgres_snapshot seen;
    fq_postgres_survey_question question;
    fq_postgres_survey_init(&survey);
    fq_postgres_snapshot_init(&seen);
    assert_int_equal(fq_postgres_snapshot_read(&seen, FQ_STR_LIT("5:10000:5")),
                     FQ_OK);
    fq_postgres_survey_begin(&survey, &seen);
    /* 5 is open still, 7 has ended. */
    assert_int_equal(
        fq_postgres_snapshot_read(&seen, FQ_STR_LIT("5:9000:5,7")), FQ_OK);
    assert_true(fq_postgres_survey_wants(&survey, &seen, &question));
    assert_int_equal(question.down, 9000);
    assert_int_equal(question.n_stragglers, 1);
    assert_int_equal(question.stragglers[0], 7);
    fq_postgres_survey_note_straggler(&survey, 7, 9700);
    for (uint64_t xid = 9999; xid >= 9000; xid--)
        fq_postgres_survey_note(&survey, xid, xid);
    assert_false(fq_postgres_survey_wants(&survey, &seen, &question));
    const fq_postgres_snapshot *next = fq_postgres_survey_behind(&survey,
                                                                 &seen);
    assert_false(fq_postgres_snapshot_contains(next, 7));
    assert_false(fq_postgres_snapshot_contains(next, 5));
    size_t n = 0;
    while (!fq_postgres_snapshot_contains(next, 7)) {
        assert_int_equal(fq_postgres_snapshot_copy(&seen, next), FQ_OK);
        assert_false(fq_postgres_survey_wants(&survey, &seen, &question));
        next = fq_postgres_survey_behind(&survey, &seen);
        n++;
    }
    assert_in_range(n, 3, 5);
    assert_in_range(next->xmax, 9701, 9701 + FQ_POSTGRES_SURVEY_APART);

    fq_buf text = FQ_BUF_INIT;
    fq_buf_append_format(&text, "5:8000:5,10");
    for (int xid = 11; xid < 20 + FQ_POSTGRES_SURVEY_XIDS_MAX; xid++)
        fq_buf_append_format(&text, ",%d", xid);
    assert_int_equal(fq_postgres_snapshot_read(&seen, fq_buf_str(&text)),
                     FQ_OK);
    assert_true(fq_postgres_survey_wants(&survey, &seen, &question));
    assert_int_equal(question.down, 10);
    assert_int_equal(question.n_stragglers, 0);
    fq_buf_fini(&text);
    fq_postgres_snapshot_fini(&seen);
    fq_postgres_survey_fini(&survey);
}

/* Without memory there is nothing to look at. */
static void
test_postgres_survey_does_without(void **state)
{
    (void)state;
    fq_postgres_survey survey;
    fq_postgres_snapshot base, seen;
    fq_postgres_survey_question question;
    fq_postgres_survey_init(&survey);
    fq_postgres_snapshot_init(&base);
    fq_postgres_snapshot_init(&seen);
    assert_int_equal(fq_postgres_snapshot_read(&base, FQ_STR_LIT("5:10:5")),
                     FQ_OK);
    set_snapshot(&seen, 3);
    assert_false(fq_postgres_survey_wants(&survey, &seen, &question));
    for (long n = 0; n < 2; n++) {
        fq_alloc_fail_after(n);
        fq_postgres_survey_begin(&survey, &base);
        fq_alloc_fail_after(-1);
        assert_false(fq_postgres_survey_wants(&survey, &seen, &question));
        assert_null(fq_postgres_survey_behind(&survey, &seen));
    }
    fq_postgres_survey_begin(&survey, &base);
    assert_true(fq_postgres_survey_wants(&survey, &seen, &question));
    fq_postgres_snapshot_fini(&base);
    fq_postgres_snapshot_fini(&seen);
    fq_postgres_survey_fini(&survey);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST_RANDOM(test_postgres_survey_leads_on),
        FQ_TEST(test_postgres_survey_is_bounded),
        FQ_TEST(test_postgres_survey_looks_stragglers_up),
        FQ_TEST(test_postgres_survey_does_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
