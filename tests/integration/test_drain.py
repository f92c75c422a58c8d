# SPDX-License-Identifier: MIT
"""How servers end with clients connected: SIGTERM, and what each client sees."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import signal
import time
from typing import Any

import pytest
from frames import Closed, Peer
from hosts import DAPHNE, GRANIAN, HYPERCORN, UVICORN, Host, name_of
from serving import DEADLINE
from sizes import promised, size

pytestmark = pytest.mark.timeout(180)

#: The default of `shutdown_timeout`.
WINDOW = 5.0

APP = """
import asyncio
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager()
manager.subscription("tick")

async def fill():
    # Until what is sent to somebody waits.
    while manager.get_metrics()["queued_messages"] == 0:
        manager.publish("tick", {"n": "x" * 500_000})
        await asyncio.sleep(0.05)

@manager.on_disconnect
async def gone(connection):
    pass

async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] in ("/state", "/fill"):
        if scope["path"] == "/fill":
            await fill()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})
    else:
        await manager(scope, receive, send)
"""

ACCEPTED = ("text/event-stream", "multipart/mixed;subscriptionSpec=1.0")
QUERY = "subscription { tick { n } }"

#: Mounted, where nobody runs its lifespan.
MOUNTED = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager()
manager.subscription("tick")
state = Route("/state", lambda request: JSONResponse({}))
app = Starlette(routes=[state, Mount("/graphql", manager)])
"""

GUNICORN = (
    *("gunicorn", "-k", "uvicorn_worker.UvicornWorker"),
    *("--bind", "127.0.0.1:{port}", "app:app"),
)
SERVERS = [UVICORN[0], UVICORN[3], UVICORN[4], *HYPERCORN, *GRANIAN]
SERVERS += [
    ("hypercorn", "--workers", "0", "--bind", "127.0.0.1:{port}", "--worker-class", kind, "app:app")
    for kind in ("asyncio", "uvloop")
]


def ident(command: tuple[str, ...]) -> str:
    return name_of(command) + ("-in-process" if "--workers" in command else "")


async def subscribed(address: str, path: str = "/", **options: Any) -> Peer:
    """A client with a subscription that lives."""
    peer = await Peer.connect(address, path, **options)
    assert peer.status == 101
    for message, answer in (
        ({"type": "connection_init"}, {"type": "connection_ack"}),
        ({"id": "1", "type": "subscribe", "payload": {"query": QUERY}}, None),
        ({"type": "ping"}, {"type": "pong"}),
    ):
        await peer.text(json.dumps(message))
        if answer is not None:
            text = await asyncio.wait_for(peer.read(), DEADLINE)
            assert isinstance(text, str), text
            assert json.loads(text) == answer
    return peer


async def end_of(peer: Peer) -> tuple[Closed, list[str]]:
    """How it was closed, and what came before that."""
    texts = []
    while isinstance(said := await peer.read(), str):
        texts.append(said)
    return said, texts


