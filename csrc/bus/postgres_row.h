/* SPDX-License-Identifier: MIT */
/* Rows that the statements of postgres_open.h give: events, and the one before
 * them. Thread: reactor. */
#ifndef FQ_BUS_POSTGRES_ROW_H
#define FQ_BUS_POSTGRES_ROW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"

/* Columns of an event, of which these are of use elsewhere. */
#define FQ_POSTGRES_ROW_ID 0
#define FQ_POSTGRES_ROW_XID 1
#define FQ_POSTGRES_ROW_CREATED_AT 8
#define FQ_POSTGRES_ROW_COLUMNS 9
/* Columns of the row before them. */
#define FQ_POSTGRES_HEAD_SNAPSHOT 1
#define FQ_POSTGRES_HEAD_PRUNED_BELOW 2
#define FQ_POSTGRES_HEAD_GATES 3
#define FQ_POSTGRES_HEAD_LOCK 5
#define FQ_POSTGRES_HEAD_LSN 6
#define FQ_POSTGRES_HEAD_INSTALL 8
/* Columns of a survey's row, the others are not used. */
#define FQ_POSTGRES_SURVEY_ID 0
#define FQ_POSTGRES_SURVEY_XID 1
#define FQ_POSTGRES_SURVEY_IS_STRAGGLER 2

/* ptr NULL for NULL; borrowed from |row|. */
static inline fq_str
fq_postgres_row_text(const PGresult *row, int column)
{
    if (PQgetisnull(row, 0, column))
        return fq_str_make(NULL, 0);
    return fq_str_make(PQgetvalue(row, 0, column),
                       (size_t)PQgetlength(row, 0, column));
}

static inline uint64_t
fq_postgres_row_number(const PGresult *row, int column)
{
    return strtoull(PQgetvalue(row, 0, column), NULL, 10);
}

/* Whether |head| is of the installation that |epoch| names: the schema may be
 * dropped and installed anew below a session, whose statements go on with what
 * has the same name. */
static inline bool
fq_postgres_row_is_of(const PGresult *head, const char *epoch)
{
    return strstr(epoch, PQgetvalue(head, 0, FQ_POSTGRES_HEAD_INSTALL))
           != NULL;
}

/* Makes the event of |row|, with its id, which is its offset as well, and one
 * more reference on |span|. Where it is none, but on a channel, one that
 * is_unreadable, and |error| says why. Errors: FQ_ERR_NOMEM; FQ_ERR_INVALID: it
 * is nothing that anybody can wait for, |error| says why. */
fq_status
fq_postgres_row_event(const PGresult *row, fq_rcbuf *span, fq_event **pevent,
                      fq_error *error);

#endif
