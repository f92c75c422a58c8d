# SPDX-License-Identifier: MIT
"""manager.subscribe: an async iterator of results."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any

import pytest
from asgi_driver import on_both_loops, until

from fraiseql_asgi import (
    ClosedError,
    GraphQLSyntaxError,
    GraphQLValidationError,
    Limits,
    ResolverContext,
    SecurityContext,
    SubscriptionManager,
)

QUERY = "subscription { tick { n } }"


def n_active(manager: SubscriptionManager) -> int:
    return manager.get_metrics()["subscriptions_active"]


@on_both_loops
async def test_results_come_in_order() -> None:
    async with SubscriptionManager() as manager:
        async with manager.subscribe(QUERY) as stream:
            for n in range(100):
                manager.publish("tick", {"n": n})
            got = [await stream.__anext__() for _ in range(100)]
            assert got == [{"data": {"tick": {"n": n}}} for n in range(100)]
            asyncio.get_running_loop().call_later(0.01, manager.publish, "tick", {"n": 100})
            assert await stream.__anext__() == {"data": {"tick": {"n": 100}}}
        await until(lambda: n_active(manager) == 0)
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        await stream.aclose()


@on_both_loops
async def test_declared_fields_are_what_they_are_for_clients() -> None:
    manager = SubscriptionManager()
    me = SecurityContext("u", "t")
    seen: list[Any] = []

    @manager.subscription(channel="ticks", initial=lambda: {"n": 0})
    async def tick(event: Any, variables: Any, context: ResolverContext) -> Any:
        seen.append(context.security)
        assert context.scope is None
        assert context.connection_params is None
        await asyncio.sleep(0)
        return {"n": event["n"] + variables["by"]}

    async with manager:
        stream = manager.subscribe(
            "subscription Other { other } subscription T($by: Int!) { tick(by: $by) { n } }",
            variables={"by": 10},
            security=me,
            operation_name="T",
        )
        manager.publish("ticks", {"n": 1})
        assert await stream.__anext__() == {"data": {"tick": {"n": 0}}}
        assert await stream.__anext__() == {"data": {"tick": {"n": 11}}}
        assert seen == [me]
        assert seen[0] is me


@on_both_loops
async def test_a_source_ends_it() -> None:
    manager = SubscriptionManager()
    ended = []

    @manager.subscription
    async def tick(variables: Any) -> Any:
        try:
            for n in range(200):
                yield {"n": n}
        finally:
            ended.append(1)

    async with manager:
        got = [result["data"]["tick"]["n"] async for result in manager.subscribe(QUERY)]
        assert got == list(range(200))
        async for _ in manager.subscribe(QUERY):
            break
        gc.collect()
        await until(lambda: len(ended) == 2)
        assert n_active(manager) == 0


@on_both_loops
async def test_breaking_and_cancelling_end_it() -> None:
    manager = SubscriptionManager()
    begun, ended = asyncio.Event(), asyncio.Event()

    @manager.subscription
    async def slow(event: Any, variables: Any) -> Any:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def read() -> None:
        async for _ in manager.subscribe("subscription { slow }"):
            pass

    async with manager:
        task = asyncio.ensure_future(read())
        await until(lambda: n_active(manager) == 1)
        manager.publish("slow", {})
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 10)
        await until(lambda: n_active(manager) == 0)


async def test_a_wait_that_is_cancelled_loses_nothing() -> None:
    async with SubscriptionManager() as manager:
        stream = manager.subscribe(QUERY)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.__anext__(), 0.01)
        manager.publish("tick", {"n": 1})
        assert await stream.__anext__() == {"data": {"tick": {"n": 1}}}
        reading = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task waits"):
            await stream.__anext__()
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await reading


async def test_refusals_are_raised() -> None:
    manager = SubscriptionManager()
    manager.subscription("tick")
    async with manager:
        with pytest.raises(GraphQLSyntaxError):
            await manager.subscribe("subscription {").__anext__()
        with pytest.raises(GraphQLValidationError) as caught:
            await manager.subscribe("subscription { tock }").__anext__()
        assert "tock" in caught.value.errors[0]["message"]
        with pytest.raises(GraphQLValidationError):
            await manager.subscribe("subscription($n: Int!) { tick(n: $n) }").__anext__()
        stream = manager.subscribe("{ tick }")
        with pytest.raises(GraphQLValidationError):
            await stream.__anext__()
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        with pytest.raises(TypeError):
            manager.subscribe(1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"variables\.n"):
            manager.subscribe(QUERY, variables={"n": object()})
        with pytest.raises(TypeError):
            manager.subscribe(QUERY, security=1)  # type: ignore[arg-type]


async def test_a_full_queue_drops_the_oldest_and_says_so() -> None:
    async with SubscriptionManager(limits=Limits(queue_max_items=4)) as manager:
        stream = manager.subscribe(QUERY)
        for n in range(10):
            manager.publish("tick", {"n": n})
        await until(lambda: manager.get_metrics()["deliveries_dropped"] == 6)
        assert await stream.__anext__() == {
            "data": {"tick": {"n": 6}},
            "extensions": {"dropped": 6},
        }
        assert await stream.__anext__() == {"data": {"tick": {"n": 7}}}


@on_both_loops
async def test_stopping_the_manager_ends_it() -> None:
    async with SubscriptionManager() as manager:
        stream = manager.subscribe(QUERY)
        manager.publish("tick", {"n": 1})
        assert await stream.__anext__() == {"data": {"tick": {"n": 1}}}
        reading = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0.01)
    with pytest.raises(ClosedError, match="Service restart"):
        await reading
    with pytest.raises(ClosedError):
        manager.subscribe(QUERY)


def test_without_a_loop_it_is_an_error() -> None:
    manager = SubscriptionManager()
    with pytest.raises(Exception, match="no asyncio event loop runs here"):
        manager.subscribe(QUERY)
    manager._runtime.stop()


def test_a_loop_that_ends_leaves_nothing() -> None:
    manager = SubscriptionManager()

    async def leave_it_open() -> Any:
        stream = manager.subscribe(QUERY)
        manager.publish("tick", {"n": 1})
        await stream.__anext__()
        return stream

    stream = asyncio.run(leave_it_open())
    assert n_active(manager) == 1
    del stream
    gc.collect()
    assert manager.subscriber_count("tick") == 0
    manager._runtime.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_fork_leaves_the_child_without_it() -> None:
    async with SubscriptionManager() as manager:
        stream = manager.subscribe(QUERY)
        manager.publish("tick", {"n": 1})
        await stream.__anext__()
        pid = os.fork()
        if pid == 0:
            outcome = stream._stream.take()
            os._exit(0 if isinstance(outcome, tuple) and outcome[0] == 1012 else 1)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert status == 0
        manager.publish("tick", {"n": 2})
        assert await stream.__anext__() == {"data": {"tick": {"n": 2}}}
