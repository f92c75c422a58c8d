# SPDX-License-Identifier: MIT
"""The bus over PostgreSQL: what commits is delivered, once, whatever happens
to connections, servers and notifications."""

from __future__ import annotations

import asyncio
import collections
import signal
import sys
import time
from collections.abc import Iterator

import pytest
from backends import Postgres, postgres  # noqa: F401  a fixture
from postgres_writers import Counted, check_counted, committed, counters, publish, writers
from received import Received
from sizes import promised, size

from fraiseql_asgi import (
    Event,
    EventBusConfig,
    SubscriptionExecutor,
    SubscriptionManager,
)
from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_install import _script
from fraiseql_asgi.errors import BusError, PositionLost, PublishTimeout

#: Longest wait for anything that is expected to happen.
DEADLINE = 30.0
QUERY = "subscription { test }"


@pytest.fixture
def client(postgres: Postgres) -> PostgresClient:  # noqa: F811
    return postgres.fresh()


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A server that a test may harm."""
    server = Postgres()
    yield server
    server.close()


# -- exactness --------------------------------------------------------------


@promised(seconds=7200)
async def test_every_commit_is_delivered_once_and_in_order(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """With 16 writers, rollbacks, savepoints, slow transactions, and one write
    transaction held open throughout, for which nothing waits."""
    counters(client)
    n_each = size(250, 70_000)
    held = postgres.connect()
    held.execute("BEGIN")
    publish(held, {"held": True})
    checks = [Counted(), Counted()]
    lags = []
    async with (
        Received(postgres.dsn, checks[0].take) as received,
        Received(postgres.dsn, checks[1].take) as other,
    ):
        before = time.monotonic()
        async with writers(postgres, 16, n_each) as are_writing:
            while are_writing():
                await asyncio.sleep(0.1)
                lags.append(received.metric("bus_lag_ms"))
        seconds = time.monotonic() - before
        total = sum(committed(client).values())
        assert total > n_each * 10
        for each, counted in zip((received, other), checks, strict=True):
            await each.wait(lambda: counted.n == total)  # noqa: B023
            counted.check(client)
            assert each.errors == []
        held.execute("COMMIT")
        for each, counted in zip((received, other), checks, strict=True):
            await each.wait(lambda: counted.others == [{"held": True}])  # noqa: B023
            assert counted.n == total
    lags.sort()
    print(
        f"{total:,} commits of 16 writers in {seconds:.0f} s, each delivered once to each of two "
        f"subscribers, {lags[len(lags) // 2]:.0f} ms old (p50; most: {lags[-1]:.0f} ms)"
    )


async def test_large_events_arrive(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    async with Received(postgres.dsn) as received:
        text = "x" * (10 * 2**20)
        await received.manager.publish_event("x", "test", {"text": text})
        client.execute(
            "SELECT fraiseql.publish('test', 'x', "
            "jsonb_build_object('text', repeat('y', $1::int)))",
            (str(len(text)),),
        )
        await received.wait(lambda: len(received.data) == 2)
        assert received.data[0]["text"] == text
        assert received.data[1]["text"] == "y" * len(text)


async def test_changes_of_a_watched_table_arrive(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    client.execute("DROP TABLE IF EXISTS things; CREATE TABLE things (id integer, name text)")
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fraiseql_asgi", "postgres", "watch", "things"),
        *("--dsn", postgres.dsn, "--channel", "test"),
    )
    assert await asyncio.wait_for(done.wait(), DEADLINE) == 0
    async with Received(postgres.dsn) as received:
        client.execute("INSERT INTO things SELECT n, 'a' FROM generate_series(1, 3) n")
        client.execute("UPDATE things SET name = 'b' WHERE id = 2; DELETE FROM things WHERE id = 1")
        await received.wait(lambda: len(received.data) == 5)
        assert received.data[3:] == [{"id": 2, "name": "b"}, {"id": 1, "name": "a"}]


async def test_half_a_character_of_a_json_column_is_passed_on(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """The type json takes it, though no publisher of ours does; it leaves as an escape."""
    async with Received(postgres.dsn) as received:
        client.execute(
            "INSERT INTO fraiseql.outbox (channel, event_type, data) "
            "VALUES ('test', 'x', $1::json)",
            ('{"a":"\\ud800x","b":{"\\udc00":[1]}}',),
        )
        await received.wait(lambda: len(received.data) == 1)
        assert received.data == [{"a": "\ud800x", "b": {"\udc00": [1]}}]
        assert received.errors == []


# -- the doorbell -----------------------------------------------------------


async def test_lost_notifications_lose_nothing(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    async with Received(postgres.dsn) as received:
        for n in range(5):
            # Long enough that the reader looks as seldom as it ever does.
            await asyncio.sleep(0.3)
            client.execute(
                "INSERT INTO fraiseql.outbox (channel, event_type, data) "
                "VALUES ('test', 'silent', json_build_object('n', $1::int))",
                (str(n),),
            )
            await received.wait(lambda: len(received.data) == n + 1, 5 * 0.1)  # noqa: B023
        assert [item["n"] for item in received.data] == list(range(5))


async def test_a_held_gate_delays_little(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """Whoever holds all gates keeps everybody else from ringing."""
    holder = postgres.connect()
    async with Received(postgres.dsn) as received:
        holder.execute("BEGIN")
        holder.execute("SELECT pg_advisory_xact_lock(1718771051, n) FROM generate_series(0, 3) n")
        await asyncio.sleep(1.5)
        delays = []
        for n in range(10):
            before = time.monotonic()
            publish(client, {"n": n})
            await received.wait(lambda: len(received.data) == n + 1)  # noqa: B023
            delays.append(time.monotonic() - before)
        assert sorted(delays)[5] < 5 * 0.01, delays
        holder.execute("ROLLBACK")


# -- faults -----------------------------------------------------------------


def terminate(client: PostgresClient) -> int:
    """Ends the sessions of all servers; returns how many."""
    return len(
        client.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'fraiseql-asgi' AND pid <> pg_backend_pid()"
        )
    )


@promised(seconds=1800)
async def test_terminated_connections_lose_nothing(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """At full size each second for a minute."""
    counters(client)
    n_ended = 0
    checks = [Counted(), Counted()]
    async with (
        Received(postgres.dsn, checks[0].take) as one,
        Received(postgres.dsn, checks[1].take) as two,
    ):
        async with writers(postgres, 8, size(300, 20_000)) as are_writing:
            for _ in range(size(5, 60)):
                await asyncio.sleep(size(1, 5) / 5)
                await one.wait(lambda: one.metric("bus_up") == two.metric("bus_up") == 1)
                n_ended += terminate(client)
            was_writing = are_writing()
        total = sum(committed(client).values())
        for each, counted in zip((one, two), checks, strict=True):
            await each.wait(lambda: counted.n == total)  # noqa: B023
            counted.check(client)
            assert each.errors == []
            assert each.metric("bus_reconnects") >= 3
            assert each.metric("bus_gaps") == 0
        assert n_ended >= size(5, 60) * 2
    print(
        f"{total:,} commits, {n_ended} sessions of two servers ended meanwhile, each delivered "
        f"once to both; writing until the last: {was_writing}"
    )


async def test_publishing_goes_on_across_terminated_connections(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """What is acknowledged is delivered once, what is not at most once."""
    acknowledged: list[int] = []
    unknown: list[int] = []
    reasons: list[str] = []

    async def publish_some(manager: SubscriptionManager, first: int) -> None:
        for n in range(first, first + 100):
            try:
                await manager.publish_event("x", "test", {"n": n})
                acknowledged.append(n)
            except BusError as error:
                reasons.append(str(error))
                unknown.append(n)

    async with Received(postgres.dsn) as received:
        tasks = [asyncio.create_task(publish_some(received.manager, n * 1000)) for n in range(4)]
        for _ in range(5):
            await asyncio.sleep(0.1)
            terminate(client)
        await asyncio.gather(*tasks)
        publish(client, {"n": -1})
        await received.wait(lambda: received.data[-1:] == [{"n": -1}])
        got = collections.Counter(item["n"] for item in received.data)
        assert set(got.values()) == {1}
        assert set(acknowledged) <= set(got)
        assert set(got) - {-1} <= set(acknowledged) | set(unknown)
        assert len(acknowledged) > len(unknown)
        assert all("not known" in reason for reason in reasons), reasons


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
async def test_a_restart_loses_nothing(own: Postgres, how: signal.Signals) -> None:
    client = own.fresh()
    async with Received(own.dsn) as received:
        publish(client, {"n": 1})
        await received.wait(lambda: len(received.data) == 1)
        await asyncio.to_thread(own.stop, how)
        await received.wait(lambda: received.metric("bus_up") == 0)
        waiting = asyncio.create_task(received.manager.publish_event("x", "test", {"n": 2}))
        await asyncio.to_thread(own.start)
        publish(own.connect(), {"n": 3})
        await asyncio.wait_for(waiting, DEADLINE)
        await received.wait(lambda: len(received.data) == 3)
        assert {item["n"] for item in received.data} == {1, 2, 3}
        assert received.errors == []


async def test_a_paused_server_fails_publishers_and_comes_back(own: Postgres) -> None:
    own.fresh()
    async with Received(own.dsn) as received:
        with own.paused():
            before = time.monotonic()
            with pytest.raises(PublishTimeout):
                await received.manager.publish_event("x", "test", {"n": 1})
            assert 4.5 < time.monotonic() - before < 5 * 5
        await received.manager.publish_event("x", "test", {"n": 2})
        await received.wait(lambda: {"n": 2} in received.data)
        assert received.errors == []


async def test_another_history_is_told_as_a_gap(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    async with Received(postgres.dsn) as received:
        publish(client, {"n": 1})
        await received.wait(lambda: len(received.data) == 1)
        postgres.fresh()
        terminate(client)
        await received.wait(lambda: received.metric("bus_gaps") == 1)
        await received.wait(lambda: received.metric("bus_up") == 1)
        publish(client, {"n": 2})
        await received.wait(lambda: len(received.data) == 2)
        assert [error["extensions"]["code"] for error in received.errors] == ["EVENTS_LOST"]


async def test_a_schema_installed_anew_below_a_session_is_told_as_a_gap(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """Its statements go on with the tables of the same names."""
    async with Received(postgres.dsn) as received:
        stream = received.manager.subscribe(QUERY)
        first = asyncio.ensure_future(anext(stream))
        await received.wait(lambda: received.manager.subscriber_count("test") == 2)
        publish(client, {"n": 1})
        await asyncio.wait_for(first, DEADLINE)
        await received.wait(lambda: len(received.data) == 1)
        after = stream.position
        await stream.aclose()
        # At once: nobody meets a database without the schema.
        anew = "BEGIN; DROP SCHEMA fraiseql CASCADE; " + _script(0, [])
        for _ in range(5):
            try:
                client.execute(anew)
                break
            except BusError as error:
                # A look locks its tables in another order, and was quicker.
                if "deadlock detected" not in str(error):
                    raise
                client.execute("ROLLBACK")
        await received.wait(lambda: len(received.errors) == 1)
        assert received.errors[0]["extensions"]["code"] == "EVENTS_LOST"
        publish(client, {"n": 2})
        await received.wait(lambda: received.data == [{"n": 1}, {"n": 2}])
        with pytest.raises(PositionLost):
            await anext(received.manager.subscribe(QUERY, after=after))
        assert received.metric("bus_gaps") == 1


async def test_what_was_pruned_unread_is_told_as_a_gap(own: Postgres) -> None:
    client = own.fresh()
    async with Received(own.dsn) as received:
        publish(client, {"n": 1})
        await received.wait(lambda: len(received.data) == 1)
        client.execute("ALTER ROLE owner NOLOGIN")
        terminate(client)
        await received.wait(lambda: received.metric("bus_up") == 0)
        client.execute("SELECT fraiseql.publish('test', 'x', '{}') FROM generate_series(1, 10)")
        publish(client)
        client.execute("SELECT fraiseql.prune('0s')")
        client.execute("ALTER ROLE owner LOGIN")
        await received.wait(lambda: len(received.errors) == 1)
        assert received.errors[0]["extensions"]["code"] == "EVENTS_LOST"
        assert received.metric("bus_gaps") == 1


@promised(seconds=1800)
async def test_pruning_what_was_read_disturbs_nobody(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    counters(client)
    async with Received(postgres.dsn) as received:
        async with writers(postgres, 4, size(400, 10_000)):
            for _ in range(10):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(client.execute, "SELECT fraiseql.prune('1s', 100000)")
        total = sum(committed(client).values())
        await received.wait(lambda: len(received.data) == total)
        check_counted(received.data, client)
        assert received.errors == []


async def test_an_entry_that_is_no_event_is_told(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    async with Received(postgres.dsn) as received:
        client.execute(
            "INSERT INTO fraiseql.outbox (channel, event_type, data) "
            "VALUES ('test', 'x', '[]'), ('test', 'x', '{\"n\": 1}'), ('', 'x', '{}')"
        )
        # To who listens to its channel, which nobody does to the last one.
        await received.wait(lambda: len(received.data) == 1 and len(received.errors) == 1)
        assert received.data == [{"n": 1}]
        await received.wait(lambda: received.metric("bus_unreadable") == 2)
        assert received.metric("bus_gaps") == 0


async def test_data_that_is_too_large_is_not_read(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    """An event of 64 MiB is; one of a byte more is told as a gap, and is not even sent."""
    async with Received(postgres.dsn) as received:
        for n_bytes in (2**26 - 8, 2**26 - 7):
            client.execute(
                "INSERT INTO fraiseql.outbox (channel, event_type, data) "
                "VALUES ('test', 'x', ('{\"n\":\"' || repeat('x', $1) || '\"}')::json)",
                (str(n_bytes),),
            )
        await received.wait(lambda: len(received.data) == 1 and len(received.errors) == 1)
        assert len(received.data[0]["n"]) == 2**26 - 8
        assert received.metric("bus_unreadable") == 1


async def test_of_many_one_may_be_what_it_cannot_hold(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    events = [Event("t", "test", {"n": n}) for n in range(3000)]
    events[1] = Event("t", "te\0st", {})
    async with SubscriptionManager(postgres.dsn, publish_timeout=DEADLINE) as manager:
        with pytest.raises(BusError, match=r"U\+0000") as caught:
            await manager.publish_events(events[:3])
        first, none, third = caught.value.ids
        assert none is None
        assert first is not None
        assert third is not None
        ids = [int(found) for found in await manager.publish_events(events[2:])]
        assert int(first) < int(third) < ids[0]
        assert ids == sorted(set(ids))
        assert len(ids) == 2998


async def test_one_bad_event_does_not_harm_those_beside_it(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    client.execute("ALTER TABLE fraiseql.outbox ADD CHECK (data->>'n' <> '7')")
    async with Received(postgres.dsn) as received:
        done = await asyncio.gather(
            *(received.manager.publish_event("x", "test", {"n": n}) for n in range(20)),
            return_exceptions=True,
        )
        failed = [n for n, result in enumerate(done) if isinstance(result, BaseException)]
        assert failed == [7]
        assert "violates check constraint" in str(done[7])
        with pytest.raises(Exception, match=r"U\+0000"):
            await received.manager.publish_event("a\0b", "test", {})
        await received.wait(lambda: len(received.data) == 19)
        assert [item["n"] for item in received.data] == [n for n in range(20) if n != 7]


# -- what is said when it cannot work ---------------------------------------


def refusal(dsn: str) -> str:
    with pytest.raises(BusError) as caught:
        SubscriptionExecutor(EventBusConfig.postgresql(dsn)).close()
    return str(caught.value)


def test_what_is_missing_is_named(postgres: Postgres) -> None:  # noqa: F811
    client = postgres.fresh()
    client.execute("DROP ROLE IF EXISTS nobody_yet; CREATE ROLE nobody_yet LOGIN")
    assert "--reader" in refusal(postgres.dsn_of("nobody_yet"))
    assert 'role "who" does not exist' in refusal(postgres.dsn_of("who"))
    assert 'database "none" does not exist' in refusal(postgres.dsn_of("owner", "none"))
    assert "postgres install" in refusal(postgres.dsn_of("owner", "template1"))
    assert "port 1 failed" in refusal("postgresql://127.0.0.1:1/x")
    assert "could not translate host name" in refusal("postgresql://nowhere.invalid/x")
    client.execute("UPDATE fraiseql.install SET version = 99")
    assert "update fraiseql-asgi" in refusal(postgres.dsn)
    client.execute("UPDATE fraiseql.install SET version = 0")
    assert "install again" in refusal(postgres.dsn)


async def test_a_reader_without_the_right_to_publish_reads(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    client.execute(
        "DROP OWNED BY reader_only CASCADE; DROP ROLE reader_only"
        if client.execute("SELECT 1 FROM pg_roles WHERE rolname = 'reader_only'")
        else "SELECT 1"
    )
    client.execute(
        "CREATE ROLE reader_only LOGIN; GRANT USAGE ON SCHEMA fraiseql TO reader_only; "
        "GRANT SELECT ON fraiseql.install, fraiseql.outbox TO reader_only"
    )
    async with Received(postgres.dsn_of("reader_only")) as received:
        for _ in range(2):
            with pytest.raises(BusError, match='role "reader_only" may not publish'):
                await received.manager.publish_event("x", "test", {})
        publish(client, {"n": 1})
        await received.wait(lambda: received.data == [{"n": 1}])


async def test_multi_host_dsns_find_the_server(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    dsn = f"host=/nonexistent,{postgres.folder} user=owner dbname=postgres"
    async with Received(dsn) as received:
        await received.manager.publish_event("x", "test", {"n": 1})
        await received.wait(lambda: received.data == [{"n": 1}])
