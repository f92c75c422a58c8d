/* SPDX-License-Identifier: MIT */
/* Opening sessions: errands to the server. */
#include "bus/postgres_open.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "bus/errand.h"
#include "bus/postgres_sql.h"

/* For the statements that prepare a session; connecting has its own time-out,
 * per host. */
#define PREPARE_TIMEOUT_NS (5 * UINT64_C(1000000000))
/* For what a pooler is asked besides. */
#define POOLER_TIMEOUT_NS (2 * UINT64_C(1000000000))
/* The first server that knows xid8. */
#define SERVER_MINIMUM 130000

struct fq_postgres_open {
    fq_errand errand;
    fq_postgres_open_cb done_cb;
    void *arg;
    char *dsn;
    fq_postgres_use use;
    _Atomic int *pfd; /* the owner's, until it cancels */
    /* The answer. */
    fq_status status;
    fq_error error;
    PGconn *conn;
    PGresult *origin; /* one row, of a reader */
};

fq_status
fq_postgres_error(fq_error *error, fq_status status, const char *text)
{
    size_t len = strcspn(text, "\n");
    return fq_error_set(error, status, FQ_ERROR_NO_POS, "%.*s", (int)len,
                        text);
}

/* ── the helper: connecting ── */

/* What we would have where neither the DSN nor the environment says. */
static const struct setting {
    const char *keyword;
    const char *variable; /* of the environment; NULL: none */
    const char *value;
} settings[] = {
    {"connect_timeout", "PGCONNECT_TIMEOUT", "5"},
    {"target_session_attrs", "PGTARGETSESSIONATTRS", "read-write"},
    {"fallback_application_name", NULL, "fraiseql-asgi"},
    {"keepalives_idle", NULL, "5"},
    {"keepalives_interval", NULL, "2"},
    {"keepalives_count", NULL, "3"},
    {"tcp_user_timeout", NULL, "10000"},
};
#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static bool
is_set(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL;
    }
    return false;
}

/* libpq would print it. */
static void
ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

/* *pconn is set whenever libpq has made one, and the caller's to finish. */
static fq_status
connect_to(fq_postgres_open *self, PGconn **pconn)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(self->dsn, &message);
    if (options == NULL) {
        fq_postgres_error(&self->error, FQ_ERR_SYSTEM,
                          message == NULL ? "out of memory" : message);
        PQfreemem(message);
        return FQ_ERR_SYSTEM;
    }
    const char *keywords[N_SETTINGS + 3] = {"dbname"};
    const char *values[N_SETTINGS + 3] = {self->dsn};
    size_t n = 1;
    for (size_t i = 0; i < N_SETTINGS; i++) {
        const char *variable = settings[i].variable;
        if (is_set(options, settings[i].keyword)
            || (variable != NULL && getenv(variable) != NULL))
            continue;
        keywords[n] = settings[i].keyword;
        values[n++] = settings[i].value;
    }
    PQconninfoFree(options);
    keywords[n] = "client_encoding";
    values[n++] = "UTF8";
    keywords[n] = values[n] = NULL;
    PGconn *conn = *pconn = PQconnectdbParams(keywords, values, 1);
    if (conn == NULL)
        return fq_error_set(&self->error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                            "out of memory");
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    if (PQstatus(conn) != CONNECTION_OK)
        return fq_postgres_error(&self->error, FQ_ERR_SYSTEM,
                                 PQerrorMessage(conn));
    return FQ_OK;
}

/* ── the helper: preparing ── */

/* The last result of what was sent; NULL with self->error. */
static PGresult *
await_result(fq_postgres_open *self, PGconn *conn, uint64_t deadline_ns)
{
    PGresult *last = NULL;
    for (;;) {
        while (PQisBusy(conn)) {
            struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
            uint64_t now_ns = fq_clock_now_ns();
            int n = now_ns >= deadline_ns
                        ? 0
                        : poll(&fd, 1,
                               (int)((deadline_ns - now_ns) / FQ_NS_PER_MS)
                                   + 1);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0) {
                fq_error_set(&self->error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                             "the PostgreSQL server accepted the connection "
                             "but does not answer");
                PQclear(last);
                return NULL;
            }
            if (!PQconsumeInput(conn))
                break;
        }
        PGresult *result = PQgetResult(conn);
        if (result == NULL)
            break;
        ExecStatusType status = last == NULL ? PGRES_COMMAND_OK
                                             : PQresultStatus(last);
        /* The first error is the one that counts. */
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            PQclear(last);
            last = result;
        } else {
            PQclear(result);
        }
    }
    ExecStatusType status = PQresultStatus(last);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return last;
    fq_postgres_error(&self->error, FQ_ERR_SYSTEM,
                      last == NULL ? PQerrorMessage(conn)
                                   : PQresultErrorMessage(last));
    PQclear(last);
    return NULL;
}

