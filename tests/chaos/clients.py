# SPDX-License-Identifier: MIT
"""Clients that come back whatever happens, and note all they see."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import urllib.parse
from collections.abc import AsyncIterator, Callable
from typing import Any

from frames import Closed, Peer

from .plan import ClientPlan
from .record import Client, Item, ItemKind, Record

__all__ = ["Visitor"]

#: Longest wait for a handshake; a server that stands still gets no more.
PATIENCE = 1.5
#: Between two attempts to connect.
PAUSE = 0.05
#: How connections may end: by nobody (1006), at a restart, and for a client
#: that is too slow.
CODES = (1006, 1012, 1013)


class Visitor:
    """One client, of two kinds (WebSocket and event stream), for a whole run."""

    def __init__(
        self,
        number: int,
        plan: ClientPlan,
        record: Record,
        now: Callable[[], float],
        addresses: Callable[[], list[str]],
        chance: random.Random,
    ) -> None:
        self.plan = plan
        self.client = Client(
            f"{number}:{plan.name}", plan.channels, plan.policy, is_slow=plan.stalls > 0
        )
        record.clients.append(self.client)
        self._record = record
        self._now = now
        self._addresses = addresses
        self._chance = chance
        self._after: str | None = None
        #: Channels of which something has come since all calmed down.
        self.back: set[str] = set()
        self._vanish = asyncio.Event()
        self._is_done = False
        self._is_calm = False
        self._is_reading = asyncio.Event()
        self._is_reading.set()

    # -- for the stage ----------------------------------------------------------

    def vanish(self) -> None:
        """Drop the connection, without a word."""
        self._vanish.set()

    @property
    def is_back(self) -> bool:
        return self.back >= set(self.plan.channels)

    def stop(self) -> None:
        self._is_done = True
        self._vanish.set()

    async def run(self) -> None:
        turns = asyncio.ensure_future(self._take_turns())
        try:
            while not self._is_done:
                self._vanish.clear()
                await self._visit()
                if not self._is_done:
                    await asyncio.sleep(PAUSE * (1 + self._chance.random()))
        finally:
            turns.cancel()
            await asyncio.gather(turns, return_exceptions=True)

    def calm_down(self) -> None:
        """No more stalls, and no more leaving."""
        self._is_calm = True
        self._is_reading.set()

    async def _take_turns(self) -> None:
        if self.plan.stalls == 0:
            return
        while not self._is_calm:
            await asyncio.sleep(self.plan.reads)
            if self._is_calm:
                break
            self._is_reading.clear()
            self._note("stall")
            await asyncio.sleep(self.plan.stalls)
            self._is_reading.set()
            self._note("read")

    # -- what is seen -----------------------------------------------------------

    def _note(self, what: ItemKind, **more: Any) -> None:
        self.client.items.append(Item(self._now(), what, **more))

    def _take(self, payload: Any, position: str | None) -> bool:
        """Notes a result; False: it ends the subscription."""
        extensions = payload.get("extensions", {})
        if (errors := payload.get("errors")) is not None:
            return self._take_errors(errors)
        (data,) = payload["data"].values()
        n, channel = data.get("n"), data.get("channel")
        event = self._record.publishes.get(n)
        if event is None or event.channel != channel or data.get("pad") != "x" * data["size"]:
            self._note("wrong", told=f"an event that is not as it was published: {data!r:.200}")
        self._note("event", n=n, dropped=extensions.get("dropped", 0))
        unknown = set(extensions) - {"dropped", "position"}
        if unknown:
            self._note("wrong", told=f"extensions nobody knows: {unknown}")
        if self.plan.resumes:
            if position is None:
                self._note("wrong", told=f"event {n} has no position")
            else:
                self._after = position
        if n in self._record.last:
            self.back.add(channel)
        return True

    def _take_errors(self, errors: Any) -> bool:
        codes = [error.get("extensions", {}).get("code") for error in errors]
        if codes == ["EVENTS_LOST"]:
            self._note("gap")
            if self.plan.resumes and self.plan.how == "websocket":
                self._note("wrong", told="EVENTS_LOST to one who asked for positions")
            return True
        if codes == ["POSITION_LOST"]:
            self._note("lost")
            if not self.plan.resumes:
                self._note("wrong", told="POSITION_LOST to one who asked for none")
            self._after = None
        elif codes == ["BUS_UNAVAILABLE"]:
            self._note("unavailable")
        else:
            self._note("wrong", told=f"errors: {errors!r:.300}")
        return False

    async def _visit(self) -> None:
        """One connection, from beginning to end."""
        addresses = self._addresses()
        if not addresses:
            return
        address = self._chance.choice(addresses)
        results = self._websocket if self.plan.how == "websocket" else self._stream
        vanish = asyncio.ensure_future(self._vanish.wait())
        reading = asyncio.ensure_future(results(address))
        stays = self.plan.stays * (0.5 + self._chance.random())
        is_leaving = stays > 0 and not self._is_calm
        await asyncio.wait(
            (vanish, reading),
            timeout=stays if is_leaving else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not reading.done():
            while not reading.done():
                # wait_for() of Python 3.11 and before may swallow one.
                reading.cancel()
                await asyncio.wait((reading,), timeout=0.1)
            if not reading.cancelled():
                reading.exception()  # it is heard, and of no interest
            self._note("end", told="it left")
        else:
            try:
                self._note("end", told=reading.result())
            except (OSError, EOFError, asyncio.TimeoutError) as error:
                self._note("end", told=f"{type(error).__name__}: {error}")
        vanish.cancel()

    @property
    def _query(self) -> str:
        return f"subscription {{ {self.plan.field} {{ n channel key size pad }} }}"

    # -- WebSocket --------------------------------------------------------------

    async def _websocket(self, address: str) -> str:
        peer = await asyncio.wait_for(Peer.connect(address, receive_buffer=8192), PATIENCE)
        try:
            if peer.status != 101:
                return f"status {peer.status}"
            return await self._subscribe(peer)
        finally:
            peer.abort()

    async def _subscribe(self, peer: Peer) -> str:
        await peer.text('{"type":"connection_init"}')
        answer = await asyncio.wait_for(peer.read(), PATIENCE)
        if isinstance(answer, Closed):
            return self._closed(answer)
        if answer != '{"type":"connection_ack"}':
            self._note("wrong", told=f"instead of connection_ack: {answer:.200}")
            return "no protocol"
        payload: dict[str, Any] = {"query": self._query}
        if self.plan.resumes:
            resume = {} if self._after is None else {"after": self._after}
            payload["extensions"] = {"resume": resume}
        self._note("subscribe", after=self._after)
        await peer.text(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        await peer.text('{"type":"ping"}')
        while True:
            await self._is_reading.wait()
            text = await peer.read()
            if isinstance(text, Closed):
                return self._closed(text)
            message = json.loads(text)
            if message["type"] == "pong":
                self._note("live")
            elif message["type"] == "next":
                payload = message["payload"]
                if not self._take(payload, payload.get("extensions", {}).get("position")):
                    self._note("wrong", told=f"an end in a next: {text:.200}")
                    return "an error"
            elif message["type"] == "error":
                if self._take_errors(message["payload"]):
                    self._note("wrong", told=f"an error that is none: {text:.200}")
                return "an error"
            elif message["type"] == "ping":
                await peer.text('{"type":"pong"}')
            else:
                self._note("wrong", told=f"message {text:.200}")

    def _closed(self, closed: Closed) -> str:
        if closed.code not in CODES:
            self._note("wrong", told=f"closed with {closed.code} {closed.reason}")
        if closed.code == 1013 and self.plan.policy != "disconnect":
            self._note("wrong", told=f"closed with 1013 {closed.reason} by {self.plan.policy}")
        return f"closed with {closed.code} {closed.reason}"

    # -- event streams ----------------------------------------------------------

    async def _stream(self, address: str) -> str:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), PATIENCE)
        try:
            query = urllib.parse.urlencode({"query": self._query})
            head = f"GET /?{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n"
            if self._after is not None:
                head += f"Last-Event-ID: {self._after}\r\n"
            writer.write((head + "\r\n").encode())
            status = await asyncio.wait_for(reader.readline(), PATIENCE)
            if b" 200 " not in status:
                return status.decode().strip() or "nothing"
            # A stream that is answered has begun; one that is refused says so
            # in what comes next.
            self._note("subscribe", after=self._after)
            while (await reader.readline()).strip():
                pass
            self._note("live")
            async for kind, data, position in self._events(reader):
                if kind == "complete":
                    return "complete"
                if kind == "comment":
                    if "1013" in data:
                        return f"closed with {data}"
                elif not self._take(json.loads(data), position):
                    return "an error"
            return "the end of the response"
        finally:
            writer.transport.abort()

    async def _events(
        self, reader: asyncio.StreamReader
    ) -> AsyncIterator[tuple[str, str, str | None]]:
        kind, data, position = "", "", None
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await self._is_reading.wait()
                line = (await reader.readuntil(b"\n")).decode().rstrip("\r\n")
                name, _, value = line.partition(": ")
                if line.startswith(":"):
                    yield "comment", line[1:].strip(), None
                elif name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif name == "id":
                    position = value
                elif not line and kind:
                    yield kind, data, position
                    kind, data, position = "", "", None
