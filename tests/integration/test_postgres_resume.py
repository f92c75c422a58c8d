# SPDX-License-Identifier: MIT
"""Resuming over PostgreSQL: what a client missed comes from the outbox, from
whichever server it comes back to."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any

import pytest
from backends import Postgres, postgres  # noqa: F401  a fixture
from postgres_writers import check_counted, committed, counters, publish, wait, writers
from sizes import promised, size

from fraiseql_asgi import SubscriptionManager, arg, event
from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi.errors import PositionLost

DEADLINE = size(30, 300)
QUERY = "subscription { test }"


@pytest.fixture
def client(postgres: Postgres) -> PostgresClient:  # noqa: F811
    return postgres.fresh()


async def take(manager: SubscriptionManager, n: int, after: str | None) -> tuple[list[Any], str]:
    """The next `n` events, and the position of the last."""
    stream = manager.subscribe(QUERY, after=after)
    got = []
    async with contextlib.aclosing(stream):
        while len(got) < n:
            got.append((await asyncio.wait_for(anext(stream), DEADLINE))["data"]["test"])
    assert stream.position is not None
    return got, stream.position


async def position(manager: SubscriptionManager, client: PostgresClient) -> str:
    """That of an event published now."""
    task = asyncio.create_task(take(manager, 1, None))
    await wait(lambda: manager.subscriber_count("test") > 0)
    publish(client)
    return (await task)[1]


@promised(seconds=1800)
async def test_who_comes_back_has_missed_nothing_and_nothing_comes_twice(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """To either of two servers, while 16 writers commit, roll back and overlap."""
    counters(client)
    n_each = size(120, 6000)
    chance = random.Random(7)
    got: list[Any] = []
    async with SubscriptionManager(postgres.dsn) as one, SubscriptionManager(postgres.dsn) as two:
        after = await position(one, client)
        async with writers(postgres, 16, n_each):
            n_left = size(60, 1000)
            while n_left > 0:
                n_left -= 1
                more, after = await take(chance.choice((one, two)), chance.randint(1, 10), after)
                got += more
                await asyncio.sleep(chance.random() * 0.01)
        total = sum(committed(client).values())
        more, after = await take(two, total - len(got), after)
        got += more
        check_counted(got, client)
        publish(client, {"last": True})
        assert (await take(one, 1, after))[0] == [{"last": True}]


async def test_many_missed_events_come_in_their_order(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    async with SubscriptionManager(postgres.dsn) as manager:
        after = await position(manager, client)
        client.execute(
            "SELECT count(fraiseql.publish('test', 'x', jsonb_build_object('n', n))) "
            "FROM generate_series(0, 1999) n"
        )
        got, after = await take(manager, 2000, after)
        assert [item["n"] for item in got] == list(range(2000))
        held = postgres.connect()
        held.execute("BEGIN")
        publish(held, {"n": -1})
        publish(client, {"n": -2})
        got, after = await take(manager, 1, after)
        assert got == [{"n": -2}]
        held.execute("COMMIT")
        assert (await take(manager, 1, after))[0] == [{"n": -1}]


def make_manager(postgres: Postgres) -> SubscriptionManager:  # noqa: F811
    manager = SubscriptionManager(postgres.dsn)
    manager.subscription("test")
    manager.subscription("some", channel="test", where=event.rest == arg.rest)
    return manager


async def publish_many(
    manager: SubscriptionManager,
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
    n_events: int,
) -> list[str | None]:
    """Numbered events, ten in a transaction, while another stays open; their positions."""
    stream = manager.subscribe(QUERY)
    positions: list[str | None] = []

    async def read() -> None:
        while len(positions) < n_events:
            await anext(stream)
            positions.append(stream.position)

    reading = asyncio.create_task(read())
    await wait(lambda: manager.subscriber_count("test") > 0)
    # Snapshots are to name somebody.
    held = postgres.connect()
    held.execute("BEGIN; SELECT pg_current_xact_id()")
    for first in range(0, n_events, 10):
        await asyncio.to_thread(
            client.execute,
            "SELECT count(fraiseql.publish('test', 'x', "
            "jsonb_build_object('n', n, 'rest', n % 100))) "
            f"FROM generate_series({first}, {first + 9}) n",
        )
    await asyncio.wait_for(reading, DEADLINE)
    await stream.aclose()
    held.execute("COMMIT")
    return positions


async def come_back(
    manager: SubscriptionManager, positions: list[str | None], n_clients: int
) -> int:
    """Clients who each get what they missed, of a hundredth; the reads that took."""
    n_events = len(positions)
    before = int(manager.get_metrics()["history_reads"])

    async def one(number: int) -> None:
        at = random.Random(number).randrange(n_events // 2)
        missed = [n for n in range(at + 1, n_events) if n % 100 == number % 100]
        query = f"subscription {{ some(rest: {number % 100}) {{ n }} }}"
        stream = manager.subscribe(query, after=positions[at])
        async with contextlib.aclosing(stream):
            got = [
                (await asyncio.wait_for(anext(stream), DEADLINE))["data"]["some"]["n"]
                for _ in missed
            ]
        assert got == missed

    await asyncio.gather(*(one(number) for number in range(n_clients)))
    return int(manager.get_metrics()["history_reads"]) - before


@promised(seconds=600)
async def test_many_who_come_back_share_their_reads(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """Each from a position of its own: the short way to the next mark is its own as well, the
    rest is read once for all of them."""
    n_events, n_clients = size(3000, 20000), size(60, 1000)
    async with make_manager(postgres) as manager:
        positions = await publish_many(manager, postgres, client, n_events)
        n_reads = await come_back(manager, positions, n_clients)
        # Each alone would take 9 in the mean, and more with more events.
        assert n_reads < 3 * n_clients + n_events // 20, n_reads


@promised(seconds=600)
async def test_many_share_their_reads_of_what_is_older_than_the_server(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """A server that was not there finds out itself where they can meet."""
    n_events, n_clients = size(6000, 100_000), size(60, 1000)
    async with make_manager(postgres) as manager:
        positions = await publish_many(manager, postgres, client, n_events)
    async with make_manager(postgres) as manager:
        begin = time.monotonic()
        n_reads = await come_back(manager, positions, n_clients)
        seconds = time.monotonic() - begin
        print(f"{n_clients} clients, {n_events} events: {seconds:.1f} s, {n_reads} reads")
        # Each alone would take 23 in the mean, of 6,000 events, and 390 of 100,000. Who is not
        # through with 64 results goes on by itself when half of them are taken, which at full
        # size this one process, with all the clients, is too slow to prevent.
        most = 4 * n_clients + n_events // 20 + size(0, n_clients * n_events * 3 // 400 // 32)
        assert n_reads < most, (n_reads, most)


@promised(seconds=600)
async def test_what_is_older_than_the_server_comes_in_its_order(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """Of 16 writers that overlap, and of one that was slow; from any position, at once and
    one after the other."""
    counters(client)
    got: list[Any] = []
    positions: list[str | None] = []
    chance = random.Random(11)
    async with make_manager(postgres) as manager:
        stream = manager.subscribe(QUERY)

        async def read() -> None:
            async for result in stream:
                got.append(result["data"]["test"])
                positions.append(stream.position)

        reading = asyncio.create_task(read())
        await wait(lambda: manager.subscriber_count("test") > 0)
        slow, held = postgres.connect(), postgres.connect()
        for connection in (slow, held):
            connection.execute("BEGIN")
            publish(connection, {"row": 0, "late": True})
        n_each = size(250, 6000)
        async with writers(postgres, 16, n_each):
            await wait(lambda: len(got) > 8 * n_each)
            publish(slow, {"row": 0, "late": True})
            slow.execute("COMMIT")
        n_events = sum(committed(client).values()) + 2
        await wait(lambda: len(got) == n_events, lambda: f"{len(got)} of {n_events}")
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    def check(data: list[Any]) -> None:
        check_counted([item for item in data if "late" not in item], client)
        assert [item for item in data if "late" in item] == [{"row": 0, "late": True}] * 2

    async with make_manager(postgres) as manager:

        async def resume() -> None:
            at = chance.randrange(n_events - 1)
            mine, after = got[: at + 1], positions[at]
            while len(mine) < n_events:
                n = min(chance.choice((1, 10, 300, n_events)), n_events - len(mine))
                more, after = await take(manager, n, after)
                mine += more
            check(mine)

        await asyncio.gather(*(resume() for _ in range(20)))
        held.execute("COMMIT")
        assert (await take(manager, 1, positions[-1]))[0] == [{"row": 0, "late": True}]


@promised(seconds=600)
async def test_a_large_transaction_is_read_page_by_page(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """With little before it and behind it, by who was there and by who was not."""
    n_events = size(5000, 300_000)
    async with make_manager(postgres) as manager:
        after = await position(manager, client)
        publish(client, {"n": -1})
        await asyncio.to_thread(
            client.execute,
            "SELECT count(fraiseql.publish('test', 'x', jsonb_build_object('n', n))) "
            f"FROM generate_series(0, {n_events - 1}) n",
        )
        publish(client, {"n": n_events})
        expected = list(range(-1, n_events + 1))
        # Who went live before them would have to take them as fast as they come.
        await wait(lambda: int(manager.get_metrics()["events_received"]) == n_events + 3)
        got, _ = await take(manager, n_events + 2, after)
        assert [item["n"] for item in got] == expected
    async with make_manager(postgres) as manager:
        middle, at = await take(manager, n_events // 2, after)
        rest, at = await take(manager, n_events + 2 - len(middle), at)
        assert [item["n"] for item in middle + rest] == expected
        publish(client, {"n": "last"})
        assert (await take(manager, 1, at))[0] == [{"n": "last"}]


async def test_a_lost_position_is_told(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    async with SubscriptionManager(postgres.dsn) as manager:
        after = await position(manager, client)
        head, _, tail = after.partition(".")
        tag = tail.partition(".")[0]
        ahead = f"{head}.{tag}.7fffffffffffffff"
        for text in ("x", "p1", after + "0.", after.replace("p1", "p2"), ahead, f"p1.{tag}.0"):
            with pytest.raises(PositionLost):
                await take(manager, 1, text)
        # One that was made up keeps nobody else from coming back.
        lost = asyncio.create_task(take(manager, 1, ahead))
        publish(client, {"n": 1})
        got, after = await take(manager, 1, after)
        assert got == [{"n": 1}]
        with pytest.raises(PositionLost):
            await lost
        publish(client)
        publish(client)
        await take(manager, 2, after)
        client.execute("SELECT fraiseql.prune('0s')")
        with pytest.raises(PositionLost):
            await take(manager, 1, after)
    other = postgres.fresh()
    async with SubscriptionManager(postgres.dsn) as manager:
        publish(other)
        with pytest.raises(PositionLost):
            await take(manager, 1, after)


async def test_who_waits_when_the_session_is_lost_is_answered_in_the_next(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    async with SubscriptionManager(postgres.dsn) as manager:
        after = await position(manager, client)
        before = manager.get_metrics()["events_received"]
        for n in range(3):
            publish(client, {"n": n})
        await wait(lambda: manager.get_metrics()["events_received"] == before + 3)
        blocking = postgres.connect()
        blocking.execute("BEGIN; LOCK TABLE fraiseql.outbox IN ACCESS EXCLUSIVE MODE")
        taking = asyncio.create_task(take(manager, 3, after))
        await wait(lambda: manager.get_metrics()["subscriptions_replaying"] == 1)
        client.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'fraiseql-asgi'"
        )
        await wait(lambda: manager.get_metrics()["bus_up"] == 0)
        blocking.execute("ROLLBACK")
        assert [item["n"] for item in (await taking)[0]] == [0, 1, 2]
