# SPDX-License-Identifier: MIT
"""The application that clients come back to, on whichever bus the environment
names, and what publishes on it.

    FRAISEQL_TEST_BUS='{"bus_type": "memory"}' uvicorn resuming_app:app

`GET /publish/1000` publishes that many events in the process itself, which is
the one way to the embedded bus; `GET /begin` says that everybody is there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from fraiseql_asgi import EventBusConfig, SubscriptionManager

VARIABLE = "FRAISEQL_TEST_BUS"


def environ_of(config: EventBusConfig) -> dict[str, str]:
    """What tells a server of `config`."""
    return {VARIABLE: json.dumps(dataclasses.asdict(config))}


def make_manager(config: EventBusConfig, **settings: Any) -> SubscriptionManager:
    """One with a field of each kind on the channel `tick`."""
    manager = SubscriptionManager(config, publish_token="token", **settings)
    manager.subscription("tick")

    @manager.subscription(channel="tick")
    async def resolved(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0)
        return {**event, "pid": os.getpid()}

    @manager.subscription(channel="tick", shared=True)
    async def shared(event: Any, variables: Any) -> Any:
        return event

    return manager


async def publish(
    manager: SubscriptionManager,
    n_events: int,
    begin: asyncio.Event,
    reached: Callable[[int], Awaitable[None]] | None = None,
) -> None:
    """Publish the numbers from 1 to `n_events`, and 0 again and again until `begin`.

    Args:
        reached: called with a number before that is published.
    """
    while not begin.is_set():
        await manager.publish_event("tick", "tick", {"n": 0})
        await asyncio.sleep(0.02)
    for first in range(1, n_events + 1, 20):
        last = min(first + 20, n_events + 1)
        if reached is not None:
            await reached(first)
        events = (manager.publish_event("tick", "tick", {"n": n}) for n in range(first, last))
        await asyncio.gather(*events)
        await asyncio.sleep(0.004)


if VARIABLE in os.environ:
    manager = make_manager(
        EventBusConfig(**json.loads(os.environ[VARIABLE])),
        bus_required="FRAISEQL_TEST_BUS_OPTIONAL" not in os.environ,
    )
    _begin = asyncio.Event()
    _tasks: list[asyncio.Task[None]] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"] if scope["type"] == "http" else ""
    if path.startswith("/publish/"):
        _tasks.append(asyncio.ensure_future(publish(manager, int(path[9:]), _begin)))
    elif path == "/begin":
        _begin.set()
    else:
        await manager(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
