# SPDX-License-Identifier: MIT
"""Ending connections and asking what is live on other instances: real servers,
which share a real bus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from asgi_driver import until as soon
from backends import Postgres
from buses import BusKind, PostgreSQL
from redis_backend import RedisServer
from serving import DEADLINE, Server, serving, until
from sizes import promised, size
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from fraiseql_asgi import (
    BusError,
    ClosedError,
    Event,
    EventBusConfig,
    SecurityContext,
    SubscriptionExecutor,
    SubscriptionManager,
)
from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_install import install
from fraiseql_asgi._postgres_watch import Watch, watch

pytestmark = pytest.mark.timeout(180)

#: The promise is one second; other work on the machine is no fault.
WITHIN = size(5, 1)

APP = """
import json
import os
from urllib.parse import parse_qsl
from fraiseql_asgi import SecurityContext, SubscriptionManager, arg, ctx

def authenticate(payload):
    return SecurityContext(payload["user"], payload.get("tenant"))

manager = SubscriptionManager(os.environ["BUS"], auth_handler=authenticate)
manager.subscription("tick")

async def do(what, **given):
    if what == "disconnect":
        code = int(given.pop("code", 4403))
        return await manager.adisconnect(code=code, **given)
    if what == "invalidate":
        where = (ctx.user_id == given["user"]) & (arg.id == int(given["id"]))
        return await manager.ainvalidate(where)
    if what == "publish":
        return await manager.publish_event("tick", "tick", given)
    if what == "metrics":
        return {name: value for name, value in manager.get_metrics().items()
                if isinstance(value, int)}
    assert what == "subscriptions"
    found = await manager.asubscriptions(instances="all", timeout=float(given["timeout"]))
    return {
        "rows": [[one.user_id, one.instance_id] for one in found],
        "missing": found.missing,
        "here": manager.instance_id,
    }

async def app(scope, receive, send):
    if scope["type"] != "http":
        await manager(scope, receive, send)
        return
    result = await do(scope["path"][1:], **dict(parse_qsl(scope["query_string"].decode())))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(result).encode()})
"""


class Instance:
    """A uvicorn on the bus."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def do(self, what: str, **given: object) -> Any:
        query = urllib.parse.urlencode(given)
        url = f"http://{self.server.address()}/{what}?{query}"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            return json.load(answer)

    @contextlib.contextmanager
    def client(self, user: str, query: str = "{ tick }") -> Iterator[ClientConnection]:
        """One who is subscribed."""
        with connect(
            f"ws://{self.server.address()}/",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            open_timeout=DEADLINE,
        ) as client:
            say(client, type="connection_init", payload={"user": user})
            assert read(client) == {"type": "connection_ack"}
            say(client, id="1", type="subscribe", payload={"query": f"subscription {query}"})
            say(client, type="ping")
            assert read(client) == {"type": "pong"}
            yield client


def say(client: ClientConnection, **message: object) -> None:
    client.send(json.dumps(message))


def read(client: ClientConnection) -> Any:
    """What it is sent next; one that has been silent for long is pinged."""
    while (message := json.loads(client.recv(DEADLINE))) == {"type": "ping"}:
        say(client, type="pong")
    return message


def closed(client: ClientConnection) -> tuple[int, str, list[Any]]:
    """How it ends, and what it was sent before."""
    messages: list[Any] = []
    try:
        while True:
            messages.append(read(client))
    except ConnectionClosed:
        assert client.close_code is not None
        return client.close_code, client.close_reason or "", messages


def next_of(data: object) -> dict[str, Any]:
    return {"id": "1", "type": "next", "payload": {"data": {"tick": data}}}


@contextlib.contextmanager
def instance(url: str, folder: pathlib.Path) -> Iterator[Instance]:
    (folder / "control_app.py").write_text(APP)
    with serving("control_app:app", folder, environ={"BUS": url}) as server:
        yield Instance(server)


