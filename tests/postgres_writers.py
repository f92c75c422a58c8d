# SPDX-License-Identifier: MIT
"""Writers of an outbox whose events tell by themselves whether all of them
came, once and in order."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from backends import DEADLINE, Postgres

from fraiseql_asgi._core import PostgresClient

#: One transaction of a writer. The counters are the oracle: of each row, the
#: events that were committed are numbered from 1 on, without a gap, and the
#: row's lock decides their order. A writer's own transactions do not overlap,
#: so that its turns must come in their order too.
SCRIPT = """
\\set row random(1, 100)
\\set kind random(1, 1000)
\\set turn :turn + 1
BEGIN;
UPDATE counters SET n = n + 1 WHERE id = :row RETURNING n \\gset
SAVEPOINT s;
SELECT fraiseql.publish('test', 'undone', '{"row": 0, "n": 0}');
ROLLBACK TO s;
SELECT fraiseql.publish('test', 'counted', jsonb_build_object(
    'row', :row, 'n', :n, 'writer', :client_id, 'turn', :turn));
\\if :kind <= 10
SELECT pg_sleep(CASE :kind WHEN 1 THEN 0.2 ELSE 0.02 END);
\\endif
\\if :kind > 900
ROLLBACK;
\\else
COMMIT;
\\endif
"""


async def wait(
    is_so: Callable[[], bool], told: Callable[[], str] = str, deadline: float = DEADLINE
) -> None:
    end = time.monotonic() + deadline
    while not is_so():
        assert time.monotonic() < end, told()
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def writers(
    server: Postgres, n_clients: int, n_each: int
) -> AsyncIterator[Callable[[], bool]]:
    """pgbench while the body runs, which is given whether it runs still, and
    whose end waits for its end."""
    script = server.folder / "writers.sql"
    script.write_text(SCRIPT)
    process = await asyncio.create_subprocess_exec(
        str(server.program("pgbench")),
        *("-h", str(server.folder), "-p", str(server.port), "-U", "owner", "-n", "-f", str(script)),
        *("-c", str(n_clients), "-j", "2", "-t", str(n_each), "-D", "turn=0"),
        *("--max-tries=1", "postgres"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=server.environ,
    )
    reading = asyncio.create_task(process.communicate())
    try:
        yield lambda: not reading.done()
        out, _ = await asyncio.wait_for(reading, 7200)
        assert process.returncode == 0, out.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def counters(client: PostgresClient) -> None:
    client.execute(
        "DROP TABLE IF EXISTS counters; CREATE TABLE counters (id integer PRIMARY KEY, "
        "n integer DEFAULT 0) WITH (fillfactor = 50); "
        "INSERT INTO counters SELECT generate_series(1, 100)"
    )


def committed(client: PostgresClient) -> dict[int, int]:
    """Of each row, the number of its last event."""
    rows = client.execute("SELECT id, n FROM counters WHERE n > 0")
    return {int(row or 0): int(n or 0) for row, n in rows}


class Counted:
    """What a subscription got of the writers, checked as it comes: each event
    once, those of a row and those of a writer in their order."""

    def __init__(self) -> None:
        self.n = 0
        #: Events that are not theirs.
        self.others: list[Any] = []
        self.fault: object = None
        self._rows: dict[int, int] = collections.Counter()
        self._turns: dict[int, int] = collections.Counter()

    def take(self, item: Any) -> None:
        if "row" not in item:
            self.others.append(item)
            return
        row, writer = item["row"], item["writer"]
        is_next = item["n"] == self._rows[row] + 1 and item["turn"] > self._turns[writer]
        if not is_next and self.fault is None:
            self.fault = (item, self._rows[row], self._turns[writer])
        self._rows[row] = item["n"]
        self._turns[writer] = item["turn"]
        self.n += 1

    def check(self, client: PostgresClient) -> None:
        """It has all that was committed."""
        assert self.fault is None, f"{self.fault}: an event, what came before it"
        assert dict(self._rows) == committed(client)


def check_counted(data: list[Any], client: PostgresClient) -> None:
    counted = Counted()
    for item in data:
        counted.take(item)
    counted.check(client)


def publish(client: PostgresClient, data: object = None, channel: str = "test") -> None:
    client.execute(
        "SELECT fraiseql.publish($1, 'sql', $2::jsonb)", (channel, json.dumps(data or {}))
    )
