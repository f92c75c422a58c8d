# SPDX-License-Identifier: MIT
"""on_connect, on_disconnect, on_subscribe and on_complete."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgi_driver import Connection as Client
from asgi_driver import on_both_loops, until

from fraiseql_asgi import (
    ConfigError,
    Connection,
    GraphQLTransportWSHandler,
    Operation,
    RateLimited,
    SecurityContext,
    SecurityError,
    SubscriptionManager,
)

NAMES = ("on_connect", "on_subscribe", "on_complete", "on_disconnect")


class Log:
    """All four hooks, sync or async, writing down what they are told."""

    def __init__(self, is_async: bool) -> None:
        self.lines: list[str] = []
        self.connections: list[Connection] = []
        self.hooks = {name: self._make(name, is_async) for name in NAMES}

    def _make(self, name: str, is_async: bool) -> Callable[..., Any]:
        def hook(connection: Connection, operation: Operation | None = None) -> None:
            self.connections.append(connection)
            id_ = "" if operation is None else f" {operation.subscription_id}"
            self.lines.append(f"{name} {connection.security.user_id}{id_}")

        async def hook_later(connection: Connection, operation: Any = None) -> None:
            await asyncio.sleep(0)
            hook(connection, operation)

        return hook_later if is_async else hook


async def subscribe(client: Client, id_: str = "1", query: str = "subscription { tick }") -> None:
    client.write({"type": "subscribe", "id": id_, "payload": {"query": query}})


async def started(manager: SubscriptionManager, n: int = 1) -> None:
    await until(lambda: manager.get_metrics()["subscriptions_active"] == n)


@pytest.mark.parametrize("is_async", [False, True])
@on_both_loops
async def test_a_connection_from_begin_to_end(is_async: bool) -> None:
    log = Log(is_async)
    async with SubscriptionManager(**log.hooks) as manager:
        client = await Client(manager).ready()
        await subscribe(client, "a")
        await subscribe(client, "b")
        await started(manager, 2)
        manager.publish("tick", {"n": 1})
        assert [(await client.read())["id"] for _ in range(2)] == ["a", "b"]
        client.write({"type": "complete", "id": "a"})
        await until(lambda: len(log.lines) == 4)
        await client.left()
        await until(lambda: len(log.lines) == 6)
    assert log.lines == [
        "on_connect anonymous",
        "on_subscribe anonymous a",
        "on_subscribe anonymous b",
        "on_complete anonymous a",
        "on_complete anonymous b",
        "on_disconnect anonymous",
    ]
    assert len(set(log.connections)) == 1


@on_both_loops
async def test_what_they_are_told() -> None:
    seen: list[Any] = []
    manager = SubscriptionManager(
        auth_handler=lambda payload: SecurityContext(payload["authorization"])
    )

    @manager.on_subscribe
    def on_subscribe(connection: Connection, operation: Operation) -> None:
        seen.append((connection, operation))

    async with manager:
        client = await Client(manager, path="/p").accepted()
        client.write({"type": "connection_init", "payload": {"authorization": "ann"}})
        assert await client.read() == {"type": "connection_ack"}
        query = "subscription S($n: Int) { tick(n: $n) }"
        payload = {"query": query, "operationName": "S", "variables": {"n": 5}}
        client.write({"type": "subscribe", "id": "x", "payload": {**payload, "extensions": {}}})
        await started(manager)
        connection, operation = seen[0]
        (live,) = manager.subscriptions()
        assert connection.connection_id == live.connection_id
        assert connection.connection_params == {"authorization": "ann"}
        assert connection.scope["path"] == "/p"
        assert operation.subscription_id == "x"
        assert (operation.query, operation.operation_name) == (query, "S")
        assert (operation.variables, operation.extensions) == ({"n": 5}, {})
        assert live.variables == {"n": 5}
        client.write({"type": "ping", "payload": {"authorization": "bob"}})
        await until(lambda: connection.security.user_id == "bob")
        await client.left()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SecurityError("not you"), {"message": "not you", "code": "FORBIDDEN"}),
        (RateLimited("later"), {"message": "later", "code": "RATE_LIMITED"}),
        (ValueError("secret"), {"message": "Internal server error", "code": "RESOLVER_ERROR"}),
    ],
)
@on_both_loops
async def test_on_subscribe_refuses(
    error: Exception,
    expected: dict[str, str],
    is_async: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    completed = []

    def refuse(connection: Connection, operation: Operation) -> None:
        if operation.subscription_id == "1":
            raise error

    async def refuse_later(connection: Connection, operation: Operation) -> None:
        await asyncio.sleep(0)
        refuse(connection, operation)

    async with SubscriptionManager(
        on_subscribe=refuse_later if is_async else refuse,
        on_complete=lambda connection, operation: completed.append(operation.subscription_id),
    ) as manager:
        client = await Client(manager).ready()
        await subscribe(client, "1")
        message = await client.read()
        assert (message["type"], message["id"]) == ("error", "1")
        (got,) = message["payload"]
        assert {"message": got["message"], **got["extensions"]} == expected
        await subscribe(client, "2")
        await started(manager)
        await client.left()
        await until(lambda: completed == ["2"])
    assert len(caplog.records) == isinstance(error, ValueError)


@on_both_loops
async def test_documents_are_checked_before() -> None:
    log = Log(False)
    async with SubscriptionManager(**log.hooks) as manager:
        client = await Client(manager).ready()
        for query in ("{", "subscription { a b }", "{ a }"):
            await subscribe(client, "1", query)
            assert (await client.read())["type"] == "error"
        await client.left()
    assert log.lines == ["on_connect anonymous", "on_disconnect anonymous"]


@on_both_loops
async def test_a_client_that_completes_while_it_is_asked() -> None:
    asked, cancelled = asyncio.Event(), []

    async def on_subscribe(connection: Connection, operation: Operation) -> None:
        asked.set()
        try:
            if operation.subscription_id == "1":
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with SubscriptionManager(on_subscribe=on_subscribe) as manager:
        client = await Client(manager).ready()
        await subscribe(client, "1")
        await asyncio.wait_for(asked.wait(), 10)
        client.write({"type": "complete", "id": "1"})
        await until(lambda: cancelled == [True])
        await subscribe(client, "2")
        await started(manager)
        manager.publish("tick", {"n": 1})
        assert (await client.read())["id"] == "2"
        await client.left()


def hold_the_loop() -> None:
    """Until the engine's question is in its mailbox."""
    time.sleep(0.02)