@contextlib.contextmanager
def both(url: str, folder: pathlib.Path) -> Iterator[tuple[Instance, Instance]]:
    """Two that know of each other: each has had a client."""
    with instance(url, folder) as a, instance(url, folder) as b:
        with a.client("first"), b.client("first"):
            for one in (a, b):
                until(lambda one=one: one.do("metrics")["control_instances"] == 1, "it is known")
        yield a, b


@pytest.fixture(scope="module", params=["redis", "postgresql"])
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Instance, Instance]]:
    kind: BusKind = request.getfixturevalue(f"{request.param}_kind")
    if isinstance(kind, PostgreSQL):
        # Not one that others may be given meanwhile.
        kind.server.connect().execute("CREATE DATABASE control")
        kind.server.fresh("control").close()
        url = kind.server.dsn_of("owner", "control")
    else:
        url = kind.new().url
    with both(url, tmp_path_factory.mktemp("two")) as instances:
        yield instances


@promised()
@pytest.mark.parametrize("n", range(size(5, 50)))
def test_a_disconnect_reaches_the_other_instance(two: tuple[Instance, Instance], n: int) -> None:
    a, b = two
    with b.client("ann") as ann, b.client("bob") as bob, a.client("ann") as here:
        a.do("publish", n=n)
        began = time.monotonic()
        assert a.do("disconnect", user_id="ann", code="4999", reason="Moved") == 1
        a.do("publish", n="later")
        code, reason, messages = closed(ann)
        assert time.monotonic() - began < WITHIN
        # What is queued is dropped, and what comes later is not for it.
        assert (code, reason) == (4999, "Moved")
        assert messages in ([], [next_of({"n": str(n)})])
        assert closed(here)[:2] == (4999, "Moved")
        assert [read(bob), read(bob)] == [next_of({"n": str(n)}), next_of({"n": "later"})]


