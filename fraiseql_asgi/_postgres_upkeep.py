# SPDX-License-Identifier: MIT
"""The outbox in use: letting old events go, and how it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_install import VERSION, installed_version, require_install
from fraiseql_asgi._postgres_watch import watched
from fraiseql_asgi.errors import BusError

__all__ = ["prune", "status"]


def prune(
    client: PostgresClient,
    keep: float,
    batch: int,
    *,
    vacuum: bool = True,
    progress: Callable[[int], None] = lambda n_deleted: None,
) -> int:
    """Delete what could be read for longer than `keep` seconds; returns how many.

    Batch by batch, each a transaction, so that nothing waits for it for long;
    then the space is given to new events.

    Args:
        progress: called after each batch with the number so far.
    """
    require_install(client)
    n_deleted = 0
    while True:
        value = client.execute(
            "SELECT fraiseql.prune($1::float8 * interval '1 second', $2::integer)",
            (repr(float(keep)), str(batch)),
        )[0][0]
        n_deleted += int(value or 0)
        progress(n_deleted)
        if int(value or 0) < batch:
            break
    if vacuum and n_deleted:
        # Without TRUNCATE, which would lock the table against everybody.
        client.execute("VACUUM (TRUNCATE false) fraiseql.outbox")
    return n_deleted


def status(client: PostgresClient) -> dict[str, Any]:
    """What is installed and how it does, as one JSON object.

    Raises:
        BusError: nothing is installed.
    """
    version = installed_version(client)
    if version is None:
        raise BusError(
            "this database has no schema 'fraiseql': run fraiseql-asgi postgres install first"
        )
    row = client.execute(
        """
        SELECT i.install_id, i.pruned_below,
            (SELECT last_value FROM pg_sequences WHERE schemaname = 'fraiseql'
                AND sequencename = 'outbox_id_seq'),
            (SELECT extract(epoch FROM clock_timestamp() - created_at) FROM fraiseql.outbox
                ORDER BY xid, id LIMIT 1),
            (SELECT reltuples::bigint FROM pg_class WHERE oid = 'fraiseql.outbox'::regclass),
            pg_total_relation_size('fraiseql.outbox'),
            (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'fraiseql.outbox'::regclass),
            (SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
                WHERE backend_xid IS NOT NULL AND datname = current_database()),
            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1718771051
                AND objid < 4 AND granted AND database =
                    (SELECT oid FROM pg_database WHERE datname = current_database())),
            pg_notification_queue_usage(),
            pg_is_in_recovery()
        FROM fraiseql.install i
        """
    )[0]
    numbers = [None if value is None else float(value) for value in row[2:10]]
    last_id, oldest, n_events, n_bytes, n_dead, longest, n_gates, notify = numbers
    return {
        "version": version,
        "version_of_package": VERSION,
        "install_id": row[0],
        "is_primary": row[10] == "f",
        "last_id": None if last_id is None else int(last_id),
        "events_estimated": None if n_events is None or n_events < 0 else int(n_events),
        "oldest_seconds": None if oldest is None else round(oldest, 3),
        "pruned_below": row[1],
        "bytes": int(n_bytes or 0),
        "dead_rows": int(n_dead or 0),
        "longest_write_seconds": None if longest is None else round(longest, 3),
        "gates_held": int(n_gates or 0),
        "notify_queue_usage": notify,
        "watched": watched(client),
    }
