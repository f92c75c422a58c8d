# SPDX-License-Identifier: MIT
"""The application that conformance.py speaks with, in all the ways it can be
served: alone at /bare, and inside of Starlette and FastAPI, mounted or attached.
The reference has the same in clients/reference_server.mjs.

    uvicorn --app-dir tests conformance_app:app
"""

from __future__ import annotations

import asyncio
import collections
import json
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import fastapi
from graphql import build_schema
from starlette.applications import Starlette
from starlette.routing import Mount

from fraiseql_asgi import (
    CloseConnection,
    Limits,
    SecurityContext,
    SecurityError,
    SubscriptionManager,
    execute,
)

SDL = (pathlib.Path(__file__).parent / "data" / "conformance" / "schema.graphql").read_text()


class Room:
    """What the conversations of one key know of each other."""

    def __init__(self) -> None:
        self.may_go = asyncio.Event()
        self.started = 0
        self.released = 0
        self.news = asyncio.Condition()

    async def count(self, started: int = 0, released: int = 0) -> None:
        self.started += started
        self.released += released
        async with self.news:
            self.news.notify_all()


rooms: dict[str, Room] = collections.defaultdict(Room)


async def authenticate(payload: dict[str, Any] | None) -> Any:
    asked = payload or {}
    if "hold" in asked:
        await rooms[asked["hold"]].may_go.wait()
    refuse = asked.get("refuse")
    if refuse == "false":
        return False
    if refuse == "none":
        return None
    if refuse == "raise":
        raise LookupError("a fault of the application")
    if refuse == "close":
        raise CloseConnection(asked["code"], asked["reason"])
    context = SecurityContext("anonymous")
    return (context, asked["ack"]) if "ack" in asked else context


async def prepare(connection: Any, operation: Any) -> None:
    asked = operation.extensions or {}
    if "hold" in asked:
        await rooms[asked["hold"]].may_go.wait()
    if asked.get("refuse"):
        raise SecurityError("refused")


class Root:
    """Queries and mutations, by graphql-core."""

    def hello(self, info: Any) -> str:
        return "world"

    def echo(self, info: Any, text: str) -> str:
        return text

    def fails(self, info: Any) -> None:
        raise LookupError("a fault of the application")

    async def slow(self, info: Any, key: str) -> int:
        await rooms[key].may_go.wait()
        return 1

    async def sources(self, info: Any, key: str, released: int) -> Room:
        room = rooms[key]
        async with room.news:
            await room.news.wait_for(lambda: room.released >= released)
        return room

    def go(self, info: Any, key: str) -> bool:
        rooms[key].may_go.set()
        return True

    async def publish(self, info: Any, key: str, times: int, **arguments: str) -> int:
        manager = managers[info.context.scope["path"].startswith("/impatient")]
        data = json.loads(arguments["json"])
        for _ in range(times):
            await manager.publish_event(event_type="item", channel=f"items:{key}", data=data)
        return times


def make(init_timeout: float) -> SubscriptionManager:
    manager = SubscriptionManager(
        schema=SDL,
        auth_handler=authenticate,
        on_subscribe=prepare,
        execute_handler=execute.graphql_core(build_schema(SDL), Root()),
        limits=Limits(
            init_timeout=init_timeout,
            messages_per_second=0,
            queue_max_bytes=128 * 2**20,
        ),
    )
    manager.subscription("item", channel="items:{key}")

    @manager.subscription(channel="items:{key}")
    def raises(event: Any, variables: Any) -> Any:
        raise LookupError("a fault of the application")

    @manager.subscription
    async def count(variables: Any, context: Any) -> AsyncIterator[int]:
        for n in range(context.args["to"]):
            yield n

    @manager.subscription
    async def forever(variables: Any, context: Any) -> AsyncIterator[int]:
        room = rooms[context.args["key"]]
        await room.count(started=1)
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            await room.count(released=1)

    @manager.subscription
    async def breaks() -> AsyncIterator[int]:
        yield 0
        raise LookupError("a fault of the application")

    return manager


#: The usual one, and one that waits a second for init.
managers = [make(60.0), make(1.0)]


def attached(app: Any, path: str) -> Any:
    managers[0].attach(app, path)
    return app


def mounted(app: Any, path: str) -> Any:
    app.mount(path, managers[0])
    return app


APPS: dict[str, Any] = {
    "bare": managers[0],
    "impatient": managers[1],
    "starlette-mount": Starlette(routes=[Mount("/starlette-mount", managers[0])]),
    "starlette-attach": attached(Starlette(), "/starlette-attach"),
    "fastapi-mount": mounted(fastapi.FastAPI(), "/fastapi-mount"),
    "fastapi-attach": attached(fastapi.FastAPI(), "/fastapi-attach"),
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await managers[0](scope, receive, send)
    elif scope["type"] == "http":
        body = b"{}"
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await APPS[scope["path"].split("/")[1]](scope, receive, send)
