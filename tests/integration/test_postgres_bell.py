# SPDX-License-Identifier: MIT
"""The doorbell: who publishes rings for readers that sleep, and for no others."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from backends import Postgres, postgres  # noqa: F401  a fixture
from postgres_writers import publish, wait

from fraiseql_asgi import SubscriptionManager
from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_watch import Watch, watch

LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1718771051 AND granted"
)


@pytest.fixture
def client(postgres: Postgres) -> PostgresClient:  # noqa: F811
    return postgres.fresh()


def count(client: PostgresClient, which: str) -> int:
    return int(client.execute(f"{LOCKS} AND {which}")[0][0] or 0)


def is_asleep(client: PostgresClient) -> bool:
    return count(client, "objid = 4 AND mode = 'ExclusiveLock'") == 1


class Heard:
    """Events of the channel `test` as they come."""

    def __init__(self, manager: SubscriptionManager) -> None:
        self.manager = manager
        self.n_events = 0

    async def read(self) -> None:
        async for _ in self.manager.subscribe("subscription { test }"):
            self.n_events += 1

    async def delay(self, client: PostgresClient) -> float:
        """Seconds from a commit to its delivery."""
        n_events = self.n_events
        before = time.monotonic()
        publish(client)
        while self.n_events == n_events:
            assert time.monotonic() - before < 30
            await asyncio.sleep(0.001)
        return time.monotonic() - before


@contextlib.asynccontextmanager
async def listening(dsn: str) -> AsyncIterator[Heard]:
    async with SubscriptionManager(dsn) as manager:
        heard = Heard(manager)
        task = asyncio.create_task(heard.read())
        await wait(lambda: manager.subscriber_count("test") == 1)
        yield heard
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_sleeping_reader_is_rung_and_a_busy_one_is_not(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    writer = postgres.connect()
    async with listening(postgres.dsn) as heard:
        await wait(lambda: is_asleep(client))
        writer.execute("BEGIN")
        publish(writer)
        assert count(client, "objid < 4") == 1
        writer.execute("COMMIT")
        await wait(lambda: heard.n_events == 1 and not is_asleep(client))
        writer.execute("BEGIN")
        publish(writer)
        assert count(client, "objid < 4") == 0
        assert count(client, "objid = 4 AND mode = 'ShareLock'") == 1
        # Nobody falls asleep as long as somebody will not ring.
        await asyncio.sleep(1.5)
        assert not is_asleep(client)
        writer.execute("COMMIT")
        await wait(lambda: heard.n_events == 2)
        await wait(lambda: is_asleep(client))


async def test_a_trigger_rings_for_rows_alone(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    client.execute("DROP TABLE IF EXISTS rung; CREATE TABLE rung (id integer)")
    watch(client, Watch("rung", channel="test"))
    writer = postgres.connect()
    async with listening(postgres.dsn) as heard:
        await wait(lambda: is_asleep(client))
        writer.execute("BEGIN")
        writer.execute("DELETE FROM rung")
        assert count(client, "objid < 4") == 0
        writer.execute("INSERT INTO rung SELECT generate_series(1, 3)")
        assert count(client, "objid < 4") == 1
        writer.execute("COMMIT")
        await wait(lambda: heard.n_events == 3 and not is_asleep(client))
        writer.execute("BEGIN")
        writer.execute("UPDATE rung SET id = id + 1")
        assert count(client, "objid < 4") == 0
        assert count(client, "objid = 4 AND mode = 'ShareLock'") == 1
        writer.execute("COMMIT")
        await wait(lambda: heard.n_events == 6)


async def test_every_reader_hears_a_bell_that_one_of_them_asked_for(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """Each sleeps, and one of them has the lock; when that one goes, another takes it."""
    async with listening(postgres.dsn) as one:
        await wait(lambda: is_asleep(client))
        async with listening(postgres.dsn) as two:
            await asyncio.sleep(1.5)
            before = time.monotonic()
            publish(client)
            await wait(lambda: one.n_events == two.n_events == 1)
            assert time.monotonic() - before < 5 * 0.05
            await wait(lambda: is_asleep(client))
        await wait(lambda: is_asleep(client))
        publish(client)
        await wait(lambda: one.n_events == 2)


async def test_a_share_that_is_held_for_long_delays_little(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    holder = postgres.connect()
    async with listening(postgres.dsn) as heard:
        holder.execute("BEGIN")
        holder.execute("SELECT pg_advisory_xact_lock_shared(1718771051, 4)")
        await asyncio.sleep(1.5)
        delays = sorted([await heard.delay(client) for _ in range(10)])
        assert delays[5] < 5 * 0.01, delays
        holder.execute("ROLLBACK")
        await wait(lambda: is_asleep(client))
