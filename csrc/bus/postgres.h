/* SPDX-License-Identifier: MIT */
/* A PostgreSQL that instances share: an outbox that publishers insert into and
 * every instance reads. Thread: reactor. */
#ifndef FQ_BUS_POSTGRES_H
#define FQ_BUS_POSTGRES_H

#include "base/status.h"
#include "bus/bus.h"

/* |dsn| is what libpq takes. |listen_dsn| is for the session that listens and
 * reads, where |dsn| leads to a pooler; NULL: the same. Errors:
 * FQ_ERR_NOMEM. */
fq_status
fq_bus_postgres_new(const char *dsn, const char *listen_dsn, fq_bus **pbus);

#endif
