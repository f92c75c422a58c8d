# SPDX-License-Identifier: MIT
"""ASGI connections for a great many messages: texts go to a list, no queue and
no JSON stands between."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fraiseql_asgi import SubscriptionManager

__all__ = ["DEADLINE", "Wire", "body_of", "id_of"]

#: Longest wait for anything that is expected to happen.
DEADLINE = 120.0

INIT = '{"type":"connection_init"}'
ACK = '{"type":"connection_ack"}'
PING = '{"type":"ping"}'
PONG = '{"type":"pong"}'
NEXT = ',"type":"next","payload":'


def id_of(text: str) -> str:
    """The id in a `next` message."""
    head, found, _ = text.partition(NEXT)
    assert found, text
    return head[len('{"id":"') : -1]


def body_of(text: str) -> str:
    """What two subscribers of one event have in common."""
    return text.partition(NEXT)[2]


class Wire:
    """One client; what it was sent is in `texts`."""

    def __init__(self, manager: SubscriptionManager) -> None:
        self.manager = manager
        self.texts: list[str] = []
        self.n_pongs = 0
        self.closed: int | None = None
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._news = asyncio.Event()
        scope = {
            "type": "websocket",
            "path": "/",
            "headers": [],
            "subprotocols": ["graphql-transport-ws"],
        }
        self._task = asyncio.ensure_future(manager(scope, self._incoming.get, self._send))
        self.write(INIT)

    async def _send(self, message: Any) -> None:
        text = message.get("text")
        if text == PING:  # it has said nothing for a while
            self.write(PONG)
        elif text == PONG:
            self.n_pongs += 1
            self._news.set()
        elif text is not None:
            self.texts.append(text)
            self._news.set()
        elif message["type"] == "websocket.close":
            self.closed = message["code"]
            self._news.set()

    def write(self, text: str) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def subscribe(self, operation_id: str, query: str) -> None:
        self.write(f'{{"id":"{operation_id}","type":"subscribe","payload":{{"query":"{query}"}}}}')

    def complete(self, operation_id: str) -> None:
        self.write(f'{{"id":"{operation_id}","type":"complete"}}')

    async def done(self) -> None:
        """Wait until all that was written has been dealt with."""
        n = self.n_pongs + 1
        self.write(PING)
        await self.until(lambda: self.n_pongs >= n)

    async def until(self, condition: Any) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert self.closed is None, self.closed
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), deadline - time.monotonic())

    def vanish(self) -> None:
        """The connection is lost."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def left(self) -> None:
        """Vanish, and wait until the application has let go."""
        self.vanish()
        await asyncio.wait_for(self._task, DEADLINE)
