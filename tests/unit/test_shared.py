# SPDX-License-Identifier: MIT
"""`shared=True`: one call of a resolver for many subscriptions."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until

from fraiseql_asgi import SKIP, ConfigError, Limits, ResolverContext, SecurityError
from fraiseql_asgi import SubscriptionManager as Manager

QUERY = "subscription { tick { n } }"


async def begin(client: Connection, query: str = QUERY, **payload: Any) -> None:
    """Subscribe, and wait until it is live."""
    payload["query"] = query
    client.write({"type": "subscribe", "id": "1", "payload": payload})
    client.write({"type": "ping"})
    assert await client.read() == {"type": "pong"}


async def join(manager: Manager, n: int, query: str = QUERY, **payload: Any) -> list[Connection]:
    clients = [await Connection(manager).ready() for _ in range(n)]
    for client in clients:
        await begin(client, query, **payload)
    return clients


async def leave(clients: list[Connection]) -> None:
    for client in clients:
        await client.left()


@on_both_loops
@pytest.mark.parametrize("is_async", [False, True])
async def test_one_call_serves_all(is_async: bool) -> None:
    calls: list[int] = []
    manager = Manager()

    def value(event: Any) -> Any:
        calls.append(event["n"])
        return {"n": event["n"] * 10}

    async def resolve(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0)
        return value(event)

    if is_async:
        manager.subscription(channel="tick", shared=True)(named(resolve))
    else:
        manager.subscription(channel="tick", shared=True)(named(lambda event, _: value(event)))
    async with manager:
        clients = await join(manager, 20)
        for n in range(30):
            await manager.publish_event("tick", "tick", {"n": n})
        for client in clients:
            assert await client.read_ticks(30) == [n * 10 for n in range(30)]
        assert calls == list(range(30))
        metrics = manager.get_metrics()
        assert (metrics["resolver_calls"], metrics["projections"]) == (30, 30)
        assert metrics["deliveries"] == 600
        await leave(clients)


def named(function: Any) -> Any:
    function.__name__ = "tick"
    return function


async def test_what_a_resolver_could_tell_apart_is_called_apart() -> None:
    seen: list[Any] = []
    manager = Manager()

    @manager.subscription(shared=True)
    def tick(event: Any, variables: Any, context: ResolverContext) -> Any:
        seen.append((variables, context.args, context.operation_name))
        return {"n": variables.get("n", 0), "m": 1}

    async with manager:
        query = "subscription Named($n: Int) { tick(n: $n) { n } }"
        clients = await join(manager, 3)
        clients += await join(manager, 3, query, variables={"n": 1}, operationName="Named")
        clients += await join(manager, 3, query, variables={"n": 2}, operationName="Named")
        clients += await join(manager, 3, "subscription { tick { n m } }")
        manager.publish("tick", {})
        for i, client in enumerate(clients):
            assert await client.read_ticks(1) == [[0, 1, 2, 0][i // 3]]
        assert seen == [
            ({}, {}, None),
            ({"n": 1}, {"n": 1}, "Named"),
            ({"n": 2}, {"n": 2}, "Named"),
            ({}, {}, None),
        ]
        await leave(clients)


async def test_its_context_shows_the_class_and_no_client() -> None:
    errors: list[str] = []
    manager = Manager()

    @manager.subscription(shared=True)
    def tick(event: Any, variables: Any, context: ResolverContext) -> Any:
        assert context.event is not None
        assert context.event.data == event
        context.state["calls"] = context.state.get("calls", 0) + 1
        assert context.security.tenant_id is None
        assert context.security.fields is None
        assert "user_id" not in repr(context.security)
        for shown, names in (
            (context, ("scope", "connection_params", "connection_id", "subscription_id")),
            (context.security, ("user_id", "claims", "expires_at")),
        ):
            for name in names:
                with pytest.raises(SecurityError, match=rf"shared=True has no {name}") as caught:
                    getattr(shown, name)
                errors.append(str(caught.value))
        return {"n": context.state["calls"]}

    async with manager:
        clients = await join(manager, 2)
        manager.publish("tick", {})
        for client in clients:
            assert await client.read_ticks(1) == [1]
        assert len(errors) == 7
        await leave(clients)


@on_both_loops
async def test_order_is_kept_and_one_call_runs_at_a_time() -> None:
    running = 0
    manager = Manager()

    @manager.subscription(shared=True)
    async def tick(event: Any, variables: Any) -> Any:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.002 if event["n"] % 3 == 0 else 0)
        running -= 1
        return event

    async with manager:
        clients = await join(manager, 5)
        for n in range(30):
            manager.publish("tick", {"n": n})
        for client in clients:
            assert await client.read_ticks(30) == list(range(30))
        await leave(clients)


async def test_errors_and_skips_reach_all() -> None:
    manager = Manager(debug=True)

    @manager.subscription(shared=True)
    def tick(event: Any, variables: Any) -> Any:
        if event["n"] == 0:
            return SKIP
        if event["n"] == 1:
            raise RuntimeError("no luck")
        return event

    async with manager:
        clients = await join(manager, 3)
        for n in range(3):
            manager.publish("tick", {"n": n})
        for client in clients:
            message = await client.read()
            assert message["payload"]["data"] == {"tick": None}
            assert message["payload"]["errors"][0]["message"] == "no luck"
            assert await client.read_ticks(1) == [2]
        assert manager.get_metrics()["resolver_errors"] == 1
        await leave(clients)


@on_both_loops
async def test_who_leaves_is_skipped_and_the_last_cancels() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    go = asyncio.Event()
    manager = Manager()

    @manager.subscription(shared=True)
    async def tick(event: Any, variables: Any) -> Any:
        begun.set()
        try:
            await go.wait()
        finally:
            await asyncio.sleep(0)
            ended.set()
        return event

    async with manager:
        first, second = await join(manager, 2)
        manager.publish("tick", {"n": 1})
        manager.publish("tick", {"n": 2})
        await begun.wait()
        await first.left()
        late = await Connection(manager).ready()
        await begin(late)
        go.set()
        assert await second.read_ticks(2) == [1, 2]
        manager.publish("tick", {"n": 3})
        assert await late.read_ticks(1) == [3]
        assert await second.read_ticks(1) == [3]
        go.clear()
        begun.clear()
        ended.clear()
        manager.publish("tick", {"n": 4})
        await begun.wait()
        await second.left()
        await asyncio.sleep(0.01)
        assert not ended.is_set()
        await late.left()
        await asyncio.wait_for(ended.wait(), 10)
        assert manager.get_metrics()["subscriptions_active"] == 0


async def test_it_is_cancelled_when_the_manager_stops() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    manager = Manager()

    @manager.subscription(shared=True)
    async def tick(event: Any, variables: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.set()

    async with manager:
        clients = await join(manager, 2)
        manager.publish("tick", {"n": 1})
        await begun.wait()
    assert ended.is_set()
    await leave(clients)


async def test_a_timeout_is_everybodys() -> None:
    manager = Manager()

    @manager.subscription(shared=True, resolver_timeout=0.02)
    async def tick(event: Any, variables: Any) -> Any:
        if event["n"] == 0:
            await asyncio.sleep(60)
        return event

    async with manager:
        clients = await join(manager, 2)
        manager.publish("tick", {"n": 0})
        manager.publish("tick", {"n": 1})
        for client in clients:
            message = await client.read()
            assert message["payload"]["errors"][0]["message"] == "The resolver timed out"
            assert await client.read_ticks(1) == [1]
        await leave(clients)


def test_each_loop_has_its_own_call() -> None:
    calls: list[int] = []
    manager = Manager()

    @manager.subscription(shared=True)
    def tick(event: Any, variables: Any) -> Any:
        calls.append(threading.get_ident())
        return event

    n_loops = 3
    ready = threading.Barrier(n_loops + 1)

    async def serve() -> None:
        clients = await join(manager, 4)
        await asyncio.get_running_loop().run_in_executor(None, ready.wait)
        for client in clients:
            assert await client.read_ticks(1) == [5]
        await leave(clients)

    threads = [threading.Thread(target=lambda: asyncio.run(serve())) for _ in range(n_loops)]
    for thread in threads:
        thread.start()
    ready.wait()
    manager.publish("tick", {"n": 5})
    for thread in threads:
        thread.join()
    assert len(calls) == len(set(calls)) == n_loops
    manager._runtime.stop()


async def test_an_initial_value_comes_before_shared_ones() -> None:
    go = asyncio.Event()
    n_loads = 0
    manager = Manager()

    async def load(variables: Any) -> Any:
        nonlocal n_loads
        n_loads += 1
        if n_loads == 2:
            await go.wait()
        return {"n": -1}

    calls = []

    @manager.subscription(shared=True, initial=load)
    def tick(event: Any, variables: Any) -> Any:
        calls.append(event["n"])
        return event

    async with manager:
        first, second = await Connection(manager).ready(), await Connection(manager).ready()
        first.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
        assert await first.read_ticks(1) == [-1]
        second.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
        await until(lambda: n_loads == 2)
        for n in range(5):
            manager.publish("tick", {"n": n})
        assert await first.read_ticks(5) == list(range(5))
        go.set()
        assert await second.read_ticks(6) == [-1, *range(5)]
        assert calls == list(range(5))
        await leave([first, second])


async def test_too_many_events_in_line_close_the_clients() -> None:
    begun = asyncio.Event()
    manager = Manager(limits=Limits(max_pending=5))

    @manager.subscription(shared=True)
    async def tick(event: Any, variables: Any) -> Any:
        begun.set()
        await asyncio.sleep(60)

    async with manager:
        clients = await join(manager, 3)
        manager.publish("tick", {"n": 0})
        await begun.wait()
        for n in range(6):
            manager.publish("tick", {"n": n})
        for client in clients:
            assert (await client.next())["code"] == 1013
        await until(lambda: manager.get_metrics()["subscriptions_active"] == 0)


async def test_10000_subscribers_cost_one_call() -> None:
    n_calls = 0
    manager = Manager(limits=Limits(max_subscriptions_per_connection=20_000, messages_per_second=0))

    @manager.subscription(shared=True)
    def tick(event: Any, variables: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        return event

    async with manager:
        client = await Connection(manager).ready()
        for i in range(10_000):
            client.write({"type": "subscribe", "id": str(i), "payload": {"query": QUERY}})
        await until(lambda: manager.get_metrics()["subscriptions_active"] == 10_000)
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(10_000) == [1] * 10_000
        assert n_calls == 1
        assert manager.get_metrics()["projections"] == 1
        await client.left()


async def test_polled_subscriptions_wait_for_a_shared_call() -> None:
    manager = Manager()

    @manager.subscription(shared=True)
    async def tick(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0.01)
        return event

    async with manager:
        clients = await join(manager, 2)
        await manager.create_subscription("s", "c", QUERY, None, {}, None, None, None)
        await manager.publish_event("tick", "tick", {"n": 1})
        assert await manager.get_next_event("s") is not None
        assert manager.get_metrics()["deliveries"] == 3
        await leave(clients)


def test_wrong_declarations() -> None:
    manager = Manager()

    async def source() -> Any:
        yield 1

    with pytest.raises(ConfigError, match="shared= has no meaning for it"):
        manager.subscription(shared=True)(source)
    with pytest.raises(ConfigError, match="no resolver that shared= could be about"):
        manager.subscription("tick", shared=True)  # type: ignore[call-overload]
