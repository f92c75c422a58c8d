# SPDX-License-Identifier: MIT
"""A connection that can fail: a proxy between an instance and its bus."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

__all__ = ["Link"]

#: Bytes on the way in one direction of a connection.
CHUNK = 2**16
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """Hands bytes on between 127.0.0.1 and what `connect` opens.

    A direction that is held keeps its bytes until it is let go, as a network
    does that comes back before TCP has given up.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        #: Ends that hear nothing any more.
        self._dead: list[asyncio.StreamWriter] = []
        self._open = {"up": asyncio.Event(), "down": asyncio.Event()}
        for gate in self._open.values():
            gate.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: Whether new connections are cut at once.
        self.is_refusing = False
        #: Seconds that each piece takes.
        self.delay = 0.0
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def hold(self, *directions: str) -> None:
        for direction in directions:
            self._open[direction].clear()

    def let_go(self, *directions: str) -> None:
        for direction in directions:
            self._open[direction].set()

    def reset(self) -> None:
        """Cuts all connections, on both sides at once."""
        for pair in list(self._pairs):
            for writer in pair:
                _reset(writer)

    def half_open(self) -> None:
        """The bus's side of all connections ends; the instance's side hears
        nothing any more, not even that."""
        for near, far in list(self._pairs):
            near.transport.pause_reading()  # type: ignore[attr-defined]
            self._pairs.discard((near, far))
            self._dead.append(near)
            _reset(far)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        for writer in self._dead:
            _reset(writer)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.is_refusing:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await self._connect()
        except OSError:
            _reset(writer)
            return
        pair = (writer, far_writer)
        self._pairs.add(pair)
        pumps = [
            asyncio.ensure_future(self._pump("up", reader, far_writer)),
            asyncio.ensure_future(self._pump("down", far_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            # What the one that goes has sent still arrives; nothing is half closed.
            if pair in self._pairs:
                await asyncio.wait(pumps, timeout=0.05)
        except asyncio.CancelledError:
            pass  # the link is closed; what called this would tell of it
        finally:
            for pump in pumps:
                pump.cancel()
            if pair in self._pairs:
                self._pairs.discard(pair)
                writer.close()
            far_writer.close()

    async def _pump(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._open[direction].wait()
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends it by a reset, at once."""
    made = writer.get_extra_info("socket")
    if made is not None and made.fileno() >= 0 and made.family == socket.AF_INET:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
