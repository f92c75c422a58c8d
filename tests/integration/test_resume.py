# SPDX-License-Identifier: MIT
"""Clients that come back, over real sockets: what they have received in the end
is each event once, in order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from buses import BusKind
from redis_backend import RedisServer
from resuming_app import environ_of, make_manager, publish
from serving import DEADLINE, ROOT, Client, Server, client, serving, until, working
from sizes import promised, size
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from fraiseql_asgi import EventBusConfig

TESTS = ROOT / "tests"
APP = "resuming_app:app"
#: However slow the machine is, no position is lost.
KEPT = {"history_events": 1_000_000, "history_bytes": 2**30, "history_seconds": 3600}

#: One result, by WebSocket or as an event: its number, and its position.
Result = tuple[int, str]


class Away(Exception):
    """The server has ended the connection, or is not there."""


async def over_websocket(address: str, field: str, after: str | None) -> AsyncIterator[Result]:
    """The results of one connection, which is dropped at the end."""
    resume = {} if after is None else {"after": after}
    payload = {"query": f"subscription {{ {field} {{ n }} }}", "extensions": {"resume": resume}}
    url = f"ws://{address}/"
    try:
        async with connect(
            url, subprotocols=[Subprotocol("graphql-transport-ws")], open_timeout=DEADLINE
        ) as socket:
            try:
                await socket.send('{"type":"connection_init"}')
                assert json.loads(await socket.recv())["type"] == "connection_ack"
                await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
                while True:
                    message = json.loads(await socket.recv())
                    if message == {"type": "ping"}:
                        await socket.send('{"type":"pong"}')
                        continue
                    assert message["type"] == "next", message
                    result = message["payload"]
                    assert list(result["extensions"]) == ["position"], result
                    yield result["data"][field]["n"], result["extensions"]["position"]
            finally:
                socket.transport.abort()
    except ConnectionClosed as error:
        code = 1006 if error.rcvd is None else error.rcvd.code
        if code not in (1006, 1012):
            raise
        raise Away from error
    except InvalidStatus as error:
        if error.response.status_code != 503:
            raise
        raise Away from error
    except (InvalidMessage, OSError) as error:
        # In the middle of the handshake, or before it.
        raise Away from error


async def over_stream(address: str, field: str, after: str | None) -> AsyncIterator[Result]:
    """The same over an event stream."""
    host, _, port = address.partition(":")
    query = urllib.parse.urlencode({"query": f"subscription {{ {field} {{ n }} }}"})
    head = f"GET /?{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n"
    if after is not None:
        head += f"Last-Event-ID: {after}\r\n"
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write((head + "\r\n").encode())
            status = (await reader.readline()).split()
            if status[1:2] != [b"200"]:
                assert status[1:2] in ([], [b"503"]), status
                raise Away
            while (await reader.readline()).strip():
                pass
            lines: dict[str, str] = {}
            async for raw in reader:
                name, _, value = raw.decode().rstrip().partition(": ")
                if name:
                    lines[name] = value
                elif "data" in lines and raw.endswith(b"\n"):
                    # Chunks have lines of their own, which mean nothing here.
                    assert lines["event"] == "next", lines
                    yield json.loads(lines["data"])["data"][field]["n"], lines["id"]
                    lines.clear()
            raise Away
        finally:
            writer.transport.abort()
    except OSError as error:
        raise Away from error


OPENERS = {"websocket": over_websocket, "stream": over_stream}


@dataclasses.dataclass
class Guest:
    """A client that comes and goes until it has received all events."""

    how: str
    field: str
    #: The servers, any of which will do; the list changes while it is away.
    addresses: list[str]
    n_events: int
    n_times: int
    #: The number received last; None: it has received nothing yet.
    last: int | None = None
    n_connections: int = 0
    #: Of these, that the server has ended.
    n_ended: int = 0

    async def stay(self, note_first: Callable[[], None]) -> None:
        chance = random.Random(f"{self.how} {self.field}")
        position = None
        end = time.monotonic() + DEADLINE
        while self.last != self.n_events:
            # Somewhat more often than was asked for, on the average.
            n_left = chance.randint(1, int(1.8 * self.n_events / self.n_times))
            self.n_connections += 1
            results = OPENERS[self.how](chance.choice(self.addresses), self.field, position)
            try:
                async for n, at in results:
                    end = time.monotonic() + DEADLINE
                    position = at
                    if n == 0 and not self.last:
                        # Before it begins; nobody counts these.
                        self.last = 0
                        note_first()
                        continue
                    assert n == (self.last or 0) + 1, f"{n} behind {self.last}: {self}"
                    self.last = n
                    n_left -= 1
                    if n_left == 0 or n == self.n_events:
                        break
            except Away:
                assert time.monotonic() < end, self
                self.n_ended += 1
                await asyncio.sleep(0.02)
            finally:
                await results.aclose()  # type: ignore[attr-defined]


async def all_receive(
    addresses: list[str],
    n_events: int,
    n_times: int,
    kinds: list[tuple[str, str]],
    publishing: Callable[[asyncio.Event], Awaitable[None]],
) -> list[Guest]:
    """Guests of these kinds, who have received what `publishing` publishes."""
    guests = [Guest(*kind, addresses, n_events, n_times) for kind in kinds]
    begin = asyncio.Event()

    def note_first() -> None:
        if all(guest.last is not None for guest in guests):
            begin.set()

    jobs = [guest.stay(note_first) for guest in guests] + [publishing(begin)]
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for guest in guests:
        assert guest.n_connections >= size(n_times // 2, n_times), guest
        print(guest)
    return guests


KINDS = [("websocket", "tick"), ("stream", "tick"), ("websocket", "resolved")]
KINDS += [("websocket", "shared"), ("stream", "shared")]


async def get(url: str) -> None:
    await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=DEADLINE).close())


@promised(seconds=3600)
async def test_each_event_is_received_once_however_often_the_client_leaves(
    bus_kind: BusKind,
) -> None:
    """One server; the publisher is in it, or elsewhere where the bus allows it."""
    n_events, n_times = size(2000, 100_000), size(20, 1000)
    config = bus_kind.new(**KEPT)
    with serving(APP, TESTS, "--log-level", "info", environ=environ_of(config)) as server:
        address = server.address()

        async def inside(begin: asyncio.Event) -> None:
            await get(f"http://{address}/publish/{n_events}")
            await begin.wait()
            await get(f"http://{address}/begin")

        async def outside(begin: asyncio.Event) -> None:
            async with make_manager(config) as manager:
                await publish(manager, n_events, begin)

        publishing = outside if bus_kind.is_shared else inside
        await all_receive([address], n_events, n_times, KINDS, publishing)
        assert "Traceback" not in server.log, server.log


class Restarts:
    """What a publisher calls with each number: at some of them a server restarts
    while events flow, but not all of them."""

    def __init__(self, n_events: int, *jobs: Callable[[], Awaitable[None]]) -> None:
        step = n_events // (len(jobs) + 1)
        self._jobs = [((n + 1) * step, job) for n, job in enumerate(jobs)]
        self._slack = step // 2
        self._under_way: list[tuple[int, asyncio.Future[None]]] = []

    async def reached(self, n: int) -> None:
        while self._under_way and n > self._under_way[0][0]:
            await self._under_way.pop(0)[1]
        if self._jobs and n >= self._jobs[0][0]:
            at, job = self._jobs.pop(0)
            self._under_way.append((at + self._slack, asyncio.ensure_future(job())))


@promised(seconds=3600)
async def test_each_event_is_received_once_across_instances_that_restart(
    shared_kind: BusKind,
) -> None:
    """Two processes, replaced one after the other while their clients come and go
    to either: by SIGTERM, and once by SIGKILL."""
    n_events, n_times = size(2000, 100_000), size(20, 1000)
    config = shared_kind.new(**KEPT)
    with contextlib.ExitStack() as stack:

        def start() -> Server:
            arguments = (APP, TESTS, "--log-level", "info")
            return stack.enter_context(serving(*arguments, environ=environ_of(config)))

        servers = [start(), start()]
        addresses = [server.address() for server in servers]

        async def replace(n: int, how: signal.Signals) -> None:
            if how == signal.SIGKILL:
                await asyncio.to_thread(servers[n].kill)
            else:
                await asyncio.to_thread(servers[n].stop, how)
            servers[n] = start()
            addresses[n] = await asyncio.to_thread(servers[n].address)

        restarts = Restarts(
            n_events,
            lambda: replace(0, signal.SIGTERM),
            lambda: replace(1, signal.SIGTERM),
            lambda: replace(0, signal.SIGKILL),
        )

        async def publishing(begin: asyncio.Event) -> None:
            async with make_manager(config) as manager:
                await publish(manager, n_events, begin, restarts.reached)

        guests = await all_receive(addresses, n_events, n_times, KINDS, publishing)
        assert sum(guest.n_ended for guest in guests) > 0
        for server in servers:
            assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The JavaScript of docs/guide/resume.md, as a file."""
    text = (ROOT / "docs" / "guide" / "resume.md").read_text()
    (code,) = re.findall(r"```js\n(.*?)```", text, re.DOTALL)
    path = tmp_path_factory.mktemp("recipe") / "recipe.mjs"
    path.write_text(code)
    return str(path)


