# SPDX-License-Identifier: MIT
"""Old events go by themselves, and what is to be kept stays."""

from __future__ import annotations

import logging

import pytest
from backends import Postgres, postgres  # noqa: F401  a fixture
from postgres_writers import publish, wait
from sizes import promised, size

from fraiseql_asgi import EventBusConfig, SubscriptionManager, _postgres_pruner
from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_install import install
from fraiseql_asgi._postgres_pruner import Retention, prune
from fraiseql_asgi._postgres_upkeep import status
from fraiseql_asgi.errors import BusError


@pytest.fixture
def client(postgres: Postgres) -> PostgresClient:  # noqa: F811
    return postgres.fresh()


def publish_many(client: PostgresClient, n_events: int, n_bytes: int = 10) -> None:
    """In a transaction each, as far as what may go is concerned."""
    for _ in range(10):
        client.execute(
            "SELECT count(fraiseql.publish('test', 'x', jsonb_build_object('t', repeat('x', $2)))) "
            "FROM generate_series(1, $1::integer)",
            (str(n_events // 10), str(n_bytes)),
        )


def count(client: PostgresClient) -> int:
    return int(client.execute("SELECT count(*) FROM fraiseql.outbox")[0][0] or 0)


def test_events_go_by_age(client: PostgresClient) -> None:
    publish_many(client, 100)
    assert prune(client, Retention(3600, 0, 0)) == 0
    client.execute("UPDATE fraiseql.outbox SET created_at = created_at - interval '2 hours'")
    publish(client)
    assert prune(client, Retention(0, 0, 10**9)) == 0
    # The last of the old ones is as old as what ended before it.
    assert prune(client, Retention(3600, 0, 0)) == 90
    assert count(client) == 11


def test_events_go_by_number(client: PostgresClient) -> None:
    publish_many(client, 1000)
    assert prune(client, Retention(3600, 1000, 0)) == 0
    prune(client, Retention(3600, 250, 0))
    # Whole transactions of 100.
    assert 250 <= count(client) <= 450


def test_events_go_by_bytes(client: PostgresClient) -> None:
    publish_many(client, 1000, 1000)
    assert prune(client, Retention(0, 0, 10 * 2**20)) == 0
    prune(client, Retention(0, 0, 300_000))
    assert 240 <= count(client) <= 460
    publish_many(client, 2000, 50)
    prune(client, Retention(0, 0, 100_000))
    assert 300 <= count(client) <= 900  # whole transactions of 200


def test_what_a_long_transaction_holds_up_stays(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    long = postgres.connect()
    long.execute("BEGIN")
    publish(long)
    publish_many(client, 100)
    assert prune(client, Retention(0, 10, 0)) == 0
    long.execute("COMMIT")
    publish_many(client, 100)
    assert prune(client, Retention(0, 10, 0)) > 100


def test_one_prunes_at_a_time(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
) -> None:
    publish_many(client, 100)
    publish_many(client, 100)
    other = postgres.connect()
    other.execute("BEGIN; SELECT pg_advisory_xact_lock(1718771051, 101)")
    assert prune(client, Retention(0, 10, 0)) == 0
    other.execute("COMMIT")
    assert prune(client, Retention(0, 10, 0)) > 100


@promised(seconds=900)
def test_the_table_stays_small_while_events_flow(client: PostgresClient) -> None:
    sizes = []
    for _ in range(size(8, 60)):
        publish_many(client, size(20_000, 100_000))
        prune(client, Retention(3600, 10_000, 0))
        sizes.append(status(client)["bytes"])
    assert max(sizes[3:]) <= 1.5 * sizes[1], sizes


async def test_servers_prune_by_themselves(
    postgres: Postgres,  # noqa: F811
    client: PostgresClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_postgres_pruner, "FIRST", 0.05)
    monkeypatch.setattr(_postgres_pruner, "INTERVAL", 0.05)
    publish_many(client, 1000)
    off = EventBusConfig.postgresql(
        postgres.dsn, history_events=0, history_bytes=0, history_seconds=0
    )
    async with SubscriptionManager(off):
        assert prune(client, Retention(3600, 1000, 0)) == 0
    config = EventBusConfig.postgresql(postgres.dsn, history_events=250)
    async with SubscriptionManager(config), SubscriptionManager(config):
        await wait(lambda: count(client) <= 450)
    assert count(client) >= 250
    client.execute("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN")
    install(client, readers=["plain"])
    plain = postgres.dsn_of("plain")
    with pytest.raises(BusError, match="the role 'plain' may not"):
        prune(postgres.connect("plain"), Retention(3600, 0, 0))
    caplog.set_level(logging.WARNING, "fraiseql_asgi")
    async with SubscriptionManager(EventBusConfig.postgresql(plain)):
        await wait(lambda: "install --pruner" in caplog.text)
    install(client, pruners=["plain"])
    publish_many(client, 1000)
    assert prune(postgres.connect("plain"), Retention(0, 250, 0)) > 0
    client.execute("DROP OWNED BY plain; DROP ROLE plain")
