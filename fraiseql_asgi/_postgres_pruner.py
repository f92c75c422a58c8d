# SPDX-License-Identifier: MIT
"""Old events go by themselves: each server looks from time to time, in a thread
of its own, whether there are some; one at a time deletes them, batch by batch."""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
import weakref
from collections.abc import Callable

from fraiseql_asgi._core import EventBus, PostgresClient
from fraiseql_asgi._postgres_install import VERSION, installed_version
from fraiseql_asgi.errors import BusError

__all__ = ["Retention", "start"]

_logger = logging.getLogger("fraiseql_asgi")

#: Seconds until the first look, so that commands which end soon have none, and
#: from one to the next; a quarter more or less, so that servers differ.
FIRST = 10.0
INTERVAL = 30.0
#: Rows that one transaction deletes: some tens of milliseconds.
BATCH = 5000
#: After so many the space is given back at once; fewer wait for autovacuum.
VACUUM_ROWS = 20_000

_RIGHTS = """
SELECT current_user, has_function_privilege(p.oid, 'EXECUTE'), pg_has_role(c.relowner, 'USAGE')
FROM pg_proc p, pg_class c
WHERE p.oid = to_regprocedure('fraiseql.prune(interval, integer, bigint, bigint)')
    AND c.oid = to_regclass('fraiseql.outbox')
"""
# NULL: another server is at it.
_PRUNE = """
SELECT CASE WHEN pg_try_advisory_xact_lock(1718771051, 101) THEN
    fraiseql.prune($1::float8 * interval '1 second', $2::integer, $3::bigint, $4::bigint) END
"""


@dataclasses.dataclass(frozen=True)
class Retention:
    """What is kept, whichever ends first; 0: it does not matter."""

    seconds: float
    n_events: int
    n_bytes: int

    def __bool__(self) -> bool:
        return bool(self.seconds or self.n_events or self.n_bytes)


def start(bus: EventBus, dsn: str, retention: Retention) -> None:
    """Prune for as long as `bus` is there."""
    stop = threading.Event()
    weakref.finalize(bus, stop.set)
    threading.Thread(
        target=_run, args=(dsn, retention, stop), name="fraiseql-prune", daemon=True
    ).start()


def _run(dsn: str, retention: Retention, stop: threading.Event) -> None:
    told: set[str] = set()
    seconds = FIRST
    while not stop.wait(seconds * random.uniform(0.75, 1.25)):
        seconds = INTERVAL
        try:
            client = PostgresClient(dsn)
            try:
                prune(client, retention, stop.is_set)
            finally:
                client.close()
        except BusError as error:
            # That the server is away is told by those who need it now.
            text = str(error)
            if text not in told and len(told) < 10:
                told.add(text)
                _logger.warning("old events were not pruned: %s", text)


def prune(
    client: PostgresClient, retention: Retention, is_over: Callable[[], bool] = lambda: False
) -> int:
    """Delete what is no longer to be kept, unless another server does; how many went.

    Raises:
        BusError: the role may not, or the server says no.
    """
    if installed_version(client) != VERSION:
        return 0
    role, may_prune, is_owner = client.execute(_RIGHTS)[0]
    if may_prune != "t":
        raise BusError(
            f"the role {role!r} may not: run fraiseql-asgi postgres install --pruner with its "
            "name, or set history_seconds, history_events and history_bytes to 0 and let "
            "somebody else do it"
        )
    limits = (
        repr(float(retention.seconds)) if retention.seconds else None,
        str(BATCH),
        str(retention.n_events) if retention.n_events else None,
        str(retention.n_bytes) if retention.n_bytes else None,
    )
    n_deleted = 0
    n_batch = BATCH
    while n_batch == BATCH and not is_over():
        n_batch = int(client.execute(_PRUNE, limits)[0][0] or 0)
        n_deleted += n_batch
    if n_deleted >= VACUUM_ROWS and is_owner == "t":
        # Without TRUNCATE, which would lock the table against everybody.
        client.execute("VACUUM (TRUNCATE false, SKIP_LOCKED) fraiseql.outbox")
    return n_deleted
