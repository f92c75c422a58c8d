/* SPDX-License-Identifier: MIT */
/* From rows to events. */
#include "bus/postgres_row.h"

#include <stdio.h>

enum {
    COLUMN_CHANNEL = 2,
    COLUMN_EVENT_TYPE,
    COLUMN_DATA,
    COLUMN_TENANT_ID,
    COLUMN_BOUNDARY,
    COLUMN_META,
    COLUMN_CREATED_AT = FQ_POSTGRES_ROW_CREATED_AT,
};

static fq_status
read_event(const PGresult *row, uint64_t created_at_ns, fq_event **pevent,
           fq_error *error)
{
    if (PQgetisnull(row, 0, COLUMN_DATA))
        return fq_error_set(error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "data is larger than %d bytes", FQ_EVENT_DATA_MAX);
    fq_status status = fq_event_new(
        fq_postgres_row_text(row, COLUMN_CHANNEL),
        fq_postgres_row_text(row, COLUMN_EVENT_TYPE),
        fq_postgres_row_text(row, COLUMN_DATA), created_at_ns, 0, pevent,
        error);
    if (status != FQ_OK)
        return status;
    status = fq_event_label(*pevent,
                            fq_postgres_row_text(row, COLUMN_TENANT_ID),
                            fq_postgres_row_text(row, COLUMN_BOUNDARY),
                            fq_postgres_row_text(row, COLUMN_META), error);
    if (status != FQ_OK)
        fq_event_unref(*pevent);
    return status;
}

fq_status
fq_postgres_row_event(const PGresult *row, fq_rcbuf *span, fq_event **pevent,
                      fq_error *error)
{
    *pevent = NULL;
    uint64_t created_at_ns = fq_postgres_row_number(row, COLUMN_CREATED_AT)
                             * 1000;
    fq_event *event;
    fq_status status = read_event(row, created_at_ns, &event, error);
    if (status != FQ_OK && status != FQ_ERR_NOMEM)
        status = fq_event_new_unreadable(
            fq_postgres_row_text(row, COLUMN_CHANNEL), created_at_ns, &event);
    if (status != FQ_OK)
        return status;
    snprintf(event->id, sizeof(event->id), "%s",
             PQgetvalue(row, 0, FQ_POSTGRES_ROW_ID));
    event->offset = fq_postgres_row_number(row, FQ_POSTGRES_ROW_ID);
    event->span = span == NULL ? NULL : fq_rcbuf_ref(span);
    *pevent = event;
    return FQ_OK;
}
