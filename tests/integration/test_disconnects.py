# SPDX-License-Identifier: MIT
"""Clients that vanish, at every moment of a connection, by the thousand: nothing
of them is left on the server."""

from __future__ import annotations

import asyncio
import json
import pathlib
import socket
import struct
import time
from typing import Any

import pytest
from frames import TEXT, frame
from hosts import GRANIAN, HYPERCORN, UVICORN, Host, name_of
from serving import DEADLINE, until
from sizes import PROVE, promised, size

APP = """
import asyncio, gc, json, os
from fraiseql_asgi import Limits, SubscriptionManager

manager = SubscriptionManager(limits=Limits(init_timeout=2, handshakes_per_second_per_address=0))
manager.subscription("tick")

@manager.subscription
async def source(variables):
    while True:
        yield {"n": 1}
        await asyncio.sleep(0.001)

@manager.subscription(channel="tick")
async def resolved(event, variables):
    await asyncio.sleep(0.001)
    return event

async def publish():
    n = 0
    while True:
        n += 1
        manager.publish("tick", {"n": n})
        await asyncio.sleep(0.005)

def state():
    gc.collect()
    names = [type(each).__name__ for each in gc.get_objects()]
    metrics = manager.get_metrics()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    wanted = ("connections_total", "connections_active", "subscriptions_active",
              "subscriptions_total", "queued_messages")
    return {name: metrics[name] for name in wanted} | {
        "websockets": names.count("WebSocket"),
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident": resident,
    }

publishing = None

async def app(scope, receive, send):
    global publishing
    if publishing is None and scope["type"] != "lifespan":
        publishing = asyncio.ensure_future(publish())
    if scope["type"] == "http":
        body = json.dumps(state()).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await manager(scope, receive, send)
"""

#: Clients at a time.
BATCH = 50
#: Resident bytes that may come with any number of clients.
GROWTH_MAX = 48 << 20

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
INIT = frame(TEXT, b'{"type":"connection_init"}')


def subscribe(field: str) -> bytes:
    payload = {"query": f"subscription {{ {field} {{ n }} }}"}
    return frame(TEXT, json.dumps({"id": "1", "type": "subscribe", "payload": payload}).encode())


#: What a client sends, and what it waits to see before it vanishes.
MOMENTS: list[list[tuple[bytes, bytes]]] = [
    [(HANDSHAKE[:40], b"")],
    [(HANDSHAKE, b"")],
    [(HANDSHAKE, b" 101 ")],
    [(HANDSHAKE, b" 101 "), (INIT, b"")],
    [(HANDSHAKE, b" 101 "), (INIT + subscribe("tick"), b"")],
    [(HANDSHAKE, b" 101 "), (INIT + subscribe("tick"), b'"next"')],
    [(HANDSHAKE, b" 101 "), (INIT + subscribe("source"), b'"next"')],
    [(HANDSHAKE, b" 101 "), (INIT + subscribe("resolved"), b'"next"')],
    [(HANDSHAKE, b" 101 "), (INIT + subscribe("tick")[:20], b'"connection_ack"')],
]


async def vanish(host: str, port: int, moment: list[tuple[bytes, bytes]]) -> None:
    """Say so much, and reset the connection."""
    loop = asyncio.get_running_loop()
    with socket.socket() as made:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await loop.sock_connect(made, (host, port))
        for said, answer in moment:
            await loop.sock_sendall(made, said)
            seen = b""
            while answer not in seen:
                part = await asyncio.wait_for(loop.sock_recv(made, 65536), DEADLINE)
                assert part, (said, seen)
                seen += part


async def vanish_all(host: Host, n: int) -> None:
    name, _, port = host.host.partition(":")
    for first in range(0, n, BATCH):
        batch = range(first, min(first + BATCH, n))
        await asyncio.gather(*(vanish(name, int(port), MOMENTS[k % len(MOMENTS)]) for k in batch))


async def quiet(host: Host) -> dict[str, Any]:
    """The state once all that came has gone."""

    def has_gone() -> bool:
        state = host.state()
        names = ("connections_active", "subscriptions_active", "websockets", "queued_messages")
        return all(state[name] == 0 for name in names)

    await asyncio.to_thread(until, has_gone, "all have gone")
    return await asyncio.to_thread(host.state)


@promised(1800)
@pytest.mark.timeout(1800 if PROVE else 120)
@pytest.mark.parametrize("command", [UVICORN[0], UVICORN[3], HYPERCORN[0], GRANIAN[1]], ids=name_of)
async def test_clients_that_vanish_leave_nothing(
    tmp_path: pathlib.Path, command: tuple[str, ...]
) -> None:
    """100,000 over the four servers."""
    (tmp_path / "app.py").write_text(APP)
    host = Host(tmp_path, *command)
    try:
        host.address()
        # What servers and allocators keep once they have seen some load.
        await vanish_all(host, size(200, 2500))
        before = await quiet(host)
        began = time.monotonic()
        n = size(900, 25_000)
        await vanish_all(host, n)
        took = time.monotonic() - began
        after = await quiet(host)

        def is_as_before() -> bool:
            state = host.state()
            return (
                state["tasks"] <= before["tasks"] and state["descriptors"] <= before["descriptors"]
            )

        await asyncio.to_thread(until, is_as_before, f"{host.state()} is as {before}")
        assert after["connections_total"] - before["connections_total"] >= n * 7 // 9
        assert after["subscriptions_total"] - before["subscriptions_total"] >= n // 3
        assert not ("Traceback" in host.log and "fraiseql_asgi" in host.log), host.log
        growth = after["resident"] - before["resident"]
        assert growth < GROWTH_MAX, growth
        print(f"{name_of(command)}: {n} in {took:.1f} s, {growth / 2**20:+.1f} MiB")
    finally:
        host.kill()
