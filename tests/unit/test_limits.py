# SPDX-License-Identifier: MIT
"""Limits of clients over ASGI: connections, messages, memory, slow clients."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import os
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_driver import Connection, until
from sizes import promised, size

from fraiseql_asgi import (
    ConfigError,
    EventBusConfig,
    Limits,
    SecurityContext,
    SubscriptionError,
    SubscriptionManager,
    _core,
)
from fraiseql_asgi.default_app import PREFIX, read_settings

ROOT = pathlib.Path(__file__).parents[2]
QUERY = "subscription { tick { n } }"


@pytest.fixture
def managers() -> Iterator[Any]:
    """Makes managers, closes them at the end."""
    made: list[SubscriptionManager] = []

    def make(**settings: Any) -> SubscriptionManager:
        limits = settings.pop("limits", {})
        manager = SubscriptionManager("memory://", limits=Limits(**limits), **settings)
        made.append(manager)
        return manager

    yield make
    for manager in made:
        manager.executor.close()


async def authenticate(payload: Any) -> SecurityContext | None:
    return SecurityContext(payload["user"]) if payload.get("user") else None


# ── the table ──


PAGE = (ROOT / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")
OF_CLIENTS, OF_BUSES = PAGE.split("## Of buses")


def documented(part: str) -> dict[str, Any]:
    """Name to default of each row of a part of the page, in its order."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|", part, re.MULTILINE)
    return {name: eval(default.replace(",", "").removesuffix(" s")) for name, default in rows}


def test_every_limit_is_documented() -> None:
    told = documented(OF_CLIENTS)
    assert list(told.items()) == [
        (field.name, field.default) for field in dataclasses.fields(Limits)
    ]
    counters = set(re.findall(r"`((?:refused|events|reading|closed|dropped)_\w+)`", OF_CLIENTS))
    with SubscriptionManager("memory://").executor as executor:
        assert counters - set(told) <= set(executor.get_metrics())


def test_the_settings_of_a_redis_bus_are_documented() -> None:
    told = documented(OF_BUSES)
    config = EventBusConfig.redis("redis://localhost")
    assert told == {name: getattr(config, name) for name in told}
    settings = inspect.signature(EventBusConfig.redis).parameters.values()
    assert list(told) == [each.name for each in settings if each.kind is each.KEYWORD_ONLY]


def test_every_limit_has_a_variable() -> None:
    for field in dataclasses.fields(Limits):
        name = f"{PREFIX}{field.name.upper()}"
        value = field.type("7") if callable(field.type) else 7
        settings = read_settings({name: str(value)})
        assert getattr(settings.limits, field.name) == 7


# ── connections ──


async def test_connections_beyond_the_cap_are_refused_before_the_accept(managers: Any) -> None:
    manager = managers(limits={"max_connections": 2})
    first = await Connection(manager).ready()
    second = await Connection(manager).ready()
    refused = Connection(manager)
    assert await refused.next() == {
        "type": "websocket.close",
        "code": 1013,
        "reason": "Too many connections",
    }
    assert await refused.ended() is None
    told = Connection(manager)
    told.scope["extensions"] = {"websocket.http.response": {}}
    start, body = await told.next(), await told.next()
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert (b"retry-after", b"1") in start["headers"]
    assert body["type"] == "websocket.http.response.body"
    assert b"Too many connections" in body["body"]
    assert await told.ended() is None
    assert manager.get_metrics()["refused_connections"] == 2
    await first.left()
    await until(lambda: manager.get_metrics()["connections_active"] == 1)
    third = await Connection(manager).ready()
    await second.left()
    await third.left()


async def init_as(manager: SubscriptionManager, user: str) -> Connection:
    connection = await Connection(manager).accepted()
    connection.write({"type": "connection_init", "payload": {"user": user}})
    return connection


async def test_connections_of_one_user_are_capped(managers: Any) -> None:
    manager = managers(limits={"max_connections_per_user": 2}, auth_handler=authenticate)
    open_ones = [await init_as(manager, name) for name in ("ada", "ada", "bob", "bob")]
    for connection in open_ones:
        assert (await connection.read())["type"] == "connection_ack"
    refused = await init_as(manager, "ada")
    assert await refused.next() == {
        "type": "websocket.close",
        "code": 1013,
        "reason": "Too many connections",
    }
    await refused.ended()
    metrics = manager.get_metrics()
    assert metrics["refused_user_connections"] == 1
    assert metrics["slow_clients_closed"] == 0
    await open_ones[0].left()
    await until(lambda: manager.get_metrics()["connections_active"] == 3)
    again = await init_as(manager, "ada")
    assert (await again.read())["type"] == "connection_ack"
    for connection in (*open_ones[1:], again):
        await connection.left()


