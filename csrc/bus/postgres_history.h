/* SPDX-License-Identifier: MIT */
/* Looks into the outbox for what came behind a position, between the reader's
 * own, through the same session: so nothing is delivered from the question to
 * the answer, and the answer can say whether it is the end. Thread: reactor. */
#ifndef FQ_BUS_POSTGRES_HISTORY_H
#define FQ_BUS_POSTGRES_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "bus/bus.h"
#include "bus/postgres_link.h"
#include "bus/postgres_marks.h"
#include "bus/postgres_position.h"

typedef struct fq_postgres_history {
    fq_bus *bus;
    fq_list reads;        /* fq_bus_read by node, oldest first */
    fq_bus_read *current; /* whose answer is being found, or NULL */
    bool is_busy;         /* the statement under way is ours */
    bool is_surveying;    /* and is that of a survey */
    fq_postgres_marks marks;
    fq_postgres_survey_question question; /* while |is_surveying| */
    size_t n_surveyed;                    /* rows of the answer so far */
    uint64_t pruned_below; /* of transactions below, events are gone */
    bool has_head;
    bool is_lost;                  /* the answer is FQ_ERR_LOST */
    fq_status status;              /* of the rows so far */
    fq_postgres_position position; /* of |current|, or what it has come to
                                    * where nothing was found */
    fq_postgres_snapshot upto;     /* how far this statement goes */
    uint64_t tag;                  /* of positions */
    fq_rcbuf *spans[2];            /* of the rest of the look that |position|
                                    * is in, or NULL; of what comes after */
    size_t n_events;
} fq_postgres_history;

void
fq_postgres_history_init(fq_postgres_history *self, fq_bus *bus);
/* Nobody may wait for an answer. */
void
fq_postgres_history_fini(fq_postgres_history *self);

/* See fq_bus_ops.read and cancel; the answer comes later. */
void
fq_postgres_history_add(fq_postgres_history *self, fq_bus_read *read,
                        uint64_t now_ns);
void
fq_postgres_history_cancel(fq_postgres_history *self, fq_bus_read *read);

/* Sends a statement for one who waits, if there is one who can be answered by
 * a reader whose history has |tag| and who has delivered what |seen| sees, and
 * no more, by a look that it began at |look_ns|; is_busy says whether. Errors:
 * FQ_ERR_SYSTEM, with |error|: of the session. */
fq_status
fq_postgres_history_send(fq_postgres_history *self, fq_postgres_link *link,
                         uint64_t tag, const fq_postgres_snapshot *seen,
                         uint64_t look_ns, fq_error *error);

/* A row of our statement, and its end. */
void
fq_postgres_history_take(fq_postgres_history *self, const PGresult *row,
                         const char *epoch);
void
fq_postgres_history_done(fq_postgres_history *self,
                         const fq_postgres_snapshot *seen);

/* The session is over: who waits is answered in the next one. */
void
fq_postgres_history_lose(fq_postgres_history *self);

/* Answers all who wait with |status|. */
void
fq_postgres_history_refuse(fq_postgres_history *self, fq_status status);

#endif
