# SPDX-License-Identifier: MIT
"""A client that stops reading, over a plain socket and a real server: what it
loses by each policy, and that the others do not notice."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import socket
import struct
import urllib.request
from typing import Any

import pytest
from serving import DEADLINE, serving

APP = """
import asyncio, json
from fraiseql_asgi import Limits, SubscriptionManager

manager = SubscriptionManager("memory://", limits=Limits(queue_max_items=40, keep_alive=0))
manager.subscription("strict", channel="tick")
manager.subscription("oldest", channel="tick", overflow="drop_oldest")
manager.subscription("newest", channel="tick", overflow="drop_newest")
manager.subscription("latest", channel="tick", overflow="conflate", conflate_key="key")
PAD = "x" * 20000


async def app(scope, receive, send):
    if scope["type"] != "http":
        return await manager(scope, receive, send)
    first, last = map(int, scope["query_string"].split(b"-")) if scope["query_string"] else (0, 0)
    for n in range(first, last):
        manager.publish("tick", {"n": n, "key": n % 4, "pad": PAD})
        await asyncio.sleep(0)
    body = json.dumps(manager.get_metrics()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

#: 60 MB: more than the buffers of any socket hold.
N_EVENTS = 3000


class Client:
    """A WebSocket client that reads when it is told to."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.settimeout(DEADLINE)
        self.socket.connect((host, int(port)))
        self.file = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        assert b" 101 " in self.file.readline()
        while self.file.readline() != b"\r\n":
            pass

    def write(self, message: Any) -> None:
        text = json.dumps(message).encode()
        assert len(text) < 65536
        head = bytes([0x81, 0x80 | 126]) + struct.pack(">H", len(text)) + bytes(4)
        self.socket.sendall(head + text)

    def read(self) -> Any:
        """The next message, or the code of the close."""
        while True:
            opcode, length = self.file.read(2)
            if length == 126:
                (length,) = struct.unpack(">H", self.file.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.file.read(8))
            payload = self.file.read(length)
            if opcode & 15 == 8:
                return struct.unpack(">H", payload[:2])[0]
            if opcode & 15 == 1 and payload != b'{"type":"ping"}':
                return json.loads(payload)

    def subscribe(self, field: str) -> None:
        self.write({"type": "connection_init"})
        assert self.read() == {"type": "connection_ack"}
        query = f"subscription {{ {field} {{ n key pad }} }}"
        self.write({"type": "subscribe", "id": "1", "payload": {"query": query}})
        self.write({"type": "ping"})
        assert self.read() == {"type": "pong"}

    def read_until_closed(self) -> tuple[list[int], int]:
        """The numbers that still come, of which none is missing; the code."""
        numbers = []
        while not isinstance(message := self.read(), int):
            (value,) = message["payload"]["data"].values()
            assert "extensions" not in message["payload"]
            numbers.append(value["n"])
        return numbers, message

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def publish(address: str, first: int, last: int) -> dict[str, int]:
    url = f"http://{address}/?{first}-{last}"
    with urllib.request.urlopen(url, timeout=DEADLINE) as response:
        metrics: dict[str, int] = json.load(response)
    return metrics


@pytest.mark.parametrize("field", ["strict", "oldest", "newest", "latest"])
def test_a_client_that_stops_reading(tmp_path: pathlib.Path, field: str) -> None:
    (tmp_path / "slow_app.py").write_text(APP)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving("slow_app:app", tmp_path))
        address = server.address()
        client = stack.enter_context(contextlib.closing(Client(address)))
        client.subscribe(field)
        metrics = publish(address, 0, N_EVENTS)
        if field == "strict":
            assert metrics["slow_clients_closed"] == 1
            strict, code = client.read_until_closed()
            assert strict == list(range(len(strict)))
            assert code == 1013
            return
        assert metrics["slow_clients_closed"] == 0
        assert metrics["deliveries_dropped"] > 100
        assert metrics["queued_messages"] <= 40
        # It wakes up; what it missed last is told with the next one.
        numbers: list[int] = [-1]
        told = 0
        publish_after = False
        while numbers[-1] != N_EVENTS:
            if not publish_after and metrics_queue_is_empty(address):
                publish(address, N_EVENTS, N_EVENTS + 1)
                publish_after = True
            message = client.read()
            payload = message["payload"]
            numbers.append(payload["data"][field]["n"])
            told += payload.get("extensions", {}).get("dropped", 0)
        del numbers[0]
        assert len(numbers) + told == N_EVENTS + 1
        if field == "latest":
            by_key = [[n for n in numbers if n % 4 == key] for key in range(4)]
            assert all(each == sorted(each) for each in by_key)
            assert set(range(N_EVENTS - 4, N_EVENTS)) <= set(numbers)
        else:
            assert numbers == sorted(numbers)
        if field == "oldest":
            assert set(range(N_EVENTS - 39, N_EVENTS)) <= set(numbers)
        if field == "newest":
            assert numbers[:40] == list(range(40))
            assert N_EVENTS - 1 not in numbers


def metrics_queue_is_empty(address: str) -> bool:
    return publish(address, 0, 0)["queued_messages"] == 0