async def test_anonymous_clients_share_no_cap(managers: Any) -> None:
    manager = managers(limits={"max_connections_per_user": 1, "max_subscriptions_per_user": 1})
    connections = [await Connection(manager).subscribed(QUERY) for _ in range(5)]
    for connection in connections:
        await connection.left()


async def test_subscriptions_of_one_user_are_capped(managers: Any) -> None:
    manager = managers(limits={"max_subscriptions_per_user": 2}, auth_handler=authenticate)
    one, two = [await init_as(manager, "ada") for _ in range(2)]
    for connection in (one, two):
        assert (await connection.read())["type"] == "connection_ack"
        connection.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
    two.write({"type": "subscribe", "id": "2", "payload": {"query": QUERY}})
    # Whose comes third is refused; which one is a race of two connections.
    await until(lambda: manager.get_metrics()["refused_user_subscriptions"] == 1)
    error = await two.read()
    assert error["type"] == "error"
    assert error["payload"][0]["extensions"]["code"] == "LIMIT_REACHED"
    one.write({"type": "complete", "id": "1"})
    await until(lambda: manager.get_metrics()["subscriptions_active"] == 1)
    two.write({"type": "subscribe", "id": "3", "payload": {"query": QUERY}})
    await until(lambda: manager.get_metrics()["subscriptions_active"] == 2)
    await one.left()
    await two.left()


# ── messages ──


async def test_reading_pauses_above_the_rate(managers: Any) -> None:
    manager = managers(limits={"messages_per_second": 50, "messages_burst": 20})
    connection = await Connection(manager).ready()
    started = time.monotonic()
    for _ in range(60):
        connection.write({"type": "ping"})
    for _ in range(60):
        assert await connection.read() == {"type": "pong"}
    took = time.monotonic() - started
    # 61 messages, 20 at once, the others at 50 a second: nothing is lost.
    assert 0.7 < took < 5 * 0.8
    assert manager.get_metrics()["reading_paused"] >= 1
    await connection.left()


async def test_a_client_that_never_stops_sending_is_closed(managers: Any) -> None:
    manager = managers(limits={"messages_per_second": 40, "messages_burst": 4})
    connection = await Connection(manager).ready()
    for _ in range(400):
        connection.write({"type": "ping"})
    n_pongs = 0
    while (message := await connection.next())["type"] == "websocket.send":
        n_pongs += 1
    assert message == {
        "type": "websocket.close",
        "code": 1008,
        "reason": "Too many messages",
    }
    assert 40 <= n_pongs < 400
    await connection.ended()
    metrics = manager.get_metrics()
    assert metrics["refused_messages"] == metrics["closed_1008"] == 1


async def test_a_client_below_the_rate_is_never_paused(managers: Any) -> None:
    manager = managers(limits={"messages_per_second": 1000, "messages_burst": 5})
    connection = await Connection(manager).ready()
    for _ in range(100):
        connection.write({"type": "ping"})
        assert await connection.read() == {"type": "pong"}
        await asyncio.sleep(0.0015)
    assert manager.get_metrics()["reading_paused"] == 0
    await connection.left()


# ── events ──


async def test_events_above_the_rate_are_dropped_and_told(managers: Any) -> None:
    manager = managers(limits={"events_per_second_per_subscription": 2})
    connection = await Connection(manager).subscribed(QUERY)
    for n in range(5):
        manager.publish("tick", {"n": n})
    assert await connection.read_ticks(2) == [0, 1]
    await asyncio.sleep(0.6)
    manager.publish("tick", {"n": 9})
    payload = (await connection.read())["payload"]
    assert payload == {"data": {"tick": {"n": 9}}, "extensions": {"dropped": 3}}
    assert manager.get_metrics()["events_limited_by_subscription"] == 3
    await connection.left()


# ── memory ──