@promised(seconds=3600)
async def test_each_event_is_received_once_across_workers_that_are_replaced(
    shared_kind: BusKind, recipe: str
) -> None:
    """Two workers of one uvicorn: it replaces both one after the other, as it does
    at SIGHUP, and then one that was killed. npm's client is among the guests."""
    n_events, n_times = size(1000, 100_000), size(10, 1000)
    config = shared_kind.new(**KEPT)
    options = {"client": "resuming", "recipe": recipe, "timeout": size(60, 3600)}
    options |= {"retryAttempts": 1000, "retryWait": 20}
    with working(APP, TESTS, environ_of(config)) as server:
        address = server.address()
        query = "subscription { tick { n } }"
        npm = Client(f"ws://{address}/", query, stay=True, **options)
        npm_began = asyncio.Event()

        def read_all() -> None:
            last = None
            while last != n_events:
                event = npm.event()
                assert event["type"] in ("next", "connected", "closed"), event
                if event["type"] != "next":
                    continue
                n = event["payload"]["data"]["tick"]["n"]
                if n == 0 and not last:
                    last = 0
                    loop.call_soon_threadsafe(npm_began.set)
                    continue
                assert n == (last or 0) + 1, f"{n} behind {last}"
                last = n

        async def replaced(pids: list[int], act: Callable[[], None]) -> None:
            text = "Application startup complete"
            n = server.count(text) + len(pids)
            act()

            def are_replaced() -> bool:
                return server.count(text) >= n and not {*pids} & {*server.workers()}

            await asyncio.to_thread(until, are_replaced, "workers were replaced")

        async def restart() -> None:
            await replaced(server.workers(), lambda: server.process.send_signal(signal.SIGHUP))

        async def crash() -> None:
            pid = server.workers()[0]
            await replaced([pid], lambda: os.kill(pid, signal.SIGKILL))

        restarts = Restarts(n_events, restart, crash)

        async def publishing(begin: asyncio.Event) -> None:
            async with make_manager(config) as manager:
                everybody = asyncio.Event()

                async def wait_for_both() -> None:
                    await begin.wait()
                    await npm_began.wait()
                    everybody.set()

                waiting = asyncio.ensure_future(wait_for_both())
                await publish(manager, n_events, everybody, restarts.reached)
                await waiting

        loop = asyncio.get_running_loop()
        try:
            reading = asyncio.ensure_future(asyncio.to_thread(read_all))
            guests = await all_receive(
                [address], n_events, n_times, KINDS[:2] if n_times < 1000 else KINDS, publishing
            )
            await asyncio.wait_for(reading, DEADLINE)
        finally:
            npm.kill()
        assert sum(guest.n_ended for guest in guests) > 0
        assert "Traceback" not in server.log, server.log


