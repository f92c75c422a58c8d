# SPDX-License-Identifier: MIT
"""The application that hostile.py attacks: a field with an event every 20 ms, the
limits that are the default but for two, and /state, which tells what the process holds.

    uvicorn --app-dir tests hostile_app:app
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

from fraiseql_asgi import Limits, SubscriptionManager, execute

SDL = """
type Query { hello(name: String = "you", list: [[Int]]): String! }
type Subscription { tick: Tick item(key: String!): Tick count(to: Int = 3): Int! }
type Tick { n: Int! at: Float! }
"""


def hello(info: Any, name: str, **_: Any) -> str:
    return f"hello {name}"


def make() -> SubscriptionManager:
    from graphql import build_schema

    root = type("Root", (), {"hello": staticmethod(hello)})
    manager = SubscriptionManager(
        schema=SDL,
        execute_handler=execute.graphql_core(build_schema(SDL), root),
        # Whoever is attacked for long from one address refuses most of it before
        # the accept, and that is not what is tried here.
        limits=Limits(init_timeout=2.0, handshakes_per_second_per_address=0),
    )
    manager.subscription("tick")
    manager.subscription("item", channel="items:{key}")

    @manager.subscription
    async def count(variables: Any, context: Any) -> AsyncIterator[int]:
        for n in range(min(context.args["to"], 100)):
            yield n

    return manager


manager = make()


def publish() -> None:
    for n in range(2**31):
        try:
            manager.publish("tick", {"n": n, "at": time.time()})
        except RuntimeError:  # it has been closed
            return
        time.sleep(0.02)


libc = ctypes.CDLL(None)


def state() -> dict[str, Any]:
    """What is held: free memory that malloc keeps back for later is given up."""
    gc.collect()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    with open("/proc/self/statm") as statm:
        n_pages = int(statm.read().split()[1])
    return {
        "rss": n_pages * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "connections": manager.get_metrics()["connections_active"],
        "subscriptions": manager.get_metrics()["subscriptions_active"],
    }


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        if scope["type"] == "lifespan":
            threading.Thread(target=publish, daemon=True).start()
        await manager(scope, receive, send)
        return
    body = json.dumps(state() if scope["path"] == "/state" else {}).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
