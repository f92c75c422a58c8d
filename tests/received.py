# SPDX-License-Identifier: MIT
"""A subscriber of the bus over PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from postgres_writers import wait
from typing_extensions import Self

from fraiseql_asgi import EventBusConfig, SubscriptionManager

__all__ = ["QUERY", "Received"]

#: Longest wait for anything that is expected to happen.
DEADLINE = 30.0
QUERY = "subscription { test }"


class Received:
    """A subscription that keeps what it gets, in a manager of its own."""

    def __init__(
        self, dsn: str, take: Callable[[Any], None] | None = None, **settings: Any
    ) -> None:
        self.manager = SubscriptionManager(EventBusConfig.postgresql(dsn, **settings))
        self.data: list[Any] = []
        self._take = self.data.append if take is None else take
        self.errors: list[Any] = []
        self._task: asyncio.Task[None] | None = None
        self._is_ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.manager.__aenter__()
        self._task = asyncio.create_task(self._read())
        await self.wait(lambda: self.manager.subscriber_count("test") == 1)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.manager.__aexit__(*error)

    async def _read(self) -> None:
        async for payload in self.manager.subscribe(QUERY):
            if payload["data"] is None:
                self.errors += payload["errors"]
            else:
                self._take(payload["data"]["test"])

    async def wait(self, is_so: Callable[[], bool], deadline: float = DEADLINE) -> None:
        await wait(is_so, lambda: f"{len(self.data)} came, errors {self.errors}", deadline)

    def metric(self, name: str) -> float:
        value = self.manager.get_metrics()[name]
        assert isinstance(value, (int, float))
        return value
