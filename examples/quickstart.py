# SPDX-License-Identifier: MIT
"""Live events in one file: what `make run` serves.

    uvicorn --app-dir examples quickstart:app

A thread publishes a tick every second. The page at / subscribes to them, and
to a source that counts on its own, over GraphQL at /graphql.
"""

from __future__ import annotations

import asyncio
import math
import pathlib
import threading
import time

from fraiseql_asgi import SubscriptionManager

PAGE = pathlib.Path(__file__).with_name("quickstart.html").read_bytes()

manager = SubscriptionManager(path="/graphql")

# No resolver: what is published on the channel "ticks" is the value.
manager.subscription("tick", channel="ticks")


@manager.subscription
async def uptime(variables):
    """An async generator is a source of its own: one for each subscription."""
    started = time.monotonic()
    while True:
        yield {"seconds": round(time.monotonic() - started)}
        await asyncio.sleep(5)


def publish_ticks(stop: threading.Event) -> None:
    """Publishing works from any thread."""
    count = 0
    while not stop.wait(1.0):
        count += 1
        manager.publish(
            "ticks",
            {
                "count": count,
                "sentAt": time.time() * 1000,
                "value": round(50 + 40 * math.sin(count / 6), 1),
            },
        )


async def app(scope, receive, send):
    """A plain ASGI application: the page, and everything else to the manager."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"] == "/":
        await send_page(send)
    else:
        await manager(scope, receive, send)


async def lifespan(receive, send):
    """Runs the manager and the publishing thread as long as the server."""
    await receive()
    async with manager:
        stop = threading.Event()
        thread = threading.Thread(target=publish_ticks, args=(stop,), name="ticks")
        thread.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        stop.set()
        thread.join()
    await send({"type": "lifespan.shutdown.complete"})


async def send_page(send):
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})
