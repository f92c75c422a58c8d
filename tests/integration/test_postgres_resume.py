# SPDX-License-Identifier: MIT
"""Resuming over PostgreSQL: what a client missed comes from the outbox, from
whichever server it comes back to."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest
from backends import Postgres, postgres  # noqa: F401  a fixture
from postgres_writers import check_counted, committed, counters, publish, wait, writers
from sizes import promised, size

from fraiseql_asgi import SubscriptionManager, arg, event
from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi.errors import PositionLost

DEADLINE = 30.0
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


async def test_many_who_come_back_share_their_reads(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """Each from a position of its own: the short way to the next mark is its own as well, the
    rest is read once for all of them."""
    n_events, n_clients = size(3000, 20000), size(60, 1000)
    manager = SubscriptionManager(postgres.dsn)
    manager.subscription("test")
    manager.subscription("some", channel="test", where=event.rest == arg.rest)
    async with manager:
        stream = manager.subscribe(QUERY)
        positions: list[str | None] = []
        await wait(lambda: manager.subscriber_count("test") > 0)
        # Snapshots are to name somebody.
        held = postgres.connect()
        held.execute("BEGIN; SELECT pg_current_xact_id()")
        for first in range(0, n_events, 10):
            client.execute(
                "SELECT count(fraiseql.publish('test', 'x', "
                "jsonb_build_object('n', n, 'rest', n % 100))) "
                f"FROM generate_series({first}, {first + 9}) n"
            )
            for _ in range(10):
                await asyncio.wait_for(anext(stream), DEADLINE)
                positions.append(stream.position)
        await stream.aclose()
        held.execute("COMMIT")
        before = int(manager.get_metrics()["history_reads"])

        async def come_back(number: int) -> None:
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

        await asyncio.gather(*(come_back(number) for number in range(n_clients)))
        n_reads = int(manager.get_metrics()["history_reads"]) - before
        # Each alone would take 9 in the mean, and more with more events.
        assert n_reads < 3 * n_clients + n_events // 20, n_reads


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
