# SPDX-License-Identifier: MIT
"""Many events through the door at a time. Thread: loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from fraiseql_asgi._core import Event, Service
from fraiseql_asgi.errors import BusError

__all__ = ["publish_events"]


class _Outcomes:
    """What became of events, in their order."""

    def __init__(self) -> None:
        self.ids: list[str | None] = []
        self.failure: Exception | None = None
        self._under_way: deque[tuple[int, asyncio.Future[Any]]] = deque()

    def add(self, n: int, future: asyncio.Future[Any]) -> None:
        """Of `n` more it will be told by `future`."""
        self._under_way.append((n, future))

    def note(self) -> None:
        """Take what is known by now."""
        while self._under_way and self._under_way[0][1].done():
            n, future = self._under_way.popleft()
            ids, error = future.result()
            self.ids += ids or [None] * n
            self.failure = self.failure or error

    async def complete(self) -> None:
        """Return when all is known."""
        while self._under_way:
            await asyncio.wait([self._under_way[0][1]])
            self.note()


async def publish_events(
    service: Service,
    events: tuple[Event, ...],
    await_room: Callable[[asyncio.Future[Any]], Awaitable[None]],
) -> list[str]:
    """Publish `events`, and return their ids; `await_room` waits for the door.

    Raises:
        BusError: of the first that failed; `ids` tells of all.
        TypeError, ValueError: nothing was published.
    """
    outcomes = _Outcomes()
    failure: Exception | None = None
    n_given = 0
    while n_given < len(events) and outcomes.failure is None:
        try:
            n, future = service.offer_all(events, n_given)
            if n == 0:
                await await_room(future)
                continue
        except BusError as error:
            failure = error
            break
        n_given += n
        outcomes.add(n, future)
        await asyncio.sleep(0)  # others on this loop have their turn
        outcomes.note()
    await outcomes.complete()
    failure = outcomes.failure or failure
    if failure is None:
        return [event_id for event_id in outcomes.ids if event_id is not None]
    if isinstance(failure, ValueError):
        # The bus cannot hold one that others could; those beside it were taken.
        failure, cause = BusError(str(failure)), failure
        failure.__cause__ = cause
    if isinstance(failure, BusError):
        failure.ids = outcomes.ids + [None] * (len(events) - len(outcomes.ids))
    raise failure
