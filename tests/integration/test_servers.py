# SPDX-License-Identifier: MIT
"""The ASGI side under real servers: every one drives our awaitable its own way."""

from __future__ import annotations

import contextlib
import json
import pathlib
import signal
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hosts import DAPHNE, GRANIAN, HYPERCORN, UVICORN, Host, name_of
from serving import DEADLINE, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

APP = """
import asyncio, gc, json, os, threading
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager("memory://")
manager.subscription("tick")

def publish(n):
    for seq in range(n):
        manager.publish("tick", {"n": seq, "text": "x" * 1000})

def state():
    gc.collect()
    names = [type(each).__name__ for each in gc.get_objects()]
    return {
        "tasks": len(asyncio.all_tasks()),
        "websockets": names.count("WebSocket"),
        "mailboxes": names.count("LoopMailbox"),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "connections": manager.get_metrics()["connections_active"],
    }

async def control(scope, send):
    body = b"{}"
    if scope["path"] == "/publish":
        n = int(scope["query_string"])
        threading.Thread(target=publish, args=(n,), daemon=True).start()
    elif scope["path"] == "/state":
        body = json.dumps(state()).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

async def app(scope, receive, send):
    if scope["type"] == "http":
        await control(scope, send)
    else:
        await manager(scope, receive, send)
"""


@pytest.fixture(scope="module", params=UVICORN + HYPERCORN + GRANIAN + DAPHNE, ids=name_of)
def host(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Host]:
    command = request.param
    folder = tmp_path_factory.mktemp(name_of(command))
    (folder / "app.py").write_text(APP)
    server = Host(folder, *command)
    try:
        server.address()
        yield server
        assert "Traceback" not in server.log, server.log
    finally:
        server.kill()


pytestmark = pytest.mark.timeout(120)

SUBPROTOCOL = Subprotocol("graphql-transport-ws")


class Client:
    def __init__(self, host: Host, **options: Any) -> None:
        options = {"subprotocols": [SUBPROTOCOL], "compression": None} | options
        # Not left again: what ends it is what is tested.
        self.websocket: ClientConnection = connect(
            f"ws://{host.host}/", proxy=None, **options
        ).__enter__()

    def write(self, message: Any) -> None:
        self.websocket.send(json.dumps(message))

    def read(self) -> Any:
        while True:
            message = json.loads(self.websocket.recv(timeout=DEADLINE))
            if message != {"type": "ping"}:
                return message
            self.write({"type": "pong"})

    def subscribe(self) -> Client:
        self.write({"type": "connection_init"})
        assert self.read() == {"type": "connection_ack"}
        payload = {"query": "subscription { tick { n text } }"}
        self.write({"type": "subscribe", "id": "1", "payload": payload})
        self.write({"type": "ping"})
        assert self.read() == {"type": "pong"}
        return self

    def ticks(self, n: int) -> list[int]:
        return [self.read()["payload"]["data"]["tick"]["n"] for _ in range(n)]

    def close_code(self) -> tuple[int, str]:
        try:
            while True:
                self.websocket.recv(timeout=DEADLINE)
        except ConnectionClosed as closed:
            frame = closed.rcvd
        assert frame is not None, "the server closed without a close frame"
        return frame.code, frame.reason

    def abort(self) -> None:
        """Vanish: a reset instead of a closing handshake."""
        linger = struct.pack("ii", 1, 0)
        self.websocket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.websocket.socket.shutdown(socket.SHUT_RD)
        self.websocket.close_socket()


@contextlib.contextmanager
def clients(host: Host, n: int, **options: Any) -> Iterator[list[Client]]:
    made = [Client(host, **options) for _ in range(n)]
    try:
        yield made
    finally:
        for each in made:
            each.websocket.close_socket()


def test_the_subprotocol_is_negotiated(host: Host) -> None:
    with clients(host, 1) as [client]:
        assert client.websocket.subprotocol == SUBPROTOCOL


def test_the_older_protocol_is_spoken(host: Host) -> None:
    older = Subprotocol("graphql-ws")
    with clients(host, 1, subprotocols=[older, SUBPROTOCOL]) as [client]:
        assert client.websocket.subprotocol == SUBPROTOCOL
    with clients(host, 1, subprotocols=[older]) as [client]:
        assert client.websocket.subprotocol == older
        payload = {"query": "subscription { tick { n text } }"}
        client.write({"type": "start", "id": "1", "payload": payload})
        client.write({"type": "connection_init"})
        client.write({"type": "stop", "id": "2"})
        assert [client.read()["type"] for _ in range(2)] == ["connection_ack", "ka"]
        host.get("/publish?20")
        assert client.ticks(20) == list(range(20))
        client.write({"type": "stop", "id": "1"})
        assert client.read() == {"type": "complete", "id": "1"}
        client.write({"type": "connection_terminate"})
        assert client.close_code()[0] == 1000


