# SPDX-License-Identifier: MIT
"""One instance, a uvicorn of its own: `python instance.py SETTINGS`, which is JSON.
It prints the port that it listens on."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from typing import Any

import uvicorn

from fraiseql_asgi import EventBusConfig, Limits, SubscriptionManager


def make_app(settings: dict[str, Any]) -> Any:
    url, history = settings["url"], settings["history_events"]
    if url.startswith("redis"):
        bus = EventBusConfig.redis(url, "chaos", history_events=history)
    else:
        bus = EventBusConfig.postgresql(url)
    limits = Limits(
        queue_max_items=settings["queue_items"], queue_max_bytes=settings["queue_bytes"]
    )
    manager = SubscriptionManager(
        bus,
        limits=limits,
        publish_token=settings["token"],
        publish_timeout=settings["publish_timeout"],
        shutdown_timeout=1.0,
        bus_required=False,
    )
    manager.subscription("a")
    manager.subscription("b")
    manager.subscription("both", channel=["a", "b"])
    manager.subscription("oldest", channel="a", overflow="drop_oldest")
    manager.subscription("newest", channel="a", overflow="drop_newest")
    manager.subscription("latest", channel="a", overflow="conflate", conflate_key="key")

    @manager.subscription(channel=["a", "b"])
    async def resolved(event: Any, variables: Any) -> Any:
        await asyncio.sleep(event["n"] % 3 / 1000)
        return event

    @manager.subscription(channel=["a", "b"], shared=True)
    async def shared(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0)
        return event

    @manager.subscription(channel="a", overflow="drop_oldest")
    async def oldest_resolved(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0)
        return event

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/metrics":
            body = json.dumps(manager.get_metrics()).encode()
            headers = [(b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await manager(scope, receive, send)

    return app


def main() -> None:
    settings = json.loads(sys.argv[1])
    logging.basicConfig(level="INFO", format="%(levelname)s %(name)s: %(message)s")
    listener = socket.socket()
    # What a client does not read stays with us, not in the kernel.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        make_app(settings), access_log=False, loop=settings["loop"], timeout_graceful_shutdown=5
    )
    print(f"port {listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
