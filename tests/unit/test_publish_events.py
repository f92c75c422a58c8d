# SPDX-License-Identifier: MIT
"""`publish_events`: many through the door at a time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from fraiseql_asgi import ClosedError, Event, Limits, SubscriptionManager

#: Seconds for what takes milliseconds.
DEADLINE = 30.0


def events(n: int) -> list[Event]:
    return [Event("t", "tick", {"n": i}) for i in range(n)]


async def take(stream: Any, n: int) -> list[int]:
    return [(await anext(stream))["data"]["tick"]["n"] for _ in range(n)]


async def test_they_arrive_in_order_and_have_ids() -> None:
    async with SubscriptionManager() as manager:
        manager.subscription("tick")
        stream = manager.subscribe("subscription { tick { n } }")
        first = asyncio.ensure_future(take(stream, 1001))
        deadline = time.monotonic() + DEADLINE
        while manager.subscriber_count("tick") == 0:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        before = await manager.publish_event("t", "tick", {"n": -1})
        ids = await manager.publish_events(iter(events(1000)))
        assert ids == [str(int(before) + n) for n in range(1, 1001)]
        assert await first == list(range(-1, 1000))
        assert await manager.publish_events([]) == []
        assert manager.get_metrics()["events_published"] == 1001


async def test_more_than_the_door_holds_go_through() -> None:
    async with SubscriptionManager() as manager:
        one = Event("t", "tick", {})
        ids = await manager.publish_events([one] * 40_000)
        assert ids == [str(n) for n in range(1, 40_001)]


async def test_others_have_their_turn() -> None:
    async with SubscriptionManager() as manager:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        await manager.publish_events(events(10_000))
        task.cancel()
        assert turns > 10_000 / 256


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"n": 1}, TypeError, "Event objects, not dict"),
        (Event("t", "tick", {"text": "x" * 2000}), ValueError, "at most 1024 are allowed"),
        (Event("t", "tick", {}, tenant_id="x" * 2000), ValueError, "tenant_id is 2000 bytes"),
        (Event("t", "tick", {}, meta={"x": "x" * 70_000}), ValueError, "meta is"),
    ],
)
async def test_what_is_wrong_with_one_is_told_before_any_is_published(
    wrong: Any, error: type[Exception], says: str
) -> None:
    async with SubscriptionManager(limits=Limits(event_max_bytes=1024)) as manager:
        with pytest.raises(error, match=says):
            await manager.publish_events([*events(1000), wrong])
        assert manager.get_metrics()["events_published"] == 0


async def test_after_the_end_it_raises() -> None:
    async with SubscriptionManager() as manager:
        pass
    with pytest.raises(ClosedError):
        await manager.publish_events(events(3))


async def test_one_that_is_cancelled_leaves_nothing_behind() -> None:
    async with SubscriptionManager() as manager:
        task = asyncio.create_task(manager.publish_events(events(5000)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await manager.publish_event("t", "tick", {}) != ""