@pytest.mark.parametrize("offered", [None, [Subprotocol("graphql")]])
def test_another_subprotocol_is_closed_4406(host: Host, offered: Any) -> None:
    with clients(host, 1, subprotocols=offered) as [client]:
        code, reason = client.close_code()
        assert code == 4406
        assert reason in ("Subprotocol not acceptable", "")  # daphne drops reasons


def test_events_of_a_thread_arrive_in_order(host: Host) -> None:
    with clients(host, 20) as made:
        for client in made:
            client.subscribe()
        host.get("/publish?300")
        for client in made:
            assert client.ticks(300) == list(range(300))


def test_messages_are_answered_in_order(host: Host) -> None:
    with clients(host, 1) as [client]:
        client.subscribe()
        for n in range(500):
            client.write({"type": "ping", "payload": {"n": n, "s": "ü" * 100}})
        for n in range(500):
            assert client.read()["payload"]["n"] == n


def test_large_and_binary_messages_are_carried(host: Host) -> None:
    with clients(host, 1, max_size=None) as [client]:
        client.subscribe()
        client.write({"type": "ping", "payload": {"s": "x" * 500_000}})
        assert len(client.read()["payload"]["s"]) == 500_000
        client.websocket.send(b'{"type":"ping"}')
        assert client.read() == {"type": "pong"}


def test_a_wrong_message_closes_that_client_only(host: Host) -> None:
    with clients(host, 2) as [client, other]:
        client.subscribe()
        other.subscribe()
        client.websocket.send("no message")
        code, reason = client.close_code()
        assert (code, reason or "Invalid message received") == (4400, "Invalid message received")
        host.get("/publish?3")
        assert other.ticks(3) == [0, 1, 2]


def test_clients_that_go_leave_nothing(host: Host) -> None:
    """Closed by the client, aborted by it, closed by the server."""
    with clients(host, 3) as made:
        for client in made:
            client.subscribe()
    until(lambda: host.state()["connections"] == 0, "the first connections are gone")
    before = host.state()
    for _ in range(5):
        with clients(host, 6) as made:
            for client in made:
                client.subscribe()
            host.get("/publish?50")
            assert host.state()["connections"] == 6
            for client in made[:2]:
                assert client.ticks(50) == list(range(50))
                client.websocket.close()
            for client in made[2:4]:
                client.abort()
            for client in made[4:]:
                client.websocket.send("[]")
                assert client.close_code()[0] == 4400

    def is_clean() -> bool:
        state = host.state()
        return (
            state["connections"] == state["websockets"] == state["mailboxes"] == 0
            and state["tasks"] <= before["tasks"]
            and state["descriptors"] <= before["descriptors"]
        )

    until(is_clean, f"{host.state()} is as {before}")


def test_a_client_that_does_not_read_holds_nobody_else(host: Host) -> None:
    with clients(host, 2, max_queue=1) as [slow, fast]:
        slow.subscribe()
        fast.subscribe()
        for _ in range(10):
            host.get("/publish?1000")
            assert fast.ticks(1000) == list(range(1000))
        slow.abort()


def test_a_signal_ends_the_server(tmp_path: pathlib.Path) -> None:
    """With a client connected; uvicorn is in test_lifecycle.py."""
    (tmp_path / "app.py").write_text(APP)
    for command in (HYPERCORN[0], GRANIAN[0], DAPHNE[0]):
        server = Host(tmp_path, *command)
        try:
            server.address()
            with clients(server, 1) as [client]:
                client.subscribe()
                began = time.monotonic()
                server.process.send_signal(signal.SIGTERM)
                server.wait()
                assert time.monotonic() - began < 15, command
                # Of its own cancellations hypercorn may complain.
                assert "fraiseql_asgi" not in server.log, server.log
        finally:
            server.kill()


def test_a_trio_worker_is_told_how_to_go_on(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("trio")
    (tmp_path / "app.py").write_text(APP)
    command = ("hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "trio", "app:app")
    server = Host(tmp_path, *command)
    try:

        def says_why() -> bool:
            with contextlib.suppress(OSError, InvalidStatus, ConnectionClosed):
                Client(server).websocket.recv(timeout=1)
            return (
                "no asyncio event loop runs here" in server.log or server.process.poll() is not None
            )

        until(says_why, "the log has the reason")
        assert "asyncio" in server.log, server.log
    finally:
        server.kill()
