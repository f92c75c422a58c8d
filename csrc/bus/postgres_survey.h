/* SPDX-License-Identifier: MIT */
/* Marks in what is older than a reader, who has not been there: found out from
 * the outbox itself, where and when somebody needs them, by looking back from
 * a snapshot that the server has taken. One thread at a time.
 *
 * A mark is made of an id: it sees the transactions all of whose events have
 * lower ids. What a transaction depends on had committed before it wrote the
 * event that tells of it, and so has lower ids only; so a mark that sees a
 * transaction sees what it depends on as well, as a snapshot of the server
 * does, though the server may never have taken this one. What was in progress
 * at |base| it does not see, whatever the ids. */
#ifndef FQ_BUS_POSTGRES_SURVEY_H
#define FQ_BUS_POSTGRES_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "bus/postgres_snapshot.h"

/* Ids from one mark to the next: a batch of a replay, with what was written
 * meanwhile by those that overlap. */
#define FQ_POSTGRES_SURVEY_APART 192
/* With more, all is forgotten and begun anew, with marks four times as far
 * apart: they are less than twice the work of one time, all together. */
#define FQ_POSTGRES_SURVEY_MAX 2048
/* A mark that more transactions overlap is left out: the marks are 1 MiB at
 * most, and the positions between two of them are not too long. */
#define FQ_POSTGRES_SURVEY_XIDS_MAX 64
/* Rows of the outbox that one statement reads: some milliseconds, as live
 * events wait meanwhile. */
#define FQ_POSTGRES_SURVEY_ROWS 8192

typedef struct fq_postgres_survey_mark {
    fq_postgres_snapshot seen;
    uint64_t id; /* the ids of what |seen| sees are below */
} fq_postgres_survey_mark;

/* A transaction, and the last of its ids. */
typedef struct fq_postgres_survey_item {
    uint64_t xid;
    uint64_t id; /* 0: it has no event */
} fq_postgres_survey_item;

typedef struct fq_postgres_survey {
    fq_postgres_snapshot base;      /* xmax 0: there is nothing to look at */
    fq_postgres_survey_mark *marks; /* youngest first; each includes those
                                     * behind it, and |base| all of them */
    size_t n_marks;
    uint64_t apart;
    uint64_t down; /* transactions from here on have been looked at */
    uint64_t low;  /* the lowest of their last ids, by |apart| */
    /* Older ones that were looked at as well, since they were in progress at
     * some client's snapshot. */
    fq_postgres_survey_item stragglers[FQ_POSTGRES_SURVEY_XIDS_MAX];
    size_t n_stragglers;
    bool is_full; /* there were too many marks: begins anew when asked again */
} fq_postgres_survey;

/* What is to be asked next: transactions of |base| from |down| to below the
 * survey's, the youngest first, and |stragglers|. */
typedef struct fq_postgres_survey_question {
    uint64_t down;
    uint64_t stragglers[FQ_POSTGRES_SURVEY_XIDS_MAX];
    size_t n_stragglers;
} fq_postgres_survey_question;

void
fq_postgres_survey_init(fq_postgres_survey *self);
void
fq_postgres_survey_fini(fq_postgres_survey *self);

/* Forgets all, and looks back from |base|. Without memory there is nothing to
 * look at. */
void
fq_postgres_survey_begin(fq_postgres_survey *self,
                         const fq_postgres_snapshot *base);

/* Whether something has to be asked before fq_postgres_survey_behind() can
 * tell what is behind |seen|. */
bool
fq_postgres_survey_wants(fq_postgres_survey *self,
                         const fq_postgres_snapshot *seen,
                         fq_postgres_survey_question *question);

/* An answer: the last id of |xid|, which is below those before. Others between
 * these may be left out if their last ids lie in one part, of |apart| ids, with
 * the lowest of those before them, see |low|; the last of an answer may not. */
void
fq_postgres_survey_note(fq_postgres_survey *self, uint64_t xid, uint64_t id);
/* An answer: that of |xid|, which is one of the stragglers. */
void
fq_postgres_survey_note_straggler(fq_postgres_survey *self, uint64_t xid,
                                  uint64_t id);
/* There are no others from |down| on. */
void
fq_postgres_survey_note_end(fq_postgres_survey *self, uint64_t down);

/* The first mark that includes |seen|, which wants nothing, and is not the
 * same; the last is |base|; NULL: |seen| is not older. Borrowed until the next
 * call. Cost: O(log n). */
const fq_postgres_snapshot *
fq_postgres_survey_behind(const fq_postgres_survey *self,
                          const fq_postgres_snapshot *seen);

#endif