async def test_above_the_memory_limit_nobody_may_subscribe(managers: Any) -> None:
    manager = managers(limits={"memory_limit": 2**20})
    connection = await Connection(manager).ready()
    connection.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
    error = (await connection.read())["payload"][0]
    assert error["extensions"]["code"] == "LIMIT_REACHED"
    assert "short of memory" in error["message"]
    with pytest.raises(SubscriptionError, match="short of memory"):
        manager.executor.register_subscription("c", "s", QUERY, None, {}, "u", "t")
    assert manager.get_metrics()["refused_memory"] == 2
    await connection.left()


# ── slow clients ──


async def stalled(manager: SubscriptionManager, *queries: str) -> Connection:
    """A client that has subscribed and reads nothing."""
    connection = await Connection(manager).ready()
    for i, query in enumerate(queries):
        connection.write({"type": "subscribe", "id": str(i), "payload": {"query": query}})
    connection.write({"type": "ping"})
    assert await connection.read() == {"type": "pong"}
    connection.writable.clear()
    return connection


async def read_all(connection: Connection) -> list[tuple[Any, int]]:
    """(n, dropped) of all that comes."""
    connection.writable.set()
    connection.write({"type": "ping"})
    seen = []
    while (message := await connection.read())["type"] == "next":
        payload = message["payload"]
        (value,) = payload["data"].values()
        seen.append((value["n"], payload.get("extensions", {}).get("dropped", 0)))
    return seen


#: What the stalled send() holds already: the queue is behind it.
IN_FLIGHT = 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"overflow": "drop_oldest"}, [(0, 0), (7, 6), (8, 0), (9, 0)]),
        ({"overflow": "drop_newest"}, [(0, 0), (1, 0), (2, 0), (3, 0)]),
        (
            {"overflow": "conflate", "conflate_key": "at.key"},
            [(0, 0), (9, 4), (8, 3)],
        ),
    ],
    ids=lambda value: value.get("overflow", "") if isinstance(value, dict) else "",
)
async def test_what_a_slow_client_loses(managers: Any, settings: Any, expected: Any) -> None:
    manager = managers(limits={"queue_max_items": 3})
    manager.subscription("tick", **settings)
    connection = await stalled(manager, QUERY)
    manager.publish("tick", {"n": 0})
    await until(lambda: connection.n_sending == IN_FLIGHT)
    for n in range(1, 10):
        manager.publish("tick", {"n": n, "at": {"key": n % 2}})
    await until(lambda: manager.get_metrics()["events_matched"] == 10)
    assert await read_all(connection) == expected
    metrics = manager.get_metrics()
    n_lost = 10 - len(expected)
    assert metrics["deliveries_dropped"] == n_lost
    assert metrics["dropped_oldest"] + metrics["dropped_newest"] + metrics["conflated"] == n_lost
    # Whatever was lost last is told, too.
    manager.publish("tick", {"n": 10})
    told = (await connection.read())["payload"].get("extensions", {}).get("dropped", 0)
    assert told + sum(dropped for _, dropped in expected) == n_lost
    assert metrics["slow_clients_closed"] == 0
    await connection.left()


async def test_a_slow_client_of_a_field_that_loses_nothing_is_closed(managers: Any) -> None:
    manager = managers(limits={"queue_max_items": 3})
    manager.subscription("tick")
    connection = await stalled(manager, QUERY)
    for n in range(10):
        manager.publish("tick", {"n": n})
    await until(lambda: manager.get_metrics()["slow_clients_closed"] == 1)
    connection.writable.set()
    while (message := await connection.next())["type"] == "websocket.send":
        pass
    assert (message["code"], message["reason"]) == (1013, "Slow client")
    await connection.ended()


async def test_a_flood_that_may_be_lost_closes_nobody(managers: Any) -> None:
    manager = managers(limits={"queue_max_items": 50})
    manager.subscription("tick", overflow="drop_oldest")
    manager.subscription("order")
    connection = await stalled(manager, QUERY, "subscription { order { n } }")
    for n in range(500):
        manager.publish("tick", {"n": n})
        if n % 50 == 0:
            manager.publish("order", {"n": -n})
    await until(lambda: manager.get_metrics()["events_matched"] == 510)
    seen = await read_all(connection)
    assert [n for n, _ in seen if n <= 0 and n % 50 == 0][-10:] == [-50 * i for i in range(10)]
    metrics = manager.get_metrics()
    assert metrics["slow_clients_closed"] == 0
    assert metrics["deliveries_dropped"] == sum(dropped for _, dropped in seen)
    await connection.left()