static PGresult *
run_on(fq_postgres_open *self, PGconn *conn, const char *sql,
       uint64_t deadline_ns)
{
    if (!PQsendQuery(conn, sql)) {
        fq_postgres_error(&self->error, FQ_ERR_SYSTEM, PQerrorMessage(conn));
        return NULL;
    }
    return await_result(self, conn, deadline_ns);
}

static PGresult *
run(fq_postgres_open *self, const char *sql, uint64_t deadline_ns)
{
    return run_on(self, self->conn, sql, deadline_ns);
}

static bool
is_true(const PGresult *result, int column)
{
    return PQgetvalue(result, 0, column)[0] == 't';
}

#define FACTS                                                                 \
    "SELECT pg_is_in_recovery(), pg_backend_pid(), current_user, "            \
    "n.oid IS NOT NULL, i.oid IS NOT NULL, "                                  \
    "COALESCE(has_schema_privilege(n.oid, 'USAGE') "                          \
    "AND has_table_privilege(i.oid, 'SELECT'), false), "

static const char read_facts[] = FACTS
    "COALESCE(has_table_privilege(o.oid, 'SELECT'), false) "
    "FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = 'fraiseql' "
    "LEFT JOIN pg_class i ON i.relnamespace = n.oid AND i.relname = 'install' "
    "LEFT JOIN pg_class o ON o.relnamespace = n.oid AND o.relname = 'outbox'";

static const char write_facts[] = FACTS
    "COALESCE(has_function_privilege(p.oid, 'EXECUTE'), false) "
    "FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = 'fraiseql' "
    "LEFT JOIN pg_class i ON i.relnamespace = n.oid AND i.relname = 'install' "
    "LEFT JOIN pg_proc p ON p.pronamespace = n.oid "
    "AND p.proname = 'publish_batch'";

static fq_status
refuse(fq_postgres_open *self, const char *format, const char *name)
{
    return fq_error_set(&self->error, FQ_ERR_FORBIDDEN, FQ_ERROR_NO_POS,
                        format, name);
}

/* ── the helper: poolers ── */

/* The process of the server behind |conn|, by |sql|; 0: it cannot be had. */
static int
ask_process(fq_postgres_open *self, PGconn *conn, const char *sql,
            uint64_t deadline_ns)
{
    PGresult *result = run_on(self, conn, sql, deadline_ns);
    int pid = result != NULL && PQntuples(result) == 1
                  ? atoi(PQgetvalue(result, 0, 0))
                  : 0;
    PQclear(result);
    return pid;
}

/* A pooler that lends a session of the server for a transaction only lends
 * ours, |pid|, to the next who asks, which is a second connection here, and
 * while that keeps it gives us another. Where a second one is not to be had,
 * the pooler has none left that we do not use: it lends for the session. */
static bool
is_lent_by_transaction(fq_postgres_open *self, int pid)
{
    uint64_t deadline_ns = fq_clock_now_ns() + POOLER_TIMEOUT_NS;
    PGconn *second = NULL;
    int other_pid = 0;
    if (connect_to(self, &second) == FQ_OK)
        other_pid = ask_process(self, second, "BEGIN; SELECT pg_backend_pid()",
                                deadline_ns);
    bool is_lent = other_pid == pid;
    /* Several times, as others may come between. */
    for (int i = 0; i < 5 && !is_lent; i++)
        is_lent = ask_process(self, self->conn, "SELECT pg_backend_pid()",
                              deadline_ns + POOLER_TIMEOUT_NS)
                  != pid;
    PQfinish(second);
    return is_lent;
}

/* Looks at what would make everything else fail in words that help nobody. */
static fq_status
check_facts(fq_postgres_open *self, const PGresult *facts)
{
    bool is_reader = self->use == FQ_POSTGRES_READ;
    const char *role = PQgetvalue(facts, 0, 2);
    if (is_true(facts, 0))
        return fq_error_set(&self->error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                            "the PostgreSQL server is a replica: events are "
                            "read from and written to the primary");
    /* A pooler makes up the process that it tells of. */
    int pid = atoi(PQgetvalue(facts, 0, 1));
    if (is_reader && pid != PQbackendPID(self->conn)
        && is_lent_by_transaction(self, pid))
        return refuse(self, "%s", FQ_POSTGRES_POOLER_TEXT);
    if (!is_true(facts, 3) || !is_true(facts, 4))
        return refuse(self,
                      "the database \"%s\" has no schema fraiseql: run "
                      "fraiseql-asgi postgres install",
                      PQdb(self->conn));
    if (is_true(facts, 5) && is_true(facts, 6))
        return FQ_OK;
    return refuse(self,
                  is_reader ? "the role \"%s\" may not read the schema "
                              "fraiseql: run fraiseql-asgi postgres install "
                              "--reader with its name"
                            : "the role \"%s\" may not publish: run "
                              "fraiseql-asgi postgres install --publisher "
                              "with its name",
                  role);
}

