# SPDX-License-Identifier: MIT
"""The clients that people use, each a process of its own, against uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import signal
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import tenacity
from gql import Client as GQLClient
from gql import gql
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportQueryError,
    TransportServerError,
)
from gql.transport.websockets import WebsocketsTransport
from serving import DEADLINE, ROOT, Client, Server, client, serving, until

#: The files of tests/clients that have one, over WebSocket.
WEBSOCKET_CLIENTS = ("graphql_ws", "apollo", "urql", "legacy")

TICK = "subscription { tick { n } }"

BOTH_PROTOCOLS = pytest.mark.parametrize("kind", ["graphql_ws", "legacy"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("client_app:app", ROOT / "tests") as started:
        yield started
        started.stop()


@pytest.fixture(params=WEBSOCKET_CLIENTS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(server: Server, path: str, **query: str) -> int:
    url = f"http://{server.address()}/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return int(answer.read())


def publish(server: Server, channel: str, times: int = 1, **data: Any) -> None:
    ask(server, "publish", channel=channel, data=json.dumps(data), times=str(times))


def until_count(server: Server, channel: str, n: int) -> None:
    until(lambda: ask(server, "count", channel=channel) == n, f"{n} subscriptions on {channel}")


@contextlib.contextmanager
def connected(
    server: Server, kind: str, query: str | None = None, **options: Any
) -> Iterator[Client]:
    url = f"ws://{server.address()}/"
    with client(url, query, client=kind, **options) as made:
        yield made


def start(npm: Client, key: str, query: str, **rest: Any) -> None:
    npm.command("subscribe " + json.dumps({"key": key, "query": query, **rest}))


def told(npm: Client, *kinds: str) -> list[dict[str, Any]]:
    """The next events, which must be of these kinds."""
    events = [npm.event() for _ in kinds]
    assert [event["type"] for event in events] == list(kinds), events
    return events


def n_of(payload: Any, field: str = "tick") -> int:
    n: int = payload["data"][field]["n"]
    return n


# -- every client over WebSocket ----------------------------------------------


def test_many_operations_share_a_socket(server: Server, kind: str) -> None:
    operations = [
        {"key": "a", "query": TICK},
        {"key": "b", "query": "subscription B { price { n symbol } }", "operationName": "B"},
        {"key": "c", "query": "subscription C { tick { n } }"},  # urql and Apollo unite equals
    ]
    with connected(server, kind, operations=operations, stay=True) as npm:
        (hello,) = told(npm, "connected")
        assert hello["payload"] == {"hello": "ann"}
        until_count(server, "tick", 2)
        until_count(server, "prices", 1)
        publish(server, "tick", n=1)
        events = told(npm, "next", "next")
        assert {event["key"] for event in events} == {"a", "c"}
        assert [n_of(event["payload"]) for event in events] == [1, 1]
        publish(server, "prices", symbol="A", n=5)
        (event,) = told(npm, "next")
        assert (event["key"], n_of(event["payload"], "price")) == ("b", 5)
        npm.command("dispose a")
        (event,) = told(npm, "complete")
        assert event["key"] == "a"
        until_count(server, "tick", 1)
        publish(server, "tick", n=2)
        (event,) = told(npm, "next")
        assert (event["key"], n_of(event["payload"])) == ("c", 2)
        start(npm, "d", "subscription D { tick { n } }")
        until_count(server, "tick", 2)
        npm.command("close")
        events = npm.events()
        assert events[-1]["type"] == "closed"
        assert events[-1]["code"] in (1000, 1005)
        until_count(server, "tick", 0)
        until_count(server, "prices", 0)


def test_a_source_ends_with_complete(server: Server, kind: str) -> None:
    query = "subscription ($from: Int!) { countdown(from: $from) }"
    with connected(server, kind, query, variables={"from": 3}, stay=True) as npm:
        events = told(npm, "connected", "next", "next", "next", "complete")
        assert [event["payload"]["data"]["countdown"] for event in events[1:4]] == [3, 2, 1]


def test_errors_arrive_as_what_they_are(server: Server, kind: str) -> None:
    with connected(server, kind, TICK, stay=True) as npm:
        told(npm, "connected")
        until_count(server, "tick", 1)
        start(npm, "wrong", "subscription { tick { m } }")
        (event,) = told(npm, "error")
        assert event["key"] == "wrong"
        (error,) = event["errors"]
        assert error["message"] == "Cannot query field 'm' on type 'Tick'. Did you mean 'n'?"
        assert error["extensions"] == {"code": "VALIDATION_ERROR"}
        # Half of a result, and the subscription goes on.
        start(npm, "half", "subscription { tick { n half } }")
        until_count(server, "tick", 2)
        npm.command("dispose 1")
        told(npm, "complete")
        until_count(server, "tick", 1)
        publish(server, "tick", n=3)
        publish(server, "tick", n=4)
        first, second = (event["payload"] for event in told(npm, "next", "next"))
        assert (n_of(first), first["data"]["tick"]["half"]) == (3, None)
        assert [error["path"] for error in first["errors"]] == [["tick", "half"]]
        assert (n_of(second), second["data"]["tick"]["half"]) == (4, 2)


def test_queries_and_mutations_over_the_socket(server: Server, kind: str) -> None:
    query = "subscription ($id: ID!) { order(id: $id) { id label } }"
    with connected(server, kind, query, variables={"id": "q"}, stay=True) as npm:
        _, loaded = told(npm, "connected", "next")
        assert loaded["payload"]["data"]["order"]["label"] == "loaded"
        start(npm, "me", "{ me }")
        event, _ = told(npm, "next", "complete")
        assert event["payload"]["data"] == {"me": "ann"}
        start(npm, "place", 'mutation { place(id: "q") { id } }')
        events = {event["key"]: event for event in (npm.event() for _ in range(3))}
        assert events["1"]["payload"]["data"]["order"]["label"] == "order q"
        assert events["place"]["type"] in ("next", "complete")


def test_who_is_refused_is_told(server: Server, kind: str) -> None:
    parameters = {"user": "nobody"}
    with connected(server, kind, TICK, connectionParams=parameters, stay=True) as npm:
        events = [npm.event()]
        while events[-1]["type"] != "closed":
            events.append(npm.event())
        refusal = events[-1]
        assert (refusal["code"], refusal["reason"]) == (4403, "Forbidden")
        if kind == "legacy":
            assert events[0] == {"type": "refused", "error": {"message": "Forbidden"}}
        else:
            (error,) = told(npm, "error")
            if kind == "apollo":
                assert error["message"] == "Socket closed with event 4403 Forbidden"
            else:
                assert (error["code"], error["reason"]) == (4403, "Forbidden")
    assert ask(server, "count", channel="tick") == 0


@pytest.mark.parametrize(
    ("kind", "how"),
    [(kind, signal.SIGTERM) for kind in WEBSOCKET_CLIENTS] + [("graphql_ws", signal.SIGKILL)],
)
def test_events_flow_again_after_a_restart(kind: str, how: signal.Signals) -> None:
    folder = ROOT / "tests"
    with contextlib.ExitStack() as servers:
        server = servers.enter_context(serving("client_app:app", folder))
        port = server.address().rpartition(":")[2]
        options = {"retryAttempts": 1000, "retryWait": 50}
        npm = servers.enter_context(connected(server, kind, TICK, **options))
        told(npm, "connected")
        until_count(server, "tick", 1)
        publish(server, "tick", n=1)
        assert n_of(npm.next()) == 1
        if how == signal.SIGTERM:
            server.stop()
        else:
            server.kill()
        (closed,) = told(npm, "closed")
        assert closed["code"] == (1012 if how == signal.SIGTERM else 1006)
        server = servers.enter_context(serving("client_app:app", folder, "--port", port))
        server.address()
        while (event := npm.event())["type"] == "closed":
            pass
        assert event["type"] == "connected"
        until_count(server, "tick", 1)
        publish(server, "tick", n=2)
        assert n_of(npm.next()) == 2
        npm.command("close")
        assert npm.events()[-1]["type"] == "closed"


# -- what fields can do, over both protocols ----------------------------------


@BOTH_PROTOCOLS
def test_a_channel_template_and_a_value_to_begin_with(server: Server, kind: str) -> None:
    query = "subscription ($id: ID!) { order(id: $id) { id label } }"
    operations = [
        {"key": key, "query": query, "variables": {"id": key}} for key in ("first", "second")
    ]
    with connected(server, kind, operations=operations, stay=True) as npm:
        events = told(npm, "connected", "next", "next")[1:]
        begun = {event["key"]: event["payload"]["data"]["order"] for event in events}
        assert {key: (order["id"], order["label"]) for key, order in begun.items()} == {
            "first": ("first", "loaded"),
            "second": ("second", "loaded"),
        }
        publish(server, "orders:second", id="second")
        publish(server, "orders:third", id="third")
        publish(server, "orders:first", id="first")
        events = told(npm, "next", "next")
        assert [event["key"] for event in events] == ["second", "first"]
        labels = [event["payload"]["data"]["order"]["label"] for event in events]
        assert labels == ["order second", "order first"]


@BOTH_PROTOCOLS
def test_a_shared_resolver_is_called_once_for_all(server: Server, kind: str) -> None:
    query = "subscription { shared { n calls } }"
    with connected(server, kind, query) as one, connected(server, kind, query) as two:
        told(one, "connected")
        told(two, "connected")
        until_count(server, "shared", 2)
        publish(server, "shared", n=1)
        publish(server, "shared", n=2)
        of_one = [one.next()["data"]["shared"] for _ in range(2)]
        of_two = [two.next()["data"]["shared"] for _ in range(2)]
        assert of_one == of_two
        assert [shared["n"] for shared in of_one] == [1, 2]
        assert of_one[1]["calls"] - of_one[0]["calls"] == 1


@BOTH_PROTOCOLS
def test_what_conflation_lost_is_told(server: Server, kind: str) -> None:
    with connected(server, kind, "subscription { price { symbol n } }") as npm:
        told(npm, "connected")
        until_count(server, "prices", 1)
        publish(server, "prices", times=500, symbol="A")
        payload = npm.next()
        assert n_of(payload, "price") == 499
        assert payload["extensions"] == {"dropped": 499}
        publish(server, "prices", symbol="A", n=500)
        payload = npm.next()
        assert n_of(payload, "price") == 500
        assert "extensions" not in payload


# -- what one client does -------------------------------------------------------


def test_an_eager_client_keeps_its_socket(server: Server) -> None:
    with connected(server, "graphql_ws", lazy=False) as npm:
        told(npm, "connected")
        start(npm, "1", TICK, count=1)
        until_count(server, "tick", 1)
        publish(server, "tick", n=1)
        told(npm, "next", "complete")
        until_count(server, "tick", 0)
        # On the same socket: nothing was closed or connected meanwhile.
        start(npm, "2", TICK, count=1)
        until_count(server, "tick", 1)
        publish(server, "tick", n=2)
        told(npm, "next", "complete")
        npm.command("close")
        assert [event["type"] for event in npm.events()] == ["closed"]


def test_a_lazy_client_closes_after_the_last_operation(server: Server) -> None:
    with connected(server, "graphql_ws", TICK, count=1, stay=True) as npm:
        for n in range(2):
            told(npm, "connected")
            until_count(server, "tick", 1)
            publish(server, "tick", n=n)
            told(npm, "next", "complete", "closed")
            until_count(server, "tick", 0)
            if n == 0:
                start(npm, "1", TICK, count=1)


def test_keep_alive_pings_are_answered(server: Server) -> None:
    # From when the socket is open: long enough to be acknowledged first.
    with connected(server, "graphql_ws", TICK, keepAlive=500, verbose=True) as npm:
        told(npm, "connecting", "opened", "connected")
        for _ in range(3):
            ping, pong = told(npm, "ping", "pong")
            assert (ping["received"], pong["received"]) == (False, True)


def test_the_older_client_is_told_that_it_is_alive(tmp_path: pathlib.Path) -> None:
    environ = {"FRAISEQL_ASGI_KEEP_ALIVE": "0.05"}
    with (
        serving("fraiseql_asgi:app", tmp_path, environ=environ) as server,
        connected(server, "legacy", "subscription { tick }", verbose=True) as npm,
    ):
        kinds = [npm.event()["type"] for _ in range(6)]
        assert sorted(kinds[:3]) == ["connected", "ka", "opened"]
        assert kinds[3:] == ["ka", "ka", "ka"]
        server.stop()


def test_the_older_client_is_turned_away_where_it_is_not_spoken(tmp_path: pathlib.Path) -> None:
    environ = {"FRAISEQL_ASGI_LEGACY_PROTOCOL": "0"}
    with (
        serving("fraiseql_asgi:app", tmp_path, environ=environ) as server,
        connected(server, "legacy", "subscription { tick }", stay=True) as npm,
    ):
        events = [npm.event()]
        while events[-1]["type"] != "closed":
            events.append(npm.event())
        # ws closes by itself where the server chose no subprotocol of its own.
        assert events[-1]["code"] in (1006, 4406)
        assert all(event["type"] != "connected" for event in events)
        server.stop()


# -- Python's gql ---------------------------------------------------------------


@pytest.fixture(params=[WebsocketsTransport, AIOHTTPWebsocketsTransport])
def transport(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["graphql-transport-ws", "graphql-ws"])
def subprotocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.asynccontextmanager
async def session(
    server: Server, transport: Any, subprotocol: str, **parameters: Any
) -> AsyncIterator[Any]:
    made = transport(
        url=f"ws://{server.address()}/",
        subprotocols=[subprotocol],
        init_payload=parameters,
        connect_timeout=DEADLINE,
        ack_timeout=DEADLINE,
        close_timeout=DEADLINE,
    )
    async with GQLClient(transport=made) as opened:
        yield opened


async def test_gql_subscribes(server: Server, transport: Any, subprotocol: str) -> None:
    async with session(server, transport, subprotocol) as gql_session:
        ticks = gql_session.subscribe(gql(TICK))
        countdown = gql_session.subscribe(gql("subscription { countdown(from: 2) }"))
        assert [result["countdown"] async for result in countdown] == [2, 1]
        first = asyncio.ensure_future(anext(ticks))
        await asyncio.to_thread(until_count, server, "tick", 1)
        await asyncio.to_thread(publish, server, "tick", n=1)
        assert await first == {"tick": {"n": 1}}
        await ticks.aclose()
        await asyncio.to_thread(until_count, server, "tick", 0)
        assert await gql_session.execute(gql("{ me }")) == {"me": "ann"}


async def test_gql_hears_of_errors(server: Server, transport: Any, subprotocol: str) -> None:
    async with session(server, transport, subprotocol) as gql_session:
        with pytest.raises(TransportQueryError) as caught:
            await anext(gql_session.subscribe(gql("subscription { tick { m } }")))
        (error,) = caught.value.errors
        assert error["extensions"] == {"code": "VALIDATION_ERROR"}


async def test_gql_is_refused(server: Server, transport: Any, subprotocol: str) -> None:
    # It hands on what connection_error says, and no close code.
    is_told = subprotocol == "graphql-ws"
    with pytest.raises(TransportServerError if is_told else TransportConnectionFailed) as caught:
        async with session(server, transport, subprotocol, user="nobody"):
            pass
    assert ("Forbidden" in str(caught.value)) == is_told


async def test_gql_comes_back(transport: Any, subprotocol: str) -> None:
    """Its session connects again, and the application subscribes again."""
    with contextlib.ExitStack() as servers:
        server = servers.enter_context(serving("client_app:app", ROOT / "tests"))
        port = server.address().rpartition(":")[2]
        made = transport(url=f"ws://{server.address()}/", subprotocols=[subprotocol])
        again = tenacity.retry(wait=tenacity.wait_fixed(0.05))
        seen: asyncio.Queue[int] = asyncio.Queue()

        @again
        async def listen() -> None:
            async for result in opened.subscribe(gql(TICK)):
                seen.put_nowait(result["tick"]["n"])

        gql_client = GQLClient(transport=made)
        opened = await gql_client.connect_async(reconnecting=True, retry_connect=again)
        listening = asyncio.ensure_future(listen())
        for n in range(2):
            if n > 0:
                await asyncio.to_thread(server.stop)
                again_there = serving("client_app:app", ROOT / "tests", "--port", port)
                server = servers.enter_context(again_there)
            await asyncio.to_thread(until_count, server, "tick", 1)
            await asyncio.to_thread(publish, server, "tick", n=n)
            assert await asyncio.wait_for(seen.get(), DEADLINE) == n
        listening.cancel()
        await asyncio.wait([listening])
        await gql_client.close_async()
