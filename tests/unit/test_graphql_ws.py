# SPDX-License-Identifier: MIT
"""The older subprotocol graphql-ws: gated, limited and switched off as the new one."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until

from fraiseql_asgi import CloseConnection, Limits, SecurityContext, SubscriptionManager
from fraiseql_asgi.default_app import read_settings

LEGACY = "graphql-ws"
ACK = {"type": "connection_ack"}
KA = {"type": "ka"}


def start(name: str, query: str = "subscription { tick { n } }", **payload: Any) -> dict[str, Any]:
    return {"id": name, "type": "start", "payload": {"query": query, **payload}}


def data(name: str, n: int) -> dict[str, Any]:
    return {"id": name, "type": "data", "payload": {"data": {"tick": {"n": n}}}}


def close(code: int, reason: str) -> dict[str, Any]:
    return {"type": "websocket.close", "code": code, "reason": reason}


async def accepted(manager: SubscriptionManager) -> Connection:
    client = Connection(manager, subprotocols=[LEGACY])
    assert await client.next() == {"type": "websocket.accept", "subprotocol": LEGACY}
    return client


async def ready(manager: SubscriptionManager) -> Connection:
    client = await accepted(manager)
    client.write({"type": "connection_init", "payload": {}})
    assert [await client.read(), await client.read()] == [ACK, KA]
    return client


async def started(manager: SubscriptionManager, name: str = "1", **payload: Any) -> Connection:
    client = await ready(manager)
    client.write(start(name, **payload))
    await until(lambda: manager.subscriber_count() == 1)
    return client


@on_both_loops
async def test_events_are_data_until_stop() -> None:
    async with SubscriptionManager() as manager:
        client = await started(manager)
        manager.publish("tick", {"n": 1})
        manager.publish("tick", {"n": 2})
        assert [await client.read(), await client.read()] == [data("1", 1), data("1", 2)]
        client.write({"id": "1", "type": "stop"})
        assert await client.read() == {"id": "1", "type": "complete"}
        assert manager.subscriber_count() == 0
        client.write(start("1"))
        await until(lambda: manager.subscriber_count() == 1)
        manager.publish("tick", {"n": 3})
        assert await client.read() == data("1", 3)
        assert manager.get_metrics()["connections_legacy"] == 1
        client.write({"type": "connection_terminate"})
        assert await client.next() == close(1000, "")
        await client.ended()
        assert manager.subscriber_count() == 0


@on_both_loops
async def test_both_protocols_share_what_is_delivered() -> None:
    async with SubscriptionManager() as manager:
        legacy = await started(manager)
        modern = await Connection(manager).subscribed("subscription { tick { n } }")
        manager.publish("tick", {"n": 1})
        assert await legacy.read() == data("1", 1)
        assert await modern.read_ticks(1) == [1]
        metrics = manager.get_metrics()
        assert metrics["projections"] == 1
        assert (metrics["connections_total"], metrics["connections_legacy"]) == (2, 1)
        await legacy.left()
        await modern.left()


@on_both_loops
async def test_nothing_starts_before_the_ack() -> None:
    may_answer = asyncio.Event()
    asked: list[dict[str, Any]] = []

    async def authenticate(payload: dict[str, Any]) -> SecurityContext:
        asked.append(payload)
        await may_answer.wait()
        return SecurityContext("ann", "t")

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        client = await accepted(manager)
        client.write(start("0"))
        client.write({"type": "connection_init", "payload": {"token": "x"}})
        client.write(start("1"))
        client.write(start("2"))
        client.write({"id": "2", "type": "stop"})
        await until(lambda: asked == [{"token": "x"}])
        manager.publish("tick", {"n": 0})
        assert manager.get_metrics()["subscriptions_total"] == 0
        may_answer.set()
        answers = [await client.read() for _ in range(3)]
        assert answers == [ACK, KA, {"id": "2", "type": "complete"}]
        assert {info.user_id for info in manager.subscriptions()} == {"ann"}
        manager.publish("tick", {"n": 1})
        told = sorted([await client.read(), await client.read()], key=lambda each: each["id"])
        assert told == [data("0", 1), data("1", 1)]
        await client.left()


@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        (None, 4403, "Forbidden"),
        (RuntimeError("no"), 4403, "Forbidden"),
        (CloseConnection(4499, "Come back tomorrow"), 4499, "Come back tomorrow"),
    ],
)
@on_both_loops
async def test_a_refusal_is_told_and_closed(answer: Any, code: int, reason: str) -> None:
    async def authenticate(payload: dict[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        client = await accepted(manager)
        client.write({"type": "connection_init"})
        client.write(start("1"))
        assert await client.read() == {
            "type": "connection_error",
            "payload": {"message": reason},
        }
        assert await client.next() == close(code, reason)
        await client.ended()
        assert manager.get_metrics()["subscriptions_total"] == 0


@on_both_loops
async def test_limits_hold() -> None:
    limits = Limits(max_subscriptions_per_connection=1, init_timeout=0.5, message_max_bytes=999)
    async with SubscriptionManager(limits=limits) as manager:
        client = await accepted(manager)
        client.write(start("1"))
        assert await client.next() == close(4408, "Connection initialisation timeout")
        await client.ended()
        client = await started(manager)
        client.write(start("2"))
        error = await client.read()
        assert (error["id"], error["type"]) == ("2", "error")
        assert error["payload"]["extensions"] == {"code": "LIMIT_REACHED"}
        client.write("x" * 1000)
        assert await client.next() == close(1009, "Message too big")
        await client.ended()


@on_both_loops
async def test_what_is_wrong_is_one_error_or_data() -> None:
    async with SubscriptionManager() as manager:
        client = await ready(manager)
        client.write(start("1", "subscription {"))
        error = await client.read()
        assert (error["id"], error["type"]) == ("1", "error")
        assert error["payload"]["locations"] == [{"line": 1, "column": 15}]
        client.write(start("1", "subscription ($n: Int!) { tick(n: $n) { n } }"))
        told = await client.read()
        assert told["type"] == "data"
        assert "$n" in told["payload"]["errors"][0]["message"]
        assert "data" not in told["payload"]
        assert await client.read() == {"id": "1", "type": "complete"}
        client.write(start("1"))
        client.write(start("1"))
        assert await client.next() == close(4409, "Subscriber for 1 already exists")
        await client.ended()


@on_both_loops
async def test_queries_are_answered_by_data_and_complete() -> None:
    async def execute(payload: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"data": {"me": payload["query"]}}

    async with SubscriptionManager(execute_handler=execute) as manager:
        client = await ready(manager)
        client.write(start("1", "{ me }"))
        assert await client.read() == {
            "id": "1",
            "type": "data",
            "payload": {"data": {"me": "{ me }"}},
        }
        assert await client.read() == {"id": "1", "type": "complete"}
        await client.left()


@on_both_loops
async def test_a_context_ends_the_connection_when_it_ends() -> None:
    def authenticate(payload: dict[str, Any]) -> SecurityContext:
        return SecurityContext("ann", expires_at=time.time() + 0.05)

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        client = await started(manager)
        assert await client.next() == close(4403, "Token expired")
        await client.ended()


@on_both_loops
async def test_a_service_that_stops_sends_its_clients_elsewhere() -> None:
    async with SubscriptionManager() as manager:
        client = await started(manager)
    assert await client.next() == close(1012, "Service restart")
    await client.ended()


# -- the switch ---------------------------------------------------------------


@pytest.mark.parametrize("is_started", [True, False])
@on_both_loops
async def test_it_can_be_switched_off(is_started: bool) -> None:
    manager = SubscriptionManager(legacy_protocol=False)
    if is_started:
        async with manager:
            await _is_not_spoken(manager)
    else:
        await _is_not_spoken(manager)
        async with manager:
            pass


async def _is_not_spoken(manager: SubscriptionManager) -> None:
    client = Connection(manager, subprotocols=[LEGACY])
    assert await client.next() == {"type": "websocket.accept", "subprotocol": None}
    assert await client.next() == close(4406, "Subprotocol not acceptable")
    await client.ended()
    client = Connection(manager, subprotocols=[LEGACY, "graphql-transport-ws"])
    await client.ready()
    await client.left()


def test_the_environment_switches_it() -> None:
    assert read_settings({}).legacy_protocol
    assert read_settings({"FRAISEQL_ASGI_LEGACY_PROTOCOL": "1"}).legacy_protocol
    assert not read_settings({"FRAISEQL_ASGI_LEGACY_PROTOCOL": "off"}).legacy_protocol


@on_both_loops
async def test_texts_of_any_script_arrive() -> None:
    async with SubscriptionManager() as manager:
        client = await started(manager, "\ud800ж")
        manager.publish("tick", {"n": "день"})
        message = await client.next()
        assert json.loads(message["text"])["payload"]["data"] == {"tick": {"n": "день"}}
        assert json.loads(message["text"])["id"] == "\ud800ж"
        await client.left()
