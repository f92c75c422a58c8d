# SPDX-License-Identifier: MIT
"""Several instances on one bus are one server: who subscribes at one gets what is
published at another, or by a program that is none of ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from buses import BusKind
from resuming_app import environ_of, make_manager
from serving import DEADLINE, ROOT, client, serving, working
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from fraiseql_asgi import EventBusConfig, SubscriptionManager

APP = "resuming_app:app"
TESTS = ROOT / "tests"
QUERY = "subscription { tick { n } }"


def post(address: str, data: object) -> None:
    """POST /publish, as any program may."""
    request = urllib.request.Request(
        f"http://{address}/publish",
        json.dumps({"channel": "tick", "data": data}).encode(),
        {"authorization": "Bearer token", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        assert len(json.load(response)["ids"]) == 1


async def run_publish(config: EventBusConfig, data: object) -> None:
    """`fraiseql-asgi publish`, in a process of its own."""
    command = [sys.executable, "-m", "fraiseql_asgi", "publish", "tick", json.dumps(data)]
    process = await asyncio.create_subprocess_exec(*command, "--bus", config.url)
    assert await asyncio.wait_for(process.wait(), DEADLINE) == 0


class Follower:
    """What one subscription gets, wherever it is; 0 before all counts as nothing."""

    def __init__(self, read: Callable[[], Awaitable[int]]) -> None:
        self._read = read

    async def follow(self, n_last: int, is_there: Callable[[], None]) -> list[int]:
        numbers = []
        while not numbers or numbers[-1] != n_last:
            n = await asyncio.wait_for(self._read(), DEADLINE)
            if n == 0 and not numbers:
                is_there()
            else:
                numbers.append(n)
        return numbers


@contextlib.contextmanager
def npm_follower(address: str) -> Iterator[Follower]:
    with client(f"ws://{address}/", QUERY, stay=True) as npm:

        def read() -> int:
            while (event := npm.event())["type"] != "next":
                assert event["type"] == "connected", event
            n: int = event["payload"]["data"]["tick"]["n"]
            return n

        yield Follower(lambda: asyncio.to_thread(read))


@contextlib.asynccontextmanager
async def manager_follower(manager: SubscriptionManager) -> Any:
    stream = manager.subscribe(QUERY)

    async def read() -> int:
        n: int = (await anext(stream))["data"]["tick"]["n"]
        return n

    try:
        yield Follower(read)
    finally:
        await stream.aclose()


async def test_what_anybody_publishes_reaches_the_subscribers_of_every_instance(
    shared_kind: BusKind,
) -> None:
    config = shared_kind.new()
    environ = environ_of(config)
    async with contextlib.AsyncExitStack() as stack:
        servers = [stack.enter_context(serving(APP, TESTS, environ=environ)) for _ in range(2)]
        one, two = [server.address() for server in servers]
        manager = await stack.enter_async_context(make_manager(config))
        followers = [stack.enter_context(npm_follower(address)) for address in (one, two)]
        followers.append(await stack.enter_async_context(manager_follower(manager)))
        publishers: list[Callable[[dict[str, int]], Awaitable[Any]]] = [
            lambda data: asyncio.to_thread(post, one, data),
            lambda data: manager.publish_event("tick", "tick", data),
            lambda data: asyncio.to_thread(shared_kind.add, config, "tick", json.dumps(data)),
            lambda data: asyncio.to_thread(post, two, data),
            lambda data: run_publish(config, data),
        ]
        n_last = 4 * (len(publishers) - 1) + 1
        there = [asyncio.Event() for _ in followers]
        following = [
            asyncio.ensure_future(follower.follow(n_last, event.set))
            for follower, event in zip(followers, there, strict=True)
        ]
        while not all(event.is_set() for event in there):
            await publishers[0]({"n": 0})
            await asyncio.sleep(0.02)
        for n in range(1, n_last):
            # Each returns when the bus has it, so that this is the order.
            await publishers[(n - 1) % (len(publishers) - 1)]({"n": n})
        # A program takes a second to begin; once is enough.
        await publishers[-1]({"n": n_last})
        for task in following:
            assert await task == list(range(1, n_last + 1))


async def subscribe(address: str) -> ClientConnection:
    socket = await connect(f"ws://{address}/", subprotocols=[Subprotocol("graphql-transport-ws")])
    await socket.send('{"type":"connection_init"}')
    assert json.loads(await socket.recv())["type"] == "connection_ack"
    payload = {"query": "subscription { resolved { n pid } }"}
    await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
    return socket


async def resolved(socket: ClientConnection) -> dict[str, int]:
    """The next event; a client that is silent for long is pinged."""
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), DEADLINE))
        if message["type"] == "next":
            event: dict[str, int] = message["payload"]["data"]["resolved"]
            return event
        assert message == {"type": "ping"}
        await socket.send('{"type":"pong"}')


async def test_workers_are_one_server(shared_kind: BusKind) -> None:
    """Which of them a client or a publisher reaches makes no difference."""
    n_events = 20
    with working(APP, TESTS, environ=environ_of(shared_kind.new())) as server:
        address = server.address()
        sockets: list[ClientConnection] = []
        pids: list[int] = []
        end = time.monotonic() + DEADLINE
        try:
            # Until both have some.
            while len(set(pids)) < 2 or len(pids) < 6:
                assert time.monotonic() < end, pids
                sockets.append(socket := await subscribe(address))
                reading = asyncio.ensure_future(resolved(socket))
                while not reading.done():
                    await asyncio.to_thread(post, address, {"n": 0})
                    await asyncio.wait([reading], timeout=0.02)
                pids.append(reading.result()["pid"])
            assert set(pids) == set(server.workers())
            for n in range(1, n_events + 1):
                await asyncio.to_thread(post, address, {"n": n})
            for socket in sockets:
                numbers = []
                while not numbers or numbers[-1] != n_events:
                    numbers.append((await resolved(socket))["n"])
                assert [n for n in numbers if n > 0] == list(range(1, n_events + 1))
        finally:
            for socket in sockets:
                await socket.close()