#: How many slow clients; 10,000 take a minute or two.
N_SLOW = size(100, 10_000)


def resident() -> int:
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@promised()
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
async def test_slow_clients_stay_within_their_memory(managers: Any) -> None:
    per_client = 16 * 2**10
    manager = managers(limits={"queue_max_bytes": per_client, "queue_max_items": 1000})
    manager.subscription("tick", overflow="drop_oldest")
    # An alias makes each document's payload its own: nothing is shared.
    connections = [
        await stalled(manager, f"subscription {{ tick {{ n pad a{i}: n }} }}")
        for i in range(N_SLOW)
    ]
    before = resident()
    for n in range(60):
        await manager.publish_event(
            event_type="t", channel="tick", data={"n": n, "pad": "x" * 1000}
        )
    await until(lambda: manager.get_metrics()["events_matched"] == 60 * N_SLOW)
    metrics = manager.get_metrics()
    assert metrics["queued_bytes"] <= N_SLOW * per_client
    assert metrics["deliveries_dropped"] > 40 * N_SLOW
    grown = resident() - before
    print(f"{N_SLOW} slow clients: {metrics['queued_bytes']:,} bytes queued, {grown:+,} resident")
    assert grown < 2 * N_SLOW * per_client + 8 * 2**20
    for connection in connections:
        connection.writable.set()
        connection.disconnect()
    for connection in connections:
        await connection.ended()


async def test_a_policy_holds_for_events_that_wait_for_a_resolver(managers: Any) -> None:
    manager = managers(limits={"max_pending": 2})
    go_on = asyncio.Event()

    async def tick(event: Any, variables: Any) -> Any:
        await go_on.wait()
        return event

    manager.subscription(overflow="conflate", conflate_key="key")(tick)
    connection = await Connection(manager).subscribed(QUERY)
    for n in range(9):
        manager.publish("tick", {"n": n, "key": n % 2})
    await until(lambda: manager.get_metrics()["events_matched"] == 9)
    go_on.set()
    seen = [(await connection.read())["payload"] for _ in range(3)]
    assert [payload["data"]["tick"]["n"] for payload in seen] == [0, 7, 8]
    assert sum(payload.get("extensions", {}).get("dropped", 0) for payload in seen) == 6
    await connection.left()


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"overflow": "conflate"}, ConfigError, "conflate_key"),
        ({"conflate_key": "id"}, ConfigError, "conflate_key"),
        ({"overflow": "drop_oldest", "conflate_key": "id"}, ConfigError, "conflate_key"),
        ({"overflow": "drop"}, ConfigError, "must be one of"),
        ({"overflow": "conflate", "conflate_key": "a..b"}, ConfigError, "joined by dots"),
        ({"overflow": "conflate", "conflate_key": ""}, ConfigError, "joined by dots"),
        ({"overflow": "conflate", "conflate_key": 7}, TypeError, "must be a str"),
    ],
)
def test_policies_that_cannot_work(managers: Any, settings: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        managers().subscription("tick", **settings)


@pytest.mark.parametrize(
    "settings", [{"overflow": "disconnect"}, {"overflow": "conflate", "conflate_key": "id"}]
)
def test_a_source_has_no_policy(managers: Any, settings: Any) -> None:
    async def tick(variables: Any) -> Any:
        yield {}

    with pytest.raises(ConfigError, match="no meaning"):
        managers().subscription(**settings)(tick)


def test_a_polled_subscription_takes_the_policy_of_its_field(managers: Any) -> None:
    manager = managers(limits={"queue_max_items": 2})
    manager.subscription("tick", overflow="drop_newest")
    executor = manager.executor
    executor.register_subscription("c", "s", QUERY, None, {}, "u", "t")
    for n in range(5):
        executor.publish_event("tick", "tick", {"n": n})
    texts = [json.loads(executor.next_event("s")) for _ in range(2)]
    assert [text["payload"]["data"]["tick"]["n"] for text in texts] == [0, 1]
    executor.publish_event("tick", "tick", {"n": 5})
    assert json.loads(executor.next_event("s"))["payload"]["extensions"] == {"dropped": 3}


def test_the_engine_refuses_settings_it_does_not_know() -> None:
    service = _core.Service.default_limits()
    assert service["messages_per_second"] == 100.0
