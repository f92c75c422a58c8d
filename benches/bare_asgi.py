# SPDX-License-Identifier: MIT
"""The least an ASGI application can do to fan out: a queue and a task per connection.

No GraphQL, no JSON per delivery: every event is one ready text, put into the queue of each
connection. It speaks just enough graphql-transport-ws for `c/load.c`. `fanout.py` measures
fraiseql_asgi against it.

    uvicorn --app-dir benches bare_asgi:app
    curl -X POST 'http://127.0.0.1:8000/broadcast?n=200'
"""

from __future__ import annotations

import asyncio
import json
import os

from fanout_common import SUBPROTOCOL, Receive, Scope, Send, control, next_text

#: "burst": the publisher puts all events into the queues in one go, which is cheapest, as
#: then no task ever waits; "yield": it lets the loop run after each of them.
PUBLISHER = os.environ.get("BARE_PUBLISHER", "burst")

queues: set[asyncio.Queue[str]] = set()
publishers: set[asyncio.Task[None]] = set()


async def publish(n: int) -> None:
    for seq in range(n):
        text = next_text(seq)
        for queue in queues:
            queue.put_nowait(text)
        if PUBLISHER == "yield":
            await asyncio.sleep(0)


def broadcast(n: int) -> None:
    task = asyncio.create_task(publish(n))
    publishers.add(task)
    task.add_done_callback(publishers.discard)


async def pump(queue: asyncio.Queue[str], send: Send) -> None:
    while True:
        text = await queue.get()
        await send({"type": "websocket.send", "text": text})


async def converse(receive: Receive, send: Send, queue: asyncio.Queue[str]) -> None:
    """Answer a client that makes no mistakes, until it leaves."""
    while (message := await receive())["type"] == "websocket.receive":
        kind = json.loads(message["text"])["type"]
        if kind == "connection_init":
            await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
        elif kind == "ping":
            await send({"type": "websocket.send", "text": '{"type":"pong"}'})
        elif kind == "subscribe":
            queues.add(queue)


async def websocket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
    queue: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(pump(queue, send))
    try:
        await converse(receive, send, queue)
    finally:
        queues.discard(queue)
        task.cancel()


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await websocket(receive, send)
    elif scope["type"] == "http":
        await control(scope, send, broadcast)
    else:
        await lifespan(receive, send)
