# SPDX-License-Identifier: MIT
"""Clients that are there no more, or do not read, on real servers: they are
found and let go, and those that come back are served."""

from __future__ import annotations

import asyncio
import json
import pathlib
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from frames import Peer
from hosts import DAPHNE, GRANIAN, HYPERCORN, UVICORN, Host, name_of
from serving import DEADLINE, client, until

pytestmark = pytest.mark.timeout(120)

APP = """
import asyncio, gc, json
from fraiseql_asgi import Limits, SubscriptionManager

limits = Limits(keep_alive=0.3, keep_alive_timeout=0.5)
manager = SubscriptionManager(limits=limits)
manager.subscription("tick")

async def fill():
    # Until what is sent to somebody waits, and not only for the server's turn.
    n_waiting = 0
    while n_waiting < 25:
        n_waiting += 1
        if manager.get_metrics()["queued_messages"] == 0:
            manager.publish("tick", {"n": "x" * 500_000})
            n_waiting = 0
        await asyncio.sleep(0.02)

def state():
    gc.collect()
    names = [type(each).__name__ for each in gc.get_objects()]
    metrics = manager.get_metrics()
    wanted = ("connections_active", "subscriptions_active", "pings_sent", "dead_peers",
              "connections_given_up")
    return {"websockets": names.count("WebSocket")} | {name: metrics[name] for name in wanted}

async def app(scope, receive, send):
    if scope["type"] == "http":
        if scope["path"] == "/fill":
            await fill()
        elif scope["path"] == "/publish":
            manager.publish("tick", {"n": 1})
        body = json.dumps(state()).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await manager(scope, receive, send)
"""

QUERY = "subscription { tick { n } }"


@pytest.fixture(params=[UVICORN[0], UVICORN[3], HYPERCORN[0], *GRANIAN, DAPHNE[0]], ids=name_of)
def host(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Host]:
    (tmp_path / "app.py").write_text(APP)
    server = Host(tmp_path, *request.param)
    try:
        server.address()
        yield server
    finally:
        server.kill()


def test_a_client_that_is_stopped_is_found_and_may_come_back(host: Host) -> None:
    """SIGSTOP: its kernel acknowledges everything, and nobody reads."""
    with client(f"ws://{host.host}/", QUERY, retryAttempts=100, retryWait=50) as peer:
        assert peer.event() == {"type": "connected", "retry": False}
        # Alive it answers, for as long as it likes.
        until(lambda: host.state()["pings_sent"] >= 3, "it was asked three times")
        assert host.state()["dead_peers"] == 0
        peer.process.send_signal(signal.SIGSTOP)
        until(lambda: host.state()["dead_peers"] == 1, "it is found")
        until(lambda: host.state()["connections_active"] == 0, "it is let go")
        assert host.state()["subscriptions_active"] == 0
        until(lambda: host.state()["websockets"] == 0, "nothing is left of it")
        peer.process.send_signal(signal.SIGCONT)
        while (event := peer.event())["type"] != "connected":
            assert event["type"] == "closed", event
        assert event["retry"]
        until(lambda: host.state()["subscriptions_active"] == 1, "it has subscribed again")
        host.get("/publish")
        assert peer.next() == {"data": {"tick": {"n": 1}}}


async def _stop_reading(host: Host) -> Peer:
    peer = await Peer.connect(host.host, receive_buffer=65536)
    for message in (
        {"type": "connection_init"},
        {"id": "1", "type": "subscribe", "payload": {"query": QUERY}},
        {"type": "ping"},
    ):
        await peer.text(json.dumps(message))
    answers: list[Any] = []
    while {"type": "pong"} not in answers:
        text = await asyncio.wait_for(peer.read(), DEADLINE)
        assert isinstance(text, str)
        answers.append(json.loads(text))
    return peer


async def test_a_socket_that_is_full_is_given_up(host: Host) -> None:
    """Nothing can be sent any more, not even the close."""
    if "daphne" in host.process.args[2]:  # type: ignore[index]
        pytest.skip("its send() never waits")
    peer = await _stop_reading(host)
    filling = asyncio.ensure_future(asyncio.to_thread(host.get, "/fill"))
    while not filling.done():
        # Until then it lives; a close would find room.
        await peer.text('{"type":"ping"}')
        await asyncio.wait([filling], timeout=0.1)
    await filling
    until(lambda: host.state()["connections_given_up"] == 1, "it is given up")
    until(lambda: host.state()["connections_active"] == 0, "it is let go")
    until(lambda: host.state()["websockets"] == 0, "nothing is left of it")
    assert host.state()["subscriptions_active"] == 0
    peer.abort()