static fq_status
check_version(fq_postgres_open *self, const char *text)
{
    int version = atoi(text);
    if (version < FQ_POSTGRES_SCHEMA_VERSION)
        return refuse(self,
                      "the schema fraiseql has version %s, which is too old: "
                      "run fraiseql-asgi postgres install again",
                      text);
    if (version > FQ_POSTGRES_SCHEMA_VERSION)
        return refuse(self,
                      "the schema fraiseql has version %s, which is newer "
                      "than this package: update fraiseql-asgi",
                      text);
    return FQ_OK;
}

/* Asked for behind the snapshot of the same statement, and where others may
 * have begun to write: so nothing that the snapshot sees was logged later. */
#define LSN "(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text"

/* Plans are made once, when the outbox may be empty, and must be those for a
 * full one: by the index, in its order, whatever the statistics say. */
static const char read_setup[]
    = "SET client_min_messages = warning; SET search_path = pg_catalog; "
      "SET enable_seqscan = off; SET enable_bitmapscan = off; "
      "SET jit = off; SET statement_timeout = 0; "
      "SET max_parallel_workers_per_gather = 0; "
      "SET plan_cache_mode = force_generic_plan; "
      "SET default_transaction_isolation = 'read committed'; "
      "PREPARE fq_read AS "
      "SELECT NULL::bigint, pg_current_snapshot()::text, "
      "i.pruned_below::text, "
      "CASE WHEN $3::boolean THEN (SELECT count(*)::text FROM pg_locks "
      "WHERE locktype = 'advisory' AND classid = " FQ_POSTGRES_LOCK_CLASS
      " AND (objid < 4 OR (objid = 4 AND mode = 'ShareLock')) AND granted "
      "AND database = (SELECT oid FROM pg_database "
      "WHERE datname = current_database())) END, "
      "NULL::json, CASE $4::integer "
      "WHEN 1 THEN pg_try_advisory_lock(" FQ_POSTGRES_LOCK_CLASS ", 4)::text "
      "WHEN -1 THEN (NOT pg_advisory_unlock(" FQ_POSTGRES_LOCK_CLASS
      ", 4))::text END, " LSN ", NULL::json, i.install_id::text "
      "FROM fraiseql.install i UNION ALL "
      "(SELECT " FQ_SQL_EVENT_COLUMNS " FROM " FQ_SQL_SINCE "ORDER BY id); "
      "PREPARE fq_rest AS SELECT " FQ_SQL_EVENT_COLUMNS " FROM " FQ_SQL_SINCE
      "WHERE pg_visible_in_snapshot(xid, $3::pg_snapshot) AND id > $4::bigint "
      "ORDER BY id; "
      "PREPARE fq_history AS WITH RECURSIVE " FQ_SQL_IS_LONG ", " FQ_SQL_XIDS
      " SELECT NULL::bigint, NULL::text, i.pruned_below::text, NULL::text, "
      "NULL::json, NULL::text, NULL::text, NULL::json, i.install_id::text "
      "FROM fraiseql.install i UNION ALL " FQ_SQL_HISTORY
      "UNION ALL " FQ_SQL_LONG_HISTORY "; "
      "PREPARE fq_survey AS " FQ_SQL_STRAGGLERS " UNION ALL " FQ_SQL_SURVEY
      "; "
      "LISTEN fraiseql";

/* The timeline tells a failover: what the old primary had committed last may
 * be missing then, and its transaction numbers used again. */
static const char read_origin[]
    = "SELECT version, s.system_identifier::text || '/' || install_id::text "
      "|| '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8), "
      "pg_current_snapshot()::text, pruned_below::text, " LSN ", "
      "(pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::text "
      "FROM fraiseql.install, pg_control_system() s";

