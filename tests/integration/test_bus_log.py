# SPDX-License-Identifier: MIT
"""What the log says of a bus: on real servers, which end its connections."""

from __future__ import annotations

import asyncio
import logging
import pathlib
import re
import threading

import pytest
from asgi_driver import until
from buses import BusKind, PostgreSQL, Redis
from redis_backend import RedisServer

from fraiseql_asgi import EventBusConfig, SubscriptionManager
from fraiseql_asgi._bus_log import secrets_of


def cut(kind: BusKind, config: EventBusConfig) -> None:
    """End all connections of `config`."""
    if isinstance(kind, Redis):
        kind.command(config, "CLIENT", "KILL", "TYPE", "normal")
    elif isinstance(kind, PostgreSQL):
        kind.client(config).execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'fraiseql-asgi'"
        )


def is_told(caplog: pytest.LogCaptureFixture, pattern: str) -> bool:
    return any(
        re.search(pattern, record.getMessage()) and record.levelno == logging.WARNING
        for record in caplog.records
    )


async def test_a_lost_connection_is_told_and_that_it_is_back(
    shared_kind: BusKind, caplog: pytest.LogCaptureFixture
) -> None:
    config = shared_kind.new()
    async with SubscriptionManager(config):
        cut(shared_kind, config)
        await until(lambda: is_told(caplog, r"^the connection to the bus \(\w+\) was lost: ."))
        await until(
            lambda: is_told(caplog, r"^the bus \(\w+\) is connected after [\d.]+ s and \d+ attempt")
        )
    await until(lambda: "fraiseql-bus-log" not in [thread.name for thread in threading.enumerate()])


async def test_a_gap_is_told_with_how_many_heard_of_it(
    shared_kind: BusKind, caplog: pytest.LogCaptureFixture
) -> None:
    config = shared_kind.new()
    async with SubscriptionManager(config) as manager:
        tasks = [
            asyncio.ensure_future(anext(manager.subscribe("subscription { a }"))) for _ in range(3)
        ]
        await until(lambda: len(manager.subscriptions()) == 3)
        shared_kind.renew(config)
        assert [(await task)["data"] for task in tasks] == [None] * 3
        await until(lambda: is_told(caplog, r"^events were lost \(.+\); 3 subscriptions were told"))


async def test_an_entry_that_is_no_event_is_told_with_the_reason(
    shared_kind: BusKind, caplog: pytest.LogCaptureFixture
) -> None:
    config = shared_kind.new()
    async with SubscriptionManager(config):
        shared_kind.add_wrong(config, "a")
        await until(
            lambda: is_told(
                caplog, r"^entry [\d-]+ of the bus is no event: data must be a JSON object$"
            )
        )


async def test_a_replica_is_named(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        async with SubscriptionManager(redis.url(), publish_timeout=0.2) as manager:
            redis.command("REPLICAOF", "127.0.0.1", 1)
            manager.publish("a", {})
            await until(lambda: is_told(caplog, r"^(the connection to )?the bus .*: READONLY "))
    finally:
        redis.stop()


async def test_a_server_that_comes_late_is_told(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    redis = RedisServer(tmp_path)
    try:
        async with SubscriptionManager(redis.url(), bus_required=False):
            assert is_told(caplog, "starting without it$")
            redis.start()
            await until(lambda: is_told(caplog, r"^the bus \(redis\) is connected after "))
    finally:
        redis.stop()


@pytest.mark.parametrize(
    ("settings", "secrets"),
    [
        ({"password": "a%b", "host": "x"}, ["a%b"]),
        ({"password": None}, []),
        ({"dsn": "postgresql://me:s%40e@host/app"}, ["s%40e", "s@e"]),
        ({"dsn": "postgresql://me@host/app?password=pw&sslmode=require"}, ["pw"]),
        ({"dsn": "host=x password=pw dbname=y sslpassword = 'q w'"}, ["q w", "pw"]),
        ({"dsn": "postgresql://me@host/app", "listen_dsn": "postgresql://a:b@c"}, ["b"]),
        ({"dsn": "service=app"}, []),
    ],
)
def test_what_must_not_be_in_a_log(settings: dict[str, str], secrets: list[str]) -> None:
    assert secrets_of(settings) == secrets