@on_both_loops
async def test_a_client_that_leaves_before_it_is_asked() -> None:
    """The hook's coroutine is not made for nobody: that would be a warning."""

    async def on_subscribe(connection: Connection, operation: Operation) -> None:
        await asyncio.sleep(3600)

    async with SubscriptionManager(on_subscribe=on_subscribe) as manager:
        for n_turns in range(5):
            handler = GraphQLTransportWSHandler(manager)
            handler.receive_text('{"type":"connection_init"}')
            await until(lambda handler=handler: handler.outgoing() != [])  # type: ignore[misc]
            handler.receive_text(
                '{"type":"subscribe","id":"1","payload":{"query":"subscription { tick }"}}'
            )
            hold_the_loop()
            for _ in range(n_turns):
                await asyncio.sleep(0)
            handler.closed()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        gc.collect()


@on_both_loops
async def test_a_hook_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def later(*args: Any) -> None:
        await asyncio.sleep(0)
        raise ValueError

    def now(*args: Any) -> None:
        raise ValueError

    for hook in (now, later):
        caplog.clear()
        async with SubscriptionManager(
            on_connect=hook, on_complete=hook, on_disconnect=hook
        ) as manager:
            client = await Client(manager).ready()
            await subscribe(client)
            await started(manager)
            manager.publish("tick", {"n": 1})
            await client.read()
            await client.left()
            await until(lambda: len(caplog.records) == 3)
        assert [record.getMessage() for record in caplog.records] == [
            f"the hook {name} raised" for name in ("on_connect", "on_complete", "on_disconnect")
        ]