@pytest.mark.parametrize("n", range(size(2, 50)))
def test_an_invalidation_reaches_the_other_instance(two: tuple[Instance, Instance], n: int) -> None:
    a, b = two
    with (
        b.client("ann", "{ tick(id: 7) }") as meant,
        b.client("ann", "{ tick(id: 8) }") as other,
        b.client("bob", "{ tick(id: 7) }") as bob,
    ):
        began = time.monotonic()
        assert a.do("invalidate", user="ann", id="7") == 0
        error = read(meant)
        assert time.monotonic() - began < WITHIN
        assert (error["type"], error["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")
        a.do("publish", n=n)
        assert read(other) == read(bob) == next_of({"n": str(n)})
        say(meant, type="ping")
        assert read(meant) == {"type": "pong"}


def test_subscriptions_are_those_of_all(two: tuple[Instance, Instance]) -> None:
    a, b = two
    with a.client("ann"), b.client("bob"), b.client("cat"):
        began = time.monotonic()
        found = a.do("subscriptions", timeout=DEADLINE)
        assert time.monotonic() - began < DEADLINE
        of_b = b.do("subscriptions", timeout=DEADLINE)
        assert found["missing"] == of_b["missing"] == []
        expected = [["ann", found["here"]], ["bob", of_b["here"]], ["cat", of_b["here"]]]
        assert sorted(found["rows"]) == sorted(of_b["rows"]) == expected


def test_one_that_does_not_answer_is_named_and_not_waited_for(
    two: tuple[Instance, Instance],
) -> None:
    a, b = two
    with a.client("ann") as ann, b.client("bob") as bob:
        id_b = b.do("subscriptions", timeout=DEADLINE)["here"]
        b.server.process.send_signal(signal.SIGSTOP)
        # All of its threads: the reactor answers until the main one has taken it.
        os.waitid(os.P_PID, b.server.process.pid, os.WSTOPPED)
        try:
            began = time.monotonic()
            found = a.do("subscriptions", timeout=0.5)
            took = time.monotonic() - began
            assert (found["rows"], found["missing"]) == ([["ann", found["here"]]], [id_b])
            assert 0.5 <= took < 0.5 + WITHIN
            a.do("disconnect", user_id="bob")
        finally:
            b.server.process.send_signal(signal.SIGCONT)
        assert closed(bob)[0] == 4403
        assert a.do("subscriptions", timeout=DEADLINE)["missing"] == []
        say(ann, type="ping")
        assert read(ann) == {"type": "pong"}


def test_control_is_not_counted_as_events(two: tuple[Instance, Instance]) -> None:
    a, _ = two
    before = a.do("metrics")
    a.do("disconnect", user_id="nobody")
    after = a.do("metrics")
    for name in ("events_published", "events_received", "events_publish_failed"):
        assert after[name] == before[name]
    assert after["control_sent"] == before["control_sent"] + 1
    assert after["control_refused"] == 0


# -- an instance that is cut off ----------------------------------------------


class Cable:
    """Between an instance and its Redis; it can be pulled."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._is_in = True
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            ends = {end: pair for pair in self._pairs for end in pair} if self._is_in else {}
            ready, _, _ = select.select([self._listener, self._woken, *ends], [], [])
            for end in ready:
                if end is self._woken:
                    if self._woken.recv(1) == b"x":
                        return
                    self._drop_all()
                elif end is self._listener:
                    client = self._listener.accept()[0]
                    if self._is_in:
                        server = socket.create_connection(("127.0.0.1", self._to))
                        self._pairs.append((client, server))
                    else:
                        client.close()
                elif end in ends and ends[end] in self._pairs:
                    self._carry(end, ends[end])

    def _carry(self, end: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        other = pair[1] if end is pair[0] else pair[0]
        try:
            data = end.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        self._pairs.remove(pair)
        for one in pair:
            one.close()

    def _drop_all(self) -> None:
        for pair in self._pairs:
            for one in pair:
                one.close()
        self._pairs = []

    def pull(self) -> None:
        self._is_in = False
        self._wake.send(b".")

    def put_in(self) -> None:
        self._is_in = True

    def close(self) -> None:
        self._wake.send(b"x")
        self._thread.join()
        self._drop_all()
        for one in (self._listener, self._wake, self._woken):
            one.close()


@pytest.fixture
def cut(
    tmp_path: pathlib.Path,
) -> Iterator[tuple[RedisServer, Instance, Instance, Cable]]:
    """The second instance is behind a cable."""
    redis = RedisServer(tmp_path / "redis", requirepass="Se:cr%et")
    redis.start()
    cable = Cable(redis.port)
    login = "redis://:Se%3Acr%25et@127.0.0.1"
    try:
        with (
            instance(f"{login}:{redis.port}/0", tmp_path) as a,
            instance(f"{login}:{cable.port}/0", tmp_path) as b,
        ):
            yield redis, a, b, cable
    finally:
        cable.close()
        redis.stop()


def when_up(one: Instance, is_up: bool) -> Callable[[], bool]:
    return lambda: one.do("metrics")["bus_up"] == is_up


def has_said(one: Instance, text: str) -> Callable[[], bool]:
    return lambda: text in one.server.log


def test_one_that_was_cut_off_obeys_when_it_is_back(
    cut: tuple[RedisServer, Instance, Instance, Cable],
) -> None:
    _, a, b, cable = cut
    with b.client("ann") as ann, b.client("bob") as bob:
        cable.pull()
        until(when_up(b, False), "it is cut off")
        a.do("publish", n=1)
        a.do("disconnect", user_id="ann")
        a.do("publish", n=2)
        cable.put_in()
        code, reason, messages = closed(ann)
        assert (code, reason) == (4403, "Forbidden")
        assert messages in ([], [next_of({"n": "1"})])
        # Nobody else is concerned, as nothing was lost.
        assert [read(bob), read(bob)] == [next_of({"n": "1"}), next_of({"n": "2"})]
        assert b.do("metrics")["control_lockdowns"] == 0
    until(has_said(b, "the bus (redis) is connected after "), "it is told that it is back")
    assert "the connection to the bus (redis) was lost: " in b.server.log
    assert "cr%et" not in b.server.log
    assert "cr%25et" not in b.server.log


def test_who_may_have_been_disconnected_authenticates_again(
    cut: tuple[RedisServer, Instance, Instance, Cable],
) -> None:
    redis, a, b, cable = cut
    with b.client("ann") as ann, b.client("bob") as bob:
        cable.pull()
        until(when_up(b, False), "it is cut off")
        a.do("disconnect", user_id="ann")
        with redis.connect() as client:
            client.command("AUTH", "Se:cr%et")
            client.command("FLUSHALL")
        cable.put_in()
        for one in (ann, bob):
            code, reason, messages = closed(one)
            assert (code, reason) == (1012, "Connect again")
            # It is told before.
            errors = [error for message in messages for error in message["payload"]["errors"]]
            assert [error["extensions"]["code"] for error in errors] == ["EVENTS_LOST"]
    until(has_said(b, "2 connections were closed"), "it is told")
    assert "); 2 subscriptions were told" in b.server.log


class Database(NamedTuple):
    server: Postgres
    name: str

    def dsn(self, user: str = "owner") -> str:
        return self.server.dsn_of(user, self.name)

    def connect(self) -> PostgresClient:
        return self.server.connect(database=self.name)


@pytest.fixture
def database(postgresql_kind: PostgreSQL) -> Iterator[Database]:
    """A database with the schema, and nothing published."""
    url = postgresql_kind.new().url
    yield Database(postgresql_kind.server, url.partition("?")[0].rpartition("/")[2])
    postgresql_kind.recycle()


# -- who may -------------------------------------------------------------------


async def listening(manager: SubscriptionManager) -> asyncio.Task[Any]:
    """A subscription of the application's own; the task is its next payload."""
    stream = manager.subscribe("subscription { tick }", security=SecurityContext("ann"))
    task = asyncio.ensure_future(anext(stream))
    await soon(manager.subscriptions)
    return task


async def test_an_order_that_nobody_takes_is_an_exception(tmp_path: pathlib.Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    try:
        async with SubscriptionManager(redis.url(), publish_timeout=0.3) as manager:
            task = await listening(manager)
            redis.kill()
            with pytest.raises(BusError):
                await manager.adisconnect(user_id="ann")
            # What is here has ended all the same.
            with pytest.raises(ClosedError, match="Forbidden"):
                await task
            with pytest.raises(BusError):
                await manager.asubscriptions(instances="all", timeout=0.3)
    finally:
        redis.stop()


async def test_a_script_tells_servers(database: Database) -> None:
    async with SubscriptionManager(database.dsn()) as server:
        task = await listening(server)
        script = SubscriptionManager(database.dsn())
        try:
            assert await script.adisconnect(user_id="ann", instances="here") == 0
            assert await script.adisconnect(user_id="ann") == 0
            with pytest.raises(ClosedError, match="Forbidden"):
                await asyncio.wait_for(task, DEADLINE)
        finally:
            await script.aclose()


async def test_sql_disconnects_when_it_commits(database: Database) -> None:
    client = database.connect()
    async with SubscriptionManager(database.dsn()) as manager:
        task = await listening(manager)
        for fault in ("", "reason => 'x'", "user_id => 'ann', code => 1006", "'ann', code => NULL"):
            with pytest.raises(BusError, match=r"fraiseql\.disconnect"):
                client.execute(f"SELECT fraiseql.disconnect({fault})")
        client.execute("BEGIN; SELECT fraiseql.disconnect('ann'); ROLLBACK")
        client.execute("BEGIN; SELECT fraiseql.disconnect('bob', reason => 'Bye'); COMMIT")
        await manager.publish_event("tick", "tick", {"n": 1})
        assert await asyncio.wait_for(task, DEADLINE) == {"data": {"tick": {"n": 1}}}
    async with SubscriptionManager(database.dsn()) as manager:
        task = await listening(manager)
        client.execute(
            "BEGIN; SELECT fraiseql.publish('tick', 'tick', '{}');"
            "SELECT fraiseql.disconnect(user_id => 'ann', reason => 'Gone'); COMMIT"
        )
        assert await asyncio.wait_for(task, DEADLINE) == {"data": {"tick": {}}}


async def test_control_needs_a_grant_of_its_own(database: Database) -> None:
    client = database.connect()
    for role in ("plain", "boss"):
        client.execute(f"DROP ROLE IF EXISTS {role}")
        client.execute(f"CREATE ROLE {role} LOGIN")
    install(client, ["plain", "boss"], ["plain", "boss"], ["boss"])
    async with SubscriptionManager(database.dsn("plain")) as plain:
        # Nobody hears of it; that is all.
        task = await listening(plain)
        with pytest.raises(BusError, match="permission denied for function control"):
            await plain.adisconnect(user_id="bob")
        async with SubscriptionManager(database.dsn("boss")) as boss:
            await boss.adisconnect(user_id="ann")
            with pytest.raises(ClosedError, match="Forbidden"):
                await asyncio.wait_for(task, DEADLINE)
        await plain.publish_event("tick", "tick", {})
    client.execute("DROP OWNED BY plain, boss")


RESERVED = "$fraiseql:control"
REFUSED = r"channels that begin with \$fraiseql: are reserved"


async def test_the_public_doors_let_no_control_through(database: Database) -> None:
    client = database.connect()
    async with SubscriptionManager(publish_token="s" * 32) as manager:
        order = {"user_id": "ann"}
        task = await listening(manager)
        with pytest.raises(ValueError, match=REFUSED):
            await manager.publish_event("disconnect", RESERVED, order)
        with pytest.raises(ValueError, match=REFUSED):
            manager.publish(Event("disconnect", RESERVED, order))
        with pytest.raises(ValueError, match=REFUSED):
            EventBusConfig.memory().create_bus().publish(Event("disconnect", RESERVED, order))
        with SubscriptionExecutor() as executor, pytest.raises(ValueError, match=REFUSED):
            executor.publish_event("disconnect", RESERVED, order)
        assert len(manager.subscriptions()) == 1
        task.cancel()
    said = ["publish", "--bus", database.dsn(), RESERVED, json.dumps(order)]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "fraiseql_asgi", *said],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"fraiseql-asgi: {REFUSED}\n", done.stderr)
    with pytest.raises(BusError, match=REFUSED):
        client.execute(f"SELECT fraiseql.publish('{RESERVED}', 'disconnect', '{{}}')")
    with pytest.raises(BusError, match=REFUSED):
        client.execute(
            "SELECT fraiseql.publish_batch("
            f"ARRAY['a', '{RESERVED}'], ARRAY['a', 'b'], ARRAY['{{}}', '{{}}'], "
            "ARRAY[NULL, NULL], ARRAY[NULL, NULL], ARRAY[NULL, NULL])"
        )
    client.execute("DROP TABLE IF EXISTS watched; CREATE TABLE watched (id int)")
    with pytest.raises(BusError, match=REFUSED):
        watch(client, Watch("watched", channel=RESERVED))


async def test_nobody_listens_to_control(bus: EventBusConfig) -> None:
    manager = SubscriptionManager(bus)
    manager.subscription("any", channel="{name}")
    manager.subscription("tick")
    async with manager:
        position = manager._runtime._event_bus().position()
        query = f'subscription {{ any(name: "{RESERVED}") }}'
        streams = [
            manager.subscribe(query),
            manager.subscribe(query, after=position),
            manager.subscribe("subscription { tick }"),
        ]
        tasks = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await soon(lambda: len(manager.subscriptions()) == 3)
        await manager.adisconnect(user_id="nobody")
        await manager.publish_event("tick", "tick", {"n": 1})
        assert await asyncio.wait_for(tasks[2], DEADLINE) == {"data": {"tick": {"n": 1}}}
        assert [task.done() for task in tasks] == [False, False, True]
        for task in tasks:
            task.cancel()
