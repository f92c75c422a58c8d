/* SPDX-License-Identifier: MIT */
/* Sessions with PostgreSQL, opened and prepared on a helper thread: libpq
 * looks up names, reads service and password files, and may ask LDAP and
 * Kerberos, all of which block; once open, a session is used without ever
 * waiting, see postgres_link.h. Thread: that of the loop. */
#ifndef FQ_BUS_POSTGRES_OPEN_H
#define FQ_BUS_POSTGRES_OPEN_H

#include <stdatomic.h>

#include <libpq-fe.h>
#include <uv.h>

#include "base/error.h"
#include "base/status.h"

/* The version of the schema that this code knows; _postgres_install.py. */
#define FQ_POSTGRES_SCHEMA_VERSION 2
/* The class of the advisory locks that gate the doorbell; functions.sql. */
#define FQ_POSTGRES_LOCK_CLASS "1718771051"

/* What is wrong with a pooler that lends sessions for transactions. */
#define FQ_POSTGRES_POOLER_TEXT                                               \
    "a connection pooler in transaction mode stands before PostgreSQL, "      \
    "through which LISTEN and prepared statements do not work: give the "     \
    "server itself as listen_connection_string"

/* What a session is for. */
typedef enum fq_postgres_use {
    /* Listens, and has these statements prepared:
     * fq_read(xmax xid8, xip xid8[], is_asking boolean, lock integer): first
     * a row (NULL, snapshot, pruned_below, how many locks keep somebody from
     * ringing if |is_asking|, NULL, for |lock| 1 or -1 whether the one of who
     * sleeps is held now, having been tried or let go), then the events that
     * have become visible since a snapshot, by id.
     * fq_rest(xmax xid8, xip xid8[], upto pg_snapshot, id bigint): of these
     * the ones that |upto| sees, behind |id|.
     * fq_history(xmax xid8, xip xid8[], next pg_snapshot, upto pg_snapshot,
     * id bigint, limit bigint): a first row as fq_read, then at most |limit|
     * of those that |upto| sees: of what |next| sees the ids behind |id|, and
     * after these the rest by id.
     * fq_survey(xmax xid8, xmin xid8, base pg_snapshot, apart bigint,
     * low bigint, stragglers xid8[], limit bigint): of each of |stragglers|
     * the last id that |base| sees, or NULL, with column 3 set; and of the
     * transactions that it sees from |xmin| to below |xmax|, the highest
     * first, in |limit| rows of the outbox, those that matter to a survey
     * which has come to |low|, see postgres_survey.h: rows (last id, xid, NULL
     * and six times NULL).
     * Events are rows (id, xid, channel, event_type, data, tenant_id,
     * boundary, meta, microseconds since 1970). */
    FQ_POSTGRES_READ,
    /* May publish. Needs nothing that a pooler of transactions takes away. */
    FQ_POSTGRES_WRITE,
} fq_postgres_use;

/* Whose history a reader reads, and how it stood when the session was opened.
 * Borrowed texts, ended by NUL. */
typedef struct fq_postgres_origin {
    const char *epoch; /* of the server, the installation, the timeline */
    const char *snapshot;
    const char *pruned_below;
    const char *lsn;      /* where the log ended, after |snapshot| */
    const char *replayed; /* where it ended that the server got as a replica;
                           * empty: it was none since it was started */
} fq_postgres_origin;

/* The answer: FQ_OK with |conn|, the callee's from now on and not blocking,
 * and, for a reader, |origin|; or, with |error| in words for the one
 * who can change it, FQ_ERR_FORBIDDEN (what the database has, or grants, will
 * not do) or FQ_ERR_SYSTEM. */
typedef void (*fq_postgres_open_cb)(void *arg, fq_status status, PGconn *conn,
                                    const fq_postgres_origin *origin,
                                    const fq_error *error);

typedef struct fq_postgres_open fq_postgres_open;

/* Opens a session with |dsn|; |done_cb| is called once, later, unless
 * fq_postgres_open_cancel() comes first. |pfd| is -1; once there is a
 * connection it is its descriptor, for whoever has to close the copy in a
 * forked child, and stays so for the callee of |done_cb| if that gets one.
 * While libpq connects, which is hidden in one call, it is still -1.
 * Errors: FQ_ERR_NOMEM, FQ_ERR_SYSTEM (no thread). */
fq_status
fq_postgres_open_start(uv_loop_t *loop, const char *dsn, fq_postgres_use use,
                       _Atomic int *pfd, fq_postgres_open_cb done_cb,
                       void *arg, fq_postgres_open **popen);

/* Forgets one that has not been answered; its descriptor is -1 again. NULL is
 * allowed. Its handle on the loop closes soon. */
void
fq_postgres_open_cancel(fq_postgres_open *open);

/* The first line of libpq's |text|, as |error|, with |status|. */
fq_status
fq_postgres_error(fq_error *error, fq_status status, const char *text);

#endif