# -- the recipe of the guide --------------------------------------------------


def publish_at(server: Server, n: int) -> None:
    data = urllib.parse.quote(json.dumps({"n": n}))
    url = f"http://{server.address()}/publish?channel=tick&data={data}"
    urllib.request.urlopen(url, timeout=DEADLINE).close()


def next_n(npm: Client) -> int:
    """The number of the next result, whatever is told of connections before."""
    while (event := npm.event())["type"] in ("closed", "connected", "lost"):
        pass
    assert event["type"] == "next", event
    n: int = event["payload"]["data"]["tick"]["n"]
    return n


def test_the_recipe_for_graphql_ws_misses_nothing(recipe: str) -> None:
    settings = {"client": "resuming", "recipe": recipe, "retryAttempts": 1000, "retryWait": 20}
    query = "subscription { tick { n } }"
    with serving("client_app:app", ROOT / "tests") as server:
        url = f"ws://{server.address()}/"
        with client(url, query, stay=True, **settings) as npm:
            assert npm.event()["type"] == "connected"
            # It is live when something arrives.
            n = 0
            while n < 10_000:
                n += 1
                publish_at(server, n)
                count = f"http://{server.address()}/count?channel=tick"
                if urllib.request.urlopen(count, timeout=DEADLINE).read() != b"0":
                    break
            n += 1
            publish_at(server, n)
            while (last := next_n(npm)) != n:
                pass
            for _ in range(20):
                npm.command("terminate")
                for _ in range(3):
                    n += 1
                    publish_at(server, n)
                for _ in range(3):
                    last += 1
                    assert next_n(npm) == last
            # A server that has restarted has another history: it says so.
            port = server.address().rpartition(":")[2]
            server.stop()
            with serving("client_app:app", ROOT / "tests", "--port", port) as restarted:
                restarted.address()
                while npm.event()["type"] != "lost":
                    pass
                for n in range(10_000):
                    publish_at(restarted, n)
                    count = f"http://{restarted.address()}/count?channel=tick"
                    if urllib.request.urlopen(count, timeout=DEADLINE).read() != b"0":
                        break
                publish_at(restarted, -1)
                while next_n(npm) != -1:
                    pass
                npm.command("close")
                assert npm.events()[-1]["type"] == "closed"
                restarted.stop()


async def test_the_recipe_waits_for_a_bus_that_is_away(recipe: str, tmp_path: pathlib.Path) -> None:
    redis = RedisServer(tmp_path)
    config = EventBusConfig.redis(redis.url())
    environ = environ_of(config) | {"FRAISEQL_TEST_BUS_OPTIONAL": "1"}
    with serving(APP, TESTS, environ=environ) as server:
        url = f"ws://{server.address()}/"
        with client(
            url, "subscription { tick { n } }", client="resuming", recipe=recipe, stay=True
        ) as npm:
            # It is refused once before there is a bus.
            assert npm.event()["type"] == "connected"
            redis.start()
            try:
                begin = asyncio.Event()
                async with make_manager(config) as manager:
                    publishing = asyncio.ensure_future(publish(manager, 3, begin))
                    while (n := await asyncio.to_thread(next_n, npm)) != 3:
                        begin.set()
                        assert n in (0, 1, 2)
                    await publishing
            finally:
                redis.stop()
