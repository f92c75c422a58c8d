/* SPDX-License-Identifier: MIT */
/* What a PostgreSQL snapshot says: which transactions had ended when it was
 * taken. Of one server's, each contains those before it. One thread at a
 * time. */
#ifndef FQ_BUS_POSTGRES_SNAPSHOT_H
#define FQ_BUS_POSTGRES_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

/* Transactions in progress at a time: PostgreSQL has at most 2^18 processes,
 * and a server with more than some hundred is in trouble. */
#define FQ_POSTGRES_XIDS_MAX 262143

typedef struct fq_postgres_snapshot {
    uint64_t xmax; /* from here on none had started; 0: no snapshot */
    uint64_t *xip; /* in progress, ascending, below xmax */
    size_t n_xip;
    size_t cap;
} fq_postgres_snapshot;

void
fq_postgres_snapshot_init(fq_postgres_snapshot *self);
void
fq_postgres_snapshot_fini(fq_postgres_snapshot *self);

/* Reads `xmin:xmax:xid,xid`, as the server writes it. Errors: FQ_ERR_SYNTAX,
 * FQ_ERR_LIMIT, FQ_ERR_NOMEM; *self is as it was then. */
fq_status
fq_postgres_snapshot_read(fq_postgres_snapshot *self, fq_str text);

/* Makes |to| what |from| is. Errors: FQ_ERR_NOMEM; *to is as it was then. */
fq_status
fq_postgres_snapshot_copy(fq_postgres_snapshot *to,
                          const fq_postgres_snapshot *from);

/* Makes |to| what |from| is, and |from| what |to| was. */
void
fq_postgres_snapshot_swap(fq_postgres_snapshot *to,
                          fq_postgres_snapshot *from);

/* Whether |xid| had ended. Cost: O(log n). */
bool
fq_postgres_snapshot_contains(const fq_postgres_snapshot *self, uint64_t xid);

/* Whether all that had ended in |other| had in |self|. Cost: O(n). */
bool
fq_postgres_snapshot_includes(const fq_postgres_snapshot *self,
                              const fq_postgres_snapshot *other);

/* The oldest that had not ended. */
uint64_t
fq_postgres_snapshot_xmin(const fq_postgres_snapshot *self);

/* Writes it as the server does, for a parameter of type pg_snapshot. */
void
fq_postgres_snapshot_write(const fq_postgres_snapshot *self, fq_buf *buf);

/* Writes `{xid,xid}`, for a parameter of type xid8[]. */
void
fq_postgres_snapshot_write_xip(const fq_postgres_snapshot *self, fq_buf *buf);

#endif
