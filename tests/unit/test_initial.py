# SPDX-License-Identifier: MIT
"""`initial=`: the value a subscription begins with."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until

from fraiseql_asgi import SKIP, ConfigError, Limits, ResolverContext, SubscriptionManager

QUERY = "subscription { tick { n } }"


async def begin(client: Connection, query: str = QUERY, **payload: Any) -> None:
    payload["query"] = query
    client.write({"type": "subscribe", "id": "1", "payload": payload})


async def payload(client: Connection) -> Any:
    message = await client.read()
    assert message["type"] == "next", message
    return message["payload"]


@on_both_loops
@pytest.mark.parametrize("is_async", [False, True])
async def test_the_initial_value_comes_first(is_async: bool) -> None:
    async def load_async(variables: Any) -> Any:
        await asyncio.sleep(0)
        return {"n": variables["n"]}

    manager = SubscriptionManager()
    manager.subscription(
        "tick", initial=load_async if is_async else lambda variables: {"n": variables["n"]}
    )
    async with manager:
        client = await Connection(manager).ready()
        await begin(client, "subscription ($n: Int) { tick(n: $n) { n } }", variables={"n": 7})
        assert await client.read_ticks(1) == [7]
        manager.publish("tick", {"n": 8})
        assert await client.read_ticks(1) == [8]
        await client.left()


@on_both_loops
async def test_events_wait_behind_it_and_none_is_lost() -> None:
    go = asyncio.Event()
    called = asyncio.Event()

    async def load(variables: Any, context: ResolverContext) -> Any:
        assert context.event is None
        called.set()
        await go.wait()
        return {"n": -1}

    manager = SubscriptionManager()
    manager.subscription("tick", initial=load)

    @manager.subscription(channel="tick", initial=load)
    def resolved(event: Any, variables: Any) -> Any:
        return event

    async with manager:
        for query in (QUERY, "subscription { tick: resolved { n } }"):
            go.clear()
            called.clear()
            client = await Connection(manager).ready()
            await begin(client, query)
            await called.wait()
            for n in range(50):
                await manager.publish_event("tick", "tick", {"n": n})
            await asyncio.sleep(0.01)
            go.set()
            assert await client.read_ticks(51) == [-1, *range(50)]
            manager.publish("tick", {"n": 50})
            assert await client.read_ticks(1) == [50]
            await client.left()


async def test_it_may_publish_itself() -> None:
    manager = SubscriptionManager()

    async def load(variables: Any) -> Any:
        await manager.publish_event("tick", "tick", {"n": 1})
        manager.publish("tick", {"n": 2})
        return {"n": 0}

    manager.subscription("tick", initial=load)
    async with manager:
        client = await Connection(manager).ready()
        await begin(client)
        assert await client.read_ticks(3) == [0, 1, 2]
        await client.left()


async def test_skip_is_silent_and_none_a_value() -> None:
    answers: list[Any] = [SKIP, None]
    manager = SubscriptionManager()
    manager.subscription("tick", initial=lambda variables: answers.pop(0))
    async with manager:
        client = await Connection(manager).ready()
        await begin(client)
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        await client.left()
        client = await Connection(manager).ready()
        await begin(client)
        assert await payload(client) == {"data": {"tick": None}}
        await client.left()


async def test_it_returns_the_fields_value_also_where_the_resolver_returns_data() -> None:
    manager = SubscriptionManager()

    @manager.subscription(returns="data", initial=lambda: {"n": 1})
    def tick(event: Any, variables: Any) -> Any:
        return {"tick": event}

    async with manager:
        client = await Connection(manager).ready()
        await begin(client)
        assert await client.read_ticks(1) == [1]
        manager.publish("tick", {"n": 2})
        assert await client.read_ticks(1) == [2]
        await client.left()


async def test_an_exception_is_an_error_and_the_events_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = SubscriptionManager()

    def load(variables: Any) -> Any:
        manager.publish("tick", {"n": 1})
        raise RuntimeError("secret")

    manager.subscription("tick", initial=load)
    async with manager:
        client = await Connection(manager).ready()
        with caplog.at_level(logging.ERROR, logger="fraiseql_asgi"):
            await begin(client)
            result = await payload(client)
        assert result["data"] == {"tick": None}
        assert result["errors"][0]["message"] == "Internal server error"
        assert result["errors"][0]["extensions"] == {"code": "RESOLVER_ERROR"}
        assert "the initial value of field 'tick' raised" in caplog.text
        assert "RuntimeError: secret" in caplog.text
        assert await client.read_ticks(1) == [1]
        await client.left()


async def test_it_has_the_resolvers_time() -> None:
    manager = SubscriptionManager()
    ended = asyncio.Event()

    async def load(variables: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    manager.subscription("tick", initial=load, resolver_timeout=0.02)
    async with manager:
        client = await Connection(manager).ready()
        await begin(client)
        result = await payload(client)
        assert result["errors"][0]["message"] == "The resolver timed out"
        await ended.wait()
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        await client.left()


@on_both_loops
async def test_completing_cancels_it() -> None:
    manager = SubscriptionManager()
    begun, ended = asyncio.Event(), asyncio.Event()

    async def load(variables: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.set()

    manager.subscription("tick", initial=load)
    async with manager:
        client = await Connection(manager).ready()
        await begin(client)
        await begun.wait()
        manager.publish("tick", {"n": 1})
        client.write({"type": "complete", "id": "1"})
        await asyncio.wait_for(ended.wait(), 10)
        await until(lambda: manager.get_metrics()["subscriptions_active"] == 0)
        await client.left()


async def test_too_many_events_behind_it_close_the_client() -> None:
    manager = SubscriptionManager(limits=Limits(max_pending=5))
    begun = asyncio.Event()

    async def load(variables: Any) -> Any:
        begun.set()
        await asyncio.sleep(60)

    manager.subscription("tick", initial=load)
    async with manager:
        client = await Connection(manager).ready()
        await begin(client)
        await begun.wait()
        for n in range(6):
            manager.publish("tick", {"n": n})
        closed = (await client.next())["code"]
        assert closed == 1013


async def test_it_runs_in_the_connections_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="no")
    manager = SubscriptionManager()
    manager.subscription("tick", initial=lambda variables: {"n": variable.get()})
    async with manager:
        variable.set("yes")
        client = await Connection(manager).ready()
        await begin(client)
        assert await client.read_ticks(1) == ["yes"]
        await client.left()


def test_wrong_declarations() -> None:
    manager = SubscriptionManager()

    async def source() -> Any:
        yield 1

    def generator(variables: Any) -> Any:
        yield 1

    with pytest.raises(ConfigError, match=r"initial= has no meaning for it") as caught:
        manager.subscription(initial=lambda: 1)(source)
    assert caught.value.setting == "initial"
    for function in (source, generator):
        with pytest.raises(ConfigError, match=r"initial= returns one value"):
            manager.subscription("tick", initial=function)
    with pytest.raises(ConfigError, match=r"'tick.initial': its function is called with"):
        manager.subscription("tick", initial=lambda a, b, c: 1)
    with pytest.raises(TypeError, match="initial must be callable, not int"):
        manager.subscription("tick", initial=1)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match=r"no resolver that resolver_timeout= could be about"):
        manager.subscription("tick", resolver_timeout=1)
    with pytest.raises(ConfigError, match=r"resolver_timeout must be above 0"):
        manager.subscription("tick", initial=lambda: 1, resolver_timeout=0)