@on_both_loops
async def test_a_source_that_ends_is_complete() -> None:
    log = Log(False)
    manager = SubscriptionManager(**log.hooks)

    @manager.subscription
    async def tick(variables: Any) -> Any:
        yield 1

    async with manager:
        client = await Client(manager).ready()
        await subscribe(client)
        assert (await client.read())["type"] == "next"
        assert (await client.read())["type"] == "complete"
        await until(lambda: log.lines[-1] == "on_complete anonymous 1")
        await client.left()


@on_both_loops
async def test_refused_clients_are_not_told_of() -> None:
    log = Log(False)
    async with SubscriptionManager(auth_handler=lambda payload: None, **log.hooks) as manager:
        client = await Client(manager).accepted()
        client.write({"type": "connection_init"})
        assert (await client.next())["code"] == 4403
        await asyncio.wait_for(client.task, 10)
    assert log.lines == []


@on_both_loops
async def test_they_run_in_a_copy_of_the_connections_context() -> None:
    var = contextvars.ContextVar("var", default="unset")
    seen = []

    async def hook(connection: Connection) -> None:
        seen.append(var.get())
        var.set("inner")

    async with SubscriptionManager(on_connect=hook, on_disconnect=hook) as manager:
        var.set("outer")
        client = await Client(manager).ready()
        var.set("other")
        await client.left()
        await until(lambda: len(seen) == 2)
    assert seen == ["outer", "outer"]


@on_both_loops
async def test_a_hook_may_disconnect_and_publish() -> None:
    manager = SubscriptionManager()

    @manager.on_connect
    async def on_connect(connection: Connection) -> None:
        await manager.publish_event("tick", "tick", {"n": 1})
        assert await manager.adisconnect(connection_id=connection.connection_id) == 1

    async with manager:
        client = await Client(manager).accepted()
        client.write({"type": "connection_init"})
        while (message := await client.next())["type"] != "websocket.close":
            pass
        assert message["code"] == 4403
        await asyncio.wait_for(client.task, 10)


@on_both_loops
async def test_ones_own_subscriptions_have_no_hooks() -> None:
    log = Log(False)
    async with SubscriptionManager(**log.hooks) as manager:
        await manager.create_subscription(
            "s", "c", "subscription { tick }", None, None, None, None, None
        )
        await manager.publish_event("tick", "tick", {"n": 1})
        assert await manager.get_next_event("s") is not None
        await manager.complete_subscription("s")
    assert log.lines == []


def n_ours() -> int:
    gc.collect()
    return sum(isinstance(each, (Connection, Operation)) for each in gc.get_objects())


@on_both_loops
async def test_nothing_is_left_of_ten_thousand() -> None:
    log = Log(False)
    before = n_ours()
    async with SubscriptionManager(**log.hooks) as manager:
        for i in range(10_000):
            handler = GraphQLTransportWSHandler(manager)
            handler.receive_text('{"type":"connection_init"}')
            while not handler.outgoing():  # noqa: ASYNC110  a turn, no time
                await asyncio.sleep(0)
            if i % 2:
                handler.receive_text(
                    '{"type":"subscribe","id":"1","payload":{"query":"subscription { tick }"}}'
                )
            handler.closed()
            if i % 100 == 0:
                log.lines.clear()
                log.connections.clear()
        log.connections.clear()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        assert n_ours() <= before


def test_they_are_checked() -> None:
    with pytest.raises(TypeError, match="on_connect must be callable"):
        SubscriptionManager(on_connect=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="on_subscribe is called with"):
        SubscriptionManager(on_subscribe=lambda connection: None)
    manager = SubscriptionManager(on_connect=print)
    with pytest.raises(ConfigError, match="already"):
        manager.on_connect(print)
    manager.publish("x", {})
    with pytest.raises(ConfigError, match="before"):
        manager.on_complete(print)
    asyncio.run(manager.aclose())
