# SPDX-License-Identifier: MIT
"""Looking at live subscriptions, ending them, and another schema."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until

from fraiseql_asgi import (
    ConfigError,
    LiveSubscription,
    SecurityContext,
    SubscriptionManager,
    arg,
    ctx,
    event,
)

FORBIDDEN = [
    {"message": "The subscription is no longer allowed.", "extensions": {"code": "FORBIDDEN"}}
]


def authenticate(payload: dict[str, Any]) -> SecurityContext:
    return SecurityContext(payload["user"], payload.get("tenant"))


async def connect(manager: SubscriptionManager, user: str, tenant: str = "t1") -> Connection:
    client = await Connection(manager).accepted()
    client.write({"type": "connection_init", "payload": {"user": user, "tenant": tenant}})
    assert await client.read() == {"type": "connection_ack"}
    return client


async def subscribe(client: Connection, query: str, id_: str = "1", **payload: Any) -> None:
    client.write({"type": "subscribe", "id": id_, "payload": {"query": query, **payload}})
    client.write({"type": "ping"})
    assert await client.read() == {"type": "pong"}


@on_both_loops
async def test_subscriptions_are_listed() -> None:
    query = "subscription S($n: Int = 3) { tick(n: $n) }"
    async with SubscriptionManager(auth_handler=authenticate) as manager:
        before = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=1)
        ann, bob = await connect(manager, "ann"), await connect(manager, "bob", "t2")
        await subscribe(ann, query, "a")
        await subscribe(bob, "subscription { tock }", "b")
        first, second = manager.subscriptions()
        assert isinstance(first, LiveSubscription)
        assert (first.subscription_id, first.query, first.operation_name) == ("a", query, None)
        assert (first.variables, first.user_id, first.tenant_id) == ({"n": 3}, "ann", "t1")
        assert first.channels == ("tick",)
        assert before < first.created_at < dt.datetime.now(dt.timezone.utc)
        assert first.last_event_at is None
        assert first.connection_id != second.connection_id
        await manager.publish_event("tick", "tick", {"n": 1})
        await ann.read()
        (first,) = manager.subscriptions(channel="tick")
        assert first.last_event_at is not None
        assert first.last_event_at >= first.created_at
        for kwargs in (
            {"user_id": "bob"},
            {"tenant_id": "t2"},
            {"connection_id": second.connection_id},
            {"channel": "tock"},
            {"user_id": "bob", "channel": "tock"},
        ):
            assert manager.subscriptions(**kwargs) == [second]  # type: ignore[arg-type]
            assert await manager.asubscriptions(**kwargs) == [second]
        assert manager.subscriptions(user_id="ann", channel="tock") == []
        assert len(manager.subscriptions(limit=1)) == 1
        assert manager.subscriptions(limit=0) == []
        with pytest.raises(ValueError, match="limit"):
            manager.subscriptions(limit=-1)
        with pytest.raises(TypeError):
            manager.subscriptions(user_id=1)  # type: ignore[arg-type]
        await ann.left()
        await bob.left()
        await until(lambda: manager.subscriptions() == [])


@on_both_loops
async def test_the_connection_id_is_that_of_the_context() -> None:
    manager = SubscriptionManager()
    seen: list[str] = []

    @manager.subscription
    def tick(event: Any, variables: Any, context: Any) -> Any:
        seen.append(context.connection_id)
        return event

    async with manager:
        client = await Connection(manager).subscribed("subscription { tick }")
        manager.publish("tick", {"n": 1})
        await client.read()
        assert [each.connection_id for each in manager.subscriptions()] == seen
        await client.left()


@on_both_loops
async def test_connections_are_closed() -> None:
    async with SubscriptionManager(auth_handler=authenticate) as manager:
        ann, bob = await connect(manager, "ann"), await connect(manager, "bob")
        await subscribe(ann, "subscription { tick }")
        assert manager.disconnect(user_id="ann", tenant_id="t2") == 0
        assert manager.disconnect(user_id="ann") == 1
        assert await ann.next() == {
            "type": "websocket.close",
            "code": 4403,
            "reason": "Forbidden",
        }
        assert await manager.adisconnect(tenant_id="t1", code=4999, reason="x" * 200) == 1
        assert (await bob.next())["reason"] == "x" * 123
        assert manager.subscriptions() == []


async def test_disconnect_checks_its_arguments() -> None:
    async with SubscriptionManager() as manager:
        with pytest.raises(TypeError, match="needs"):
            manager.disconnect()
        with pytest.raises(ConfigError):
            manager.disconnect(user_id="a", code=1012)
        with pytest.raises(TypeError):
            manager.disconnect(user_id="a", code="4403")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            manager.disconnect(user_id=5)  # type: ignore[arg-type]


@on_both_loops
async def test_subscriptions_are_invalidated() -> None:
    async with SubscriptionManager(auth_handler=authenticate) as manager:
        ann, bob = await connect(manager, "ann"), await connect(manager, "bob", "t2")
        await subscribe(ann, "subscription { tick(n: 1) }", "1")
        await subscribe(ann, "subscription { tick(n: 2) }", "2")
        await subscribe(bob, "subscription { tick(n: 2) }")
        assert manager.invalidate({"tenant_id": "t3"}) == 0
        assert manager.invalidate((ctx.user_id == "ann") & (arg.n == 2)) == 1
        assert await ann.read() == {"id": "2", "type": "error", "payload": FORBIDDEN}
        assert await manager.ainvalidate({"tenant_id": "t2"}) == 1
        assert await bob.read() == {"id": "1", "type": "error", "payload": FORBIDDEN}
        await manager.publish_event("tick", "tick", {"n": 1})
        assert (await ann.read())["id"] == "1"
        await subscribe(bob, "subscription { tick(n: 2) }")
        await ann.left()
        await bob.left()


async def test_arguments_with_lone_surrogates_are_compared_as_any() -> None:
    query = "subscription ($a: String) { tick(a: $a) }"
    async with SubscriptionManager(auth_handler=authenticate) as manager:
        ann = await connect(manager, "ann")
        await subscribe(ann, query, "\ud800", variables={"a": "\ud800"})
        (listed,) = manager.subscriptions()
        assert (listed.subscription_id, listed.variables) == ("\ud800", {"a": "\ud800"})
        assert manager.invalidate((ctx.user_id == "ann") & (arg.a == "a")) == 0
        assert manager.invalidate(ctx.user_id == "ann") == 1
        assert await ann.read() == {"id": "\ud800", "type": "error", "payload": FORBIDDEN}
        await ann.left()


async def test_invalidate_is_about_contexts() -> None:
    async with SubscriptionManager() as manager:
        for where in (event.a == 1, (ctx.user_id == "a") & (event.a == 1), {}):
            with pytest.raises(ConfigError):
                manager.invalidate(where)
        with pytest.raises(TypeError):
            manager.invalidate("user_id")  # type: ignore[arg-type]


@on_both_loops
async def test_other_threads_may_look_and_end() -> None:
    async with SubscriptionManager(auth_handler=authenticate) as manager:
        clients = [await connect(manager, f"u{i}") for i in range(20)]
        for client in clients:
            await subscribe(client, "subscription { tick }")
        found: list[int] = []

        def work() -> None:
            for i in range(0, 20, 2):
                found.append(len(manager.subscriptions()))
                found.append(manager.disconnect(user_id=f"u{i}"))
                found.append(manager.invalidate({"user_id": f"u{i + 1}"}))

        thread = threading.Thread(target=work)
        thread.start()
        while thread.is_alive():
            manager.publish("tick", {"n": 1})
            await asyncio.sleep(0.001)
        thread.join()
        assert found[1::3] == found[2::3] == [1] * 10
        assert manager.subscriptions() == []
        for client in clients[1::2]:
            await client.left()


SCHEMA = """
type Query { a: Int }
type Subscription { tick: Tick }
type Tick { n: Int %s }
"""


@on_both_loops
async def test_another_schema() -> None:
    manager = SubscriptionManager(schema=SCHEMA % "")
    manager.subscription("tick")
    async with manager:
        old = await Connection(manager).subscribed("subscription { tick { n } }")
        for wrong in ("type Query { a: Int }", "type {", SCHEMA.replace("tick", "tock") % ""):
            with pytest.raises(ConfigError):
                manager.replace_schema(wrong)
        with pytest.raises(ConfigError):
            manager.replace_schema(None)
        query = "subscription { tick { n m } }"
        new = await Connection(manager).ready()
        new.write({"type": "subscribe", "id": "1", "payload": {"query": query}})
        assert (await new.read())["type"] == "error"
        manager.replace_schema(SCHEMA % "m: Int")
        await subscribe(new, query)
        await manager.publish_event("tick", "tick", {"n": 1, "m": 2})
        assert (await old.read())["payload"] == {"data": {"tick": {"n": 1}}}
        assert (await new.read())["payload"] == {"data": {"tick": {"n": 1, "m": 2}}}
        new.write(
            {
                "type": "subscribe",
                "id": "q",
                "payload": {"query": '{ __type(name: "Tick") { fields { name } } }'},
            }
        )
        fields = (await new.read())["payload"]["data"]["__type"]["fields"]
        assert fields == [{"name": "n"}, {"name": "m"}]
        await old.left()
        await new.left()


async def test_a_schemaless_manager_stays_so() -> None:
    async with SubscriptionManager() as manager:
        with pytest.raises(ConfigError, match="start or never"):
            manager.replace_schema(SCHEMA % "")
