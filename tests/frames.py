# SPDX-License-Identifier: MIT
"""A WebSocket client down to the bytes: frames as one likes, split as one likes,
right or wrong. For conversations that no client library would have."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["BINARY", "CLOSE", "CONTINUATION", "PING", "PONG", "TEXT", "Closed", "Peer", "frame"]

# Opcodes, RFC 6455 5.2.
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: Bytes kept unread; more, and the socket is not read.
READ_MAX = 2**16


def frame(
    opcode: int,
    data: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x12\x34\x56\x78",
    length: int | None = None,
) -> bytes:
    """One frame of a client. `length` is what it says of itself instead of the
    truth, a mask of None what only a server may send."""
    said = len(data) if length is None else length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    masked = 0x80 if mask is not None else 0
    if said < 126:
        head = struct.pack("!BB", first, masked | said)
    elif said < 2**16:
        head = struct.pack("!BBH", first, masked | 126, said)
    else:
        head = struct.pack("!BBQ", first, masked | 127, said)
    if mask is None:
        return head + data
    key = int.from_bytes((mask * (len(data) // 4 + 1))[: len(data)], "big")
    body = (int.from_bytes(data, "big") ^ key).to_bytes(len(data), "big")
    return head + mask + body


class Closed(NamedTuple):
    """How a connection ended: 1005 is a close frame without a code, 1006 none."""

    code: int
    reason: str


class Peer:
    """One connection after its handshake. Pings of the server are answered; its
    pongs are in `pongs`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parts: list[bytes] = []
        self._is_shut = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pongs: list[bytes] = []
        self.closed: Closed | None = None

    @classmethod
    async def connect(
        cls,
        host: str,
        path: str = "/",
        subprotocols: Iterable[str] | None = ("graphql-transport-ws",),
        *,
        headers: Iterable[tuple[str, str]] = (),
        bytewise: bool = False,
        receive_buffer: int | None = None,
    ) -> Peer:
        """Connect to `host`, `name:port`, and shake hands; look at `status`."""
        name, _, port = host.rpartition(":")
        made = socket.socket()
        made.setblocking(False)
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(made, (name, int(port)))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader, writer = await asyncio.open_connection(sock=made, limit=READ_MAX)
        except BaseException:
            made.close()
            raise
        peer = cls(reader, writer)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        if subprotocols is not None:
            lines.append("Sec-WebSocket-Protocol: " + ", ".join(subprotocols))
        lines += [f"{name}: {value}" for name, value in headers]
        try:
            await peer.write("\r\n".join([*lines, "", ""]).encode(), bytewise=bytewise)
            await peer._read_answer()
        except BaseException:
            peer.abort()
            raise
        return peer

    async def _read_answer(self) -> None:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        for line in head[1:]:
            name, colon, value = line.partition(":")
            if colon:
                self.headers[name.strip().lower()] = value.strip()

    @property
    def subprotocol(self) -> str | None:
        return self.headers.get("sec-websocket-protocol")

    async def write(self, data: bytes, *, bytewise: bool = False) -> None:
        """Write `data` at once, or each byte in a segment of its own. That the
        server has gone meanwhile is for `read` to tell."""
        if not bytewise:
            self._writer.write(data)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
            return
        for i in range(len(data)):
            self._writer.write(data[i : i + 1])
            # A turn for others; the kernel sends each one, without delay.
            await asyncio.sleep(0)

    async def text(self, text: str) -> None:
        await self.write(frame(TEXT, text.encode()))

    async def read(self) -> str | Closed:
        """The next text, or the end."""
        while self.closed is None:
            try:
                opcode, fin, data = await self._read_frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                self.closed = Closed(1006, "")
                break
            if opcode in (TEXT, BINARY, CONTINUATION):
                assert (opcode == CONTINUATION) == bool(self._parts), "frames out of order"
                self._parts.append(data)
                if fin:
                    text = b"".join(self._parts).decode()
                    self._parts.clear()
                    return text
            elif opcode == PING and not self._is_shut:
                await self.write(frame(PONG, data))
            elif opcode == PING:
                pass
            elif opcode == PONG:
                self.pongs.append(data)
            elif opcode == CLOSE:
                code = int.from_bytes(data[:2], "big") if data else 1005
                self.closed = Closed(code, data[2:].decode())
                if not self._is_shut:
                    await self.write(frame(CLOSE, data[:2]))
                self._writer.close()
            else:
                raise AssertionError(f"a frame with opcode {opcode}")
        return self.closed

    async def _read_frame(self) -> tuple[int, bool, bytes]:
        first, second = await self._reader.readexactly(2)
        assert not first & 0x70, "reserved bits are set"
        assert not second & 0x80, "a server masks nothing"
        opcode, fin, length = first & 0x0F, bool(first & 0x80), second
        if length >= 126:
            assert opcode < CLOSE, "a control frame of more than 125 bytes"
            length = int.from_bytes(
                await self._reader.readexactly(2 if length == 126 else 8), "big"
            )
        return opcode, fin, await self._reader.readexactly(length)

    def shut(self) -> None:
        """Half-close: nothing more is written, everything read."""
        self._is_shut = True
        with contextlib.suppress(OSError):  # it has gone
            self._writer.write_eof()

    def abort(self) -> None:
        """Vanish: a reset instead of a closing handshake."""
        made = self._writer.get_extra_info("socket")
        if made is not None and made.fileno() >= 0:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def end(self) -> None:
        """Close the socket, after whatever came before."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
