# SPDX-License-Identifier: MIT
"""Commands that use a bus as a server does: publish to it, listen to it, and
see whether it works."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fraiseql_asgi._core import Event
from fraiseql_asgi.config import EventBusConfig, bus_from_environ
from fraiseql_asgi.errors import BusError, ConfigError
from fraiseql_asgi.manager import SubscriptionManager

__all__ = ["check", "publish", "tail"]

#: Events of `publish` under way at a time.
_UNDER_WAY = 256
#: How long `check` waits for what it has published.
_CHECK_TIMEOUT = 10.0


def bus_of(url: str | None, environ: Mapping[str, str]) -> EventBusConfig:
    """The bus at `url`, else of the variables, which must be one that others
    can reach.

    Raises:
        ConfigError: it is none, or the embedded one.
    """
    config = EventBusConfig.from_url(url) if url else bus_from_environ(environ)
    if config.bus_type == "memory":
        raise ConfigError(
            "the embedded bus, memory://, lives inside a server; name one with --bus or "
            "FRAISEQL_ASGI_BUS, such as postgresql://localhost/app",
            setting="bus",
        )
    return config


async def publish(
    bus: EventBusConfig,
    events: Iterable[Event],
    on_id: Callable[[str], None],
    progress: Callable[[int], None],
) -> int:
    """Publish events, in their order; returns how many.

    Args:
        on_id: called with the id of each, in the order of the events.
        progress: called with how many the bus has.

    Raises:
        BusError: the bus did not take one; those before it were.
    """
    n = 0
    async with SubscriptionManager(bus) as manager:
        under_way: list[asyncio.Future[str]] = []
        iterator = iter(events)
        has_more = True
        while has_more or under_way:
            while has_more and len(under_way) < _UNDER_WAY:
                event = next(iterator, None)
                if event is None:
                    has_more = False
                    break
                under_way.append(asyncio.ensure_future(manager.publish_event(event)))
                # It begins here, so that the order is that of the events.
                await asyncio.sleep(0)
            if under_way:
                on_id(await under_way.pop(0))
                n += 1
                progress(n)
    return n


async def tail(
    bus: EventBusConfig,
    channels: tuple[str, ...],
    count: int | None,
    on_event: Callable[[dict[str, Any]], None],
) -> None:
    """Hand every event of `channels` on as it comes, `count` of them or for ever.

    Raises:
        BusError: it cannot be reached, or events were lost.
    """
    manager = SubscriptionManager(bus)

    @manager.subscription(channel=list(channels))
    def tail(event: Any, variables: Any, context: Any) -> dict[str, Any]:
        whole: dict[str, Any] = context.event.to_dict()
        return whole

    n = 0
    async with manager:
        async for result in manager.subscribe("subscription { tail }"):
            if result.get("errors"):
                raise BusError(result["errors"][0]["message"])
            on_event(result["data"]["tail"])
            n += 1
            if n == count:
                return


async def check(bus: EventBusConfig) -> dict[str, Any]:
    """Publish an event to a channel that nobody has, and receive it.

    Raises:
        BusError: one of the two does not work; the text says which.
    """
    channel = f"fraiseql:check:{secrets.token_hex(8)}"
    manager = SubscriptionManager(bus)
    manager.subscription("check", channel=channel)
    before = time.monotonic()
    async with manager:
        connected = time.monotonic()
        stream = manager.subscribe("subscription { check }")
        first = asyncio.ensure_future(anext(stream))
        while manager.subscriber_count(channel) == 0:
            if first.done():
                break
            await asyncio.sleep(0.001)
        start = time.monotonic()
        event_id = await manager.publish_event("check", channel, {"check": json.dumps(channel)})
        published = time.monotonic()
        try:
            await asyncio.wait_for(first, _CHECK_TIMEOUT)
        except asyncio.TimeoutError:
            raise BusError(
                f"the event {event_id} was published but did not come back within "
                f"{_CHECK_TIMEOUT:g} s"
            ) from None
        received = time.monotonic()
    return {
        "bus_type": bus.bus_type,
        "connect_ms": round((connected - before) * 1000, 3),
        "publish_ms": round((published - start) * 1000, 3),
        "receive_ms": round((received - start) * 1000, 3),
    }
