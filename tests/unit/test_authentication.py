# SPDX-License-Identifier: MIT
"""Who clients are: `auth_handler=`, what it answers, and until when it holds."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until

from fraiseql_asgi import CloseConnection, ConfigError, SecurityContext, SubscriptionManager

QUERY = "subscription { whoami }"


async def init(client: Connection, **payload: Any) -> Any:
    """What the connection_init with `payload` is answered with."""
    await client.accepted()
    client.write({"type": "connection_init", "payload": payload})
    message = await client.next()
    return message if message["type"] == "websocket.close" else _text(message)


def _text(message: Any) -> Any:
    import json

    return json.loads(message["text"])


def close(code: int, reason: str) -> dict[str, Any]:
    return {"type": "websocket.close", "code": code, "reason": reason}


FORBIDDEN = close(4403, "Forbidden")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "fraiseql_asgi"]


# -- answers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        SecurityContext("ann"),
        {"user_id": "ann"},
        (SecurityContext("ann"), None),
        ({"user_id": "ann", "tenant_id": "t", "roles": ["admin"]}, None),
    ],
)
@on_both_loops
async def test_a_context_lets_in(answer: Any) -> None:
    async def authenticate(payload: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        return answer

    for handler in (authenticate, lambda payload: answer):
        async with SubscriptionManager(auth_handler=handler) as manager:
            client = Connection(manager)
            assert await init(client) == {"type": "connection_ack"}
            client.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
            await until(lambda: manager.subscriber_count() == 1)
            assert manager.subscriptions()[0].user_id == "ann"
            await client.left()


@on_both_loops
async def test_a_tuple_has_the_payload_of_the_ack() -> None:
    handler = lambda payload: (SecurityContext("ann"), {"hello": [payload["x"]]})  # noqa: E731
    async with SubscriptionManager(auth_handler=handler) as manager:
        client = Connection(manager)
        ack = await init(client, x=1)
        assert ack == {"type": "connection_ack", "payload": {"hello": [1]}}
        await client.left()


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        (None, False),
        (False, False),
        ((None, {"a": 1}), False),
        (True, True),
        (0, True),
        ("ann", True),
        ({"user": "ann"}, True),
        ({}, True),
        ((SecurityContext("ann"),), True),
        ((SecurityContext("ann"), "ack"), True),
        ((SecurityContext("ann"), {"a": object()}), True),
        ([SecurityContext("ann"), {}], True),
    ],
)
@on_both_loops
async def test_anything_else_refuses(
    answer: Any, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def authenticate(payload: dict[str, Any]) -> Any:
        return answer

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        assert await init(Connection(manager)) == FORBIDDEN
        assert manager.get_metrics()["refused_authentications"] == 1
    assert messages(caplog) == (["the handler 'authenticate' raised"] if logged else [])


def fail_with(error: BaseException, is_async: bool) -> Callable[[Any], Any]:
    async def authenticate(payload: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        raise error

    def authenticate_now(payload: dict[str, Any]) -> Any:
        raise error

    return authenticate if is_async else authenticate_now


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("error", "expected", "logged"),
    [
        (ValueError("secret"), FORBIDDEN, True),
        (CloseConnection(), FORBIDDEN, False),
        (CloseConnection(4999, "no: ü"), close(4999, "no: ü"), False),
        (CloseConnection(3000, ""), close(3000, ""), False),
        (CloseConnection(4000, "ü" * 100), close(4000, "ü" * 61), False),
    ],
)
@on_both_loops
async def test_an_exception_refuses(
    error: Exception,
    expected: dict[str, Any],
    logged: bool,
    is_async: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with SubscriptionManager(auth_handler=fail_with(error, is_async)) as manager:
        assert await init(Connection(manager)) == expected
    assert len(messages(caplog)) == logged


# -- what it is called with ----------------------------------------------------


@on_both_loops
async def test_it_gets_payload_and_scope() -> None:
    calls = []

    class Authenticate:
        def __call__(self, payload: dict[str, Any], scope: Any) -> SecurityContext:
            calls.append((payload, scope["path"]))
            return SecurityContext("ann")

    async with SubscriptionManager(auth_handler=Authenticate()) as manager:
        for payload in ({"token": "x"}, {}):
            client = Connection(manager, path="/p")
            await init(client, **payload)
            await client.left()
        client = await Connection(manager).ready()
        await client.left()
    assert calls == [({"token": "x"}, "/p"), ({}, "/p"), ({}, "/")]


@on_both_loops
async def test_it_runs_in_a_copy_of_the_connections_context() -> None:
    var = contextvars.ContextVar("var", default="unset")
    seen = []

    async def authenticate(payload: dict[str, Any]) -> SecurityContext:
        seen.append(var.get())
        var.set("inner")
        return SecurityContext("ann")

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        var.set("outer")
        client = Connection(manager)
        await init(client)
        await client.left()
    assert (seen, var.get()) == (["outer"], "outer")


@on_both_loops
async def test_it_may_publish() -> None:
    manager = SubscriptionManager()

    async def authenticate(payload: dict[str, Any]) -> SecurityContext:
        for _ in range(100):
            manager.publish("tick", {"n": 1})
            await manager.publish_event("tick", "tick", {"n": 2})
        return SecurityContext("ann")

    manager = SubscriptionManager(auth_handler=authenticate)
    async with manager:
        client = Connection(manager)
        assert await init(client) == {"type": "connection_ack"}
        await client.left()


# -- time ----------------------------------------------------------------------


@on_both_loops
async def test_it_has_its_time() -> None:
    ended = []

    async def authenticate(payload: dict[str, Any]) -> SecurityContext:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return SecurityContext("ann")

    async with SubscriptionManager(auth_handler=authenticate, auth_timeout=0.05) as manager:
        client = Connection(manager)
        assert await init(client) == FORBIDDEN
        await until(lambda: ended == [True])
        assert manager.get_metrics()["refused_auth_timeouts"] == 1


@on_both_loops
async def test_it_is_cancelled_when_the_client_leaves() -> None:
    started, ended = asyncio.Event(), []

    async def authenticate(payload: dict[str, Any]) -> SecurityContext:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return SecurityContext("ann")

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        client = await Connection(manager).accepted()
        client.write({"type": "connection_init"})
        await asyncio.wait_for(started.wait(), 10)
        await client.left()
        await until(lambda: ended == [True])


@on_both_loops
async def test_a_slow_one_blocks_nobody_else() -> None:
    release = asyncio.Event()

    async def authenticate(payload: dict[str, Any]) -> SecurityContext:
        if payload.get("slow"):
            await release.wait()
        return SecurityContext("ann")

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        slow = await Connection(manager).accepted()
        slow.write({"type": "connection_init", "payload": {"slow": True}})
        slow.write({"type": "ping", "payload": {}})
        assert await slow.read() == {"type": "pong", "payload": {}}
        fast = Connection(manager)
        assert await init(fast) == {"type": "connection_ack"}
        release.set()
        assert await slow.read() == {"type": "connection_ack"}
        await slow.left()
        await fast.left()


# -- the end of a context --------------------------------------------------------


def expiring(seconds: dict[str, float]) -> Callable[[dict[str, Any]], SecurityContext | None]:
    """A handler whose contexts hold as long as `seconds` says of their token."""

    def authenticate(payload: dict[str, Any]) -> SecurityContext | None:
        token = payload["authorization"]
        if token not in seconds:
            return None
        return SecurityContext(token, expires_at=time.time() + seconds[token])

    return authenticate


@on_both_loops
async def test_a_connection_ends_with_its_context() -> None:
    async with SubscriptionManager(auth_handler=expiring({"a": 0.4})) as manager:
        client = Connection(manager)
        assert await init(client, authorization="a") == {"type": "connection_ack"}
        assert await client.next() == close(4403, "Token expired")
        assert manager.get_metrics()["connections_expired"] == 1


@on_both_loops
async def test_the_code_can_be_chosen() -> None:
    async with SubscriptionManager(auth_handler=expiring({"a": 0.4}), expiry_code=4401) as manager:
        client = Connection(manager)
        await init(client, authorization="a")
        assert await client.next() == close(4401, "Token expired")


@on_both_loops
async def test_what_waits_at_expiry_is_not_resolved() -> None:
    go_on = asyncio.Event()
    called: list[int] = []
    async with SubscriptionManager(auth_handler=expiring({"a": 0.5}), expiry_grace=1.0) as manager:

        @manager.subscription
        async def tick(event: Any, variables: Any) -> Any:
            called.append(event["n"])
            await go_on.wait()
            return event["n"]

        client = Connection(manager)
        await init(client, authorization="a")
        query = {"query": "subscription { tick }"}
        client.write({"type": "subscribe", "id": "1", "payload": query})
        await until(lambda: manager.subscriber_count() == 1)
        for n in range(3):
            await manager.publish_event("tick", "tick", {"n": n})
        await asyncio.sleep(0.7)
        go_on.set()
        assert await client.next() == close(4403, "Token expired")
        assert called == [0]
        assert manager.get_metrics()["security_expired_denied"] == 3


@on_both_loops
async def test_a_ping_brings_a_new_context() -> None:
    async with SubscriptionManager(
        auth_handler=expiring({"a": 0.5, "b": 60}), expiry_grace=30
    ) as manager:
        client = Connection(manager)
        await init(client, authorization="a")
        client.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
        await until(lambda: manager.subscriber_count() == 1)
        await asyncio.sleep(0.6)
        await manager.publish_event("whoami", "whoami", {"n": 1})
        client.write({"type": "ping", "payload": {"authorization": "b"}})
        pong = {"type": "pong", "payload": {"authorization": "b"}}
        assert await client.read() == pong
        await until(lambda: manager.get_metrics()["reauthentications"] == 1)
        await manager.publish_event("whoami", "whoami", {"n": 2})
        assert (await client.read())["payload"] == {"data": {"whoami": {"n": 2}}}
        assert manager.subscriptions()[0].user_id == "b"
        await client.left()


@on_both_loops
async def test_a_ping_that_is_refused_ends_the_connection() -> None:
    async with SubscriptionManager(auth_handler=expiring({"a": 60})) as manager:
        client = Connection(manager)
        await init(client, authorization="a")
        client.write({"type": "ping", "payload": {"authorization": "x"}})
        assert (await client.read())["type"] == "pong"
        assert await client.next() == FORBIDDEN


@on_both_loops
async def test_subscriptions_are_judged_by_the_new_context() -> None:
    """One that depends on who the client is follows it, and ends where the
    new context lacks what it asks for; the others go on."""
    manager = SubscriptionManager(
        auth_handler=lambda payload: SecurityContext("ann", payload["authorization"])
    )
    manager.subscription("mine", channel="t:{ctx.tenant_id}")
    manager.subscription("whoami")
    async with manager:
        client = Connection(manager)
        await init(client, authorization="t1")
        for id_, query in (("1", "subscription { mine }"), ("2", QUERY), ("3", QUERY)):
            client.write({"type": "subscribe", "id": id_, "payload": {"query": query}})
        await until(lambda: manager.subscriber_count() == 3)
        client.write({"type": "ping", "payload": {"authorization": "t2"}})
        assert (await client.read())["type"] == "pong"
        await until(lambda: manager.subscriber_count("t:t2") == 1)
        assert manager.subscriber_count("t:t1") == 0
        await manager.publish_event("t", "t:t1", {"n": 1})
        await manager.publish_event("t", "t:t2", {"n": 2})
        assert (await client.read())["payload"] == {"data": {"mine": {"n": 2}}}
        client.write({"type": "ping", "payload": {"authorization": ""}})
        assert (await client.read())["type"] == "pong"
        message = await client.read()
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"] == {"code": "FORBIDDEN"}
        assert manager.subscriber_count() == 2
        assert {each.tenant_id for each in manager.subscriptions()} == {None}
        await manager.publish_event("whoami", "whoami", {"n": 1})
        assert {(await client.read())["id"] for _ in range(2)} == {"2", "3"}
        client.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
        await until(lambda: manager.subscriber_count() == 3)
        await client.left()


# -- settings --------------------------------------------------------------------


def test_a_handler_must_be_callable_as_documented() -> None:
    async def yields(payload: Any) -> Any:
        yield 1

    with pytest.raises(TypeError, match="callable"):
        SubscriptionManager(auth_handler="x")  # type: ignore[arg-type]
    for handler in (lambda: None, lambda a, b, c: None, yields):
        with pytest.raises(ConfigError) as info:
            SubscriptionManager(auth_handler=handler)
        assert info.value.setting == "auth_handler"
    for setting in ({"auth_timeout": 0}, {"expiry_grace": -1}, {"expiry_code": 1011}):
        with pytest.raises(ConfigError):
            SubscriptionManager(auth_handler=lambda payload: None, **setting)  # type: ignore[arg-type]


# -- what is left ----------------------------------------------------------------


@on_both_loops
async def test_nothing_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """Clients that are let in, refused, and gone while they are asked for."""
    caplog.set_level(logging.CRITICAL)

    async def authenticate(payload: dict[str, Any]) -> SecurityContext | None:
        await asyncio.sleep(payload.get("wait", 0))
        return SecurityContext("ann") if payload.get("ok") else None

    async def cycle(manager: SubscriptionManager) -> None:
        clients = [Connection(manager) for _ in range(30)]
        for i, client in enumerate(clients):
            await client.accepted()
            payload = [{"ok": True}, {}, {"ok": True, "wait": 60}][i % 3]
            client.write({"type": "connection_init", "payload": payload})
        for client in clients[0::3]:
            assert await client.read() == {"type": "connection_ack"}
        for client in clients[1::3]:
            assert await client.next() == FORBIDDEN
        for client in clients[0::3] + clients[2::3]:
            await client.left()

    async with SubscriptionManager(auth_handler=authenticate) as manager:
        await cycle(manager)
        gc.collect()
        before = sum(isinstance(o, (SecurityContext, asyncio.Task)) for o in gc.get_objects())
        for _ in range(5):
            await cycle(manager)
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        gc.collect()
        after = sum(isinstance(o, (SecurityContext, asyncio.Task)) for o in gc.get_objects())
        assert after <= before
        assert manager.get_metrics()["connections_active"] == 0