class Stream:
    """One client of an event stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.status = 0

    @classmethod
    async def open(cls, address: str, path: str, accept: str) -> Stream:
        """Ask for a stream; `status` is what the answer begins with."""
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        self = cls(reader, writer)
        body = json.dumps({"query": QUERY}).encode()
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE)
        self.status = int(head.split(b" ", 2)[1])
        return self

    async def ended(self) -> bytes:
        """All that comes until the end, which may be one of the connection."""
        parts = []
        with contextlib.suppress(ConnectionError):
            while part := await self.reader.read(65536):
                parts.append(part)
                if part.endswith(b"0\r\n\r\n"):
                    break
        return b"".join(parts)

    def close(self) -> None:
        self.writer.close()


async def end_with_clients(
    host: Host, n_sockets: int, n_streams: int, path: str = "/"
) -> tuple[list[tuple[Closed, list[str]]], list[bytes], float, float]:
    """SIGTERM with clients: how each ended, when the last did, and the process."""
    address = host.address()
    sockets = []
    for _ in range(n_sockets):
        sockets.append(await subscribed(address, path))
    streams = []
    for n in range(n_streams):
        streams.append(await Stream.open(address, path, ACCEPTED[n % len(ACCEPTED)]))
        assert streams[-1].status == 200
    began = time.monotonic()
    host.process.send_signal(signal.SIGTERM)
    ends, rests = await asyncio.wait_for(
        asyncio.gather(
            asyncio.gather(*(end_of(each) for each in sockets)),
            asyncio.gather(*(each.ended() for each in streams)),
        ),
        DEADLINE,
    )
    gone_after = time.monotonic() - began
    await asyncio.to_thread(host.wait)
    exited_after = time.monotonic() - began
    for stream in streams:
        stream.close()
    for peer in sockets:
        peer.abort()
    return ends, rests, gone_after, exited_after


@promised(600)
@pytest.mark.parametrize("command", SERVERS, ids=ident)
async def test_sigterm_closes_all_with_1012(
    tmp_path: pathlib.Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    host = Host(tmp_path, *command)
    try:
        ends, rests, gone_after, exited_after = await end_with_clients(
            host, size(100, 1000), size(20, 200)
        )
    finally:
        host.kill()
    assert {closed for closed, _ in ends} == {(1012, "Service restart")}
    # No `complete`, which a client would take for the end.
    assert [texts for _, texts in ends if texts] == []
    assert [rest for rest in rests if b"complete" in rest] == []
    assert gone_after < WINDOW
    assert exited_after < WINDOW + 1
    assert "Traceback" not in host.log
    print(f"{ident(command)}: {len(ends)} sockets, {len(rests)} streams: "
          f"gone after {gone_after:.2f} s, exited after {exited_after:.2f} s")  # fmt: skip


@pytest.mark.parametrize("command", [UVICORN[0], HYPERCORN[0], *GRANIAN], ids=ident)
async def test_mounted_where_nobody_runs_its_lifespan(
    tmp_path: pathlib.Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "app.py").write_text(MOUNTED)
    host = Host(tmp_path, *command)
    try:
        ends, _, gone_after, exited_after = await end_with_clients(host, 10, 0, "/graphql/")
    finally:
        host.kill()
    assert {closed for closed, _ in ends} == {(1012, "Service restart")}
    assert gone_after < WINDOW
    assert exited_after < WINDOW + 1
    assert "Traceback" not in host.log


async def test_gunicorn(tmp_path: pathlib.Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    host = Host(tmp_path, *GUNICORN)
    try:
        ends, _, _, exited_after = await end_with_clients(host, 10, 0)
    finally:
        host.kill()
    assert {closed for closed, _ in ends} == {(1012, "Service restart")}
    assert exited_after < WINDOW + 1
    assert "Traceback" not in host.log


async def test_daphne_drops_its_clients(tmp_path: pathlib.Path) -> None:
    """It refuses to send the codes 1001 to 2999: clients see a lost connection,
    and come back all the same."""
    (tmp_path / "app.py").write_text(APP)
    host = Host(tmp_path, *DAPHNE[0])
    try:
        ends, _, _, exited_after = await end_with_clients(host, 10, 0)
    finally:
        host.kill()
    assert {closed.code for closed, _ in ends} == {1006}
    assert exited_after < WINDOW + 1


async def test_a_client_that_does_not_read_keeps_nobody_longer(tmp_path: pathlib.Path) -> None:
    """And who comes meanwhile is refused."""
    app = APP.replace("SubscriptionManager()", "SubscriptionManager(shutdown_timeout=1.5)")
    (tmp_path / "app.py").write_text(app)
    host = Host(tmp_path, *UVICORN[0], "--timeout-graceful-shutdown", "1")
    try:
        address = host.address()
        stuck = await subscribed(address, receive_buffer=65536)
        reads = await subscribed(address)
        host.get("/fill")
        ended = asyncio.ensure_future(end_of(reads))
        began = time.monotonic()
        host.process.send_signal(signal.SIGTERM)
        closed, texts = await asyncio.wait_for(ended, DEADLINE)
        assert closed.code == 1012
        assert {json.loads(text)["type"] for text in texts} == {"next"}
        assert time.monotonic() - began < 1.5
        refused = await Peer.connect(address)
        assert refused.status == 503
        refused.abort()
        assert host.process.poll() is None
        await asyncio.to_thread(host.wait)
        # The window, the time that uvicorn gives the one it cannot be rid of,
        # and a second; five on a machine that is busy with other tests.
        assert 1.5 < time.monotonic() - began < 1.5 + 1 + size(5, 1)
        assert "1 connections had not gone 1.5 s after they were asked to" in host.log
        stuck.abort()
    finally:
        host.kill()
