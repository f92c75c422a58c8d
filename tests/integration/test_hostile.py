# SPDX-License-Identifier: MIT
"""Hostile input to real servers: they stay up, a healthy client is served as ever,
and what was taken is given back."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import hostile
import pytest
from hosts import GRANIAN, HYPERCORN, UVICORN, Host, name_of
from serving import DEADLINE, ROOT, until
from sizes import PROVE, promised, size

pytestmark = pytest.mark.timeout(120)

#: Seconds a healthy client may wait for anything, on a machine of its own.
ANSWER_MAX = 0.1 * (1 if PROVE else 5)
#: Seconds that an attack goes on, again and again if need be: the healthy client
#: looks on every 50 ms or so.
ATTACK_MIN = 2.0
#: Bytes that a process may have more after an attack than before it: fragments of
#: the heap, as a rule 1 to 4 MiB. What is kept for each of 10,000 connections
#: would be more from 2 KiB on.
GROWTH_MAX = 16 * 2**20


#: hypercorn keeps a half-closed socket for as long as it keeps an idle one.
SERVERS = [UVICORN[0], (*HYPERCORN[0], "--keep-alive", "1"), GRANIAN[0]]


@pytest.fixture(scope="module", params=SERVERS, ids=name_of)
def host(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Host]:
    name = name_of(request.param)
    folder = tmp_path_factory.mktemp(name)
    (folder / "app.py").write_text("from hostile_app import app\n")
    server = Host(folder, *request.param)
    try:
        server.address()
        yield server
        assert server.process.poll() is None, server.log
        assert "fraiseql_asgi/" not in server.log, server.log
    finally:
        server.kill()


class Witness:
    """witness.py, which sees what becomes of others meanwhile."""

    def __init__(self, host: Host) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "witness.py"), host.host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def report(self) -> dict[str, Any]:
        out, _ = self.process.communicate("\n", timeout=DEADLINE)
        assert self.process.returncode == 0, out
        report: dict[str, Any] = json.loads(out)
        return report

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def witness(host: Host) -> Iterator[Witness]:
    made = Witness(host)
    try:
        yield made
    finally:
        made.kill()


async def in_turn(attacks: Iterable[Callable[[], Awaitable[None]]], at_once: int) -> None:
    """All attacks, some at a time; the first that goes wrong ends it."""
    gate = asyncio.Semaphore(at_once)

    async def one(attack: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await attack()

    await asyncio.gather(*map(one, attacks))


def run(
    host: Host, witness: Witness, warm_up: Callable[[], Any], attack: Callable[[], Any]
) -> None:
    """Attack; afterwards everything has to be as it was after the warm-up, which
    is of the same kind and small."""
    asyncio.run(warm_up())
    until(lambda: host.state()["connections"] == 1, "the clients of the warm-up are gone")
    before = host.state()
    begun = time.monotonic()
    while True:
        asyncio.run(attack())
        if time.monotonic() >= begun + ATTACK_MIN:
            break

    def is_as_before() -> bool:
        after = host.state()
        names = ("connections", "subscriptions", "tasks", "descriptors")
        return (
            all(after[name] <= before[name] for name in names)
            and after["rss"] <= before["rss"] + GROWTH_MAX
        )

    try:
        until(is_as_before, "the server holds what it held before")
    finally:
        report = witness.report()
        print(f"\n{before}\n{host.state()}\n{report}")
    assert report["lost"] == 0, report
    assert report["pongs"] > 10, report
    worst = max(report["pong_ms"], report["tick_ms"])
    assert worst <= 1000 * ANSWER_MAX, report


@promised(seconds=600)
def test_mutations_of_frames_and_messages(host: Host, witness: Witness) -> None:
    n = size(600, 10_000)

    def mutations(first: int, upto: int) -> Any:
        return in_turn(
            (
                lambda number=number: hostile.attack_mutation(host.host, number)
                for number in range(first, upto)
            ),
            at_once=8,
        )

    run(host, witness, lambda: mutations(n, n + 100), lambda: mutations(0, n))


@promised(seconds=300)
def test_mutations_of_the_handshake(host: Host, witness: Witness) -> None:
    n = size(200, 3000)

    def mutations(first: int, upto: int) -> Any:
        return in_turn(
            (
                lambda number=number: hostile.attack_handshake(host.host, number)
                for number in range(first, upto)
            ),
            at_once=32,
        )

    run(host, witness, lambda: mutations(n, n + 100), lambda: mutations(0, n))


@promised(seconds=600)
def test_frames_that_are_too_much(host: Host, witness: Witness) -> None:
    def all_of(times: int, n_messages: int) -> Any:
        return in_turn(
            (
                lambda name=name, parts=parts: hostile.attack_frames(host.host, name, parts)
                for name, parts in hostile.frames(n_messages).items()
                for _ in range(times)
            ),
            at_once=2,
        )

    run(host, witness, lambda: all_of(1, 250), lambda: all_of(size(1, 5), size(300, 10_000)))


@promised(seconds=300)
def test_sockets_that_never_come_to_the_point(host: Host, witness: Witness) -> None:
    n = size(150, 500)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))

    async def hold(n_silent: int, n_slow: int, seconds: float) -> None:
        await asyncio.gather(
            hostile.hold_silent(host.host, n_silent),
            hostile.hold_slow_handshakes(host.host, n_slow, seconds),
        )

    run(host, witness, lambda: hold(n, n // 2, 0.5), lambda: hold(n, n // 2, 3.0))
