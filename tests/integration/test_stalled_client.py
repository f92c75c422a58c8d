# SPDX-License-Identifier: MIT
"""One client of many does not read: its send() is suspended, its queue full, and
the others have their messages as soon as without it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from frames import Closed, Peer
from hosts import UVICORN, Host, name_of
from serving import DEADLINE, ROOT, until
from sizes import PROVE, promised, size

APP = """
import asyncio, json, time
from fraiseql_asgi import Limits, SubscriptionManager

limits = Limits(
    queue_max_items=64,
    queue_max_bytes=64 * 2**20,
    keep_alive=0,
    handshakes_per_second_per_address=0,
)
manager = SubscriptionManager(limits=limits)
manager.subscription("tick")
manager.subscription("heavy", overflow="drop_oldest")
manager.subscription("strict", channel="heavy")
PAD = "x" * 50_000
tasks = []

async def publish(n):
    for seq in range(n):
        manager.publish("tick", {"seq": seq, "at": time.monotonic_ns()})
        # Whether anybody wants it or not: what it costs is not what is asked.
        manager.publish("heavy", {"pad": PAD})
        await asyncio.sleep(0.02)

async def fill():
    # Until what is sent waits, and its queue is full, and stays so.
    n_full = 0
    while n_full < 5:
        manager.publish("heavy", {"pad": PAD})
        await asyncio.sleep(0.01)
        n_full = n_full + 1 if manager.get_metrics()["queued_messages"] >= 64 else 0

async def app(scope, receive, send):
    if scope["type"] != "http":
        return await manager(scope, receive, send)
    what, _, n = scope["query_string"].decode().partition("=")
    if what == "fill":
        await fill()
    elif what == "publish":
        tasks.append(asyncio.ensure_future(publish(int(n))))
    elif what == "overflow":
        for _ in range(int(n)):
            manager.publish("heavy", {"pad": PAD})
            await asyncio.sleep(0)
    body = json.dumps(manager.get_metrics()).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

#: The others' p99 with the stalled one, by that without; in every run with the
#: factor that bounds on time carry there.
RATIO_MAX = size(6, 1) * 1.2
N_EVENTS = size(40, 100)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The load client of the benches."""
    program = tmp_path_factory.mktemp("load") / "load"
    source = ROOT / "benches" / "c" / "load.c"
    command = ["cc", "-std=c11", "-O2", "-D_GNU_SOURCE", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


@pytest.fixture(params=[UVICORN[0], UVICORN[3]] if PROVE else [UVICORN[3]], ids=name_of)
def host(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Host]:
    (tmp_path / "app.py").write_text(APP)
    server = Host(tmp_path, *request.param)
    try:
        server.address()
        yield server
        assert "Traceback" not in server.log, server.log
    finally:
        server.kill()


def ask(host: Host, what: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{host.host}/?{what}", timeout=DEADLINE) as answer:
        metrics: dict[str, Any] = json.load(answer)
    return metrics


def measure(load: pathlib.Path, host: Host, n: int) -> float:
    """The p99 of `n` clients that get `N_EVENTS` events each, in microseconds."""
    name, _, port = host.host.partition(":")
    options = {"host": name, "port": port, "connections": n, "events": N_EVENTS}
    options |= {"query": "subscription { tick { seq at } }", "key": "seq", "time-key": "at"}
    options |= {"timeout": 60, "linger": 0}
    command = [str(load), *(f"--{key}={value}" for key, value in options.items())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        ask(host, f"publish={N_EVENTS}")
        result = json.loads(process.stdout.readline())
    assert process.returncode == 0
    assert result["missing"] == result["duplicated"] == result["reordered"] == 0
    return float(result["latency_p99_us"])


async def stall(host: Host, field: str) -> Peer:
    """A client that subscribes and reads no more."""
    peer = await Peer.connect(host.host, receive_buffer=65536)
    query = f"subscription {{ {field} {{ pad }} }}"
    for message in (
        {"type": "connection_init"},
        {"id": "1", "type": "subscribe", "payload": {"query": query}},
        {"type": "ping"},
    ):
        await peer.text(json.dumps(message))
    while await asyncio.wait_for(peer.read(), DEADLINE) != '{"type":"pong"}':
        pass
    return peer


@promised(600)
@pytest.mark.timeout(600)
async def test_one_stalled_client_is_not_felt_by_the_others(load: pathlib.Path, host: Host) -> None:
    """Rounds with it and without in turn; the best of each is what it takes."""
    n = size(150, 999)
    without, beside = [], []
    for _ in range(size(2, 7)):
        without.append(await asyncio.to_thread(measure, load, host, n))
        peer = await stall(host, "heavy")
        dropped = (await asyncio.to_thread(ask, host, "fill"))["deliveries_dropped"]
        assert dropped > 0
        beside.append(await asyncio.to_thread(measure, load, host, n))
        metrics = await asyncio.to_thread(ask, host, "state")
        # It was stalled all the time: its queue is full, and bounded.
        assert metrics["deliveries_dropped"] >= dropped + N_EVENTS
        assert metrics["queued_messages"] == 64
        assert metrics["slow_clients_closed"] == 0
        peer.abort()
        await asyncio.to_thread(
            until, lambda: ask(host, "state")["connections_active"] == 0, "it has gone"
        )
    ratio = min(beside) / min(without)
    print(
        f"p99 of {n}: {min(without) / 1000:.1f} ms without, "
        f"{min(beside) / 1000:.1f} ms beside a stalled one: {ratio:.2f}"
    )
    assert ratio <= RATIO_MAX


async def test_the_slow_one_is_closed_1013_by_its_policy(load: pathlib.Path, host: Host) -> None:
    peer = await stall(host, "strict")
    fast = await asyncio.to_thread(measure, load, host, 20)
    assert fast > 0
    while (await asyncio.to_thread(ask, host, "overflow=200"))["slow_clients_closed"] == 0:
        pass
    assert await asyncio.to_thread(measure, load, host, 20) > 0
    # It wakes up, and finds why.
    while not isinstance(said := await asyncio.wait_for(peer.read(), DEADLINE), Closed):
        pass
    assert said == (1013, "Slow client")
    with contextlib.suppress(ConnectionError):
        peer.abort()
