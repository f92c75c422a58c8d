# SPDX-License-Identifier: MIT
"""A subscription that notes what it gets, for tests of what a bus does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from sizes import size

from fraiseql_asgi import EventBusConfig, SubscriptionManager

__all__ = ["DEADLINE", "ITEMS", "SLACK", "Listener", "listening", "metric"]

#: Seconds for what takes milliseconds.
DEADLINE = 30.0
#: What bounds on time are multiplied by in a run on a busy machine.
SLACK = size(5, 1)

ITEMS = "subscription { items { n } }"


class Listener:
    """What one subscription of `items` gets."""

    def __init__(self, manager: SubscriptionManager, query: str = ITEMS) -> None:
        self.results: list[dict[str, Any]] = []
        self._stream = manager.subscribe(query)
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for result in self._stream:
            self.results.append(result)
            self._changed.set()

    @property
    def numbers(self) -> list[int]:
        found = [result["data"]["items"]["n"] for result in self.results if result["data"]]
        return [number for number in found if number >= 0]

    @property
    def n_gaps(self) -> int:
        return sum(
            error["extensions"]["code"] == "EVENTS_LOST"
            for result in self.results
            for error in result.get("errors", ())
        )

    async def until(self, condition: Any, timeout: float = DEADLINE) -> float:
        """Wait until `condition(self)`; returns the seconds that took."""
        start = time.monotonic()
        while not condition(self):
            self._changed.clear()
            left = timeout - (time.monotonic() - start)
            assert left > 0, self.results[-3:]
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        return time.monotonic() - start

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._stream.aclose()


@contextlib.asynccontextmanager
async def listening(
    config: str | EventBusConfig, **settings: Any
) -> AsyncIterator[tuple[SubscriptionManager, Listener]]:
    """A manager and a subscription of it that is live."""
    async with SubscriptionManager(config, **settings) as manager:
        listener = Listener(manager)
        try:
            while not listener.results:
                await manager.publish_event("item", "items", {"n": -1})
                with contextlib.suppress(AssertionError):
                    await listener.until(lambda it: it.results, 0.05)
            listener.results.clear()
            yield manager, listener
        finally:
            await listener.close()


async def metric(manager: SubscriptionManager, name: str, value: int) -> None:
    """Wait until a metric has a value."""
    deadline = time.monotonic() + DEADLINE
    while (found := manager.get_metrics()[name]) != value:  # type: ignore[literal-required]
        assert time.monotonic() < deadline, (name, found)
        await asyncio.sleep(0.01)
