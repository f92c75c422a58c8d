# SPDX-License-Identifier: MIT
"""Subscriptions inside a Starlette application, with a source and a publishing thread.

    uvicorn --app-dir examples starlette_app:app

Watch it from a second terminal:

    python examples/watch.py ws://127.0.0.1:8000/graphql 'subscription { countdown { left } }'
    python examples/watch.py ws://127.0.0.1:8000/graphql 'subscription { temperature { celsius } }'
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager("memory://")
manager.subscription("temperature")


@manager.subscription
async def countdown(variables: dict[str, Any]) -> AsyncIterator[dict[str, int]]:
    """A source of its own for each subscriber; its end is the subscription's."""
    for left in range(10, -1, -1):
        yield {"left": left}
        await asyncio.sleep(0.5)


def measure(stop: threading.Event) -> None:
    """A thread without an event loop: `publish` may be called from anywhere."""
    while not stop.wait(1.0):
        manager.publish("temperature", {"celsius": round(random.gauss(20, 2), 1)})


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=measure, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)


async def index(request: Request) -> Response:
    return PlainTextResponse("Subscriptions are at /graphql, see examples/watch.py.\n")


app = Starlette(routes=[Route("/", index)], lifespan=lifespan)
manager.attach(app, "/graphql")