static fq_status
prepare(fq_postgres_open *self)
{
    uint64_t deadline_ns = fq_clock_now_ns() + PREPARE_TIMEOUT_NS;
    bool is_reader = self->use == FQ_POSTGRES_READ;
    if (PQserverVersion(self->conn) < SERVER_MINIMUM)
        return refuse(self,
                      "the server is PostgreSQL %s; 13 or later is needed",
                      PQparameterStatus(self->conn, "server_version"));
    PGresult *result = run(self, is_reader ? read_facts : write_facts,
                           deadline_ns);
    if (result == NULL)
        return FQ_ERR_SYSTEM;
    fq_status status = check_facts(self, result);
    PQclear(result);
    if (status != FQ_OK)
        return status;
    result = run(
        self, is_reader ? read_origin : "SELECT version FROM fraiseql.install",
        deadline_ns);
    if (result == NULL)
        return FQ_ERR_SYSTEM;
    status = PQntuples(result) == 1
                 ? check_version(self, PQgetvalue(result, 0, 0))
                 : refuse(self, "the table fraiseql.install is empty%s", "");
    if (!is_reader || status != FQ_OK) {
        PQclear(result);
    } else {
        /* The snapshot is older than the session can listen: what comes in
         * between is found by the first look. */
        self->origin = result;
        result = run(self, read_setup, deadline_ns);
        if (result == NULL)
            return FQ_ERR_SYSTEM;
        PQclear(result);
    }
    if (status == FQ_OK && PQsetnonblocking(self->conn, 1) != 0)
        status = fq_postgres_error(&self->error, FQ_ERR_SYSTEM,
                                   PQerrorMessage(self->conn));
    return status;
}

/* ── the errand ── */

/* What a child forked from now on has a copy of. */
static void
tell_descriptor(fq_postgres_open *self, int fd)
{
    pthread_mutex_lock(&self->errand.lock);
    if (self->errand.is_wanted)
        atomic_store_explicit(self->pfd, fd, memory_order_relaxed);
    pthread_mutex_unlock(&self->errand.lock);
}

static void
open_session(fq_errand *errand)
{
    fq_postgres_open *self = FQ_CONTAINER_OF(errand, fq_postgres_open, errand);
    self->status = connect_to(self, &self->conn);
    if (self->status != FQ_OK)
        return;
    tell_descriptor(self, PQsocket(self->conn));
    self->status = prepare(self);
    if (self->status != FQ_OK)
        tell_descriptor(self, -1);
}

static void
hand_over(fq_errand *errand)
{
    fq_postgres_open *self = FQ_CONTAINER_OF(errand, fq_postgres_open, errand);
    PGconn *conn = NULL;
    fq_postgres_origin origin = {NULL, NULL, NULL, NULL, NULL};
    if (self->status == FQ_OK) {
        conn = self->conn;
        self->conn = NULL;
    }
    if (self->status == FQ_OK && self->origin != NULL)
        origin = (fq_postgres_origin){
            .epoch = PQgetvalue(self->origin, 0, 1),
            .snapshot = PQgetvalue(self->origin, 0, 2),
            .pruned_below = PQgetvalue(self->origin, 0, 3),
            .lsn = PQgetvalue(self->origin, 0, 4),
            .replayed = PQgetvalue(self->origin, 0, 5),
        };
    self->done_cb(self->arg, self->status, conn, &origin, &self->error);
}

static void
free_open(fq_errand *errand)
{
    fq_postgres_open *self = FQ_CONTAINER_OF(errand, fq_postgres_open, errand);
    PQclear(self->origin);
    PQfinish(self->conn);
    fq_free(self->dsn);
    fq_free(self);
}

static const fq_errand_ops errand_ops = {
    .run = open_session,
    .done = hand_over,
    .free = free_open,
};

void
fq_postgres_open_cancel(fq_postgres_open *open)
{
    if (open == NULL)
        return;
    fq_errand_cancel(&open->errand);
    atomic_store_explicit(open->pfd, -1, memory_order_relaxed);
}

fq_status
fq_postgres_open_start(uv_loop_t *loop, const char *dsn, fq_postgres_use use,
                       _Atomic int *pfd, fq_postgres_open_cb done_cb,
                       void *arg, fq_postgres_open **popen)
{
    *popen = NULL;
    fq_postgres_open *self = fq_alloc_zero(sizeof(*self));
    if (self == NULL)
        return FQ_ERR_NOMEM;
    size_t len = strlen(dsn);
    self->dsn = fq_alloc(len + 1);
    if (self->dsn == NULL) {
        fq_free(self);
        return FQ_ERR_NOMEM;
    }
    memcpy(self->dsn, dsn, len + 1);
    self->use = use;
    self->pfd = pfd;
    self->done_cb = done_cb;
    self->arg = arg;
    fq_status status = fq_errand_start(&self->errand, loop, &errand_ops);
    if (status == FQ_OK)
        *popen = self;
    return status;
}
