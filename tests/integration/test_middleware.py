# SPDX-License-Identifier: MIT
"""Middleware on real servers: whatever it wraps, deliveries arrive once and in
order, answers and closes as without it, and what fails ends one connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from frames import Closed, Peer
from hosts import DAPHNE, GRANIAN, HYPERCORN, UVICORN, Host, name_of
from middleware import APP_WRAPPERS, SEND_WRAPPERS
from serving import DEADLINE, until
from sizes import PROVE, promised

pytestmark = pytest.mark.timeout(60)

APP = """
import asyncio, contextlib, gc, json, threading
from middleware import APP_WRAPPERS, SEND_WRAPPERS
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager("memory://")
manager.subscription("tick")

def sending(wrap):
    async def wrapped(scope, receive, send):
        await manager(scope, receive, wrap(send))
    return wrapped

def raising(error):
    async def wrapped(scope, receive, send):
        async def failing(message):
            if '"n":3}' in (message.get("text") or ""):
                raise error("of the middleware")
            await send(message)
        await manager(scope, receive, failing)
    return wrapped

async def impatient(scope, receive, send):
    await asyncio.wait_for(manager(scope, receive, send), 0.3)

async def closing(scope, receive, send):
    # Gives up, and has the last word.
    with contextlib.suppress(asyncio.TimeoutError):
        return await impatient(scope, receive, send)
    await send({"type": "websocket.close", "code": 4999, "reason": "late"})

async def cancelling(scope, receive, send):
    asyncio.get_running_loop().call_later(0.3, asyncio.current_task().cancel)
    await manager(scope, receive, send)

APPS = {wrap.__name__: sending(wrap) for wrap in SEND_WRAPPERS}
APPS |= {wrap.__name__: wrap(manager) for wrap in APP_WRAPPERS}
APPS |= {"os_error": raising(OSError), "runtime_error": raising(RuntimeError),
         "impatient": impatient, "closing": closing, "cancelling": cancelling}

def publish(n):
    for seq in range(n):
        manager.publish("tick", {"n": seq})

def state():
    gc.collect()
    names = [type(each).__name__ for each in gc.get_objects()]
    return {
        "websockets": names.count("WebSocket"),
        "tasks": len(asyncio.all_tasks()),
        "connections": manager.get_metrics()["connections_active"],
    }

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await APPS[scope["path"][1:]](scope, receive, send)
    elif scope["type"] == "http":
        if scope["path"] == "/publish":
            n = int(scope["query_string"])
            threading.Thread(target=publish, args=(n,), daemon=True).start()
        body = json.dumps(state()).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await manager(scope, receive, send)
"""

KINDS = [wrap.__name__ for wrap in (*SEND_WRAPPERS, *APP_WRAPPERS)]
SERVERS = [UVICORN[0], UVICORN[3], HYPERCORN[0], GRANIAN[1], DAPHNE[0]]
#: On the other servers than the first, in every run.
FEW = (
    *("with_wait_for", "with_task", "with_thread", "with_anyio_task_group", "with_anyio_stream"),
    *("with_writer", "with_relays", "with_child_task"),
)
PAIRS = [
    pytest.param(server, kind, id=f"{name_of(server)}-{kind}")
    for server in SERVERS
    for kind in (KINDS if PROVE or server is SERVERS[0] else FEW)
]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """The servers that run, by name: each is started once."""
    hosts: dict[str, Host] = {}
    for command in SERVERS:
        folder = tmp_path_factory.mktemp(name_of(command))
        (folder / "app.py").write_text(APP)
        hosts[name_of(command)] = Host(folder, *command)
    try:
        yield hosts
    finally:
        for host in hosts.values():
            host.kill()


@pytest.fixture
def host(request: pytest.FixtureRequest, started: dict[str, Host]) -> Host:
    server = started[name_of(request.param)]
    server.address()
    return server


async def say(peer: Peer, message: Any) -> None:
    await peer.text(json.dumps(message))


async def read(peer: Peer) -> Any:
    said = await asyncio.wait_for(peer.read(), DEADLINE)
    return json.loads(said) if isinstance(said, str) else said


async def subscribed(host: Host, kind: str) -> Peer:
    peer = await Peer.connect(host.host, f"/{kind}")
    assert peer.status == 101
    await say(peer, {"type": "connection_init"})
    assert await read(peer) == {"type": "connection_ack"}
    payload = {"query": "subscription { tick { n } }"}
    await say(peer, {"id": "1", "type": "subscribe", "payload": payload})
    await say(peer, {"type": "ping"})
    assert await read(peer) == {"type": "pong"}
    return peer


async def ticks(peer: Peer, n: int) -> list[int]:
    return [(await read(peer))["payload"]["data"]["tick"]["n"] for _ in range(n)]


async def nobody(host: Host) -> None:
    def is_left() -> bool:
        state = host.state()
        return state["connections"] == state["websockets"] == 0

    await asyncio.to_thread(until, is_left, "nothing is left")


on_each_server = pytest.mark.parametrize("host", SERVERS, ids=name_of, indirect=True)


@promised(600)
@pytest.mark.parametrize(("host", "kind"), PAIRS, indirect=["host"])
async def test_it_does_not_notice(host: Host, kind: str) -> None:
    peers = [await subscribed(host, kind) for _ in range(3)]
    for n in (1, 100):
        await asyncio.to_thread(host.get, f"/publish?{n}")
        for peer in peers:
            assert await ticks(peer, n) == list(range(n))
    leaves, vanishes, errs = peers
    await say(leaves, {"id": "1", "type": "complete"})
    await say(leaves, {"type": "ping", "payload": {"x": kind}})
    assert await read(leaves) == {"type": "pong", "payload": {"x": kind}}
    await say(errs, {"type": "nonsense"})
    closed = await read(errs)
    assert isinstance(closed, Closed)
    assert closed.code == 4400
    vanishes.abort()
    await leaves.end()
    await errs.end()
    await nobody(host)


@pytest.fixture
async def healthy(host: Host) -> AsyncIterator[Peer]:
    """A client that must not notice what becomes of another."""
    peer = await subscribed(host, "plain")
    yield peer
    await say(peer, {"type": "ping"})
    while await read(peer) != {"type": "pong"}:
        pass
    await peer.end()
    await nobody(host)


@on_each_server
@pytest.mark.parametrize("kind", ["os_error", "runtime_error"])
async def test_a_send_that_raises_ends_one_connection(host: Host, healthy: Peer, kind: str) -> None:
    peer = await subscribed(host, kind)
    await asyncio.to_thread(host.get, "/publish?10")
    assert await ticks(peer, 3) == [0, 1, 2]
    assert await ticks(healthy, 10) == list(range(10))

    def is_alone() -> bool:
        return host.state()["connections"] == 1

    await asyncio.to_thread(until, is_alone, "the engine has let go of it")
    peer.abort()


@on_each_server
@pytest.mark.parametrize("kind", ["impatient", "closing", "cancelling"])
async def test_a_cancellation_ends_one_connection(host: Host, healthy: Peer, kind: str) -> None:
    peer = await subscribed(host, kind)

    def is_alone() -> bool:
        return host.state()["connections"] == 1

    await asyncio.to_thread(until, is_alone, "the engine has let go of it")
    if kind == "closing":
        closed = await read(peer)
        assert isinstance(closed, Closed)
        # granian closes without the code after a receive() that was cancelled.
        assert closed.code in (4999, 1005)
    await asyncio.to_thread(host.get, "/publish?10")
    assert await ticks(healthy, 10) == list(range(10))
    peer.abort()
