# SPDX-License-Identifier: MIT
"""What runs often leaves nothing behind: no object, no block, no reference."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest
from asgi_driver import Connection
from leaks import assert_leaks_nothing, measure

from fraiseql_asgi import (
    SKIP,
    Event,
    EventBusConfig,
    GraphQLSyntaxError,
    ResolverContext,
    SubscriptionExecutor,
    SubscriptionManager,
    UnknownSubscription,
)

#: Full before anything is counted, so that it grows no more.
SHORT_HISTORY = EventBusConfig.memory(history_events=8)
QUERY = "subscription ($x: Int) { tick(x: $x) { n } }"


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[SubscriptionExecutor]:
    monkeypatch.setattr(logging.getLogger("fraiseql_asgi"), "disabled", True)
    with SubscriptionExecutor(SHORT_HISTORY) as made:
        yield made


def sync(event: Any, variables: Any) -> Any:
    return event


async def asynchronous(event: Any, variables: Any, context: ResolverContext) -> Any:
    assert context.event is not None
    assert context.args == variables
    await asyncio.sleep(0)
    return {"n": context.event.data["n"], "id": context.connection_id}


def failing(event: Any, variables: Any) -> Any:
    raise LookupError


async def async_failing(event: Any, variables: Any) -> Any:
    raise LookupError


def no_json(event: Any, variables: Any) -> Any:
    return object()


def skipping(event: Any, variables: Any) -> Any:
    return SKIP


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "resolver", [None, sync, asynchronous, failing, async_failing, no_json, skipping]
)
def test_a_life_of_a_subscription(
    executor: SubscriptionExecutor, resolver: Callable[..., Any] | None
) -> None:
    def life() -> None:
        executor.register_subscription("c", "s", QUERY, None, {"x": 1}, None, None, resolver)
        executor.publish_event("ticked", "tick", {"n": 1, "m": [1, 2.5, "é"]})
        executor.publish_event(Event("ticked", "tick", {"n": 2}))
        executor.next_event("s")
        executor.complete_subscription("s")

    assert_leaks_nothing(life)


def test_refusals(executor: SubscriptionExecutor) -> None:
    def refuse() -> None:
        with pytest.raises(GraphQLSyntaxError):
            executor.register_subscription("c", "s", "{", None, None, None, None, sync)
        with pytest.raises(UnknownSubscription):
            executor.next_event("s")
        with pytest.raises(TypeError):
            executor.publish_event("ticked", "tick", {"n": object()})
        with pytest.raises(ValueError):
            executor.publish_event("ticked", "", {})

    assert_leaks_nothing(refuse)


@pytest.mark.timeout(120)
async def test_sources_and_publishing_in_a_loop() -> None:
    manager = SubscriptionManager(SHORT_HISTORY)
    manager.subscription("tick")

    @manager.subscription
    async def source(variables: Any, context: ResolverContext) -> AsyncGenerator[Any, None]:
        yield context.args

    async def life() -> None:
        client = await Connection(manager).subscribed()
        await manager.publish_event("t", "tick", {"n": 1})
        await client.read_ticks(1)
        query = {"query": "subscription { source }"}
        client.write({"type": "subscribe", "id": "2", "payload": query})
        assert (await client.read())["type"] == "next"
        assert (await client.read())["type"] == "complete"
        await client.left()

    async with manager:
        for _ in range(3):
            for _ in range(100):
                await life()
            await asyncio.sleep(0)
            before = measure()
            for _ in range(300):
                await life()
            await asyncio.sleep(0)
            grown = [b - a for a, b in zip(before, measure(), strict=True)]
            if max(grown) < 100:
                return
        pytest.fail(f"300 lives leave {grown}")
